#include "local/spool_index.h"

#include <algorithm>

#include "base/check.h"

namespace tailrace {

void SpoolIndex::add(StreamId stream, SpoolRange range) {
  streams_[stream].push_back(std::move(range));
}

const SpoolRange* SpoolIndex::find(StreamId stream, uint64_t seq) const {
  const auto it = streams_.find(stream);
  if (it == streams_.end()) return nullptr;
  const Ranges& ranges = it->second;
  // The last range that starts at or below seq.
  auto r = std::upper_bound(ranges.begin(), ranges.end(), seq,
                            [](uint64_t s, const SpoolRange& x) { return s < x.first_seq; });
  if (r == ranges.begin()) return nullptr;
  --r;
  if (r->first_seq == seq || (r->gap() && seq < r->end_seq)) return &*r;
  return nullptr;
}

SpoolRange* SpoolIndex::find(StreamId stream, uint64_t seq) {
  return const_cast<SpoolRange*>(std::as_const(*this).find(stream, seq));
}

std::optional<uint64_t> SpoolIndex::chain_at(StreamId stream, uint64_t seq) const {
  const auto it = streams_.find(stream);
  if (it == streams_.end()) return std::nullopt;
  const Ranges& ranges = it->second;
  // The first range that ends at or above seq.
  const auto r = std::lower_bound(ranges.begin(), ranges.end(), seq,
                                  [](const SpoolRange& x, uint64_t s) { return x.end_seq < s; });
  if (r == ranges.end()) return std::nullopt;
  if (r->end_seq == seq) return r->chain_after;
  if (r->first_seq == seq) return r->chain_before;
  return std::nullopt;
}

std::optional<Position> SpoolIndex::oldest(StreamId stream) const {
  const auto it = streams_.find(stream);
  if (it == streams_.end() || it->second.empty()) return std::nullopt;
  const SpoolRange& first = it->second.front();
  return Position{first.first_seq, first.chain_before};
}

Position SpoolIndex::bury(StreamId stream, uint64_t from, uint64_t end) {
  Ranges& ranges = streams_.at(stream);
  const auto behind = [](uint64_t seq, const SpoolRange& range) { return seq < range.end_seq; };
  const auto first = std::upper_bound(ranges.begin(), ranges.end(), from, behind);
  const auto last = std::upper_bound(first, ranges.end(), end, behind);
  TAILRACE_CHECK(first != last, "there is nothing to give up");
  SpoolRange gap;
  gap.first_seq = first->first_seq;
  gap.chain_before = first->chain_before;
  gap.end_seq = std::prev(last)->end_seq;
  gap.chain_after = std::prev(last)->chain_after;
  const Position begin{gap.first_seq, gap.chain_before};
  *first = std::move(gap);
  ranges.erase(std::next(first), last);
  return begin;
}

void SpoolIndex::drop_below(StreamId stream, uint64_t seq) {
  const auto it = streams_.find(stream);
  if (it == streams_.end()) return;
  while (!it->second.empty() && it->second.front().end_seq <= seq) it->second.pop_front();
}

void SpoolIndex::cache(StreamId stream, uint64_t seq, BatchPtr batch, uint64_t most_bytes) {
  SpoolRange* const range = find(stream, seq);
  if (range == nullptr || range->gap() || range->batch) return;
  const uint64_t bytes = batch->bytes();
  range->batch = std::move(batch);
  cached_.push_back({stream, seq, bytes});
  cached_bytes_ += bytes;
  while (cached_bytes_ > most_bytes) {
    const Cached& out = cached_.front();
    if (SpoolRange* const old = find(out.stream, out.seq)) old->batch = nullptr;
    cached_bytes_ -= out.bytes;
    cached_.pop_front();
  }
}

}  // namespace tailrace
