// What became of a stream whose spool is gone. Thread: any; a plain value.
#pragma once

#include <cstdint>
#include <string>

namespace tailrace {

// All lines below `seq` of a stream of a spool that is gone are final, and no other ever will be.
struct RetiredStream {
  uint64_t local_id = 0;
  std::string category;
  uint8_t sub = 0;
  uint64_t seq = 0;
};

}  // namespace tailrace
