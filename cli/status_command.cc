#include "cli/status_command.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/address.h"
#include "base/units.h"
#include "cli/admin_client.h"

namespace tailrace {

namespace {
using Json = nlohmann::ordered_json;
constexpr int kShown = 0;
constexpr int kNobody = 1;
constexpr int kWrongUsage = 2;
constexpr uint16_t kAdminPorts[] = {17420, 17421, 17422};
constexpr size_t kMostRows = 40;

Result<Json> ask(const HostPort& at) {
  const auto body = ask_admin(at, "GET", "/api/v1/status");
  if (!body) return body.error();
  Json json = Json::parse(*body, nullptr, false);
  if (json.is_discarded() || !json.contains("role"))
    return Error{Error::Kind::rejected, "what answers there is no program of Tailrace"};
  return json;
}

uint64_t count(const Json& json, const char* key) { return json.value(key, uint64_t{0}); }

uint64_t sum(const Json& by_category) {
  uint64_t all = 0;
  for (const auto& [category, n] : by_category.items()) all += n.get<uint64_t>();
  return all;
}

std::string seconds(const Json& json, const char* key) {
  if (!json.contains(key) || !json[key].is_number()) return "-";
  return show_duration(static_cast<int64_t>(json[key].get<double>() * 1000));
}

// Categories as a table: the columns are keys of each category's object.
void table(const Json& categories, const std::vector<std::pair<const char*, const char*>>& columns,
           std::string_view wanted) {
  std::string head = "  category                ";
  for (const auto& [title, key] : columns) {
    char cell[32];
    std::snprintf(cell, sizeof cell, " %14s", title);
    head += cell;
  }
  std::printf("%s\n", head.c_str());
  size_t rows = 0, left = 0;
  for (const auto& [name, of] : categories.items()) {
    if (!wanted.empty() && name.find(wanted) == std::string::npos) continue;
    if (++rows > kMostRows && wanted.empty()) {
      ++left;
      continue;
    }
    std::printf("  %-24s", escape(name, 64).c_str());
    for (const auto& [title, key] : columns) {
      const std::string_view word(key);
      const std::string cell = word.ends_with("_seconds") ? seconds(of, key)
                               : word.ends_with("_bytes") ? show_size(count(of, key))
                                                          : show_count(count(of, key));
      std::printf(" %14s", cell.c_str());
    }
    std::printf("\n");
  }
  if (left > 0)
    std::printf("  and %s more: --category TEXT shows those that have TEXT in their name\n",
                show_count(left).c_str());
}

void show_agent(const Json& s, std::string_view wanted) {
  std::printf(
      "  files followed %s, unreadable %s; unread %s, the oldest for %s; Local %s\n",
      show_count(count(s, "files")).c_str(), show_count(count(s, "unreadable_count")).c_str(),
      show_size(count(s, "unread_bytes")).c_str(), seconds(s, "oldest_unread_seconds").c_str(),
      s.value("connected", false) ? "connected" : "NOT connected");
  for (const Json& file : s["unreadable"])
    std::printf("  cannot read %s: %s\n", escape(file.value("path", "")).c_str(),
                escape(file.value("reason", "")).c_str());
  table(s["categories"],
        {{"read", "taken"},
         {"not acked", "waiting"},
         {"not published", "unpublished"},
         {"unread", "unread_bytes"},
         {"lag", "lag_seconds"}},
        wanted);
}

void show_local(const Json& s, std::string_view wanted) {
  const uint64_t used = count(s, "spool_bytes"), limit = count(s, "spool_limit_bytes");
  const double fills = s.value("fills_bytes_per_second", 0.0);
  std::string lasts;
  if (fills > 1 && used < limit)
    lasts = ", lasts " +
            show_duration(static_cast<int64_t>(static_cast<double>(limit - used) / fills * 1000)) +
            " at this rate";
  const std::string center = s.value("center", "");
  std::printf("  spool %s of %s%s; agent %s; Center %s\n", show_size(used).c_str(),
              show_size(limit).c_str(), lasts.c_str(),
              s.value("agent_connected", false) ? "connected" : "NOT connected",
              center.empty() ? "NONE connected" : escape(center, 64).c_str());
  const Json sinks = s.value("waiting_at", Json::object());
  const Json given_up = s.value("given_up", Json::object());
  for (const auto& [sink, of] : sinks.items()) {
    const uint64_t missed = sum(given_up.value(sink, Json::object()));
    if (sinks.size() > 1 || missed > 0)
      std::printf("  sink %s: %s lines wait for it here%s\n", escape(sink, 64).c_str(),
                  show_count(sum(of)).c_str(),
                  missed == 0 ? ""
                              : ("; " + show_count(missed) +
                                 " were GIVEN UP for it (required: false), as the spool was full")
                                    .c_str());
  }
  table(s["categories"],
        {{"taken", "taken"},
         {"waiting", "waiting"},
         {"committed", "passed"},
         {"refused", "refused"},
         {"lost", "lost"}},
        wanted);
}

void show_center(const Json& s, std::string_view wanted) {
  std::printf("  Locals %s\n", show_count(count(s, "locals")).c_str());
  for (const Json& sink : s.value("sinks", Json::array())) {
    std::printf("  sink %s: lanes %s; files open %s, published %s (%s), the last %s ago\n",
                escape(sink.value("name", ""), 64).c_str(),
                show_count(count(sink, "lanes")).c_str(),
                show_count(count(sink, "files_open")).c_str(),
                show_count(count(sink, "files_published")).c_str(),
                show_size(count(sink, "published_bytes")).c_str(),
                seconds(sink, "newest_published_seconds").c_str());
    table(sink["categories"],
          {{"received", "taken"},
           {"uncommitted", "waiting"},
           {"unpublished", "unpublished"},
           {"published", "passed"},
           {"refused", "refused"},
           {"lost", "lost"},
           {"files", "files"},
           {"lanes", "lanes"}},
          wanted);
  }
}

void show_zookeeper(const Json& s) {
  std::string line = s.value("connected", false)
                         ? "  ZooKeeper: " + show_count(count(s, "centers")) + " Centers are there"
                         : "  ! ZooKeeper has not said who is there for " +
                               seconds(s, "away_seconds") + "; lines flow on, who lives is asked " +
                               "in the store";
  if (!s.value("announced", false)) line += "; this one is NOT announced";
  if (count(s, "ignored_nodes") > 0)
    line += "; " + show_count(count(s, "ignored_nodes")) + " nodes are passed over, see the log";
  if (s.value("rebalance_paused", false)) line += "; rebalance is PAUSED";
  std::printf("%s\n", line.c_str());
  const std::string trouble = s.value("trouble", "");
  if (!trouble.empty()) std::printf("  ! %s\n", escape(trouble, 512).c_str());
}

void show(const HostPort& at, const Json& s, std::string_view wanted) {
  std::printf("%s (%s), cluster %s, version %s: %s\n", s.value("role", "").c_str(),
              at.show().c_str(), escape(s.value("cluster", ""), 64).c_str(),
              escape(s.value("version", ""), 32).c_str(),
              s.value("ready", false) ? "ready" : "NOT READY");
  const int64_t now_ms = s.value("now_ms", int64_t{0});
  if (s.contains("obstacles"))
    for (const Json& o : s["obstacles"])
      std::printf("  ! %s (for %s)\n", escape(o.value("text", ""), 512).c_str(),
                  show_duration(now_ms - o.value("since_ms", now_ms)).c_str());
  if (s.contains("balance"))
    table(s["balance"],
          {{"read", "read"},
           {"in flight", "in_flight"},
           {"published", "published"},
           {"lost", "lost"}},
          wanted);
  if (s.contains("agent")) show_agent(s["agent"], wanted);
  if (s.contains("local")) show_local(s["local"], wanted);
  if (s.contains("zookeeper")) show_zookeeper(s["zookeeper"]);
  if (s.contains("center")) show_center(s["center"], wanted);
}

int run_status(const Arguments& arguments) {
  std::vector<HostPort> ports;
  for (const std::string& text : arguments.values("admin")) {
    const auto at = parse_host_port(text, kAdminPorts[0]);
    if (!at) {
      std::fprintf(stderr, "tailrace status: --admin: %s\n", at.error().text.c_str());
      return kWrongUsage;
    }
    ports.push_back(*at);
  }
  const bool named = !ports.empty();
  if (!named)
    for (const uint16_t port : kAdminPorts) ports.push_back({"127.0.0.1", port});
  Json all = Json::array();
  size_t shown = 0;
  for (const HostPort& at : ports) {
    const auto status = ask(at);
    if (!status) {
      if (named)
        std::fprintf(stderr, "tailrace status: %s: %s\n", at.show().c_str(),
                     status.error().text.c_str());
      continue;
    }
    ++shown;
    if (arguments.value("format") == "json")
      all.push_back(*status);
    else
      show(at, *status, arguments.value("category"));
  }
  if (arguments.value("format") == "json") std::printf("%s\n", all.dump(2).c_str());
  if (shown == ports.size() || (shown > 0 && !named)) return kShown;
  if (!named)
    std::fputs(
        "tailrace status: no program of Tailrace answers on 127.0.0.1:17420, 17421 or 17422; "
        "--admin names another address (the programs say theirs when they start)\n",
        stderr);
  return kNobody;
}

constexpr Option kOptions[] = {
    {"admin", "ADDR", "",
     "the admin port to ask (17420, 17421 and 17422 on this host). Repeat it for more", true},
    {"category", "TEXT", "", "only categories with this in their name"},
    {"format", "text|json", "text", "json: an array of what /api/v1/status of each says"},
};
}  // namespace

const Command& status_command() {
  static const Command kCommand = {
      .name = "status",
      .summary = "shows what the programs on this host have read, hold, and published",
      .synopsis = "[--admin ADDR...] [--category TEXT] [--format json]",
      .examples = "  tailrace status\n",
      .notes = "Exit codes: 0 shown, 1 nobody answers.\n",
      .options = kOptions,
      .run = run_status,
  };
  return kCommand;
}

}  // namespace tailrace
