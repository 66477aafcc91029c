#include "cli/drain_center.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/address.h"
#include "base/clock.h"
#include "base/units.h"
#include "cli/admin_client.h"
#include "cli/center_client.h"
#include "cli/cluster.h"
#include "cli/follow.h"
#include "cli/operator_nodes.h"

namespace tailrace {

namespace {
using Json = nlohmann::ordered_json;
constexpr int kDone = 0;
constexpr int kNotDone = 1;
constexpr uint16_t kCenterAdminPort = 17422;
constexpr int64_t kPlainMs = 2'000;

int complain(const std::string& text) {
  std::fprintf(stderr, "tailrace drain: %s\n", text.c_str());
  return kNotDone;
}

// What a Center has still to do.
struct Rest {
  std::string name;
  bool draining = false;
  bool drained = false;
  uint64_t lanes = 0;
  uint64_t lines = 0;  // received, and not committed or not published
  uint64_t others = 0;
  std::string trouble;

  [[nodiscard]] std::string text() const {
    return show_count(lanes) + (lanes == 1 ? " lane, " : " lanes, ") + show_count(lines) +
           " lines held" + (trouble.empty() ? "" : "; " + escape(trouble, 512));
  }
};

Result<Rest> look(const HostPort& at) {
  const auto body = ask_admin(at, "GET", "/api/v1/status");
  if (!body) return body.error();
  const Json all = Json::parse(*body, nullptr, false);
  if (all.is_discarded() || !all.contains("center"))
    return Error{Error::Kind::rejected, "what answers there is no Center"};
  const Json& center = all["center"];
  Rest rest;
  rest.name = center.value("name", "");
  rest.draining = center.value("draining", false);
  rest.drained = center.value("drained", false);
  rest.others = center.value("others", uint64_t{0});
  for (const Json& sink : center.value("sinks", Json::array())) {
    rest.lanes += sink.value("lanes", uint64_t{0});
    if (rest.trouble.empty()) rest.trouble = sink.value("trouble", "");
    const Json categories = sink.value("categories", Json::object());
    for (const auto& [name, of] : categories.items())
      rest.lines += of.value("waiting", uint64_t{0}) + of.value("unpublished", uint64_t{0});
  }
  return rest;
}

Rest rest_of(const proto::CenterReport& report) {
  Rest rest;
  rest.name = report.name();
  rest.draining = report.draining();
  rest.drained = report.drained();
  const int others = report.centers_size() - 1;  // it is among them
  rest.others = static_cast<uint64_t>(std::max(0, others));
  for (const auto& sink : report.sinks()) {
    rest.lanes += sink.lanes();
    rest.lines += sink.uncommitted() + sink.unpublished();
    if (rest.trouble.empty()) rest.trouble = sink.trouble();
  }
  return rest;
}

// How the Center is reached: by its admin port, or by a node in ZooKeeper and the port of Locals.
struct Way {
  std::string where;  // for messages
  std::function<Result<Rest>()> look;
  std::function<Result<void>()> ask;
  std::function<Result<void>()> clear;  // once it has left
};

Way by_admin(const HostPort& at) {
  return {"on " + at.show(), [at] { return look(at); },
          [at]() -> Result<void> {
            const auto asked = ask_admin(at, "POST", "/api/v1/drain");
            return asked ? Result<void>() : asked.error();
          },
          [] { return Result<void>(); }};
}

// rejected: no Center of that name answers, or several do.
Result<Way> by_zookeeper(const Cluster& cluster, const std::string& name) {
  const auto known = centers_of(cluster);
  if (!known) return known.error();
  std::string address, names;
  for (const CenterAnswer& answer : ask_centers(*known, cluster.number)) {
    if (!answer.why.empty()) continue;
    if (!names.empty()) names += ", ";
    names += "'" + escape(answer.report.name(), 64) + "'";
    if (answer.report.name() != name) continue;
    if (!address.empty())
      return Error{Error::Kind::rejected, "two Centers have the name '" + escape(name, 64) +
                                              "', at " + address + " and " + answer.address +
                                              ": drain one by its --admin port"};
    address = answer.report.address().empty() ? answer.address : answer.report.address();
  }
  if (address.empty())
    return Error{Error::Kind::rejected,
                 "no Center '" + escape(name, 64) + "' answers" +
                     (names.empty() ? ", nor any other" : "; those that do are " + names)};
  const std::string node = "/drain/" + name;
  const ZooKeeperSettings zookeeper = cluster.zookeeper;
  return Way{"at " + address,
             [address, number = cluster.number]() -> Result<Rest> {
               const CenterAnswer answer = ask_center(address, number);
               if (!answer.why.empty()) return Error{Error::Kind::retry_later, answer.why};
               return rest_of(answer.report);
             },
             [zookeeper, node] { return make_node(zookeeper, node, "tailrace drain"); },
             [zookeeper, node] { return remove_node(zookeeper, node); }};
}

struct Drain {
  Way way;
  std::string name;
  int64_t most_ms = -1;
  bool json = false;
  int64_t began_ms = mono_ms();
  Rest last{};

  int say(const char* state, int code) const {
    if (json) {
      const Json out = {{"center", name},
                        {"state", state},
                        {"lanes", last.lanes},
                        {"lines_held", last.lines},
                        {"other_centers", last.others},
                        {"seconds", static_cast<double>(mono_ms() - began_ms) / 1000}};
      std::printf("%s\n", out.dump(2).c_str());
    }
    return code;
  }
  int would() const {
    if (!json)
      std::printf(
          "%s would give its lanes to %s: %s. Nothing was changed\n", escape(name, 64).c_str(),
          last.others == 0
              ? "nobody, since no other Center is known (lines would wait in the spools)"
              : (show_count(last.others) + (last.others == 1 ? " other" : " others")).c_str(),
          last.text().c_str());
    return say("would drain", kDone);
  }
  int done() const {
    if (!json)
      std::printf("%s has no lane any more and has ended, after %s\n", escape(name, 64).c_str(),
                  show_duration(mono_ms() - began_ms).c_str());
    return say("drained", kDone);
  }
  int wait() {
    const auto look_again = [this]() -> Result<HowFar> {
      auto rest = way.look();
      if (!rest && !last.drained) return rest.error();
      if (rest) last = std::move(*rest);
      return HowFar{last.drained, last.text()};
    };
    switch (follow(look_again, most_ms, json ? -1 : kPlainMs)) {
      case Followed::unanswered:
        complain("the Center ended before it said that it is done (" + last.text() +
                 "): what it held is taken over by the others as if it had been killed; nothing is "
                 "lost");
        return say("ended", kNotDone);
      case Followed::too_long:
        complain("not done within " + show_duration(most_ms) + ": " + last.text() +
                 ". It goes on draining");
        return say("draining", kNotDone);
      case Followed::over: break;
    }
    if (const auto cleared = way.clear(); !cleared)
      complain("it has left, but would leave again if it were started: " + cleared.error().text);
    return done();
  }
};

Result<Way> way_to(const Arguments& arguments, const std::string& name) {
  if (!arguments.given("admin")) {
    const auto cluster = cluster_of(arguments);
    if (cluster && cluster->zookeeper.given()) return by_zookeeper(*cluster, name);
    if (!cluster && arguments.given("config")) return cluster.error();
  }
  const std::string admin = arguments.given("admin")
                                ? std::string(arguments.value("admin"))
                                : "127.0.0.1:" + std::to_string(kCenterAdminPort);
  const auto at = parse_host_port(admin, kCenterAdminPort);
  if (!at) return at.error().within("--admin");
  return by_admin(*at);
}
}  // namespace

int drain_center(const Arguments& arguments, const std::string& name, int64_t most_ms) {
  auto way = way_to(arguments, name);
  if (!way) return complain(way.error().text);
  Drain drain{.way = std::move(*way),
              .name = name,
              .most_ms = most_ms,
              .json = arguments.value("format") == "json"};
  const auto before = drain.way.look();
  if (!before)
    return complain("no Center " + drain.way.where + ": " + before.error().text +
                    "; --admin names another address (it says its own when it starts)");
  if (before->name != name)
    return complain("the Center " + drain.way.where + " is '" + escape(before->name, 64) +
                    "', not '" + escape(name, 64) + "'");
  drain.last = *before;
  if (arguments.given("dry-run")) return drain.would();
  if (before->others == 0)
    std::fprintf(stderr,
                 "tailrace drain: no other Center is known: lines wait in the spools until one "
                 "starts\n");
  if (const auto asked = drain.way.ask(); !asked)
    return complain(drain.way.where + ": " + asked.error().text);
  return drain.wait();
}

}  // namespace tailrace
