// What every program of ours asks of the system it runs on. Thread: main.
#pragma once

#include <string>
#include <vector>

namespace tailrace {

// Watched files stay open until they are safe: as many as the system lets us.
void raise_open_files();

[[nodiscard]] std::string host_name();  // "localhost" if the system has none

[[nodiscard]] std::string user_name();  // as whom this process runs; its number if nameless

// Appends a folder of ours, as it is named and as it really is: neither is ever watched.
void add_never_below(std::vector<std::string>& never_below, const std::string& path);

}  // namespace tailrace
