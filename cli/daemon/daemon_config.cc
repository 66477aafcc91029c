#include "cli/daemon/daemon_config.h"

#include <arpa/inet.h>
#include <dirent.h>

#include <algorithm>
#include <charconv>
#include <deque>

#include "agent/source_rules.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/random.h"
#include "base/units.h"
#include "cli/process.h"
#include "flow/codec.h"
#include "sinks/layout.h"
#include "sinks/timezone.h"

namespace tailrace {

namespace {
constexpr size_t kMostFileBytes = 2u << 20;
constexpr uint64_t kLeastRollBytes = 64u << 10;
constexpr uint64_t kLeastRecordBytes = 1u << 10;
constexpr uint64_t kMostRecordBytes = 3u << 20;
constexpr uint64_t kLeastSpoolBytes = 64u << 20;
constexpr const char* kSocket = "/run/tailrace/local.sock";
constexpr const char* kPort = "17410";

// What may stand in a published name.
std::string plain_name(std::string name) {
  for (char& c : name)
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.'))
      c = '.';
  return name.empty() ? "center" : name;
}

std::optional<LocalConfig::Address> parse_address(const std::string& text) {
  const size_t colon = text.rfind(':');
  LocalConfig::Address out{text.substr(0, colon), kPort};
  if (colon != std::string::npos) out.port = text.substr(colon + 1);
  if (out.host.starts_with('[') && out.host.ends_with(']'))
    out.host = out.host.substr(1, out.host.size() - 2);
  unsigned port = 0;
  const char* end = out.port.data() + out.port.size();
  const auto [stop, error] = std::from_chars(out.port.data(), end, port);
  if (out.host.empty() || error != std::errc() || stop != end || port > 65535) return std::nullopt;
  return out;
}

bool is_address(int family, const std::string& host) {
  unsigned char bytes[16];
  return ::inet_pton(family, host.c_str(), bytes) == 1;
}

class Reader {
 public:
  Reader(const std::string& file, std::string wanted) : file_(file), wanted_(std::move(wanted)) {}

  DaemonConfig read() {
    const Source* main = load(file_);
    if (!main) return std::move(out_);
    ConfigMap map(main->text, main->root, "", out_.problems);
    const auto role = map.word("role", {"agent", "local", "center"});
    if (!map.has("role")) map.missing("role", "one of: agent, local, center");
    if (role && !wanted_.empty() && *role != wanted_) {
      map.wrong("role", "these are the settings of a " + *role + ", not of a " + wanted_,
                "start tailrace-" + *role + " with them");
    } else if (role) {
      out_.role = *role;
      const auto cluster = map.text("cluster");
      if (!map.has("cluster")) map.missing("cluster", "a name that all its hosts share");
      cluster_ = cluster.value_or("");
      state_ = map.text("state").value_or("/var/lib/tailrace/" + *role);
      if (state_.empty() || state_[0] != '/') map.wrong("state", "the path must begin with '/'");
      if (*role == "agent") read_agent(map);
      if (*role == "local") read_local(map);
      if (*role == "center") read_center(map);
      map.finish();
    }
    if (!out_.good()) {
      out_.agent.reset();
      out_.local.reset();
      out_.center.reset();
    }
    return std::move(out_);
  }

 private:
  struct Source {
    ConfigText text;
    YamlNode root;
  };

  const Source* load(const std::string& path) {
    auto content = read_file(path, kMostFileBytes);
    if (!content) {
      ConfigProblem problem;
      problem.file = path;
      problem.text = content.error().text;
      problem.hint = "name the settings with --config FILE";
      out_.problems.push_back(std::move(problem));
      return nullptr;
    }
    sources_.push_back({ConfigText(path, std::move(*content)), {}});
    Source& source = sources_.back();
    const size_t before = out_.problems.size();
    source.root = parse_yaml(source.text, out_.problems);
    if (out_.problems.size() == before && source.root.kind != YamlNode::Kind::map)
      out_.problems.push_back(source.text.problem(1, 1, 1, "settings are 'key: value' lines"));
    return out_.problems.size() == before ? &source : nullptr;
  }

  // --- the agent ------------------------------------------------------------------------------
  void read_agent(ConfigMap& map) {
    out_.agent.emplace();
    AgentSettings& settings = out_.agent->settings;
    settings.state_dir = state_;
    settings.never_below = {state_};
    out_.agent->local_socket = map.text("local").value_or(kSocket);
    if (const auto record = map.size("max_record")) {
      if (*record < kLeastRecordBytes || *record > kMostRecordBytes)
        map.wrong("max_record", "a line's limit lies between 1KiB and 3MiB");
      settings.max_record_bytes = static_cast<uint32_t>(*record);
    }
    read_pipelines(map);
    for (const std::string& path : dropped_files()) {
      const Source* source = load(path);
      if (!source) continue;
      ConfigMap more(source->text, source->root, "", out_.problems);
      read_pipelines(more);
      more.finish();
    }
    if (settings.sources.empty() && out_.good())
      map.missing("pipelines", "a category and its files, here or in conf.d/*.yaml");
  }

  void read_pipelines(ConfigMap& map) {
    auto pipelines = map.map("pipelines");
    if (!pipelines) return;
    pipelines->each([&](const std::string& name, ConfigMap pipeline) {
      if (!valid_category(name))
        pipelines->wrong_name(name, "'" + escape(name, 64) + "' is no category",
                              "lower case letters, digits, '.', '_' and '-'; 64 at most");
      auto& sources = out_.agent->settings.sources;
      if (std::any_of(sources.begin(), sources.end(),
                      [&](const AgentSource& s) { return s.category == name; }))
        pipelines->wrong_name(name, "the pipeline '" + escape(name, 64) + "' stands twice",
                              "in another file already; give it one place");
      sources.push_back(read_pipeline(name, pipeline));
    });
    pipelines->finish();
  }

  AgentSource read_pipeline(const std::string& name, ConfigMap& map) {
    AgentSource source;
    source.category = name;
    source.globs = map.texts("files");
    if (source.globs.empty() && !map.has("files"))
      map.missing("files", "a list of patterns such as [/var/log/nginx/*.log]");
    source.exclude = map.texts("exclude");
    if (const auto codec = map.word("codec", {"gzip", "zstd", "none"}))
      source.codec = *parse_codec(*codec);
    if (const auto rules = SourceRules::compile({source}, {}); !rules)
      map.wrong("files", rules.error().text);
    map.finish();
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

  // --- the Local ------------------------------------------------------------------------------
  void read_local(ConfigMap& map) {
    out_.local.emplace();
    LocalSettings& settings = out_.local->settings;
    out_.local->state = state_;
    settings.spool_dir = state_ + "/spool";
    settings.cluster = hex16(cluster_number(cluster_));
    settings.host = map.text("host").value_or(host_name());
    out_.local->agent_socket = map.text("listen").value_or(kSocket);
    if (auto spool = map.map("spool")) {
      if (const auto size = spool->size("size")) {
        settings.quota_bytes = *size;
        if (*size < kLeastSpoolBytes) spool->wrong("size", "a spool has 64MiB at least");
      }
      spool->finish();
    }
    auto discovery = map.map("discovery");
    if (!map.has("discovery"))
      map.missing("discovery", "where Centers are: {static: [host:17410]}");
    if (!discovery) return;
    for (const std::string& text : discovery->texts("static")) {
      auto address = parse_address(text);
      if (address)
        out_.local->centers.push_back(std::move(*address));
      else
        discovery->wrong("static", "'" + escape(text, 64) + "' is no host:port");
    }
    if (out_.local->centers.empty() && out_.good())
      discovery->missing("static", "at least one host:17410");
    discovery->finish();
  }

  // --- the Center -----------------------------------------------------------------------------
  void read_center(ConfigMap& map) {
    out_.center.emplace();
    CenterSettings& settings = out_.center->settings;
    settings.state_dir = state_;
    settings.cluster = cluster_number(cluster_);
    settings.name = plain_name(map.text("name").value_or(host_name()));
    const auto listen = parse_address(map.text("listen").value_or("0.0.0.0:17410"));
    const bool is_ip =
        listen && (is_address(AF_INET, listen->host) || is_address(AF_INET6, listen->host));
    if (is_ip) {
      out_.center->listen_host = listen->host;
      out_.center->listen_port = static_cast<uint16_t>(std::stoul(listen->port));
    } else {
      map.wrong("listen", "expected an IP address and a port such as 0.0.0.0:17410");
    }
    auto sinks = map.map("sinks");
    if (!map.has("sinks")) map.missing("sinks", "{warehouse: {type: directory, root: /data/logs}}");
    if (!sinks) return;
    size_t count = 0;
    sinks->each([&](const std::string& name, ConfigMap sink) {
      if (++count > 1) return sinks->wrong_name(name, "a second sink", "this version has one");
      settings.sink_name = name;
      read_sink(sink);
    });
    if (count == 0) map.wrong("sinks", "no sink is named");
  }

  void read_sink(ConfigMap& map) {
    CenterSettings& settings = out_.center->settings;
    (void)map.word("type", {"directory"});
    if (!map.has("type")) map.missing("type", "directory");
    out_.center->output = map.text("root").value_or("");
    if (!map.has("root")) map.missing("root", "the directory of the published files");
    if (map.has("root") && !out_.center->output.starts_with('/'))
      map.wrong("root", "the path must begin with '/'");
    if (auto control = map.text("control")) settings.control = *control;
    if (auto layout = map.text("layout")) settings.layout = *layout;
    if (const auto layout = Layout::parse(settings.layout); !layout)
      map.wrong("layout", layout.error().text);
    const bool dated = settings.layout.find("{date}") != std::string::npos ||
                       settings.layout.find("{hour}") != std::string::npos;
    if (auto zone = map.text("timezone")) settings.timezone = *zone;
    if (dated && !map.has("timezone"))
      map.missing("timezone", "dated directories need one, such as UTC or Europe/Berlin");
    if (const auto zone = TimeZone::load(settings.timezone); !zone)
      map.wrong("timezone", zone.error().text);
    if (auto roll = map.map("roll")) {
      if (const auto size = roll->size("size")) {
        settings.roll_bytes = *size;
        if (*size < kLeastRollBytes) roll->wrong("size", "a file has 64KiB at least");
      }
      settings.roll_age_ms = roll->duration_ms("age").value_or(-1);
      settings.roll_idle_ms = roll->duration_ms("idle").value_or(-1);
      roll->finish();
    }
    map.finish();
  }

  std::string file_;
  std::string wanted_;
  std::deque<Source> sources_;  // problems and maps refer to them
  std::string cluster_;
  std::string state_;
  DaemonConfig out_;
};
}  // namespace

const std::string& DaemonConfig::state() const {
  if (agent) return agent->settings.state_dir;
  return local ? local->state : center->settings.state_dir;
}

uint64_t cluster_number(const std::string& name) { return std::max<uint64_t>(1, xxh3(name)); }

DaemonConfig read_daemon_config(const std::string& file, const std::string& role) {
  return Reader(file, role).read();
}

}  // namespace tailrace
