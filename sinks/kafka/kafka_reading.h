// A partition of the positions' topic, read from its begin to what was its end when it was asked
// for. That may take longer than one call may: what has come meanwhile is kept, and a later call
// goes on. Thread: whoever calls; each call blocks. Belongs to one owner.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "sinks/kafka/kafka_handle.h"

namespace tailrace::kafka {

using EachRecord = std::function<Result<void>(std::string_view key, std::string_view value)>;

class Reading {
 public:
  // `asked` reads watermarks uncommitted, and says where the end is before anything is read.
  [[nodiscard]] static Result<std::unique_ptr<Reading>> begin(const KafkaSettings& settings,
                                                              int32_t partition, rd_kafka_t* asked,
                                                              bool committed);

  // What comes until the end is reached, or for `most_ms`. true: all of it has come. After an error
  // (of a broker, or of `each`) it is to begin anew.
  [[nodiscard]] Result<bool> go_on(int most_ms, const EachRecord& each);

  // The offset that was reached, and the one to be reached.
  [[nodiscard]] int64_t at() const { return at_; }
  [[nodiscard]] int64_t target() const { return target_; }
  // What it waits for, for a person.
  [[nodiscard]] std::string waits_for() const;

 private:
  Reading(std::string topic, int64_t low, int64_t high)
      : topic_(std::move(topic)), low_(low), at_(low), target_(high) {}
  [[nodiscard]] Error later(rd_kafka_resp_err_t error) const;

  std::string topic_;
  int64_t low_;
  int64_t at_;
  int64_t target_;
  bool held_up_ = false;  // all that is committed was read, and that is less
  LastWords words_;
  Handle reader_;  // of which those are
};

}  // namespace tailrace::kafka
