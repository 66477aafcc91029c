#include "sinks/kafka/kafka_keytab.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <string>

namespace tailrace {

bool uses_kerberos(const KafkaSettings& settings) {
  const auto said = [&](const char* name) {
    const auto found = settings.properties.find(name);
    std::string value = found == settings.properties.end() ? "" : found->second;
    std::transform(value.begin(), value.end(), value.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    return value;
  };
  const std::string mechanism = said("sasl.mechanisms") + said("sasl.mechanism");
  return said("security.protocol").starts_with("sasl") &&
         (mechanism.empty() || mechanism == "gssapi");
}

Result<void> use_kafka_keytab(const KafkaSettings& settings) {
  static std::string used;
  const auto found = settings.properties.find("sasl.kerberos.keytab");
  if (found == settings.properties.end() || !uses_kerberos(settings)) return {};
  const std::string& keytab = found->second;
  if (keytab == used) return {};
  if (!used.empty())
    return Error{Error::Kind::rejected,
                 "sasl.kerberos.keytab: one process takes one keytab for all its sinks of Kafka, "
                 "and " +
                     used + " is named besides " + keytab};
  used = keytab;
  ::setenv("KRB5_CLIENT_KTNAME", keytab.c_str(), 1);
  ::setenv("KRB5CCNAME", "MEMORY:tailrace-kafka", 1);
  return {};
}

}  // namespace tailrace
