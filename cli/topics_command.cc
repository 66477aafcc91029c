#include "cli/topics_command.h"

#include <unistd.h>

#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "base/units.h"
#include "cli/cluster.h"
#include "cli/known_categories.h"
#include "cli/places.h"
#include "cli/topic_verdict.h"
#include "sinks/kafka/kafka_keytab.h"
#include "sinks/kafka/kafka_unpack.h"

namespace tailrace {

namespace {
using Json = nlohmann::ordered_json;
using Verdict = Probe::Verdict;
constexpr int kShown = 0;
constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;
constexpr size_t kMostRows = 40;
constexpr const char* kUsual = "/etc/tailrace/center.yaml";

struct KafkaSink {
  std::string name;  // "": an address was named
  KafkaSettings settings;
};

struct Row {
  std::string category;  // "": the positions, or all
  KafkaTopicFacts topic;
  TopicVerdict said;
};
using Rows = std::vector<Row>;

struct Meant {
  std::vector<KafkaSink> sinks;
  std::set<std::string> categories;  // that are to have topics
};

Error wrong(std::string text) { return Error{Error::Kind::rejected, std::move(text)}; }

// --- which sinks, which topics

Result<Meant> meant_by(const Arguments& arguments) {
  Meant out;
  for (const std::string& category : arguments.values("expect")) {
    if (!valid_category(category))
      return wrong("--expect: '" + escape(category, 64) + "' can't be a category");
    out.categories.insert(category);
  }
  const auto& operands = arguments.operands();
  if (!operands.empty()) {
    if (operands.size() > 1 || !is_kafka_url(operands.front()))
      return wrong("one address is wanted: kafka://broker:9092/, or --config FILE");
    auto settings = kafka_at(operands.front(), arguments);
    if (!settings) return settings.error();
    out.sinks.push_back({"", std::move(*settings)});
    return out;
  }
  std::string file(arguments.value("config"));
  if (file.empty() && ::access(kUsual, R_OK) == 0) file = kUsual;
  if (file.empty())
    return wrong("which sink? Name a Center's settings with --config (there is no " +
                 std::string(kUsual) + " here), or kafka://broker:9092/");
  const auto sinks = sinks_in(file, arguments.value("sink"));
  if (!sinks) return sinks.error();
  for (const SinkSettings& sink : *sinks)
    if (sink.is_kafka()) out.sinks.push_back({sink.name, sink.kafka});
  if (out.sinks.empty()) return wrong(escape(file) + " has no sink of Kafka");
  const auto config = good_settings(file);
  if (!config) return config.error();
  out.categories.merge(categories_of(*config));
  return out;
}

// Its positions' topic first.
Result<Rows> look(const KafkaSink& sink, std::set<std::string> categories,
                  std::string_view wanted) {
  if (auto keytab = use_kafka_keytab(sink.settings); !keytab) return keytab.error();
  std::vector<std::string> names = {sink.settings.positions_topic};
  std::vector<std::string> of = {""};
  if (topic_each(sink.settings.topic)) {
    auto more = categories_in_kafka(sink.settings);
    if (!more) return more.error();
    categories.merge(*more);
    for (const std::string& category : categories) {
      if (category.find(wanted) == std::string::npos) continue;
      names.push_back(sink.settings.topic_of(category));
      of.push_back(category);
    }
  } else {
    names.push_back(sink.settings.topic);
    of.emplace_back();
  }
  auto found = find_kafka_topics(sink.settings, names);
  if (!found) return found.error();
  Rows rows;
  for (size_t i = 0; i < names.size(); ++i) {
    TopicVerdict said = judge_topic(sink.settings, found->topics[i], found->brokers);
    rows.push_back({of[i], std::move(found->topics[i]), std::move(said)});
  }
  return rows;
}

bool there(const Row& row) { return row.topic.state == KafkaTopicFacts::State::there; }

// --- what is shown

std::string cell(const Row& row, const std::string& value) {
  if (!there(row)) return "-";
  return value.empty() ? "?" : value;
}

void show(const KafkaSink& sink, const Rows& rows, bool whole) {
  std::printf("%-32s %10s %6s %11s %12s  %s\n", "TOPIC", "PARTITIONS", "COPIES", "MIN IN SYNC",
              "MOST BYTES", "STATE");
  std::map<std::string, size_t> to_do;  // what to do, and for how many
  std::vector<std::string> order;
  size_t shown = 0, left = 0;
  for (const Row& row : rows) {
    if (!row.said.mend.empty() && to_do[row.said.mend]++ == 0) order.push_back(row.said.mend);
    // A page; but what fails is shown.
    if (++shown > kMostRows && !whole && row.said.verdict != Verdict::fail) {
      ++left;
      continue;
    }
    std::printf("%-32s %10s %6s %11s %12s  %s%s\n", row.topic.name.c_str(),
                cell(row, std::to_string(row.topic.partitions)).c_str(),
                cell(row, std::to_string(row.topic.copies)).c_str(),
                cell(row, row.topic.configured("min.insync.replicas")).c_str(),
                cell(row, row.topic.configured("max.message.bytes")).c_str(),
                row.said.found.c_str(),
                row.topic.name == sink.settings.positions_topic ? "  (positions)" : "");
  }
  if (left > 0)
    std::printf(
        "and %s more: --category TEXT shows those with TEXT in their category, --all every "
        "one\n",
        show_count(left).c_str());
  if (topic_each(sink.settings.topic) && rows.size() == 1)
    std::printf("(no category is known yet; --expect CATEGORY looks for its topic)\n");
  for (const std::string& mend : order) {
    const size_t times = to_do[mend];
    std::printf("%s%s%s\n", &mend == order.data() ? "\n" : "", mend.c_str(),
                times > 1 ? ("   (" + show_count(times) + " topics)").c_str() : "");
  }
}

Json number_or_null(const Row& row, const std::string& name) {
  const std::string text = row.topic.configured(name);
  const auto number = Json::parse(text, nullptr, false);
  return number.is_number() ? number : Json(nullptr);
}

Json as_json(const KafkaSink& sink, const Rows& rows) {
  Json out = {{"sink", sink.name},
              {"brokers", sink.settings.brokers},
              {"create_topics", sink.settings.create_topics},
              {"topics", Json::array()}};
  for (const Row& row : rows) {
    Json topic = {{"topic", row.topic.name},
                  {"category", row.category.empty() ? Json(nullptr) : Json(row.category)},
                  {"positions", row.topic.name == sink.settings.positions_topic},
                  {"there", there(row)},
                  {"verdict", verdict_name(row.said.verdict)},
                  {"found", row.said.found},
                  {"mend", row.said.mend}};
    if (there(row)) {
      topic["partitions"] = row.topic.partitions;
      topic["copies"] = row.topic.copies;
      topic["partitions_without_leader"] = row.topic.leaderless;
      topic["partitions_behind"] = row.topic.behind;
      topic["min_insync_replicas"] = number_or_null(row, "min.insync.replicas");
      topic["max_message_bytes"] = number_or_null(row, "max.message.bytes");
      topic["cleanup_policy"] = row.topic.configured("cleanup.policy");
    }
    out["topics"].push_back(std::move(topic));
  }
  return out;
}

int failed(const Error& why, int code) {
  std::fprintf(stderr, "tailrace topics: %s\n", why.text.c_str());
  return code;
}

int run_topics(const Arguments& arguments) {
  const std::string_view format = arguments.value("format");
  if (format != "text" && format != "json")
    return failed(wrong("--format is text or json"), kWrongUsage);
  const auto meant = meant_by(arguments);
  if (!meant) return failed(meant.error(), exit_code(meant.error()));
  int code = kShown;
  Json all = Json::array();
  for (const KafkaSink& sink : meant->sinks) {
    const auto rows = look(sink, meant->categories, arguments.value("category"));
    if (!rows) {
      code = failed(rows.error(), kFailed);
      continue;
    }
    for (const Row& row : *rows)
      if (row.said.verdict == Verdict::fail) code = kFailed;
    if (format == "json") {
      all.push_back(as_json(sink, *rows));
      continue;
    }
    if (meant->sinks.size() > 1)
      std::printf("%s== %s: %s\n", &sink == meant->sinks.data() ? "" : "\n", sink.name.c_str(),
                  sink.settings.server().c_str());
    show(sink, *rows, arguments.given("all"));
  }
  if (format == "json")
    std::printf("%s\n", all.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
  return code;
}

constexpr Option kOptions[] = {
    {"expect", "CATEGORY", "", "look for this one's topic too", true},
    {"category", "TEXT", "", "only categories with this in their name"},
    kPlaceOptions[0],
    kPlaceOptions[1],
    {"all", "", "", "every topic, however many"},
    {"format", "text|json", "text", "json: an array of sinks with their topics"},
};
}  // namespace

const Command& topics_command() {
  static const Command kCommand = {
      .name = "topics",
      .summary = "lists the topics that a sink of Kafka needs, and which of them are there",
      .synopsis = "[kafka://BROKER/[TOPIC]] [--expect CATEGORY] [--format json]",
      .examples =
          "  tailrace topics --config /etc/tailrace/center.yaml\n"
          "  tailrace topics --config /etc/tailrace/center.yaml --expect nginx --expect app\n"
          "  tailrace topics kafka://broker-1:9092/logs.{category} --category web\n",
      .operands = "kafka://BROKER/[TOPIC]",
      .notes =
          "Expected are the positions' topic and, with {category} in the sink's topic, one for "
          "each category\n"
          "that is known: those whose lines have come, by the positions; those of the settings' "
          "pipelines; those\n"
          "that the program of these settings knows, if it runs on this host; and those of "
          "--expect. Below\n"
          "the table stands what to do. '?' is what this user may not ask for. Nothing is "
          "changed.\n\n"
          "Exit codes: 0 all is there or will be made, 1 something is missing, forbidden, without "
          "a leader or\n"
          "set so that lines may be lost, or no broker answers, 2 wrong usage.\n",
      .options = kOptions,
      .run = run_topics,
  };
  return kCommand;
}

}  // namespace tailrace
