// What a lane asks of Kafka, and what comes of it. One lane is one category; its producer is called
// for one thing after another, never for two at once. The lane itself: center/kafka_session.h; who
// carries the calls out: sinks/kafka/kafka.h, and the simulation.
// Thread: any; plain values. docs/protocol.md, "Kafka".
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "flow/batch.h"
#include "flow/stream.h"

namespace tailrace {

// How far a stream has come in its lane: what a position record says.
struct KafkaPosition {
  StreamKey key;
  Position at;
  uint8_t flags = 0;    // kFinal
  uint64_t origin = 0;  // the first line's number
  uint64_t lost = 0;    // lines behind it that nobody will ever deliver (GAP)
  bool operator==(const KafkaPosition&) const = default;
};

// So many lines one behind the other that came from that file.
struct KafkaSource {
  uint64_t lines = 0;
  std::shared_ptr<const std::string> path;  // null: not known
};
struct KafkaBatch {
  StreamKey key;
  std::string host;
  BatchFields fields;
  std::shared_ptr<const std::string> payload;  // as it travelled
  std::vector<KafkaSource> sources = {};       // empty, or of all lines
};

// A new producer with that transactional id: whoever had it is fenced, and what he left open is
// aborted. `again` also while the category's topic is not there.
struct KafkaOpen {
  std::string transactional_id;
};
// What all transactions said that have ended: `positions`, up to `end`, while the log reaches to
// `target`; below that the same call goes on, and the positions come with the last one.
struct KafkaReadPositions {};
// Into the transaction that is open; the first of them opens it. The lines, then the positions.
struct KafkaWrite {
  std::vector<KafkaBatch> batches;
  std::vector<KafkaPosition> positions;
};
struct KafkaCommit {};
struct KafkaClose {};  // no answer is waited for

struct KafkaCall {
  std::string category;
  uint64_t producer = 0;  // named by whoever opens it; never used again
  std::variant<KafkaOpen, KafkaReadPositions, KafkaWrite, KafkaCommit, KafkaClose> what;
};

struct KafkaReply {
  enum class Outcome : uint8_t {
    done,
    again,  // not yet, or not known yet: the same call once more, and no other
    over,   // of this producer: what became of its transaction only a new one can read
  };
  Outcome outcome = Outcome::done;
  std::string why;                       // not done, or not read to its target: for a person
  bool lacks = false;                    // again: a topic, or the right to it; that may take long
  std::vector<KafkaPosition> positions;  // the newest of each stream
  uint64_t end = 0;
  uint64_t target = 0;
};

// Names that stand in Kafka. docs/formats/kafka.md.
[[nodiscard]] std::string kafka_transactional_id(uint64_t sink, const std::string& category);

}  // namespace tailrace
