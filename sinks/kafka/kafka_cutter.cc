#include "sinks/kafka/kafka_cutter.h"

#include <algorithm>
#include <utility>

#include "base/newlines.h"
#include "base/random.h"

namespace tailrace {

namespace {
constexpr size_t kRecordOverhead = 512;  // of a record, beside its host and paths
constexpr size_t kPathOverhead = 16;
}  // namespace

bool KafkaCutter::begin(KafkaBatch batch, const KafkaSettings& settings, size_t most_bytes,
                        Inflaters& inflaters) {
  batch_ = std::move(batch);
  begun_ = true;
  settings_ = &settings;
  most_bytes_ = most_bytes;
  seq_ = batch_.fields.first_seq;
  line_ = at_ = source_ = 0;
  source_lines_ = 0;
  stream_ = hex16(batch_.key.local_id) + "/" + std::to_string(batch_.key.sub);
  lines_text_ = std::to_string(batch_.fields.count);
  raw_text_ = std::to_string(batch_.fields.raw_len);
  packed_ = true;
  bool whole = true;
  if (settings.form != KafkaForm::packed || batch_.payload->size() + overhead() > most_bytes) {
    auto& inflater = inflaters.at(static_cast<size_t>(batch_.fields.payload_codec));
    if (!inflater) inflater = make_inflater(batch_.fields.payload_codec);
    whole = inflater->inflate(*batch_.payload, batch_.fields.raw_len, raw_).ok() && !raw_.empty() &&
            raw_.back() == '\n' && count_newlines(raw_) == batch_.fields.count;
    packed_ = !whole;
  }
  begin_source();
  cut();
  return whole;
}

bool KafkaCutter::next() {
  const bool line_goes_on = !packed_ && at_ + value_.size() < end_;
  at_ = line_goes_on ? at_ + value_.size() : end_ + 1;
  if (packed_ || at_ >= raw_.size()) {
    begun_ = false;
    batch_ = KafkaBatch();
    return false;
  }
  if (!line_goes_on) {
    line_ = at_;
    ++seq_;
    if (source_ < batch_.sources.size() && ++source_lines_ >= batch_.sources[source_].lines) {
      ++source_;
      source_lines_ = 0;
      begin_source();
    }
  }
  cut();
  return true;
}

// One that takes a good part of a record is left out: lines are worth more.
bool KafkaCutter::has_room_for(const std::string& path) const {
  return path.size() + kPathOverhead <= most_bytes_ / 4;
}

// Of the record that is due.
size_t KafkaCutter::overhead() const {
  size_t out = kRecordOverhead + batch_.host.size();
  if (!settings_->has_header("path")) return out;
  const size_t end = packed_ ? batch_.sources.size() : source_ + 1;
  for (size_t i = source_; i < std::min(end, batch_.sources.size()); ++i)
    if (batch_.sources[i].path) out += batch_.sources[i].path->size() + kPathOverhead;
  return out;
}

void KafkaCutter::begin_source() {
  room_ = most_bytes_ - std::min(most_bytes_ / 4 * 3, overhead());
}

void KafkaCutter::cut() {
  split_.clear();
  if (packed_) {
    value_ = *batch_.payload;
  } else {
    end_ = raw_.find('\n', at_);
    value_ = std::string_view(raw_).substr(at_, std::min(end_ - at_, room_));
    if (value_.size() < end_ - line_)
      split_ = std::to_string(at_ - line_) + "/" + std::to_string(end_ - line_);
  }
  name();
}

// Pieces have, whatever is asked for, what they are joined by.
void KafkaCutter::name() {
  headers_.clear();
  seq_text_ = std::to_string(seq_);
  const bool piece = !split_.empty();
  for (const std::string& name : settings_->headers) {
    if (name == "host") headers_.emplace_back("host", batch_.host);
    if (name == "stream" && !piece) headers_.emplace_back("stream", stream_);
    if (name == "seq" && !piece) headers_.emplace_back("seq", seq_text_);
    if (name != "path") continue;
    const size_t end = packed_ ? batch_.sources.size() : source_ + 1;
    for (size_t i = source_; i < std::min(end, batch_.sources.size()); ++i)
      if (const auto& path = batch_.sources[i].path; path && has_room_for(*path))
        headers_.emplace_back("path", *path);
  }
  if (piece) {
    headers_.emplace_back("stream", stream_);
    headers_.emplace_back("seq", seq_text_);
    headers_.emplace_back("split", split_);
  }
  if (packed_) {
    headers_.emplace_back("codec", codec_name(batch_.fields.payload_codec));
    headers_.emplace_back("lines", lines_text_);
    headers_.emplace_back("raw", raw_text_);
  }
}

}  // namespace tailrace
