#include "cli/drain_command.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/units.h"
#include "cli/admin_client.h"
#include "cli/cluster.h"
#include "cli/drain_center.h"
#include "cli/follow.h"

namespace tailrace {

namespace {
using Json = nlohmann::ordered_json;
constexpr int kDone = 0;
constexpr int kNotDone = 1;
constexpr int kWrongUsage = 2;
constexpr uint16_t kAgentPort = 17420;
constexpr int64_t kPlainMs = 5'000;
constexpr const char* kStatus = "/api/v1/status";

int complain(const std::string& text, int code = kNotDone) {
  std::fprintf(stderr, "tailrace drain: %s\n", text.c_str());
  return code;
}

// What an agent that drains has still to do.
struct Rest {
  bool draining = false;
  bool idle = false;
  uint64_t unread_bytes = 0;
  uint64_t lines = 0;  // read, and not final
  std::string held;
  std::string trouble;  // why it may take long

  [[nodiscard]] std::string text() const {
    return show_size(unread_bytes) + " unread, " + show_count(lines) + " lines not published yet" +
           (trouble.empty() ? "" : "; " + trouble);
  }
};

Result<Rest> look(const HostPort& at) {
  const auto body = ask_admin(at, "GET", kStatus);
  if (!body) return body.error();
  const Json all = Json::parse(*body, nullptr, false);
  if (all.is_discarded() || !all.contains("agent"))
    return Error{Error::Kind::rejected, "what answers there is no agent"};
  const Json& agent = all["agent"];
  Rest rest;
  rest.draining = agent.value("draining", false);
  rest.idle = agent.value("idle", false);
  rest.unread_bytes = agent.value("unread_bytes", uint64_t{0});
  rest.held = agent.value("held", "");
  rest.trouble = agent.value("retiring", "");
  for (const auto& [name, of] : agent["categories"].items())
    rest.lines += of.value("unpublished", uint64_t{0});
  if (rest.trouble.empty() && !agent.value("connected", false))
    rest.trouble = "the Local is not connected";
  return rest;
}

// Until it is done, cannot be, or has taken `most_ms` (-1: as long as it takes).
int follow_agent(const HostPort& at, int64_t most_ms) {
  Rest last;
  const auto look_again = [&at, &last]() -> Result<HowFar> {
    auto rest = look(at);
    if (!rest) return rest.error();
    last = std::move(*rest);
    return HowFar{last.idle || !last.held.empty(), last.text()};
  };
  switch (follow(look_again, most_ms, kPlainMs)) {
    case Followed::unanswered:
      return complain("the agent ended before it said that all is published (" + last.text() +
                      "): start it, and drain again");
    case Followed::too_long:
      return complain("not done within " + show_duration(most_ms) + ": " + last.text() +
                      ". It goes on draining; `tailrace status` tells what it waits for");
    case Followed::over: break;
  }
  if (!last.idle) return complain("the agent holds, and cannot go on: " + escape(last.held, 1024));
  std::printf("all that this host had is published; its agent has ended\n");
  return kDone;
}

int drain_host(const Arguments& arguments, int64_t most_ms) {
  if (arguments.given("dry-run"))
    return complain("--dry-run is for a Center: tailrace drain CENTER --dry-run", kWrongUsage);
  const auto at = arguments.given("admin") ? parse_host_port(arguments.value("admin"), kAgentPort)
                                           : Result<HostPort>(HostPort{"127.0.0.1", kAgentPort});
  if (!at) return complain("--admin: " + at.error().text, kWrongUsage);
  const auto before = look(*at);
  if (!before)
    return complain("no agent on " + at->show() + ": " + before.error().text +
                    "; --admin names another address (it says its own when it starts)");
  if (const auto asked = ask_admin(*at, "POST", "/api/v1/drain"); !asked)
    return complain(at->show() + ": " + asked.error().text);
  return follow_agent(*at, most_ms);
}

int run_drain(const Arguments& arguments) {
  int64_t most_ms = -1;
  if (arguments.given("timeout")) {
    const auto time = parse_duration_ms(arguments.value("timeout"));
    if (!time) return complain("--timeout: " + time.error().text, kWrongUsage);
    most_ms = *time;
  }
  if (arguments.operands().empty()) return drain_host(arguments, most_ms);
  if (arguments.operands().size() > 1) return complain("one Center at a time", kWrongUsage);
  return drain_center(arguments, arguments.operands().front(), most_ms);
}

constexpr Option kOptions[] = {
    kClusterOption,
    {"admin", "ADDR", "",
     "the admin port of this host's agent or `tailrace run` (127.0.0.1:17420), or of the Center "
     "(127.0.0.1:17422)"},
    {"timeout", "TIME", "", "give up waiting after so long; what drains goes on draining"},
    {"dry-run", "", "", "of a Center: say what it would give away, and change nothing"},
    {"format", "text|json", "text", "of a Center: json is one object at the end"},
};
}  // namespace

const Command& drain_command() {
  static const Command kCommand = {
      .name = "drain",
      .summary = "takes this host, or a Center, out of service without losing anything",
      .synopsis =
          "[CENTER] [--config FILE] [--admin ADDR] [--timeout TIME] [--dry-run] [--format json]",
      .examples =
          "  tailrace drain --timeout 10m\n"
          "  tailrace drain center-3 --dry-run\n",
      .operands = "CENTER",
      .notes =
          "Without CENTER: all that this host has is published, then its agent ends. Stop what\n"
          "writes the log files first. What comes to them later is read when the agent is started\n"
          "again. With CENTER (its name, which `tailrace centers` shows): it commits what is worth "
          "a\n"
          "file, gives its lanes to the others, and ends, as at SIGTERM. It is asked by ZooKeeper, "
          "from any\n"
          "host whose settings name one (discovery.zookeeper), else on its own host by its admin "
          "port.\n\n"
          "Exit codes: 0 it is done, 1 not (what waits is said), 2 wrong usage.\n",
      .options = kOptions,
      .run = run_drain,
  };
  return kCommand;
}

}  // namespace tailrace
