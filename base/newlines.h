// How many lines there are, fast. Thread: any; pure functions.
#pragma once

#include <cstdint>
#include <string_view>

namespace tailrace {

// Number of '\n' in `bytes` (AVX2 where the processor has it).
[[nodiscard]] uint64_t count_newlines(std::string_view bytes);
// The same without special instructions; for tests and older processors.
[[nodiscard]] uint64_t count_newlines_portable(std::string_view bytes);

}  // namespace tailrace
