#include "center/survey.h"

#include <algorithm>

#include "center/lane_table.h"
#include "center/names.h"
#include "center/take_over.h"

namespace tailrace {

namespace {

class Surveyor {
 public:
  Surveyor(Records& records, const SinkIdentity& sink)
      : records_(records), names_(sink.control, sink.sink) {}

  Result<void> centers(Announced& into, std::set<std::string>& over) {
    const auto names = records_.list(names_.live());
    if (!names) return names.error();
    for (const std::string& name : *names) {
      if (const auto whose = parse_over_name(name)) over.insert(*whose);
      if (!parse_incarnation(name)) continue;
      const auto bytes = records_.read(names_.announcement(name));
      if (!bytes) return bytes.error();
      if (!*bytes) continue;  // it has just left
      auto said = Announcement::decode(**bytes);
      if (!said) return said.error().within(names_.announcement(name));
      into[name] = std::move(*said);
    }
    return {};
  }

  Result<void> lanes(std::vector<Survey::OwnedLane>& into) {
    const auto categories = records_.list(names_.lanes());
    if (!categories) return categories.error();
    for (const std::string& category : *categories) {
      if (!valid_category(category)) continue;
      const auto lanes = records_.list(names_.lanes(category));
      if (!lanes) return lanes.error();
      for (const std::string& name : *lanes) {
        const auto lane = parse_lane_name(category, name);
        if (!lane) continue;
        auto owned = read_lane(*lane);
        if (!owned) return owned.error();
        if (owned->epoch > 0) into.push_back(std::move(*owned));
      }
    }
    return {};
  }

 private:
  using Table = std::map<StreamKey, uint64_t>;

  Result<Survey::OwnedLane> read_lane(const Lane& lane, int tries = 3) {
    Survey::OwnedLane out;
    out.lane = lane;
    const auto claims = records_.list(names_.lane(lane));
    if (!claims) return claims.error();
    const uint64_t epoch = newest_epoch(*claims);
    if (epoch == 0) return out;
    const std::string name = names_.claim(lane, epoch);
    const auto bytes = records_.read(name);
    if (!bytes) return bytes.error();
    if (!*bytes) return out;
    auto claim = LaneClaim::decode(**bytes);
    if (!claim) return claim.error().within(name);
    if (const uint64_t entry = newest_table(*claims, epoch); entry > 0) {
      const auto table = records_.read(names_.table(lane, epoch, entry));
      if (!table) return table.error();
      if (!*table && tries > 1) return read_lane(lane, tries - 1);  // a newer one stands meanwhile
      bring_forward(*claim, entry, *table);
    }
    out.epoch = epoch;
    out.split = claim->kind == LaneClaim::Kind::split;
    if (out.split) return out;  // its lines are counted with its parts
    Table table;
    for (const TableRow& row : claim->table) table[row.key] = row.seq;
    if (claim->kind == LaneClaim::Kind::own)
      if (auto read = follow(*claim, table, out); !read) return read.error();
    for (const auto& [stream, seq] : table) {
      out.streams += seq > 0;
      out.lines += seq;
    }
    return out;
  }

  // The owner's log from its claim on. Behind a FENCE the lane is nobody's.
  Result<void> follow(const LaneClaim& claim, Table& table, Survey::OwnedLane& out) {
    const auto records = log_of(claim.incarnation);
    if (!records) return records.error();
    out.owner = claim.incarnation;
    for (const auto& [entry, record] : **records) {
      if (record.kind == CommitRecord::Kind::fence && entry == (*records)->rbegin()->first)
        out.owner.clear();
      if (entry < claim.claim_entry) continue;
      for (const LaneRanges& ranges : record.lanes) {
        if (ranges.lane != claim.lane) continue;
        out.last_commit_ms = record.time_ms;
        for (const StreamRange& range : ranges.ranges)
          table[range.key] = std::max(table[range.key], range.to_seq);
      }
    }
    return {};
  }

  using Log = std::map<uint64_t, CommitRecord>;
  Result<const Log*> log_of(const std::string& incarnation) {
    if (const auto known = logs_.find(incarnation); known != logs_.end()) return &known->second;
    const auto names = records_.list(names_.log(incarnation));
    if (!names) return names.error();
    Log& log = logs_[incarnation];
    for (const std::string& name : *names) {
      const auto entry = parse_entry_name(name);
      if (!entry) continue;
      const auto bytes = records_.read(names_.entry(incarnation, *entry));
      if (!bytes) return bytes.error();
      if (!*bytes) continue;  // folded meanwhile
      auto record = CommitRecord::decode(**bytes);
      if (!record) return record.error().within(names_.entry(incarnation, *entry));
      log[*entry] = std::move(*record);
    }
    return &log;
  }

  Records& records_;
  StoreNames names_;
  std::map<std::string, Log> logs_;
};

}  // namespace

Result<SinkIdentity> read_identity(Records& records) {
  const std::string name(kSinkIdentityName);
  const auto bytes = records.read(name);
  if (!bytes) return bytes.error();
  if (!*bytes)
    return Error{Error::Kind::rejected,
                 "there is no " + name + ": no Center has ever published here"};
  auto identity = SinkIdentity::decode(**bytes);
  if (!identity) return identity.error().within(name);
  return identity;
}

Result<Survey> survey_store(Records& records) {
  const auto identity = read_identity(records);
  if (!identity) return identity.error();
  Survey out;
  out.control = identity->control;
  out.sink = identity->sink;
  Surveyor surveyor(records, *identity);
  if (auto read = surveyor.centers(out.centers, out.over); !read) return read.error();
  if (auto read = surveyor.lanes(out.lanes); !read) return read.error();
  return out;
}

}  // namespace tailrace
