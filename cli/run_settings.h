// What `tailrace run` was asked to do: its options, understood and checked.
// Thread: any; plain values. run_settings() looks up the time zone's file and is pure otherwise.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/agent.h"
#include "base/result.h"
#include "cli/config/role_config.h"
#include "cli/options.h"
#include "sinks/format/file_format.h"

namespace tailrace {

struct RunSettings {
  std::vector<AgentSource> sources;  // one a category, in the order in which they were first named
  std::vector<std::string> chosen;   // what to say of the categories that were derived
  std::string output;                // a directory of this machine, or of HDFS
  std::vector<HdfsUrl> hdfs;         // where that is; empty: it is here
  std::string hdfs_user;
  KafkaSettings kafka;  // beside that, or instead: then there is no output
  std::string state;
  std::string control;  // "": inside the output
  std::string layout;
  std::string timezone;
  FileFormat format = FileFormat::lines;
  uint64_t roll_bytes = 0;
  int64_t roll_age_ms = 0;
  int64_t roll_idle_ms = 0;
  uint32_t max_record_bytes = 0;
  bool once = false;
  SpoolLoss on_spool_loss = SpoolLoss::resume;
  AdminConfig admin;
};

// The options of `tailrace run`; the one table from which parser and --help come.
[[nodiscard]] std::span<const Option> run_options();

// `cwd` makes relative patterns absolute. rejected: which option is wrong, and what it should be.
[[nodiscard]] Result<RunSettings> run_settings(const Arguments& arguments, std::string_view cwd);

}  // namespace tailrace
