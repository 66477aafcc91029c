#include "cli/lines_place.h"

namespace tailrace {

std::string place_of(const SinkSettings& sink) {
  return sink.is_kafka() ? sink.kafka.server() + "/" + sink.kafka.topic : sink.where();
}

std::string places_of(const CenterSettings& settings) {
  std::string out;
  for (const SinkSettings& sink : settings.sinks)
    out += (out.empty() ? "" : " and ") + place_of(sink);
  return out;
}

}  // namespace tailrace
