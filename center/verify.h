// Whether a batch is what its head says: its checksum always, its own format's header and trailer
// always, its inflated bytes and lines for a sample.
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
  // in 64.
  Result<void> check(const BatchFields& fields, std::string_view payload, uint64_t index);

 private:
  Inflater& inflater(Codec codec);
  std::array<std::unique_ptr<Inflater>, 4> inflaters_;
  std::string raw_;
};

}  // namespace tailrace
