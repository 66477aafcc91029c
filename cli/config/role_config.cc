#include "cli/config/role_config.h"

#include <dirent.h>

#include <algorithm>
#include <map>

#include "agent/source_rules.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/nearest.h"
#include "base/random.h"
#include "base/units.h"
#include "cli/category.h"
#include "cli/config/hdfs_config.h"
#include "cli/config/kafka_config.h"
#include "cli/config/keys.h"
#include "cli/control_path.h"
#include "cli/process.h"
#include "flow/codec.h"
#include "sinks/layout.h"
#include "sinks/timezone.h"

namespace tailrace {

namespace {
constexpr size_t kMostFileBytes = 2u << 20;

// What may stand in a published name.
std::string plain_name(std::string name) {
  for (char& c : name)
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.'))
      c = '.';
  return name.empty() ? "center" : name;
}

class Reader {
 public:
  Reader(const std::string& file, std::string wanted) : file_(file), wanted_(std::move(wanted)) {}

  RoleConfig read() {
    if (const ConfigFile* main = load(file_, false)) read_main(*main);
    if (!out_.good()) {
      out_.agent.reset();
      out_.local.reset();
      out_.center.reset();
      out_.run.reset();
    }
    return std::move(out_);
  }

 private:
  const ConfigFile* load(const std::string& path, bool dropped) {
    auto content = read_file(path, kMostFileBytes);
    if (!content) {
      ConfigProblem problem;
      problem.file = path;
      problem.text = content.error().text;
      problem.hint = dropped ? "" : "name the settings with --config FILE";
      out_.problems.push_back(std::move(problem));
      return nullptr;
    }
    out_.files.push_back({ConfigText(path, std::move(*content)), {}, dropped});
    ConfigFile& file = out_.files.back();
    const size_t before = out_.problems.size();
    file.root = parse_yaml(file.text, out_.problems);
    if (out_.problems.size() == before && file.root.kind != YamlNode::Kind::map)
      out_.problems.push_back(file.text.problem(1, 1, 1, "settings are 'key: value' lines"));
    return out_.problems.size() == before ? &file : nullptr;
  }

  void read_main(const ConfigFile& main) {
    // Which keys there may be hangs on the role, so that is asked for first.
    const std::string role =
        ConfigMap(main.text, main.root, config_keys("agent"), out_.problems).text("role");
    const bool is_one = std::find(std::begin(kRoles), std::end(kRoles), role) != std::end(kRoles);
    const ConfigKeys& keys = config_keys(is_one ? role : wanted_.empty() ? "agent" : wanted_);
    ConfigMap map(main.text, main.root, keys, out_.problems);
    if (is_one && !wanted_.empty() && role != wanted_) {
      const std::string program = role == "run" ? "tailrace run --config" : "tailrace-" + role;
      return map.wrong("role", "these are the settings of role " + role + ", not of " + wanted_,
                       "start " + program + " with them");
    }
    if (!is_one) {  // whose keys these are is not known: nothing more can be said of them
      if (map.has("role"))
        map.wrong("role", "'role' is one of: agent, local, center, run", nearest_role(role));
      else
        map.missing("role", "one of: agent, local, center, run");
      return;
    }
    map.check();
    out_.role = role;
    out_.cluster = map.text("cluster");
    out_.log_json = map.text("log_format") == "json";
    out_.state = map.text("state");
    out_.admin.chosen = map.has("admin");
    if (auto at = parse_host_port(map.text("admin"), 0)) out_.admin.at = *at;
    if (role == "agent") read_agent(map);
    if (role == "local") read_local(map);
    if (role == "center") read_center(map);
    if (role == "run") read_run(map);
  }

  static std::string nearest_role(const std::string& role) {
    const std::string_view near = nearest(role, kRoles);
    return near.empty() ? "" : "did you mean '" + std::string(near) + "'?";
  }

  // --- what reads files -------------------------------------------------------------------------
  void read_agent(ConfigMap& map) {
    out_.agent.emplace();
    out_.agent->settings.state_dir = out_.state;
    out_.agent->local_socket = map.text("local");
    add_never_below(out_.agent->settings.never_below, out_.state);
    read_sources(map, out_.agent->settings);
  }

  void read_sources(ConfigMap& map, AgentSettings& settings) {
    settings.max_record_bytes = static_cast<uint32_t>(map.number("max_record"));
    settings.on_spool_loss = *spool_loss(map.text("on_spool_loss"));
    read_pipelines(map.map("pipelines"), settings.sources);
    for (const std::string& path : dropped_files()) {
      const ConfigFile* const file = load(path, true);
      if (!file) continue;
      ConfigMap more(file->text, file->root, dropped_keys(), out_.problems);
      more.check();
      read_pipelines(more.map("pipelines"), settings.sources);
    }
    if (settings.sources.empty() && out_.good())
      map.missing("pipelines", "a category and its files, here or in conf.d/*.yaml");
  }

  void read_pipelines(ConfigMap pipelines, std::vector<AgentSource>& sources) {
    pipelines.each([&](const std::string& name, ConfigMap pipeline) {
      if (!valid_category(name))
        pipelines.wrong_name(name, "'" + escape(name, 64) + "' is no category",
                             "lower case letters, digits, '.', '_' and '-'; 64 at most");
      const auto place = places_.find(name);
      if (place != places_.end())
        pipelines.wrong_name(name, "the pipeline '" + escape(name, 64) + "' stands twice",
                             "it stands in " + place->second + " already; give it one place");
      places_.emplace(name, pipeline.source().file());
      sources.push_back(read_pipeline(name, pipeline));
    });
  }

  AgentSource read_pipeline(const std::string& name, ConfigMap& map) {
    AgentSource source;
    source.category = name;
    source.globs = map.texts("files");
    source.exclude = map.texts("exclude");
    source.low_latency = map.text("latency") == "low";
    if (const auto codec = parse_codec(map.text("codec"))) source.codec = *codec;
    const std::string start = map.text("start");
    if (start == "end") {
      source.start_within_ms = 0;
    } else if (start.starts_with("since ")) {
      const auto within = parse_duration_ms(std::string_view(start).substr(6));
      if (!within) map.wrong("start", within.error().text);
      source.start_within_ms = within ? *within : 0;
    } else if (start != "beginning") {
      map.wrong("start", "'start' is beginning, end, or since with a duration",
                "such as: since 1h");
    }
    for (const char* const key : {"files", "exclude"}) {
      AgentSource alone = source;
      if (std::string_view(key) == "files") alone.exclude.clear();
      if (const auto rules = SourceRules::compile({alone}, {}); !rules) {
        map.wrong(key, rules.error().text);
        break;
      }
    }
    return source;
  }

  // conf.d/*.yaml beside the file, in the order of their names.
  std::vector<std::string> dropped_files() {
    std::vector<std::string> out;
    const std::string folder = parent_path(file_) + "/conf.d";
    DIR* dir = ::opendir(folder.c_str());
    if (!dir) return out;
    while (const dirent* e = ::readdir(dir)) {
      const std::string name = e->d_name;
      if (name == "." || name == "..") continue;
      if (name.ends_with(".yaml") && name[0] != '.')
        out.push_back(folder + "/" + name);
      else
        out_.notices.push_back(folder + "/" + name + " does not end in .yaml and is passed over");
    }
    ::closedir(dir);
    std::sort(out.begin(), out.end());
    return out;
  }

  // --- what keeps a spool -----------------------------------------------------------------------
  void read_local(ConfigMap& map) {
    out_.local.emplace();
    read_spool(map, out_.state + "/spool", out_.local->settings);
    out_.local->settings.cluster = hex16(cluster_number(out_.cluster));
    out_.local->agent_socket = map.text("listen");
    ConfigMap discovery = map.map("discovery");
    for (const std::string& text : discovery.texts("static")) {
      auto address = parse_host_port(text, kCenterPort);
      if (address)
        out_.local->settings.centers.push_back(address->show());
      else
        discovery.wrong("static", address.error().text);
    }
    out_.local->zookeeper = read_zookeeper(map, discovery);
    out_.local->settings.list_path = out_.state + "/centers";
    if (map.has("discovery") && !discovery.has("static") && !discovery.has("zookeeper"))
      map.wrong("discovery", "nothing here says where Centers are",
                "{static: [host:17410]} or {zookeeper: \"host:2181\"}");
  }

  ZooKeeperSettings read_zookeeper(ConfigMap& map, ConfigMap& discovery) {
    ZooKeeperSettings out;
    out.cluster = out_.cluster;
    out.auth = discovery.text("auth");
    out.session_ms = static_cast<int64_t>(discovery.number("session"));
    if (auto allow = AddressRules::parse(discovery.texts("allow")))
      out.allow = std::move(*allow);
    else
      discovery.wrong("allow", allow.error().text);
    if (!discovery.has("zookeeper")) {
      if (discovery.has("auth"))
        discovery.wrong("auth", "a password without a ZooKeeper", "name it: zookeeper: host:2181");
      return out;
    }
    if (auto servers = parse_zookeeper(discovery.text("zookeeper")))
      out.servers = std::move(*servers);
    else
      discovery.wrong("zookeeper", servers.error().text);
    if (discovery.has("auth") && out.auth.find(':') == std::string::npos)
      discovery.wrong("auth", "expected user:password");
    if (out_.cluster.find_first_of("/ \t") != std::string::npos || out_.cluster.starts_with('.'))
      map.wrong("cluster", "with ZooKeeper the cluster's name is a part of paths",
                "letters, digits, '.', '_' and '-'");
    return out;
  }

  void read_spool(ConfigMap& map, std::string directory, LocalSettings& settings) {
    settings.spool_dir = std::move(directory);
    settings.host = map.known("host") ? map.text("host") : host_name();
    settings.quota_bytes = map.map("spool").number("size");
  }

  // --- what publishes ---------------------------------------------------------------------------
  void read_center(ConfigMap& map) {
    out_.center.emplace();
    out_.center->settings.state_dir = out_.state;
    read_publisher(map, out_.center->settings);
    const ConfigMap limits = map.map("limits");
    out_.center->settings.limits = {limits.number("connections"), limits.number("per_address"),
                                    limits.number("categories"), limits.number("memory")};
    if (auto listen = parse_host_port(map.text("listen"), kCenterPort))
      out_.center->listen = std::move(*listen);
    if (!out_.center->listen.host.empty() && !is_ip_address(out_.center->listen.host))
      map.wrong("listen", "expected an IP address and a port such as 0.0.0.0:17410");
    out_.center->settings.address = advertised(map, out_.center->listen);
    ConfigMap discovery = map.map("discovery");
    out_.center->zookeeper = read_zookeeper(map, discovery);
    notice_that_it_is_alone();
  }

  // What Centers know of each other is in ZooKeeper, or in a store of files.
  void notice_that_it_is_alone() {
    const auto& sinks = out_.center->settings.sinks;
    const bool files = std::any_of(sinks.begin(), sinks.end(),
                                   [](const SinkSettings& of) { return !of.is_kafka(); });
    if (sinks.empty() || files || out_.center->zookeeper.given()) return;
    out_.notices.push_back(
        "sinks: Kafka alone, and no discovery.zookeeper: this must be the only Center of '" +
        out_.cluster +
        "'. Another one would take its lanes, and it the other's, again and again; a ZooKeeper, or "
        "a sink of files, lets Centers share them");
  }

  // Where Locals reach a Center that listens there.
  static std::string advertised(const ConfigMap& map, const HostPort& listen) {
    if (map.known("advertise")) {
      const auto address = parse_host_port(map.text("advertise"), listen.port);
      return address ? address->show() : "";
    }
    const bool any = listen.host == "0.0.0.0" || listen.host == "::";
    return HostPort{any ? host_name() : listen.host, listen.port}.show();
  }

  void read_publisher(ConfigMap& map, CenterSettings& settings) {
    settings.cluster = cluster_number(out_.cluster);
    settings.name = plain_name(map.known("name") ? map.text("name") : host_name());
    ConfigMap sinks = map.map("sinks");
    sinks.each([&](const std::string& name, ConfigMap sink) {
      if (settings.sinks.size() >= kMostSinks)
        return sinks.wrong_name(name, "one sink too many", "there are at most 32");
      SinkSettings& of = settings.sinks.emplace_back();
      of.name = name;
      of.root = sink.text("root");
      of.required = sink.text("required") == "true";
      read_hdfs_sink(sink, of);
      read_kafka_sink(sink, of);
      if (sink.text("type") != "kafka" && !sink.has("root"))
        sink.missing("root", "the directory of the published files");
      for (const SinkSettings& other : settings.sinks)
        if (&other != &of && other.where() == of.where() && !of.root.empty())
          sink.wrong("root", "the sink '" + other.name + "' has the same one");
      read_sink(sink, of);
    });
    if (settings.sinks.empty())
      map.wrong("sinks", "no sink is named", "{warehouse: {type: directory, ...}}");
  }

  static void read_sink(ConfigMap& map, SinkSettings& settings) {
    if (map.text("type") == "kafka") return;
    settings.control = map.text("control");
    if (!take_control_path(settings.control))
      map.wrong("control", "expected a directory: below the root, or an absolute path",
                "_tailrace, or /apps/tailrace/main");
    settings.layout = map.text("layout");
    if (const auto layout = Layout::parse(settings.layout); !layout)
      map.wrong("layout", layout.error().text);
    const bool dated = settings.layout.find("{date}") != std::string::npos ||
                       settings.layout.find("{hour}") != std::string::npos;
    if (map.known("timezone")) settings.timezone = map.text("timezone");
    if (dated && !map.has("timezone"))
      map.missing("timezone", "dated directories need one, such as UTC or Europe/Berlin");
    if (const auto zone = TimeZone::load(settings.timezone); !zone)
      map.wrong("timezone", zone.error().text);
    read_formats(map, settings.formats);
    const ConfigMap roll = map.map("roll");
    settings.roll_bytes = roll.number("size");
    if (roll.has("size")) settings.sequence_roll_bytes = settings.roll_bytes;
    if (roll.known("age")) settings.roll_age_ms = static_cast<int64_t>(roll.number("age"));
    if (roll.known("idle")) settings.roll_idle_ms = static_cast<int64_t>(roll.number("idle"));
  }

  static void read_formats(ConfigMap& map, FileFormats& formats) {
    if (const auto format = parse_format(map.text("format"))) formats.usual = *format;
    ConfigMap categories = map.map("categories");
    categories.each([&](const std::string& name, ConfigMap category) {
      if (!valid_category(name))
        categories.wrong_name(name, "'" + escape(name, 64) + "' is no category",
                              "lower case letters, digits, '.', '_' and '-'; 64 at most");
      if (const auto format = parse_format(category.text("format"))) formats.of[name] = *format;
    });
  }

  // --- all of it in one process -----------------------------------------------------------------
  void read_run(ConfigMap& map) {
    out_.run.emplace();
    RoadSettings& road = *out_.run;
    read_publisher(map, road.center);
    road.center.state_dir = out_.state + "/center";
    read_spool(map, out_.state + "/spool", road.local);
    road.agent.state_dir = out_.state + "/agent";
    if (!out_.state.empty()) add_never_below(road.agent.never_below, out_.state);
    for (const SinkSettings& sink : road.center.sinks) {
      if (sink.root.empty() || !sink.hdfs.empty()) continue;
      add_never_below(road.agent.never_below, sink.root);
      if (sink.control.starts_with('/')) add_never_below(road.agent.never_below, sink.control);
    }
    read_sources(map, road.agent);
  }

  std::string file_;
  std::string wanted_;
  std::map<std::string, std::string> places_;  // of pipelines: in which file
  RoleConfig out_;
};
}  // namespace

const AgentSettings* RoleConfig::reads() const {
  if (agent) return &agent->settings;
  return run ? &run->agent : nullptr;
}

uint64_t cluster_number(const std::string& name) { return std::max<uint64_t>(1, xxh3(name)); }

Result<void> choose_admin(std::string_view address, AdminConfig& admin) {
  auto at = parse_host_port(address, 0);
  if (!at) return at.error().within("--admin");
  admin.at = std::move(*at);
  admin.chosen = true;
  return {};
}

RoleConfig read_role_config(const std::string& file, const std::string& role) {
  return Reader(file, role).read();
}

}  // namespace tailrace
