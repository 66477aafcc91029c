#include "sinks/kafka/kafka_unpack.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "base/newlines.h"
#include "base/units.h"
#include "flow/batch.h"
#include "flow/stream.h"

namespace tailrace {

namespace {
Error broken(std::string why) { return Error{Error::Kind::corrupt, std::move(why)}; }

std::optional<uint64_t> number_of(std::string_view text) {
  uint64_t out = 0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, out);
  if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  return out;
}

// What a line takes, beside the text of its pieces; and a stream whose last line is known.
size_t taken_by(std::string_view stream, std::string_view seq) {
  constexpr size_t kOverhead = 256;
  return kOverhead + stream.size() + seq.size();
}

// The header of a piece: where in its line it begins, and how long that is.
struct Split {
  uint64_t at = 0;
  uint64_t size = 0;
};
std::optional<Split> split_of(const KafkaLines& record) {
  const size_t slash = record.split.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto at = number_of(record.split.substr(0, slash));
  const auto size = number_of(record.split.substr(slash + 1));
  if (!at || !size || *at > *size || record.value.size() > *size - *at) return std::nullopt;
  return Split{*at, *size};
}

void end_line(std::string& out) {
  if (out.empty() || out.back() != '\n') out += '\n';
}
}  // namespace

std::string_view category_of_key(std::string_view key) {
  constexpr std::string_view kPositionKey = "position/";
  if (!key.starts_with(kPositionKey)) return {};
  key.remove_prefix(kPositionKey.size());
  const std::string_view category = key.substr(0, key.find('/'));
  return valid_category(category) && category.size() < key.size() ? category : std::string_view{};
}

bool topic_each(std::string_view topic) {
  return topic.find("{category}") != std::string_view::npos;
}

Result<void> KafkaUnpacker::take(const KafkaLines& record, std::string& out) {
  if (!record.codec.empty()) return take_batch(record, out);
  if (!record.split.empty()) return take_piece(record, out);
  out += record.value;
  out += '\n';
  return {};
}

Result<void> KafkaUnpacker::take_batch(const KafkaLines& record, std::string& out) {
  const auto codec = parse_codec(record.codec);
  const auto raw = number_of(record.raw), lines = number_of(record.lines);
  if (!codec)
    return broken("its header codec is '" + escape(record.codec, 32) +
                  "', which is not known: gzip, zstd, snappy, none");
  if (!raw || !lines || *raw > kMaxRawBytes)
    return broken("its headers raw and lines say '" + escape(record.raw, 32) + "' and '" +
                  escape(record.lines, 32) + "': not those of a batch");
  auto& inflater = inflaters_.at(static_cast<size_t>(*codec));
  if (!inflater) inflater = make_inflater(*codec);
  if (auto done = inflater->inflate(record.value, *raw, inflated_); !done)
    return broken("it does not inflate: " + done.error().text);
  out += inflated_;
  if (!inflated_.empty()) end_line(out);
  const uint64_t found = count_newlines(inflated_);
  if (found != *lines)
    return broken("it holds " + std::to_string(found) + " lines, and its header says " +
                  std::to_string(*lines));
  return {};
}

// Or a later one of that stream: lines come in order, but they may come again.
bool KafkaUnpacker::was_whole(std::string_view stream, std::string_view seq) const {
  const auto at = whole_.find(stream);
  const auto number = number_of(seq);
  return at != whole_.end() && number && *number <= at->second;
}

// Streams that have nothing open are forgotten first.
bool KafkaUnpacker::has_room(const KafkaLines& record) {
  const size_t wanted = record.value.size() + 2 * taken_by(record.stream, record.seq);
  if (held_ + wanted <= kMost) return true;
  for (const auto& [stream, seq] : std::exchange(whole_, {})) held_ -= taken_by(stream, {});
  return held_ + wanted <= kMost;
}

Result<void> KafkaUnpacker::take_piece(const KafkaLines& record, std::string& out) {
  const auto alone = [&](std::string why) {
    out += record.value;
    out += '\n';
    return broken(std::move(why));
  };
  const auto split = split_of(record);
  if (!split)
    return alone("its header split is '" + escape(record.split, 32) +
                 "', not where in its line it begins and how long that is");
  if (!has_room(record))
    return alone("pieces of lines whose ends have not come fill " + show_size(kMost) +
                 ": this one stands alone");
  const Line line(record.stream, record.seq);
  const auto known = pieces_.find(line);
  if (split->at > (known == pieces_.end() ? 0 : known->second.size())) {
    if (was_whole(record.stream, record.seq)) return {};  // the end of it once more
    return alone("what stands before byte " + std::to_string(split->at) + " of line " +
                 escape(record.seq, 32) + " of stream " + escape(record.stream, 64) +
                 " is missing");
  }
  if (known == pieces_.end()) held_ += taken_by(record.stream, record.seq);
  std::string& text = known == pieces_.end() ? pieces_[line] : known->second;
  held_ -= text.size();
  text.resize(split->at);
  text += record.value;
  held_ += text.size();
  if (text.size() < split->size) return {};
  out += text + '\n';
  held_ -= text.size() + taken_by(record.stream, record.seq);
  pieces_.erase(line);
  if (const auto number = number_of(record.seq)) {
    const auto [last, first_time] = whole_.try_emplace(line.first, *number);
    last->second = std::max(last->second, *number);
    if (first_time) held_ += taken_by(record.stream, {});
  }
  return {};
}

Result<void> KafkaUnpacker::finish(std::string& out) {
  Result<void> done;
  for (const auto& [line, text] : std::exchange(pieces_, {})) {
    if (was_whole(line.first, line.second)) continue;  // it began to come again, and that is all
    out += text + '\n';
    if (done)
      done = broken("the end of line " + escape(line.second, 32) + " of stream " +
                    escape(line.first, 64) + " never came");
  }
  whole_.clear();
  held_ = 0;
  return done;
}

bool KafkaUnpacker::waits_for(const KafkaLines& record) const {
  return !record.split.empty() &&
         pieces_.contains(Line(std::string(record.stream), std::string(record.seq)));
}

}  // namespace tailrace
