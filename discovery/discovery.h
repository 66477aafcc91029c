// A Center's shell around Membership: ZooKeeper's answers and the time go in, what it wants is
// carried out. Thread: the road. docs/protocol.md, "Several Centers".
#pragma once

#include <asio/io_context.hpp>
#include <functional>
#include <memory>

#include "discovery/membership.h"

namespace tailrace {

class Discovery {
 public:
  // `me`: what shall stand of this Center, asked each 250 ms. `changed`: called when who is there
  // has changed. Both on the road.
  Discovery(asio::io_context& road, MembershipOptions options, std::function<Member()> me,
            std::function<void(const Presence&)> changed);
  // Ends the session: the others see it at once.
  ~Discovery();
  Discovery(const Discovery&) = delete;
  Discovery& operator=(const Discovery&) = delete;

  [[nodiscard]] const Presence& presence() const;
  [[nodiscard]] DiscoveryStatus status() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace tailrace
