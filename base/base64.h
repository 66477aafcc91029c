// Bytes as text of A-Z a-z 0-9 + / =, as headers carry them. Thread: any; pure.
#pragma once

#include <string>
#include <string_view>

namespace tailrace {

[[nodiscard]] std::string base64(std::string_view bytes);

}  // namespace tailrace
