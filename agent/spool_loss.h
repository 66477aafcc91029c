// What an agent does when its Local answers with another spool than before. Thread: any; a value.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace tailrace {

// What becomes of lines that were given to a spool which is gone, and are not known to be final.
enum class SpoolLoss : uint8_t {
  resume,  // the Centers say what is final; the rest is read again: exactly once
  hold,    // a person decides
  resend,  // all of it is read again: some may be published twice
  drop,    // all of it is given up: some may be lost
};

// As the settings spell it; nullopt: it is none of them.
[[nodiscard]] inline std::optional<SpoolLoss> spool_loss(std::string_view text) {
  if (text == "resume") return SpoolLoss::resume;
  if (text == "hold") return SpoolLoss::hold;
  if (text == "resend") return SpoolLoss::resend;
  if (text == "drop") return SpoolLoss::drop;
  return std::nullopt;
}

}  // namespace tailrace
