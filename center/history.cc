#include "center/history.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "center/names.h"
#include "center/survey.h"

namespace tailrace {

namespace {

// One log, read from its newest entry back to where nothing is new enough.
class LogHistory {
 public:
  LogHistory(Records& records, Files& files, const StoreNames& names, std::string incarnation,
             int64_t since_ms)
      : records_(records),
        files_(files),
        names_(names),
        incarnation_(std::move(incarnation)),
        since_ms_(since_ms) {}

  Result<void> read(std::vector<HistoryFile>& into) {
    do {
      folded_meanwhile_ = false;
      if (auto listed = list(); !listed) return listed;
      if (auto read = read_entries(); !read) return read;
      if (older_ || folded_meanwhile_) continue;
      if (auto read = read_manifests(); !read) return read;
    } while (folded_meanwhile_);
    for (auto& [path, file] : found_) {
      if (unsure_.contains(path)) {
        const auto staged = is_staged(file.file);
        if (!staged) return staged.error();
        file.pending = *staged;
      }
      into.push_back(std::move(file));
    }
    return {};
  }

 private:
  Result<void> list() {
    const auto names = records_.list(names_.log(incarnation_));
    if (!names) return names.error();
    entries_.clear();
    manifests_.clear();
    for (const std::string& name : *names) {
      if (const auto entry = parse_entry_name(name)) entries_.insert(*entry);
      if (const auto range = parse_manifest_name(name)) manifests_.insert(*range);
    }
    return {};
  }

  template <typename Record>
  Result<std::optional<Record>> record(const std::string& name) {
    const auto bytes = records_.read(name);
    if (!bytes) return bytes.error();
    if (!*bytes) return std::optional<Record>();
    auto read = Record::decode(**bytes);
    if (!read) return read.error().within(name);
    return std::optional<Record>(std::move(*read));
  }

  Result<void> read_entries() {
    bool newest = true;
    for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
      const auto read = record<CommitRecord>(names_.entry(incarnation_, *entry));
      if (!read) return read.error();
      if (!*read) {
        folded_meanwhile_ = true;
        return {};
      }
      const CommitRecord& commit = **read;
      if (commit.kind == CommitRecord::Kind::fence) continue;
      if (std::exchange(newest, false)) {
        for (const FileRef& file : commit.pending) unsure_.insert(file.final_path);
        for (const FileRef& file : commit.files) unsure_.insert(file.final_path);
      }
      // Entry 0 stays when those behind it are folded.
      if (older_ = commit.time_ms < since_ms_ && *entry != 0; older_) return {};
      for (const CommittedFile& file : commit.files) add(file, commit.time_ms);
    }
    return {};
  }

  Result<void> read_manifests() {
    for (auto range = manifests_.rbegin(); range != manifests_.rend(); ++range) {
      const auto read =
          record<Manifest>(names_.manifest(incarnation_, range->first, range->second));
      if (!read) return read.error();
      if (!*read) {
        folded_meanwhile_ = true;
        return {};
      }
      bool any = false;
      for (const CommittedFile& file : (*read)->files) {
        const auto name = parse_final_path(file.final_path);
        any = add(file, name ? name->closed_s * 1'000 : 0) || any;
      }
      if (!any) return {};
    }
    return {};
  }

  // The newest record tells what was not published before it was written; the rest of it is seen.
  Result<bool> is_staged(const CommittedFile& file) {
    const size_t slash = file.stage.rfind('/');
    if (slash == std::string::npos) return false;
    const std::string directory = file.stage.substr(0, slash);
    if (!staged_.contains(directory)) {
      auto names = files_.list(directory);
      if (!names) return names.error();
      staged_[directory] = std::set<std::string>(names->begin(), names->end());
    }
    return staged_[directory].contains(file.stage.substr(slash + 1));
  }

  bool add(const CommittedFile& file, int64_t committed_ms) {
    if (committed_ms < since_ms_) return false;
    const auto name = parse_final_path(file.final_path);
    found_.try_emplace(file.final_path,
                       HistoryFile{file, name ? name->center : std::string(), committed_ms});
    return true;
  }

  Records& records_;
  Files& files_;
  const StoreNames& names_;
  std::string incarnation_;
  int64_t since_ms_;
  std::set<uint64_t> entries_;
  std::set<std::pair<uint64_t, uint64_t>> manifests_;
  std::set<std::string> unsure_;                         // whether they are published
  std::map<std::string, std::set<std::string>> staged_;  // names, by directory
  std::map<std::string, HistoryFile> found_;             // by final path
  bool older_ = false;                                   // an entry is: so are all before it
  bool folded_meanwhile_ = false;
};

}  // namespace

Result<std::vector<HistoryFile>> read_history(Records& records, Files& files, int64_t since_ms) {
  const auto identity = read_identity(records);
  if (!identity) return identity.error();
  const StoreNames names(identity->control, identity->sink);
  const auto logs = records.list(names.logs());
  if (!logs) return logs.error();
  std::vector<HistoryFile> out;
  for (const std::string& log : *logs) {
    if (!parse_incarnation(log)) continue;
    auto read = LogHistory(records, files, names, log, since_ms).read(out);
    if (!read) return read.error();
  }
  std::sort(out.begin(), out.end(), [](const HistoryFile& a, const HistoryFile& b) {
    return std::tie(b.committed_ms, b.file.final_path) <
           std::tie(a.committed_ms, a.file.final_path);
  });
  return out;
}

}  // namespace tailrace
