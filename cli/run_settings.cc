#include "cli/run_settings.h"

#include <algorithm>

#include "base/units.h"
#include "center/names.h"
#include "cli/category.h"
#include "cli/control_path.h"
#include "cli/process.h"
#include "flow/codec.h"
#include "sinks/layout.h"
#include "sinks/timezone.h"

namespace tailrace {

namespace {

constexpr uint64_t kLeastRollBytes = 1 << 10;
constexpr uint64_t kSequenceRollBytes = 512 << 20;
constexpr uint64_t kLeastRecordBytes = 1 << 10;
constexpr uint16_t kAdminPort = 17420;
constexpr uint64_t kMostRecordBytes = 3 << 20;  // two of these and their heads stay within a frame

constexpr Option kOptions[] = {
    {"config", "FILE", "",
     "settings of role run (conf/run.yaml) instead of the options below; only --once and --admin "
     "go "
     "with it"},
    {"from", "[CATEGORY=]GLOB", "",
     "which files, in quotes: * ? [...] and ** for any depth. Without CATEGORY= the folder's name "
     "is "
     "taken, and said. Repeat it for more",
     true},
    {"to", "DIR|URL", "",
     "where the published files go, made if it is not there: a directory, or one of HDFS, "
     "webhdfs://[USER@]namenode:9870[,other:9870]/logs (swebhdfs:// over TLS, httpfs:// by "
     "HttpFS), and kafka://broker:9092[,other:9092]/[TOPIC], a topic a category where none is "
     "named. "
     "Once for files, once for Kafka",
     true},
    {"create-topics", "", "", "make the topics that are not there"},
    {"once", "", "", "read what stands in the files now, publish all of it, sum up and end"},
    {"exclude", "GLOB", "",
     "leave these out: a pattern over the whole path, or, without a '/', over the name. Repeat it "
     "for "
     "more. Always left out: the output, the state; unless named without wildcards: *.gz *.zst "
     "*.xz "
     "*.bz2 wtmp btmp lastlog *.journal",
     true},
    {"codec", "gzip|zstd|snappy|none", "gzip", "what the published files are compressed with"},
    {"format", "text|sequence_file", "text",
     "of the published files: lines, or Hadoop's SequenceFile of LongWritable and Text"},
    {"roll-size", "SIZE", "128MiB",
     "publish a file when it has this size, compressed (512MiB of SequenceFiles)"},
    {"roll-age", "TIME", "10m", "publish it at this age, whatever its size"},
    {"roll-idle", "TIME", "1m", "publish it when nothing has come for so long"},
    {"layout", "PATH", "{category}/dt={date}/hr={hour}", "directories of the published files"},
    {"timezone", "ZONE", "UTC", "of {date} and {hour}, such as Europe/Berlin"},
    {"state", "DIR", "",
     "what is remembered between starts: lock, spool, journal (_state inside the output, so that "
     "removing one folder starts afresh)"},
    {"control", "DIR", "", "the commit log and who owns what (_tailrace inside the output)"},
    {"max-record", "SIZE", "1MiB",
     "a longer line is cut into several, which is counted and said; 3MiB at most"},
    {"on-spool-loss", "resume|hold|resend|drop", "resume",
     "of lines in a spool that is gone: ask which are published and read the others again, wait "
     "for "
     "you, read all again (some may be published twice), or give them up"},
    {"admin", "ADDR", "",
     "host:port of /metrics, /readyz and /api/v1/status (127.0.0.1:17420, or another port where "
     "that is taken)"},
};

Error wrong(std::string text) { return Error{Error::Kind::rejected, std::move(text)}; }

// What the operator meant from where he stands, without "//", "/./" and a '/' at the end. ".."
// stays: what it means depends on symbolic links.
std::string absolute_path(std::string_view path, std::string_view cwd) {
  std::string whole = path.starts_with('/') ? "" : std::string(cwd == "/" ? "" : cwd);
  while (!path.empty()) {
    const size_t end = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, end);
    if (!part.empty() && part != ".") whole += "/" + std::string(part);
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return whole.empty() ? "/" : whole;
}

AgentSource& source_for(RunSettings& settings, const std::string& category) {
  const auto same = [&](const AgentSource& source) { return source.category == category; };
  const auto found = std::find_if(settings.sources.begin(), settings.sources.end(), same);
  if (found != settings.sources.end()) return *found;
  settings.sources.emplace_back().category = category;
  return settings.sources.back();
}

Result<void> take_sources(const Arguments& arguments, std::string_view cwd, RunSettings& settings) {
  if (!arguments.given("from"))
    return wrong("which files? For example: --from '/var/log/nginx/*.log'");
  const auto codec = parse_codec(arguments.value("codec"));
  if (!codec)
    return wrong("--codec is gzip, zstd, snappy or none, not '" +
                 escape(arguments.value("codec"), 64) + "'");
  for (const std::string& text : arguments.values("from")) {
    auto from = parse_from(text, cwd);
    if (!from) return from.error().within("--from");
    if (from->derived)
      settings.chosen.push_back(escape(from->glob, 512) + ": category " + from->category +
                                " (--from NAME='" + escape(text, 512) + "' gives it another)");
    AgentSource& source = source_for(settings, from->category);
    source.globs.push_back(std::move(from->glob));
    source.codec = *codec;
  }
  for (AgentSource& source : settings.sources)
    for (const std::string& exclude : arguments.values("exclude")) {
      if (exclude.empty()) return wrong("--exclude: an empty pattern");
      const bool over_path = exclude.find('/') != std::string::npos;
      source.exclude.push_back(over_path ? absolute_path(exclude, cwd) : exclude);
    }
  return {};
}

// The folders of a glob before its first wildcard, with a '/' at the end.
std::string fixed_folder(const std::string& glob) {
  const size_t wildcard = std::min(glob.find_first_of("*?["), glob.size());
  return glob.substr(0, glob.rfind('/', wildcard) + 1);
}

// Our own folders are never watched: a pattern that looks into one would find nothing, silently.
Result<void> check_folders(const RunSettings& settings) {
  const std::pair<std::string_view, const std::string*> ours[] = {
      {"--to", &settings.output}, {"--state", &settings.state}, {"--control", &settings.control}};
  for (const auto& [option, folder] : ours) {
    if ((!settings.hdfs.empty() || settings.output.empty()) && option != "--state") continue;
    for (const AgentSource& source : settings.sources)
      for (const std::string& glob : source.globs)
        if (!folder->empty() &&
            fixed_folder(glob).starts_with(*folder == "/" ? "/" : *folder + "/"))
          return wrong("--from " + escape(glob, 512) + " looks into " + std::string(option) + " " +
                       escape(*folder, 512) + ", which is never watched; give " +
                       std::string(option) + " a folder of its own");
  }
  return {};
}

Result<uint64_t> size_between(const Arguments& arguments, std::string_view option, uint64_t least,
                              uint64_t most) {
  const auto size = parse_size(arguments.value(option));
  const std::string name = "--" + std::string(option);
  if (!size) return size.error().within(name);
  if (*size < least) return wrong(name + " is at least " + show_size(least));
  if (*size > most) return wrong(name + " is at most " + show_size(most));
  return *size;
}

Result<int64_t> some_time(const Arguments& arguments, std::string_view option) {
  const auto ms = parse_duration_ms(arguments.value(option));
  const std::string name = "--" + std::string(option);
  if (!ms) return ms.error().within(name);
  if (*ms <= 0) return wrong(name + " is more than nothing");
  return *ms;
}

Result<void> take_hdfs(std::string_view to, std::string_view state, RunSettings& settings) {
  auto urls = parse_hdfs_urls(to);
  if (!urls) return urls.error().within("--to");
  const HdfsUrl& url = urls->front();
  if (url.path.empty()) return wrong("--to: name a directory, such as " + url.server() + "/logs");
  if (state.empty())
    return wrong("--to " + url.server() +
                 " needs --state DIR: a directory of this machine, for what is remembered "
                 "between starts and what is not sent yet");
  if (!valid_store_path(url.path.substr(1)))
    return wrong("--to: " + escape(url.path, 200) + " is no directory of HDFS");
  if (!settings.control.empty() && !take_control_path(settings.control))
    return wrong("--control: " + escape(settings.control, 200) + " is no directory of HDFS");
  settings.output = url.path;
  settings.hdfs_user = url.user.empty() ? user_name() : url.user;
  settings.hdfs = std::move(*urls);
  return {};
}

Result<void> take_kafka(std::string_view to, RunSettings& settings) {
  auto kafka = parse_kafka_url(to);
  if (!kafka) return kafka.error().within("--to");
  settings.kafka = std::move(*kafka);
  return {};
}

// Where to, and where what is remembered.
Result<void> take_places(const Arguments& arguments, std::string_view cwd, RunSettings& settings) {
  const std::string_view state = arguments.value("state");
  if (!arguments.given("to")) return wrong("where to? For example: --to ./collected");
  settings.control = arguments.value("control");
  for (const std::string& to : arguments.values("to")) {
    const bool kafka = to.starts_with("kafka://");
    if (kafka ? !settings.kafka.brokers.empty() : !settings.output.empty())
      return wrong("--to: once for files, once for Kafka");
    if (to.empty()) return wrong("where to? For example: --to ./collected");
    if (kafka) {
      if (auto taken = take_kafka(to, settings); !taken) return taken;
    } else if (to.find("://") != std::string_view::npos) {
      if (auto taken = take_hdfs(to, state, settings); !taken) return taken;
    } else {
      settings.output = absolute_path(to, cwd);
      if (!settings.control.empty()) settings.control = absolute_path(settings.control, cwd);
    }
  }
  settings.kafka.create_topics = arguments.given("create-topics");
  if (settings.output.empty() && state.empty())
    return wrong("--to " + settings.kafka.server() +
                 " needs --state DIR: a directory of this machine, for what is remembered between "
                 "starts");
  settings.state = state.empty() ? settings.output + "/_state" : absolute_path(state, cwd);
  return {};
}

}  // namespace

std::span<const Option> run_options() { return kOptions; }

Result<RunSettings> run_settings(const Arguments& arguments, std::string_view cwd) {
  RunSettings settings;
  if (auto taken = take_sources(arguments, cwd, settings); !taken) return taken.error();
  if (auto taken = take_places(arguments, cwd, settings); !taken) return taken.error();
  settings.layout = std::string(arguments.value("layout"));
  settings.timezone = std::string(arguments.value("timezone"));
  if (const auto layout = Layout::parse(settings.layout); !layout)
    return layout.error().within("--layout");
  if (const auto zone = TimeZone::load(settings.timezone); !zone)
    return zone.error().within("--timezone");
  settings.once = arguments.given("once");
  settings.admin.at = {"127.0.0.1", kAdminPort};
  if (arguments.given("admin"))
    if (auto chosen = choose_admin(arguments.value("admin"), settings.admin); !chosen)
      return chosen.error();

  const auto roll = size_between(arguments, "roll-size", kLeastRollBytes, 1ull << 40);
  if (!roll) return roll.error();
  settings.roll_bytes = *roll;
  const auto format = parse_format(arguments.value("format"));
  if (!format)
    return wrong("--format is text or sequence_file, not '" +
                 escape(arguments.value("format"), 64) + "'");
  settings.format = *format;
  if (settings.format == FileFormat::sequence && !arguments.given("roll-size"))
    settings.roll_bytes = kSequenceRollBytes;
  const auto record = size_between(arguments, "max-record", kLeastRecordBytes, kMostRecordBytes);
  if (!record) return record.error();
  settings.max_record_bytes = static_cast<uint32_t>(*record);
  const auto loss = spool_loss(arguments.value("on-spool-loss"));
  if (!loss) return wrong("--on-spool-loss: expected resume, hold, resend or drop");
  settings.on_spool_loss = *loss;
  const auto age = some_time(arguments, "roll-age");
  if (!age) return age.error();
  settings.roll_age_ms = *age;
  const auto idle = some_time(arguments, "roll-idle");
  if (!idle) return idle.error();
  settings.roll_idle_ms = *idle;
  if (auto checked = check_folders(settings); !checked) return checked.error();
  return settings;
}

}  // namespace tailrace
