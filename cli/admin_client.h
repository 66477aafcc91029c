// What commands ask of a program's admin port. Thread: main; blocks.
#pragma once

#include <string>
#include <string_view>

#include "base/address.h"
#include "base/result.h"

namespace tailrace {

// The body of the answer to `method` ("GET", "POST") of a path. retry_later: nobody answers;
// rejected: what answers is no program of Tailrace, or refuses.
[[nodiscard]] Result<std::string> ask_admin(const HostPort& at, std::string_view method,
                                            std::string_view path);

}  // namespace tailrace
