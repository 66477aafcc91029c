#include "local/spool_tables.h"

#include <algorithm>
#include <iterator>

#include "base/mutant.h"

namespace tailrace {

void apply_sources(const BatchHead& head, SpoolTables& tables) {
  for (size_t i = 0; i < head.source_count(); ++i) {
    const SourceRange s = head.source(i);
    const auto file = tables.files.find(s.file);
    if (file == tables.files.end()) continue;
    file->second.next = s.end;
    file->second.head_hash = s.head_hash;
    file->second.tail_hash = s.tail_hash;
  }
}

void apply_file_gap(const FileGapInfo& gap, SpoolTables& tables) {
  const auto file = tables.files.find(gap.file);
  if (file == tables.files.end() || gap.end == UINT64_MAX) return;
  FileInfo& f = file->second;
  if (f.next < gap.start || f.next >= gap.end) return;
  f.next = gap.end;
  f.head_hash = 0;
  f.tail_hash = 0;
}

std::set<uint64_t> sinks_of(const SpoolTables& tables) {
  std::set<uint64_t> sinks;
  for (const auto& [key, at] : tables.cursors) sinks.insert(key.first);
  for (const auto& [sink, stream] : tables.waits) sinks.insert(sink);
  return sinks;
}

bool sinks_known(const SpoolTables& tables, StreamId stream) {
  if ((tables.waits.empty() && tables.origins.empty()) || mutant(Mutant::lone_origin)) return true;
  const auto its = [stream](const auto& way) { return way.second == stream; };
  const auto plain = [&](const auto& cursor) {
    return its(cursor.first) && !tables.origins.contains(cursor.first);
  };
  if (std::any_of(tables.cursors.begin(), tables.cursors.end(), plain)) return true;
  return std::none_of(tables.waits.begin(), tables.waits.end(), its) &&
         std::none_of(tables.origins.begin(), tables.origins.end(), its);
}

void erase_sink(SpoolTables& tables, uint64_t sink) {
  const auto its = [sink](const auto& key) { return key.first == sink; };
  std::erase_if(tables.cursors, [sink](const auto& c) { return c.first.first == sink; });
  std::erase_if(tables.waits, its);
  std::erase_if(tables.origins, its);
}

const GapInfo* gap_at(const SpoolTables& tables, StreamId stream, uint64_t seq) {
  auto g = tables.gaps.upper_bound({stream, seq});
  if (g == tables.gaps.begin()) return nullptr;
  --g;
  if (g->first.first != stream || seq >= g->second.end_seq()) return nullptr;
  return &g->second;
}

void put_gap(SpoolTables& tables, GapInfo gap) {
  const uint64_t end = gap.end_seq();
  auto g = tables.gaps.lower_bound({gap.stream, gap.first_seq});
  while (g != tables.gaps.end() && g->first.first == gap.stream && g->second.end_seq() <= end)
    g = tables.gaps.erase(g);
  if (gap.given_up() && g != tables.gaps.begin()) {
    GapInfo& before = std::prev(g)->second;
    if (before.stream == gap.stream && before.given_up() && before.end_seq() == gap.first_seq) {
      before.ends.push_back({before.end_seq(), before.chain_after});
      before.ends.insert(before.ends.end(), gap.ends.begin(), gap.ends.end());
      before.count += gap.count;
      before.chain_after = gap.chain_after;
      return;
    }
  }
  tables.gaps.insert_or_assign(std::pair(gap.stream, gap.first_seq), std::move(gap));
}

void drop_old_gaps(SpoolTables& tables, const StreamInfo& stream) {
  auto g = tables.gaps.lower_bound({stream.stream, 0});
  while (g != tables.gaps.end() && g->first.first == stream.stream &&
         g->second.end_seq() <= stream.oldest.seq)
    g = tables.gaps.erase(g);
}

}  // namespace tailrace
