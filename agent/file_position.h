// A place in a file that proves itself: the bytes before it must still be those that were read.
// Thread: any; plain values.
#pragma once

#include <cstdint>

namespace tailrace {

struct FilePosition {
  uint64_t offset = 0;
  uint32_t head_hash = 0;  // of the first min(offset, 1024) bytes; 0 at offset 0
  uint32_t tail_hash = 0;  // of the last min(offset, 16) bytes before it; 0 at offset 0
  bool operator==(const FilePosition&) const = default;
  // Behind a gap nobody knows which bytes stood there: the offset is believed as it is.
  [[nodiscard]] bool unproven() const { return offset > 0 && head_hash == 0 && tail_hash == 0; }
};

}  // namespace tailrace
