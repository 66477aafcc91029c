// A Local's sessions with Centers: one that it asks (the first of those it knows that answers), and
// one with each that a REDIRECT named. Which stream goes where is what the Centers say: whoever
// names a position owns the lane, and the last one to do so is believed. A pure machine. Thread:
// the road. docs/protocol.md, "Several Centers".
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "local/delivery.h"
#include "local/uplink.h"

namespace tailrace {

class Uplinks {
 public:
  // `seeds`: addresses of Centers that always count; may be none. The spool must outlive it.
  Uplinks(Spool& spool, UplinkOptions options, std::vector<std::string> seeds);

  // --- events -----------------------------------------------------------------------------------
  // Addresses to which a connection is to be made now; each is followed by connected() or, if it
  // cannot be made, disconnected().
  [[nodiscard]] std::vector<std::string> connect(int64_t now_ms);
  // Addresses from a list that is kept or was looked up; as if a Center had said so.
  void learn(const std::vector<std::string>& centers, int64_t now_ms);
  void connected(const std::string& address, int64_t now_ms);
  void disconnected(const std::string& address, const std::string& why, uint64_t random,
                    int64_t now_ms);
  void frame(const std::string& address, Frame& frame, int64_t now_ms);
  void other_version(const std::string& address);
  // As Uplink's, of one connection.
  void pump(const std::string& address, size_t queued_bytes, int64_t now_ms);
  void flush(const std::vector<StreamId>& streams);
  // Asks the Centers what of that stream is final, until all sinks have said so:
  // UplinkActions::retired.
  // `each_sink`: they may stand at different lines.
  void retire(uint64_t local_id, const std::string& category, uint8_t sub, bool each_sink);
  // A sink begins in the middle of a stream that Centers may know: they are told in a new HELLO.
  void begin_at(uint64_t sink);
  void cold(const std::string& address, const ColdRead& read, Result<std::shared_ptr<Batch>> batch);
  void tick(int64_t now_ms);  // at least once a second

  // --- actions ----------------------------------------------------------------------------------
  // Replaces `into` by what is to be done for that connection since the last call.
  void take(const std::string& address, UplinkActions& into);

  // --- what the caller asks ---------------------------------------------------------------------
  // Of the sessions that are there, connected or not.
  [[nodiscard]] std::vector<std::string> addresses() const;
  [[nodiscard]] bool knows(const std::string& address) const { return roads_.contains(address); }
  // Milliseconds until connect() names an address; -1: nothing is due.
  [[nodiscard]] int64_t connect_due_ms(int64_t now_ms) const;
  // Those that may be asked, seeds first.
  [[nodiscard]] const std::vector<std::string>& known() const { return centers_; }
  [[nodiscard]] const Delivery& delivery() const { return delivery_; }
  // Names of the Centers that have welcomed us.
  [[nodiscard]] std::string centers() const;

 private:
  struct Road {
    std::unique_ptr<Uplink> uplink;
    bool connecting = false;
    int64_t asked_ms = INT64_MIN;
    // When it was last of use: named by a REDIRECT, or owned a stream.
    int64_t used_ms = INT64_MIN / 2;
  };
  Road& road(const std::string& address);
  [[nodiscard]] bool wanted(const std::string& address, const Road& road, int64_t now_ms) const;
  void drop_unused(int64_t now_ms);
  void ask_next();
  void hear_of(const std::vector<std::string>& centers);

  Delivery delivery_;
  UplinkOptions options_;
  const std::vector<std::string> seeds_;
  const uint64_t local_id_;
  std::vector<std::string> centers_;  // the seeds, and what Centers have said of others
  std::string asked_;                 // of those; empty: none is known
  bool tried_ = false;                // a connection has ended or could not be made
  int64_t patient_since_ms_ = 0;      // since when it has not found an owner for every stream
  std::map<std::string, Road> roads_;
  int64_t now_ms_ = 0;
};

}  // namespace tailrace
