// Puts right what guards a format's bytes (lengths, checksums, numbers that follow one another), so
// that what a fuzzer makes of them reaches the code behind: bytes of somebody who knows the format.
// By docs/formats/ alone. Thread: any; pure.
#pragma once

#include <span>
#include <string_view>

namespace tailrace::fuzz {

// `target`: as TAILRACE_FUZZ names it; of one whose format has no such guards nothing changes.
void sign(std::string_view target, std::span<char> bytes);

}  // namespace tailrace::fuzz
