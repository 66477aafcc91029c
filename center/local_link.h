// A Local's connection as a Center sees it: which streams it named, how much it may still send to
// each sink. Thread: the road. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "center/door.h"
#include "flow/peer_address.h"
#include "flow/stream.h"

namespace tailrace {

class LocalLink {
 public:
  LocalLink(uint64_t link, const PeerAddress& from, size_t sinks, int64_t now_ms)
      : id(link), peer(from.name), address(from.host), since_ms(now_ms), at(sinks) {}

  // Of the files that its batches name, where a sink wants to know.
  class Paths {
   public:
    // No more than so many bytes in all; who is beyond them has none.
    void set(uint32_t file, std::string path) {
      if (bytes_ + path.size() + kEntryBytes > kMostBytes || paths_.contains(file)) return;
      bytes_ += path.size() + kEntryBytes;
      paths_[file] = std::make_shared<const std::string>(std::move(path));
    }
    [[nodiscard]] std::shared_ptr<const std::string> of(uint32_t file) const {
      const auto found = paths_.find(file);
      return found == paths_.end() ? nullptr : found->second;
    }

   private:
    static constexpr size_t kMostBytes = 4u << 20;
    static constexpr size_t kEntryBytes = 100;
    std::map<uint32_t, std::shared_ptr<const std::string>> paths_;
    size_t bytes_ = 0;
  };
  // A stream on its way to one sink.
  struct Way {
    Position origin;       // where it starts for this store, if that does not know it yet
    bool refused = false;  // it was told so: what still comes of it is dropped
    bool ours = false;     // it was sent back by no fault of its own, and nothing was taken since
  };
  struct Stream {
    std::string category;
    StreamKey key;
    std::vector<Way> ways;  // by sink
    [[nodiscard]] bool is_in(const Lane& lane) const {
      return category == lane.category && lane_part(key, lane.parts) == lane.part;
    }
  };
  // Bytes of DATA of one category, head and payload, since the connection began.
  struct Credit {
    uint64_t allowed = 0;
    uint64_t used = 0;
  };
  struct AtSink {
    std::map<std::string, Credit> credits;
    // Credit is due to some category that takes nothing for a while.
    bool credit_waits = false;
    // Streams to be told where to go on, once their category takes again.
    std::set<uint32_t> rewinds;
  };

  const uint64_t id;
  const std::string peer;     // for people
  const std::string address;  // empty: this machine
  const int64_t since_ms;     // mono
  bool closing = false;       // nothing that comes of it counts any more
  bool counted = false;       // the door was told that he has said HELLO
  bool greeted = false;
  bool present = true;  // it was heard of a few seconds ago
  // Who came with the same id and is not known to it (his start): it was sent a PING. Once that is
  // answered, there are two of them.
  uint64_t rival = 0;
  uint64_t pings = 0;
  uint64_t pongs = 0;
  uint64_t centers_version = 0;  // of the list of Centers that it was told last
  uint64_t local_id = 0;
  uint64_t start = 0;
  std::string host;
  std::map<uint32_t, Stream> streams;
  Paths paths;
  // And of each the streams' numbers, by their sub.
  std::map<std::string, std::map<uint8_t, uint32_t>> categories;
  Strikes strikes;
  std::vector<AtSink> at;  // by sink
  uint64_t batches = 0;    // for the verifier's sample

  // It is to be told where to go on, or given credit, as soon as that may be.
  [[nodiscard]] bool owed() const {
    return std::any_of(at.begin(), at.end(), [](const AtSink& sink) {
      return sink.credit_waits || !sink.rewinds.empty();
    });
  }

  // For the penalty box, and for what is said once in a while.
  [[nodiscard]] std::string who() const {
    return greeted ? hex16(local_id) + "@" + address : address;
  }
  // The connection's number of a stream, 0 and false if it never named it.
  [[nodiscard]] bool number_of(const std::string& category, const StreamKey& key,
                               uint32_t* number) const {
    const auto subs = categories.find(category);
    if (key.local_id != local_id || subs == categories.end()) return false;
    const auto found = subs->second.find(key.sub);
    if (found == subs->second.end()) return false;
    *number = found->second;
    return true;
  }
};

}  // namespace tailrace
