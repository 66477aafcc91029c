// What `tailrace check --connect` tries: each thing that a program will need of others, once, and
// what to do where it fails. Whatever is made on the way is removed. Thread: main; blocks, for
// minutes where servers are silent.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "cli/config/role_config.h"

namespace tailrace {

struct Probe {
  enum class Verdict { ok, warn, fail };
  Verdict verdict = Verdict::ok;
  std::string about;  // "sink warehouse", "zookeeper"
  std::string tried;  // "write in /logs"
  std::string found;  // what came of it
  std::string mend;   // unless ok: what to do
};
using Probes = std::vector<Probe>;

[[nodiscard]] std::string_view verdict_name(Probe::Verdict verdict);

// All that the settings of a program name.
[[nodiscard]] Probes probe(const RoleConfig& config);

void probe_hdfs(const SinkSettings& sink, const std::string& about, Probes& out);
// `categories`: whose topics are looked for too.
void probe_kafka(const SinkSettings& sink, const std::string& about,
                 const std::set<std::string>& categories, Probes& out);
void probe_directory(const SinkSettings& sink, const std::string& about, Probes& out);
// Room for `bytes` more at `path`, or where it will be made.
void probe_room(const std::string& path, uint64_t bytes, const std::string& about, Probes& out);

}  // namespace tailrace
