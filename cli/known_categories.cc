#include "cli/known_categories.h"

#include <nlohmann/json.hpp>

#include "cli/admin_client.h"
#include "flow/stream.h"
#include "sinks/kafka/kafka_survey.h"
#include "sinks/kafka/kafka_topics.h"

namespace tailrace {

namespace {
using Json = nlohmann::json;

void add_names(const Json& of, std::set<std::string>& out) {
  if (!of.is_object()) return;
  for (const auto& [name, ignored] : of.items())
    if (valid_category(name)) out.insert(name);
}

const Json& inside(const Json& of, const char* key) {
  static const Json kNothing;
  const auto found = of.is_object() ? of.find(key) : of.end();
  return found == of.end() ? kNothing : *found;
}
}  // namespace

Result<std::set<std::string>> categories_in_kafka(const KafkaSettings& settings) {
  const auto found = find_kafka_topics(settings, {settings.positions_topic});
  if (!found) return found.error();
  if (found->topics.front().state != KafkaTopicFacts::State::there) return std::set<std::string>();
  return kafka_categories(settings);
}

std::set<std::string> categories_of(const RoleConfig& config) {
  std::set<std::string> out;
  if (const AgentSettings* reads = config.reads())
    for (const auto& source : reads->sources) out.insert(source.category);
  const auto body = ask_admin(config.admin.at, "GET", "/api/v1/status");
  if (!body) return out;
  const Json status = Json::parse(*body, nullptr, false);
  if (inside(status, "cluster") != config.cluster) return out;
  const Json& local = inside(status, "local");
  add_names(inside(local, "categories"), out);
  for (const Json& sink : inside(inside(status, "center"), "sinks"))
    add_names(inside(sink, "categories"), out);
  return out;
}

}  // namespace tailrace
