#include "cli/operator_nodes.h"

#include <asio/io_context.hpp>

#include "base/spawn.h"
#include "discovery/errand.h"

namespace tailrace {

namespace {
constexpr int64_t kMostMs = 15'000;
constexpr size_t kMostCenters = 1'000;
using Kind = ZooRequest::Kind;
using Outcome = ZooReply::Outcome;

Error refused(const std::string& path, const ZooReply& reply) {
  std::string text = "ZooKeeper: " + path + ": " + reply.text;
  if (reply.outcome == Outcome::no_node)
    text += "; no Center of this cluster has ever been announced there";
  if (reply.outcome == Outcome::no_auth)
    text += "; it belongs to another user: discovery.auth of the Centers' settings names him";
  return Error{reply.outcome == Outcome::lost ? Error::Kind::retry_later : Error::Kind::rejected,
               text};
}

asio::awaitable<void> carry_out(asio::io_context& road, const ZooKeeperSettings& settings,
                                ZooRequest request, Result<ZooReply>& out) {
  Errand errand(road, settings, kMostMs);
  for (;;) {
    out = co_await errand.ask(request);
    if (!out || out->outcome != Outcome::lost) break;  // else it may be done: that can be seen
  }
  co_await errand.end();
}

Result<ZooReply> ask(const ZooKeeperSettings& settings, ZooRequest request) {
  asio::io_context road(1);
  Result<ZooReply> out = Error{Error::Kind::retry_later, "not asked"};
  spawn(road, "a question to ZooKeeper", carry_out(road, settings, std::move(request), out));
  road.run();
  return out;
}

ZooRequest request_of(const ZooKeeperSettings& settings, Kind kind, const std::string& node) {
  ZooRequest request;
  request.kind = kind;
  request.path = zookeeper_root(settings) + node;
  return request;
}
}  // namespace

Result<std::vector<std::string>> announced_centers(const ZooKeeperSettings& settings) {
  asio::io_context road(1);
  CenterLookUp look_up(road, settings);
  Result<std::vector<std::string>> out = std::vector<std::string>();
  const auto look = [](CenterLookUp& up,
                       Result<std::vector<std::string>>& found) -> asio::awaitable<void> {
    found = co_await up.look(kMostCenters);
  };
  spawn(road, "a look at the Centers", look(look_up, out));
  road.run();
  return out;
}

Result<void> make_node(const ZooKeeperSettings& settings, const std::string& node,
                       const std::string& value) {
  ZooRequest request = request_of(settings, Kind::create, node);
  request.value = value;
  const auto reply = ask(settings, request);
  if (!reply) return reply.error();
  if (reply->outcome == Outcome::ok || reply->outcome == Outcome::exists) return {};
  return refused(request.path, *reply);
}

Result<void> remove_node(const ZooKeeperSettings& settings, const std::string& node) {
  const ZooRequest request = request_of(settings, Kind::remove, node);
  const auto reply = ask(settings, request);
  if (!reply) return reply.error();
  if (reply->outcome == Outcome::ok || reply->outcome == Outcome::no_node) return {};
  return refused(request.path, *reply);
}

Result<std::optional<std::string>> read_node(const ZooKeeperSettings& settings,
                                             const std::string& node) {
  const ZooRequest request = request_of(settings, Kind::read, node);
  const auto reply = ask(settings, request);
  if (!reply) return reply.error();
  if (reply->outcome == Outcome::no_node) return std::optional<std::string>();
  if (reply->outcome == Outcome::ok) return std::optional<std::string>(reply->value);
  return refused(request.path, *reply);
}

}  // namespace tailrace
