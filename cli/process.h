// What every program of ours asks of the system it runs on. Thread: main.
#pragma once

#include <string>

namespace tailrace {

// Watched files stay open until they are safe: as many as the system lets us.
void raise_open_files();

[[nodiscard]] std::string host_name();  // "localhost" if the system has none

}  // namespace tailrace
