// What was probably meant by a word that is not known. Thread: any; a pure function.
#pragma once

#include <span>
#include <string_view>

namespace tailrace {

// The candidate within max(1, a third of its length) typing errors of `word`; "" if there is none.
[[nodiscard]] std::string_view nearest(std::string_view word,
                                       std::span<const std::string_view> candidates);

}  // namespace tailrace
