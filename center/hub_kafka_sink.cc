// A sink that is Kafka: its session, and what that wants done.
#include "center/hub_state.h"

namespace tailrace {

Hub::KafkaSink::KafkaSink(State& hub_in, size_t at_in, HubSinkOptions options_in)
    : Sink(hub_in, at_in, options_in.identity), options(*options_in.kafka) {}

void Hub::KafkaSink::begin(int64_t) {
  ++life;
  since_ms = hub.now.mono_ms;
  KafkaSessionOptions of = options;
  of.most_categories = hub.settings.limits.categories;
  of.takeover_after_ms = hub.options.takeover_after_ms;
  kafka = std::make_unique<KafkaSession>(
      of, identity.sink, hub.options.state_uuid, hub.settings.address,
      incarnation_name(IncarnationId{hub.now.wall_ms, hub.rng.next()}), Rng(hub.rng.next()),
      hub.now);
  session = kafka.get();
  introduce();
}

void Hub::KafkaSink::look_around() {
  const FileSink* files = nullptr;
  for (const auto& sink : hub.sinks)
    if (!files) files = dynamic_cast<const FileSink*>(sink.get());
  if (!files) return kafka->centers({}, hub.now);
  const auto centers = files->incarnation->centers();
  if (!centers.empty()) since_ms = hub.now.mono_ms;
  // A store that does not tell holds up nobody for long: whoever is asked takes a lane then, and
  // those who are fenced wait.
  const bool known =
      !centers.empty() || hub.now.mono_ms - since_ms >= hub.options.takeover_after_ms;
  if (known) kafka->centers(centers, hub.now);
}

void Hub::KafkaSink::pump() {
  for (auto actions = kafka->take_actions(); !actions.empty(); actions = kafka->take_actions())
    for (KafkaAction& action : actions) std::visit([this](auto& a) { act(a); }, action);
  send_committed();
  life = 1 + kafka->losses();
}

void Hub::KafkaSink::act(CallKafka& action) { hub.out.work.push_back({at, std::move(action)}); }

Judgement Hub::KafkaSink::take(const LocalLink& link, const LocalLink::Stream& stream,
                               const BatchHead& head, const std::string& payload,
                               bool* clock_skewed) {
  KafkaBatch batch{
      stream.key, link.host, head.fields(), std::make_shared<const std::string>(payload), {}};
  for (size_t i = 0; options.paths && i < head.source_count(); ++i) {
    const SourceRange source = head.source(i);
    batch.sources.push_back({source.lines, link.paths.of(source.file)});
  }
  const Bucket bucket = head.fields().bucket;
  const Judgement judgement = kafka->take(stream.category, std::move(batch), hub.now);
  if (judgement == Judgement::take && sane_bucket(bucket, hub.now.wall_ms) != bucket)
    *clock_skewed = true;
  return judgement;
}

}  // namespace tailrace
