#include "center/lane_table.h"

#include <algorithm>

#include "base/mutant.h"
#include "center/names.h"

namespace tailrace {

std::vector<std::pair<uint64_t, uint64_t>> tables_among(const std::vector<std::string>& names) {
  std::vector<std::pair<uint64_t, uint64_t>> out;
  for (const std::string& name : names)
    if (const auto table = parse_table_name(name)) out.push_back(*table);
  return out;
}

uint64_t newest_table(const std::vector<std::string>& names, uint64_t epoch) {
  uint64_t newest = 0;
  for (const auto& [of, entry] : tables_among(names))
    if (of == epoch) newest = std::max(newest, entry);
  return newest;
}

void bring_forward(LaneClaim& claim, uint64_t entry, const std::optional<std::string>& bytes) {
  if (!bytes) return;
  auto table = LaneClaim::decode(*bytes);
  if (!table || table->cluster != claim.cluster || table->sink != claim.sink ||
      table->lane != claim.lane || table->epoch != claim.epoch || table->kind != claim.kind ||
      table->incarnation != claim.incarnation || table->claim_entry != entry)
    return;
  if (!mutant(Mutant::table_rows_left)) claim.table = std::move(table->table);
  claim.claim_entry = entry;
}

}  // namespace tailrace
