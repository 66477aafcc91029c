#include "cli/places.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/units.h"
#include "cli/cluster.h"
#include "cli/process.h"
#include "cli/road.h"
#include "sinks/store/directory_store.h"
#include "sinks/store/hdfs_store.h"

namespace tailrace {

namespace {
constexpr const char* kUsual = "/etc/tailrace/center.yaml";

Error wrong(std::string text) { return Error{Error::Kind::rejected, std::move(text)}; }

Result<std::vector<SinkSettings>> sinks_of(const std::string& file, std::string_view wanted,
                                           bool (*meant)(const SinkSettings&)) {
  const auto config = good_settings(file);
  if (!config) return config.error();
  std::vector<SinkSettings> sinks;
  if (config->center) sinks = config->center->settings.sinks;
  if (config->run) sinks = config->run->center.sinks;
  std::erase_if(sinks, [&](const SinkSettings& sink) { return !meant(sink); });
  if (sinks.empty())
    return wrong(escape(file) + " is no Center's: it says nothing of published files");
  std::string names;
  for (const SinkSettings& sink : sinks) names += (names.empty() ? "" : ", ") + sink.name;
  if (!wanted.empty()) std::erase_if(sinks, [&](const auto& sink) { return sink.name != wanted; });
  if (sinks.empty())
    return wrong(escape(file) + " has no sink '" + escape(wanted) + "', only: " + escape(names));
  return sinks;
}
}  // namespace

bool is_address(std::string_view where) { return where.find("://") != std::string_view::npos; }

Result<SinkSettings> place_at(const std::string& where) {
  SinkSettings sink;
  if (!is_address(where)) {
    struct stat status {};
    if (::stat(where.c_str(), &status) != 0 || !S_ISDIR(status.st_mode))
      return Error{Error::Kind::retry_later, escape(where) + " is no directory"};
    sink.root = where;
    return sink;
  }
  auto urls = parse_hdfs_urls(where);
  if (!urls) return urls.error();
  sink.root = urls->front().path;
  sink.hdfs_user = urls->front().user.empty() ? user_name() : urls->front().user;
  if (sink.root.empty())
    return wrong(escape(where) + " names no directory: " + urls->front().server() + "/logs");
  sink.hdfs = std::move(*urls);
  return sink;
}

bool is_kafka_url(std::string_view where) { return where.starts_with("kafka://"); }

Result<std::vector<SinkSettings>> sinks_in(const std::string& file, std::string_view wanted) {
  return sinks_of(file, wanted, [](const SinkSettings&) { return true; });
}

Result<std::vector<SinkSettings>> places_in(const std::string& file, std::string_view wanted) {
  return sinks_of(file, wanted, [](const SinkSettings& sink) { return !sink.is_kafka(); });
}

Result<KafkaSettings> kafka_at(const std::string& url, const Arguments& arguments) {
  auto settings = parse_kafka_url(url);
  if (!settings) return settings.error();
  const std::string file(arguments.value("config"));
  if (file.empty()) {
    if (arguments.given("sink")) return wrong("--sink is of settings: name them with --config");
    return settings;
  }
  const auto sinks = sinks_in(file, arguments.value("sink"));
  if (!sinks) return sinks.error();
  const auto& brokers = settings->brokers;
  const auto meant = std::find_if(sinks->begin(), sinks->end(), [&](const SinkSettings& sink) {
    const auto& its = sink.kafka.brokers;
    return sink.is_kafka() &&
           (arguments.given("sink") || std::find_first_of(its.begin(), its.end(), brokers.begin(),
                                                          brokers.end()) != its.end());
  });
  if (meant == sinks->end())
    return wrong(escape(file) + " has no sink of Kafka at " + settings->server() +
                 ": with --sink NAME another's properties are taken");
  settings->properties = meant->kafka.properties;
  settings->positions_topic = meant->kafka.positions_topic;
  if (settings->topic == KafkaSettings().topic) settings->topic = meant->kafka.topic;
  return settings;
}

Result<std::vector<SinkSettings>> places_meant(const Arguments& arguments) {
  std::string file(arguments.value("config"));
  if (!arguments.operands().empty()) {
    if (!file.empty() || arguments.given("sink") || arguments.operands().size() > 1)
      return wrong("one place is wanted: a directory, an address of HDFS, or --config FILE");
    if (is_kafka_url(arguments.operands().front()))
      return wrong("Kafka has no files: tailrace cat reads its topics, tailrace topics lists them");
    auto sink = place_at(arguments.operands().front());
    if (!sink) return sink.error();
    return std::vector<SinkSettings>{std::move(*sink)};
  }
  if (file.empty() && ::access(kUsual, R_OK) == 0) file = kUsual;
  if (file.empty())
    return wrong(
        "where are the published files? Name their root, or a Center's settings with --config "
        "(there is no " +
        std::string(kUsual) + " here)");
  return places_in(file, arguments.value("sink"));
}

Result<SinkStore> open_place(const SinkSettings& sink) {
  if (!sink.hdfs.empty()) {
    const auto clients = std::make_shared<HdfsClients>(hdfs_settings(sink));
    return SinkStore{std::make_unique<HdfsRecords>(clients), std::make_unique<HdfsFiles>(clients)};
  }
  auto store = open_directory_store(sink.root);
  if (!store) return store.error();
  return SinkStore{std::move(store->records), std::move(store->files)};
}

}  // namespace tailrace
