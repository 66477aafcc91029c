#include "tests/sim/transcript.h"

#include "control.pb.h"

namespace tailrace::sim {

namespace {
template <class Message>
const Message& as(const Outgoing& frame) {
  return static_cast<const Message&>(*frame.message);
}
std::string place(const proto::SinkStreamPosition& p) {
  return " stream " + std::to_string(p.stream()) + " at " + std::to_string(p.seq());
}
}  // namespace

std::string in_words(const Outgoing& frame) {
  if (!frame.message) return "";
  std::string out;
  switch (frame.type) {
    case FrameType::hello:
      for (const auto& s : as<proto::Hello>(frame).streams())
        for (const auto& o : s.origins())
          out += " origin of " + s.category() + " at " + std::to_string(o.seq());
      return "HELLO" + out;
    case FrameType::welcome: return "WELCOME";
    case FrameType::origin: {
      const auto& origin = as<proto::Origin>(frame);
      return "ORIGIN of stream " + std::to_string(origin.stream()) + " at " +
             std::to_string(origin.seq());
    }
    case FrameType::flush: return "FLUSH";
    case FrameType::stream_def:
      return "STREAM_DEF " + std::to_string(as<proto::StreamDef>(frame).stream()) + " of " +
             as<proto::StreamDef>(frame).category() +
             (as<proto::StreamDef>(frame).ahead().empty() ? "" : ", some sink is ahead");
    case FrameType::committed:
      for (const auto& p : as<proto::Committed>(frame).positions()) out += place(p);
      return "COMMITTED" + out;
    case FrameType::rewind: return "REWIND" + place(as<proto::Rewind>(frame).to());
    case FrameType::stale: return "STALE" + place(as<proto::Stale>(frame).position());
    case FrameType::redirect:
      return "REDIRECT " + as<proto::Redirect>(frame).category() + "/" +
             std::to_string(as<proto::Redirect>(frame).parts()) + "-" +
             std::to_string(as<proto::Redirect>(frame).part()) + " to " +
             as<proto::Redirect>(frame).address();
    case FrameType::released:
      return "RELEASED " + as<proto::Released>(frame).category() + "/" +
             std::to_string(as<proto::Released>(frame).parts()) + "-" +
             std::to_string(as<proto::Released>(frame).part());
    case FrameType::reject: return "REJECT " + as<proto::Reject>(frame).text();
    case FrameType::busy: return "BUSY";
    default: return "";
  }
}

std::string in_words(const StoreRequest& request, const StoreReply& reply) {
  std::string what;
  if (const auto* cas = std::get_if<CasRequest>(&request))
    what = (reply.cas == Cas::won ? "makes " : "does not make ") + cas->name;
  if (const auto* remove = std::get_if<RemoveRequest>(&request)) what = "removes " + remove->name;
  if (const auto* read = std::get_if<ReadRequest>(&request))
    what = "reads " + read->name + (reply.record ? "" : ", which is absent");
  if (const auto* list = std::get_if<ListRequest>(&request))
    what = "lists " + list->directory + ": " + std::to_string(reply.names.size());
  if (const auto* publish = std::get_if<PublishRequest>(&request))
    what = "publishes " + publish->final_path;
  if (what.empty()) return "";
  return what + (reply.error ? ": " + reply.error->text : "");
}

std::string in_words(const KafkaCall& call, const KafkaReply& reply) {
  std::string what = "Kafka, '" + call.category + "': ";
  if (std::holds_alternative<KafkaOpen>(call.what))
    what += "opens producer " + std::to_string(call.producer % 1'000);
  if (std::holds_alternative<KafkaReadPositions>(call.what)) {
    what += "reads positions up to " + std::to_string(reply.end) + " of " +
            std::to_string(reply.target) + ":";
    for (const KafkaPosition& p : reply.positions)
      what += " " + std::to_string(p.key.local_id % 1'000) + " at " + std::to_string(p.at.seq);
  }
  if (const auto* write = std::get_if<KafkaWrite>(&call.what)) {
    what += "writes";
    for (const KafkaBatch& b : write->batches)
      what += " " + std::to_string(b.key.local_id % 1'000) + ": " +
              std::to_string(b.fields.first_seq) + " to " + std::to_string(b.fields.end_seq()) +
              ",";
    for (const KafkaPosition& p : write->positions)
      what += " " + std::to_string(p.key.local_id % 1'000) + " at " + std::to_string(p.at.seq);
  }
  if (std::holds_alternative<KafkaCommit>(call.what)) what += "commits";
  return what + (reply.outcome == KafkaReply::Outcome::done ? "" : ", but: " + reply.why);
}

}  // namespace tailrace::sim
