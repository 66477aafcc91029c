#include "discovery/discovery.h"

#include <asio/awaitable.hpp>
#include <utility>

#include "base/bell.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/spawn.h"
#include "discovery/zookeeper.h"

namespace tailrace {

namespace {
constexpr int64_t kTickMs = 250;
}  // namespace

struct Discovery::State {
  State(asio::io_context& road, MembershipOptions options, std::function<Member()> me_in,
        std::function<void(const Presence&)> changed_in)
      : me(std::move(me_in)),
        changed(std::move(changed_in)),
        zookeeper(std::make_unique<ZooKeeper>(road, options.settings,
                                              [this](const ZooEvent& event) { take(event); })),
        membership(std::move(options), Rng(os_random()), mono_ms()),
        bell(road) {}

  void take(const ZooEvent& event) {
    std::visit([this](const auto& e) { membership.on(e, mono_ms()); }, event);
    carry_out();
  }

  void carry_out() {
    for (MembershipAction& action : membership.take_actions())
      std::visit([this](auto& a) { act(a); }, action);
    if (told == membership.presence()) return;
    told = membership.presence();
    changed(told);
  }
  void act(const OpenSession& open) { zookeeper->open(open.session); }
  void act(const CloseSession&) { zookeeper->close(); }
  void act(ZooRequest& request) { zookeeper->request(std::move(request)); }
  static void act(const MembershipSaying& saying) { log::write(saying.level, saying.text, {}); }

  static asio::awaitable<void> run(std::shared_ptr<State> self) {
    while (!self->over) {
      self->membership.announce(self->me(), mono_ms());
      self->membership.tick(mono_ms());
      self->carry_out();
      co_await self->bell.wait(kTickMs);
    }
  }

  std::function<Member()> me;
  std::function<void(const Presence&)> changed;
  std::unique_ptr<ZooKeeper> zookeeper;
  Membership membership;
  Presence told;
  Bell bell;
  bool over = false;
};

Discovery::Discovery(asio::io_context& road, MembershipOptions options, std::function<Member()> me,
                     std::function<void(const Presence&)> changed)
    : state_(std::make_shared<State>(road, std::move(options), std::move(me), std::move(changed))) {
  spawn(road, "discovery", State::run(state_));
}

Discovery::~Discovery() {
  state_->over = true;
  state_->zookeeper.reset();
  state_->bell.ring();
}

const Presence& Discovery::presence() const { return state_->membership.presence(); }

DiscoveryStatus Discovery::status() const { return state_->membership.status(mono_ms()); }

}  // namespace tailrace
