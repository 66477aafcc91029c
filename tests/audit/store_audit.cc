#include "tests/audit/store_audit.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/random.h"
#include "center/names.h"
#include "center/record.h"
#include "sinks/format/sequence_file.h"

namespace tailrace::testing {

namespace {

// What an entry, or a manifest of several, says.
struct Part {
  uint64_t first = 0;
  uint64_t last = 0;
  const std::vector<CommittedFile>* files = nullptr;
  const std::vector<LaneRanges>* lanes = nullptr;
};

struct Log {
  std::map<uint64_t, std::pair<CommitRecord, uint32_t>> entries;  // with their checksums
  std::map<uint64_t, LaneClaim> own;
  std::vector<Manifest> manifests;

  [[nodiscard]] bool done() const {
    return !own.empty() && own.rbegin()->second.kind == LaneClaim::Kind::done;
  }
  [[nodiscard]] bool folded(uint64_t entry) const {
    return std::any_of(manifests.begin(), manifests.end(), [entry](const Manifest& m) {
      return m.first_entry <= entry && entry <= m.last_entry;
    });
  }
  // Then it says the same: whoever was stopped while he folded wrote it when all was done.
  [[nodiscard]] bool within_another(const Manifest& m) const {
    return std::any_of(manifests.begin(), manifests.end(), [&m](const Manifest& other) {
      return other.first_entry <= m.first_entry && m.last_entry <= other.last_entry &&
             other.last_entry - other.first_entry > m.last_entry - m.first_entry;
    });
  }
  [[nodiscard]] std::vector<Part> parts() const {
    std::vector<Part> out;
    for (const Manifest& m : manifests)
      if (!within_another(m)) out.push_back({m.first_entry, m.last_entry, &m.files, &m.lanes});
    for (const auto& [n, entry] : entries) {
      if (!folded(n)) out.push_back({n, n, &entry.first.files, &entry.first.lanes});
    }
    std::sort(out.begin(), out.end(),
              [](const Part& a, const Part& b) { return a.first < b.first; });
    return out;
  }
};

class Audit {
 public:
  Audit(const std::map<std::string, std::string>& content, std::string base,
        const std::set<std::string>& taken, const StoreOrigins& origins)
      : content_(content), base_(std::move(base) + "/"), taken_(taken), origins_(origins) {}

  StoreFindings run() {
    load();
    if (found_.wrong.empty()) check_logs();
    if (found_.wrong.empty()) check_ranges();
    if (found_.wrong.empty()) check_claims();
    if (found_.wrong.empty()) check_tables();
    if (found_.wrong.empty()) check_files();
    return found_;
  }

 private:
  void wrong(const std::string& what) {
    if (found_.wrong.empty()) found_.wrong = what;
  }
  template <class Record>
  std::optional<Record> decode(const std::string& path, const std::string& bytes) {
    auto record = Record::decode(bytes);
    if (!record) return wrong(path + ": " + record.error().text), std::nullopt;
    return std::move(*record);
  }

  void load() {
    for (const auto& [path, bytes] : content_) {
      if (!path.starts_with(base_)) continue;
      std::vector<std::string> part;  // below the base
      for (size_t at = base_.size(); at <= path.size();) {
        const size_t end = std::min(path.find('/', at), path.size());
        part.push_back(path.substr(at, end - at));
        at = end + 1;
      }
      if (part.size() == 3 && part[0] == "logs") load_of_log(logs_[part[1]], path, part[2], bytes);
      if (part.size() == 4 && part[0] == "lanes") load_claim(part, path, bytes);
    }
  }
  void load_of_log(Log& log, const std::string& path, const std::string& name,
                   const std::string& bytes) {
    if (const auto epoch = parse_claim_name(name)) {
      if (auto claim = decode<LaneClaim>(path, bytes)) log.own.emplace(*epoch, std::move(*claim));
    } else if (parse_manifest_name(name)) {
      if (auto m = decode<Manifest>(path, bytes)) log.manifests.push_back(std::move(*m));
    } else if (const auto entry = parse_entry_name(name)) {
      auto record = decode<CommitRecord>(path, bytes);
      if (!record) return;
      if (record->kind == CommitRecord::Kind::commit) ++found_.commits;
      log.entries[*entry] = {std::move(*record), record_crc(bytes)};
    } else {
      wrong(path + " has no name of ours");
    }
  }
  void load_claim(const std::vector<std::string>& part, const std::string& path,
                  const std::string& bytes) {
    const auto lane = parse_lane_name(part[1], part[2]);
    const auto epoch = parse_claim_name(part[3]);
    const auto table = parse_table_name(part[3]);
    if (!lane || (!epoch && !table)) return wrong(path + " has no name of ours");
    if (table) {
      if (auto claim = decode<LaneClaim>(path, bytes)) tables_[*lane].emplace(*table, *claim);
      return;
    }
    ++found_.claims;
    if (auto claim = decode<LaneClaim>(path, bytes)) claims_[*lane].emplace(*epoch, *claim);
  }

  void check_logs() {  // I8
    for (const auto& [name, log] : logs_) {
      for (const auto& [n, entry] : log.entries) {
        const auto& [record, crc] = entry;
        const std::string which = "I8: log " + name + ": entry " + std::to_string(n);
        const bool fence = record.kind == CommitRecord::Kind::fence;
        if (record.entry != n || record.incarnation != name) wrong(which + " is of elsewhere");
        // Who held an old view may have put one where entries were folded: it ends nothing.
        if (fence && log.folded(n)) continue;
        if (fence && n != log.entries.rbegin()->first) wrong(which + " is a FENCE, others follow");
        const auto before = log.entries.find(n - 1);
        if (n > 0 && before != log.entries.end() && record.prev_crc != before->second.second &&
            before->second.first.kind != CommitRecord::Kind::fence &&
            !(fence && record.prev_crc == 0))
          wrong(which + " does not continue the one before");
      }
      uint64_t due = 0;
      for (const Part& part : log.parts()) {
        if (part.first > due)
          wrong("I8: log " + name + ": entry " + std::to_string(due) + " is nowhere");
        due = std::max(due, part.last + 1);
      }
      uint64_t epoch = 0;
      for (const auto& [n, claim] : log.own)
        if (n != ++epoch)
          wrong("I7: log " + name + ": its own claims leave out " + std::to_string(epoch));
    }
  }

  void check_ranges() {  // I2: the order of logs follows from the positions
    using Span = std::pair<uint64_t, uint64_t>;
    std::map<std::pair<std::string, StreamKey>, std::set<Span>> ranges;
    for (const auto& [name, log] : logs_)
      for (const Part& part : log.parts())
        for (const LaneRanges& lane : *part.lanes)
          for (const StreamRange& r : lane.ranges) {
            if (r.from_seq == r.to_seq) continue;
            for (const GapRange& gap : r.gaps)
              found_.gap_lines[{lane.lane.category, r.key.local_id}] += gap.count;
            if (!ranges[{lane.lane.category, r.key}].emplace(r.from_seq, r.to_seq).second)
              wrong("I2: " + lane.lane.category + ": lines " + std::to_string(r.from_seq) + " to " +
                    std::to_string(r.to_seq) + " are committed twice");
          }
    for (const auto& [stream, spans] : ranges) {
      uint64_t at = 0;
      const auto origins = origins_.find({stream.first, stream.second.local_id});
      for (const auto& [from, to] : spans) {
        if (from != at && !(at == 0 && origins != origins_.end() && origins->second.contains(from)))
          wrong("I2: " + stream.first + ", stream " + hex16(stream.second.local_id) +
                ": a range starts at " + std::to_string(from) + ", " + std::to_string(at) +
                " was due");
        at = to;
      }
    }
  }

  using Table = std::map<StreamKey, Position>;
  static Table table_of(const LaneClaim& claim) {
    Table table;
    for (const TableRow& row : claim.table) table[row.key] = {row.seq, row.chain};
    return table;
  }
  // What the entries [begin, end) of a log add. A manifest may reach over either bound: it tells
  // of a stream only where it came to, so between the bounds it is held to what is claimed.
  void fold(Table& table, const std::string& name, const Lane& lane, uint64_t begin, uint64_t end,
            const Table& claimed) {
    const auto log = logs_.find(name);
    if (log == logs_.end()) return;
    for (const Part& part : log->second.parts()) {
      if (part.last < begin || part.first >= end) continue;
      for (const LaneRanges& l : *part.lanes) {
        if (l.lane != lane) continue;
        for (const StreamRange& r : l.ranges) {
          Position& known = table[r.key];
          const auto row = claimed.find(r.key);
          const Position said = row == claimed.end() ? Position{} : row->second;
          if (part.last >= end && known.seq <= said.seq && said.seq <= r.to_seq)
            known = said;
          else if (r.to_seq > known.seq)
            known = {r.to_seq, r.chain_to};
        }
      }
    }
  }
  // What a part begins with: the part of its parent's last table that is its own.
  Table begins_with(const Lane& lane, const std::string& which) {
    Table table;
    if (lane.parts == 1) return table;
    const Lane parent{lane.category, static_cast<uint8_t>(lane.parts / 8),
                      static_cast<uint8_t>(lane.part / 8)};
    const auto claims = claims_.find(parent);
    if (claims == claims_.end() || claims->second.rbegin()->second.kind != LaneClaim::Kind::split) {
      wrong(which + ": the lane that it is a part of was not split");
      return table;
    }
    for (const auto& [key, row] : table_of(claims->second.rbegin()->second))
      if (lane_part(key, lane.parts) == lane.part) table[key] = row;
    return table;
  }
  // A stream that begins in the middle stands there before anything of it is committed.
  void add_origins(Table& expected, const Table& shown, const std::string& category) {
    for (const auto& [key, at] : shown) {
      const auto known = origins_.find({category, key.local_id});
      if (known != origins_.end() && known->second.contains(at.seq)) expected.emplace(key, at);
    }
  }
  // Rows of streams that stand at their beginning say nothing.
  bool same(Table expected, Table shown, const std::string& category) {
    for (Table* table : {&expected, &shown})
      std::erase_if(*table, [](const auto& row) { return row.second.seq == 0; });
    add_origins(expected, shown, category);
    return expected == shown;
  }
  void check_claims() {  // I7
    for (const auto& [lane, claims] : claims_) {
      const LaneClaim* before = nullptr;
      for (const auto& [epoch, claim] : claims) {
        const std::string which = "I7: lane " + lane.category + " " + std::to_string(lane.parts) +
                                  "-" + std::to_string(lane.part) + ", epoch " +
                                  std::to_string(epoch);
        if (epoch != (before ? before->epoch + 1 : 1)) wrong(which + ": those before are missing");
        const Table table = table_of(claim);
        found_.splits += claim.kind == LaneClaim::Kind::split;
        Table expected = before ? table_of(*before) : begins_with(lane, which);
        if (before && before->kind == LaneClaim::Kind::split) wrong(which + " follows a SPLIT");
        if (before && before->kind == LaneClaim::Kind::own)
          fold(expected, before->incarnation, lane, before->claim_entry,
               claim.incarnation == before->incarnation ? claim.claim_entry : UINT64_MAX, table);
        if (!same(expected, table, lane.category))
          wrong(which + ": its table is not the fold of the records before");
        before = &claim;
      }
    }
  }

  void check_tables() {  // I7
    for (const auto& [lane, tables] : tables_)
      for (const auto& [place, table] : tables) {
        const auto& [epoch, entry] = place;
        const std::string which = "I7: lane " + lane.category + " " + std::to_string(lane.parts) +
                                  "-" + std::to_string(lane.part) + ", the table of epoch " +
                                  std::to_string(epoch) + " and entry " + std::to_string(entry);
        const auto claim = claims_[lane].find(epoch);
        if (claim == claims_[lane].end()) {
          wrong(which + " has no claim");
          continue;
        }
        const LaneClaim& owner = claim->second;
        if (table.incarnation != owner.incarnation || table.claim_entry != entry)
          wrong(which + " is of elsewhere");
        Table expected = table_of(owner);
        fold(expected, owner.incarnation, lane, owner.claim_entry, entry, table_of(table));
        if (!same(expected, table_of(table), lane.category))
          wrong(which + " is not the fold of the records before");
      }
  }

  void check_files() {  // I3, I4, I9
    std::map<std::string, const CommittedFile*> named;
    for (const auto& [name, log] : logs_) {
      std::set<std::string> due;
      for (auto it = log.entries.rbegin(); it != log.entries.rend(); ++it) {
        const CommitRecord& record = it->second.first;
        if (record.kind != CommitRecord::Kind::commit) continue;
        for (const FileRef& f : record.pending) due.insert(f.final_path);
        for (const CommittedFile& f : record.files) due.insert(f.final_path);
        break;
      }
      for (const Part& part : log.parts())
        for (const CommittedFile& f : *part.files) {
          if (!named.emplace(f.final_path, &f).second)
            wrong("I3: " + f.final_path + " is named twice");
          if (content_.contains(f.final_path) || taken_.contains(f.final_path)) continue;
          if (taken_.contains(f.stage)) {
            found_.lost[f.final_path] = f.stage;
            continue;
          }
          if (log.done() || !due.contains(f.final_path))
            wrong("I9: " + f.final_path + " is committed and neither published nor pending");
          if (!content_.contains(f.stage))
            wrong("I9: " + f.final_path + ": its staged file is gone");
        }
    }
    for (const auto& [path, bytes] : content_) {
      if (path.starts_with(base_) || !parse_final_path(path)) continue;
      const auto file = named.find(path);
      if (file == named.end()) {
        wrong("I4: " + path + " is named by no record");
        continue;
      }
      const CommittedFile& f = *file->second;
      if (bytes.size() != f.bytes || xxh3(bytes) != f.xxh3)
        wrong("I3: " + path + " is not the file that was committed");
      else if (const std::string text = plain(path, f.codec, bytes);
               text.size() != f.raw_bytes ||
               static_cast<uint64_t>(std::count(text.begin(), text.end(), '\n')) != f.lines)
        wrong("I3: " + path + " has other lines than were committed");
    }
  }

  const std::map<std::string, std::string>& content_;
  std::string base_;
  const std::set<std::string>& taken_;
  const StoreOrigins& origins_;
  std::map<std::string, Log> logs_;
  std::map<Lane, std::map<uint64_t, LaneClaim>> claims_;
  std::map<Lane, std::map<std::pair<uint64_t, uint64_t>, LaneClaim>> tables_;  // epoch, entry
  StoreFindings found_;
};

}  // namespace

std::string plain(std::string_view path, Codec codec, const std::string& bytes) {
  std::string out;
  const auto inflater = make_file_reader(path, codec);
  if (!inflater->feed(bytes, out) || !inflater->finish()) out += "\nbroken";
  return out;
}

StoreFindings audit_store(const std::map<std::string, std::string>& content,
                          const std::string& base, const std::set<std::string>& taken,
                          const StoreOrigins& origins) {
  return Audit(content, base, taken, origins).run();
}

}  // namespace tailrace::testing
