#include "discovery/errand.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/bell.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/units.h"
#include "discovery/zookeeper.h"

namespace tailrace {

namespace {
constexpr int64_t kLookUpMs = 15'000;
constexpr size_t kMostNames = 1'000;
}  // namespace

struct Errand::State {
  State(asio::io_context& road, const ZooKeeperSettings& settings, int64_t most_ms)
      : hosts(settings.servers.hosts),
        until_ms(mono_ms() + most_ms),
        bell(road),
        zookeeper(std::make_unique<ZooKeeper>(road, settings,
                                              [this](ZooEvent event) { take(std::move(event)); })) {
    zookeeper->open(1);
  }

  void take(ZooEvent event) {
    if (auto* reply = std::get_if<ZooReply>(&event)) answer = std::move(*reply);
    if (const auto* session = std::get_if<ZooSession>(&event)) {
      connected = session->what == ZooSession::What::connected;
      if (session->what == ZooSession::What::refused) refused = session->text;
    }
    bell.ring();
  }

  [[nodiscard]] std::optional<Error> over() const {
    if (cancelled) return Error{Error::Kind::closed, "cancelled"};
    if (!refused.empty()) return Error{Error::Kind::rejected, refused};
    if (mono_ms() < until_ms) return std::nullopt;
    return Error{Error::Kind::retry_later, "ZooKeeper at " + hosts + " does not answer"};
  }

  std::string hosts;
  int64_t until_ms;
  Bell bell;
  bool cancelled = false;
  bool connected = false;
  std::string refused;
  uint64_t asked = 0;
  std::optional<ZooReply> answer;
  std::unique_ptr<ZooKeeper> zookeeper;
};

Errand::Errand(asio::io_context& road, const ZooKeeperSettings& settings, int64_t most_ms)
    : state_(std::make_shared<State>(road, settings, most_ms)) {}

Errand::~Errand() { state_->zookeeper.reset(); }

void Errand::cancel() {
  state_->cancelled = true;
  state_->bell.ring();
}

asio::awaitable<void> Errand::end() {
  state_->cancelled = true;
  co_await state_->zookeeper->end();
}

asio::awaitable<Result<ZooReply>> Errand::ask(ZooRequest request) {
  const std::shared_ptr<State> state = state_;
  for (;;) {
    if (auto over = state->over()) co_return *over;
    if (state->connected) break;
    co_await state->bell.wait(std::max<int64_t>(1, state->until_ms - mono_ms()));
  }
  request.number = ++state->asked;
  state->answer.reset();
  state->zookeeper->request(std::move(request));
  while (!state->answer || state->answer->number != state->asked) {
    if (auto over = state->over()) co_return *over;
    co_await state->bell.wait(std::max<int64_t>(1, state->until_ms - mono_ms()));
  }
  co_return std::move(*state->answer);
}

namespace {
Error cannot(const std::string& path, const ZooReply& reply) {
  const bool later = reply.outcome == ZooReply::Outcome::lost;
  return Error{later ? Error::Kind::retry_later : Error::Kind::rejected,
               "ZooKeeper: " + path + ": " + reply.text};
}

// `most` of them, in an order that `random` says.
void choose(std::vector<std::string>& names, size_t most, uint64_t random) {
  if (names.size() > kMostNames) names.resize(kMostNames);
  Rng rng(random);
  for (size_t i = 0; i + 1 < names.size() && i < most; ++i)
    std::swap(names[i], names[i + rng.below(names.size() - i)]);
  if (names.size() > most) names.resize(most);
}

asio::awaitable<Result<std::vector<std::string>>> read_list(Errand& errand,
                                                            const ZooKeeperSettings& settings,
                                                            size_t most) {
  const std::string folder = zookeeper_root(settings) + std::string(kCentersNode);
  ZooRequest list;
  list.kind = ZooRequest::Kind::list;
  list.path = folder;
  auto listed = co_await errand.ask(std::move(list));
  if (!listed) co_return listed.error();
  std::vector<std::string> found;
  if (listed->outcome == ZooReply::Outcome::no_node) co_return found;  // no Center was ever there
  if (listed->outcome != ZooReply::Outcome::ok) co_return cannot(folder, *listed);
  choose(listed->names, most, os_random());
  for (const std::string& name : listed->names) {
    ZooRequest read;
    read.kind = ZooRequest::Kind::read;
    read.path = folder + "/" + name;
    const auto value = co_await errand.ask(std::move(read));
    if (!value) co_return value.error();
    if (value->outcome != ZooReply::Outcome::ok) continue;
    const auto member = believe_member(name, value->value, settings.cluster, settings.allow);
    if (!member) {
      log::warning("ZooKeeper: the node " + escape(folder + "/" + name) +
                   " is not a Center's, and passed over: " + member.error().text);
    } else if (!member->address.empty()) {
      found.push_back(member->address);
    }
  }
  co_return found;
}
}  // namespace

void CenterLookUp::cancel() {
  if (errand_) errand_->cancel();
}

asio::awaitable<Result<std::vector<std::string>>> CenterLookUp::look(size_t most) {
  errand_ = std::make_shared<Errand>(road_, settings_, kLookUpMs);
  const std::shared_ptr<Errand> errand = errand_;
  auto found = co_await read_list(*errand, settings_, most);
  co_await errand->end();
  errand_.reset();
  co_return found;
}

}  // namespace tailrace
