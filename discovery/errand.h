// A few questions to ZooKeeper by somebody who does not stay: a session of its own, one question
// after another, then it ends. Thread: the road.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/io_context.hpp>
#include <memory>

#include "base/result.h"
#include "discovery/servers.h"
#include "discovery/zookeeper_call.h"

namespace tailrace {

class Errand {
 public:
  Errand(asio::io_context& road, const ZooKeeperSettings& settings, int64_t most_ms);
  ~Errand();
  Errand(const Errand&) = delete;
  Errand& operator=(const Errand&) = delete;

  // One at a time. retry_later: no answer until `most_ms` after the construction; rejected: the
  // session is refused. Whatever ZooKeeper says about the request itself is a reply; of `lost` it
  // is not known whether it was done.
  asio::awaitable<Result<ZooReply>> ask(ZooRequest request);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// Addresses of Centers that are there: of all of them at most `most`, chosen by `random`, so that a
// fleet that looks at once does not go to one of them. The Centers name the others. What cannot be
// believed is passed over. Reads and leaves.
asio::awaitable<Result<std::vector<std::string>>> look_up_centers(asio::io_context& road,
                                                                  const ZooKeeperSettings& settings,
                                                                  size_t most, uint64_t random);

}  // namespace tailrace
