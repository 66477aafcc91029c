// Directories that programs of ours keep, known by a mark in them: an output, or a program's state.
// Whoever collected what stands below one would collect what is made of it, round and round.
// Thread: any; blocks on the disk.
#pragma once

#include <string>
#include <string_view>

namespace tailrace {

inline constexpr std::string_view kOutputMark = "_tailrace.sink";
inline constexpr std::string_view kStateMark = "_tailrace.state";

// Whether `directory` itself has such a mark.
[[nodiscard]] bool is_own_directory(const std::string& directory);
// Whether `path`, wherever its links lead, stands below one.
[[nodiscard]] bool leads_into_own_directory(const std::string& path);

}  // namespace tailrace
