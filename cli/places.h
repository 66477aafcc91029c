// Where published files and a Center's records are, as an operator's command names it: a directory,
// an address of HDFS, or the sinks of a Center's settings. Thread: main; reads files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "center/center.h"
#include "cli/options.h"

namespace tailrace {

// A bad word in a command line is `rejected`; what is right and not there now is `retry_later`.
[[nodiscard]] constexpr int exit_code(const Error& error) {
  return error.kind == Error::Kind::rejected ? 2 : 1;
}

[[nodiscard]] bool is_address(std::string_view where);  // of HDFS; else a path of this machine
// A directory that stands, or webhdfs://[USER@]host[,host]/path, as this process's user unless one
// is named; nothing is asked there.
[[nodiscard]] Result<SinkSettings> place_at(const std::string& where);
// The sinks of a Center's settings; only `wanted`, if that is not empty.
[[nodiscard]] Result<std::vector<SinkSettings>> places_in(const std::string& file,
                                                          std::string_view wanted);
// Those of Kafka too.
[[nodiscard]] Result<std::vector<SinkSettings>> sinks_in(const std::string& file,
                                                         std::string_view wanted);
[[nodiscard]] bool is_kafka_url(std::string_view where);
// kafka://broker[,broker]/[TOPIC]. With --config the client has the properties of a sink there: of
// --sink, else of the one that names one of these brokers; and its topic, if the address has none.
[[nodiscard]] Result<KafkaSettings> kafka_at(const std::string& url, const Arguments& arguments);
// The operand of a command, else what --config and --sink name, else /etc/tailrace/center.yaml.
[[nodiscard]] Result<std::vector<SinkSettings>> places_meant(const Arguments& arguments);

// To read; nothing is made. retry_later: it is not there.
[[nodiscard]] Result<SinkStore> open_place(const SinkSettings& sink);

inline constexpr Option kPlaceOptions[] = {
    {"config", "FILE", "", "a Center's settings: all its sinks (/etc/tailrace/center.yaml)"},
    {"sink", "NAME", "", "with settings: only this sink"},
};

}  // namespace tailrace
