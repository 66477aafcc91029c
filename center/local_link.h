// A Local's connection as a Center sees it: which streams it named, how much it may still send.
// Thread: the road. Pure, but for the connection that it owns.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "base/clock.h"
#include "flow/connection.h"
#include "flow/stream.h"

namespace tailrace {

class LocalLink {
 public:
  LocalLink(asio::io_context& road, StreamSocket socket)
      : connection(road, std::move(socket), "local") {}

  struct Stream {
    std::string category;
    StreamKey key;
    Position origin;  // where it starts for this store, if that does not know it yet
  };
  // Bytes of DATA of one category, head and payload, since the connection began.
  struct Credit {
    uint64_t allowed = 0;
    uint64_t used = 0;
  };

  Connection connection;
  int64_t since_ms = mono_ms();
  bool greeted = false;
  uint64_t local_id = 0;
  uint64_t start = 0;
  std::string host;
  std::map<uint32_t, Stream> streams;
  std::map<std::string, Credit> credits;
  std::set<uint32_t> rewinds;  // streams to be told where to go on, once their category takes again
  uint64_t batches = 0;        // for the verifier's sample

  // The connection's number of a stream, 0 and false if it never named it.
  [[nodiscard]] bool number_of(const std::string& category, const StreamKey& key,
                               uint32_t* number) const {
    for (const auto& [n, stream] : streams)
      if (stream.key == key && stream.category == category) {
        *number = n;
        return true;
      }
    return false;
  }
};

}  // namespace tailrace
