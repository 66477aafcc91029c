// What readers of a sink's topic do: its records back into lines, of either form. Layout:
// docs/formats/kafka.md. Thread: any; an unpacker belongs to one owner.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "flow/codec.h"

namespace tailrace {

// Whose position a key of the positions' topic names; "": it is that of another kind of record.
[[nodiscard]] std::string_view category_of_key(std::string_view key);
// Whether a sink's `topic` is one for each category.
[[nodiscard]] bool topic_each(std::string_view topic);

// A record's value and those of its headers that say how it is read; "" where there is none.
struct KafkaLines {
  std::string_view value;
  std::string_view stream{};
  std::string_view seq{};
  std::string_view split{};
  std::string_view codec{};
  std::string_view lines{};
  std::string_view raw{};
};

// The records of one partition, in their order. It holds the pieces of lines that are not whole
// yet, kMost bytes in all. A piece that comes again (delivery: at_least_once) goes where it says.
class KafkaUnpacker {
 public:
  static constexpr size_t kMost = 64u << 20;

  // Appends the lines that the record ends to `out`, each with its newline. corrupt: the record is
  // not what its headers say, or pieces of a line never came; `out` has what could be had.
  [[nodiscard]] Result<void> take(const KafkaLines& record, std::string& out);
  // Behind the last record: what there is of lines that are not whole. corrupt: there was some.
  [[nodiscard]] Result<void> finish(std::string& out);

  [[nodiscard]] bool whole() const { return pieces_.empty(); }
  // Whether it is the next piece of a line that is not whole.
  [[nodiscard]] bool waits_for(const KafkaLines& record) const;

 private:
  Result<void> take_batch(const KafkaLines& record, std::string& out);
  Result<void> take_piece(const KafkaLines& record, std::string& out);
  bool has_room(const KafkaLines& record);
  [[nodiscard]] bool was_whole(std::string_view stream, std::string_view seq) const;

  using Line = std::pair<std::string, std::string>;       // stream, seq
  std::map<Line, std::string> pieces_;                    // of lines that are not whole
  std::map<std::string, uint64_t, std::less<>> whole_{};  // by stream: the last that had pieces
  size_t held_ = 0;                                       // bytes of both
  std::array<std::unique_ptr<Inflater>, 4> inflaters_;    // by codec
  std::string inflated_;
};

}  // namespace tailrace
