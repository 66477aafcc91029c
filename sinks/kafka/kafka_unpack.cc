#include "sinks/kafka/kafka_unpack.h"

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

// What the pieces of a line of that stream take.
size_t taken_by(std::string_view stream, std::string_view text) {
  constexpr size_t kOverhead = 256;
  return kOverhead + stream.size() + text.size();
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

Result<void> KafkaUnpacker::take_piece(const KafkaLines& record, std::string& out) {
  const bool last = record.split == "last";
  if (!last && record.split != "more") {
    out += record.value;
    out += '\n';
    return broken("its header split is '" + escape(record.split, 32) + "', neither more nor last");
  }
  Result<void> done;
  auto at = pieces_.find(record.stream);
  const auto let_go = [&] {
    held_ -= taken_by(at->first, at->second.text);
    out += at->second.text;
    pieces_.erase(at);
  };
  if (at != pieces_.end() && at->second.seq != record.seq) {
    done = broken("the last piece of line " + escape(at->second.seq, 32) + " of stream " +
                  escape(at->first, 64) + " is missing before it");
    let_go();
    out += '\n';
    at = pieces_.end();
  }
  if (last) {
    if (at != pieces_.end()) let_go();
    out += record.value;
    out += '\n';
    return done;
  }
  if (held_ + taken_by(record.stream, record.value) > kMost) {
    out += record.value;
    out += '\n';
    return broken("pieces of lines whose ends have not come fill " + show_size(kMost) +
                  ": this one stands alone");
  }
  if (at == pieces_.end()) {
    at = pieces_.emplace(std::string(record.stream), Pieces{std::string(record.seq), {}}).first;
    held_ += taken_by(record.stream, {});
  }
  held_ += record.value.size();
  at->second.text += record.value;
  return done;
}

Result<void> KafkaUnpacker::finish(std::string& out) {
  const auto pieces = std::exchange(pieces_, {});
  held_ = 0;
  if (pieces.empty()) return {};
  for (const auto& [stream, of] : pieces) out += of.text + '\n';
  return broken("the last piece of line " + escape(pieces.begin()->second.seq, 32) + " of stream " +
                escape(pieces.begin()->first, 64) + " never came");
}

bool KafkaUnpacker::waits_for(const KafkaLines& record) const {
  const auto at = pieces_.find(record.stream);
  return !record.split.empty() && at != pieces_.end() && at->second.seq == record.seq;
}

}  // namespace tailrace
