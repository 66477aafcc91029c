// Which sink a store is: found or made at a start, and remembered in the state directory, so that a
// Center that knows it starts while the store is away. docs/protocol.md, "The store".
// Thread: as records.h says; blocks.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "center/center.h"
#include "center/record.h"
#include "sinks/kafka/kafka.h"

namespace tailrace {

struct KnownSink {
  SinkIdentity identity;
  std::string away;    // not empty: only remembered, and this is what the store said
  bool empty = false;  // then: it answers, and holds nothing of ours
};

// `cluster`: 0 for whichever it belongs to. What is remembered counts where the store does not
// answer or holds nothing at all (a disk that is not mounted): a new sink is made only where none
// was known. rejected: it is another cluster's, or not as it was made.
[[nodiscard]] Result<KnownSink> know_sink(Records& records, const SinkSettings& settings,
                                          uint64_t cluster, const std::string& state_dir);

// The same of Kafka, whose `control` is the positions' topic.
[[nodiscard]] Result<KnownSink> know_kafka(Kafka& kafka, const SinkSettings& settings,
                                           uint64_t cluster, const std::string& state_dir);

// Whether the store is that sink, with its records. Until it is, nothing may be written there.
[[nodiscard]] Result<void> is_sink(Records& records, const SinkSettings& settings,
                                   const SinkIdentity& identity);

}  // namespace tailrace
