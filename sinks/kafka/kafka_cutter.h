// A batch as the records that carry it: one for each line, several for a line that is longer than
// its topic takes, or one for the batch as it came. docs/formats/kafka.md, "Lines".
// Thread: belongs to one owner. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "flow/codec.h"
#include "sinks/kafka/kafka_call.h"
#include "sinks/kafka/kafka_settings.h"

namespace tailrace {

class KafkaCutter {
 public:
  using Inflaters = std::array<std::unique_ptr<Inflater>, 4>;  // by codec
  using Header = std::pair<std::string_view, std::string_view>;
  static constexpr size_t kLeastRecord = 1'024;

  // Of records that take `most_bytes` with all that belongs to them, kLeastRecord at the least.
  // `settings` must outlive it. false: the batch is not what its head says, and goes as it came.
  [[nodiscard]] bool begin(KafkaBatch batch, const KafkaSettings& settings, size_t most_bytes,
                           Inflaters& inflaters);
  [[nodiscard]] bool begun() const { return begun_; }

  // The record that is due, good until next().
  [[nodiscard]] std::string_view value() const { return value_; }
  [[nodiscard]] const std::vector<Header>& headers() const { return headers_; }
  // The one behind it is due. false: that was the last of its batch.
  bool next();

 private:
  [[nodiscard]] bool has_room_for(const std::string& path) const;
  [[nodiscard]] size_t overhead() const;
  void begin_source();
  void cut();
  void name();

  bool begun_ = false;
  KafkaBatch batch_;  // under way
  const KafkaSettings* settings_ = nullptr;
  size_t most_bytes_ = 0;
  bool packed_ = false;
  std::string raw_;
  std::string stream_;         // as its header says it
  uint64_t seq_ = 0;           // of the line
  size_t line_ = 0;            // where it begins
  size_t at_ = 0;              // and the record
  size_t source_ = 0;          // that it came from
  uint64_t source_lines_ = 0;  // of it that are behind us
  size_t room_ = 0;            // of a record, for its value
  std::string_view value_;
  size_t end_ = 0;  // of the line
  std::vector<Header> headers_;
  std::string split_, seq_text_, lines_text_, raw_text_;  // that headers say
};

}  // namespace tailrace
