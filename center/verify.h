// Whether a batch is what its head says: its checksum always, its own format's header and trailer
// always, its inflated bytes and lines for a sample, or where the lines themselves are needed.
// Thread: the road. limits of size and ratio are the Inflater's.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "flow/batch.h"
#include "flow/codec.h"

namespace tailrace {

class Verifier {
 public:
  // `index`: how many batches of this connection came before. The first 16 are inflated, then 1
  // in 64; each if `whole`.
  Result<void> check(const BatchFields& fields, std::string_view payload, uint64_t index,
                     bool whole = false);
  // The lines of the batch that was checked last, if it was `whole`; until the next one.
  [[nodiscard]] std::string_view lines() const { return lines_; }

 private:
  Inflater& inflater(Codec codec);
  std::array<std::unique_ptr<Inflater>, 4> inflaters_;
  std::string raw_;
  std::string_view lines_;
};

}  // namespace tailrace
