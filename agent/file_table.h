// All files that are followed: found by name, known by identity, read from queues.
// Names are looked at, never believed: whatever the watch or a scan says of a name, the table asks
// who stands there now. So renames, new files under old names and files that left the globs need no
// events of their own. Thread: the road; blocks on the disk.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/agent.h"
#include "agent/session.h"
#include "agent/source_rules.h"
#include "agent/tailed_file.h"
#include "agent/tree_walk.h"

namespace tailrace {

struct FileTableOptions {
  bool first_start = false;    // an agent without a past: AgentSource::start_within_ms counts
  bool once = false;           // read each file to its size when it was found
  size_t most_open = 512;      // descriptors; above it files that wait for nothing are closed
  int64_t settle_ms = 60'000;  // without growth, only where the kernel will not tell who writes
  int64_t lost_ms = 20'000;    // that a file may be without a name before it counts as deleted
};

class FileTable {
 public:
  struct Clock {
    int64_t mono_ms = 0;
    int64_t wall_ms = 0;
  };
  // `rules`, `sources` and `session` must outlive the table.
  FileTable(const SourceRules& rules, const std::vector<AgentSource>& sources, Session& session,
            FileTableOptions options);

  // --- what the watch and the scan say
  void scanned(const TreeWalk& walk, Clock now);
  void look(const std::string& path, Clock now);   // something happened to a name
  void written(std::string_view path, Clock now);  // and to what stands under it
  void written_somewhere(Clock now);               // writes were missed
  // Positions are known from now on (the first welcome): places all files, and looks for those that
  // the journal knows but no glob found.
  void place_all(Clock now);
  // The session knows another position of that file than it was read to.
  void place_again(FileId file, Clock now);
  // Once a second: files that were renamed, left the globs or were deleted are read to their end.
  void tick(Clock now);
  // Read up to what stands there now, and no further; new files are left for the next start.
  // `ends`: a last line without newline is read too.
  void drain(Clock now, bool ends);

  // --- what the builder says
  void changed(TailedFile& file, Clock now);
  void failed(TailedFile& file, const Error& error, Clock now);
  void drained(TailedFile& file);

  // --- what the reader asks
  [[nodiscard]] size_t categories() const { return categories_.size(); }
  [[nodiscard]] const std::string& category(size_t i) const { return categories_[i].name; }
  [[nodiscard]] Codec codec(size_t i) const { return categories_[i].codec; }
  [[nodiscard]] std::deque<TailedFile*>& queue(size_t i) { return categories_[i].queue; }
  // Sorts out which files of the queue may be read now, and how far (Session::read_to); the others
  // come back once they may.
  void sort_out(size_t i);
  // Unread bytes in the queue and of those that wait, as far as they are known; stops counting at
  // `enough`.
  [[nodiscard]] uint64_t readable(size_t i, uint64_t enough = UINT64_MAX) const;
  // And of those that cannot be opened or read just now.
  [[nodiscard]] uint64_t unread(size_t i) const;
  [[nodiscard]] bool all_read() const;

  // Symlinked files whose targets are to be watched; the caller clears it.
  struct Target {
    std::string target;
    std::string path;
  };
  [[nodiscard]] std::vector<Target>& new_targets() { return new_targets_; }

  [[nodiscard]] uint64_t scans() const { return scans_; }
  [[nodiscard]] size_t size() const { return files_.size(); }
  [[nodiscard]] uint64_t seen() const { return seen_; }
  [[nodiscard]] size_t open_files() const { return open_.size(); }
  [[nodiscard]] int64_t oldest_unread_ms() const;  // wall; -1: none
  [[nodiscard]] const std::map<std::string, std::string>& unreadable() const { return unreadable_; }
  [[nodiscard]] uint64_t unreadable_count() const { return unreadable_.size() + unreadable_more_; }

 private:
  struct Parked {  // left the globs, read to its end, not known to be deleted
    FileId id = 0;
    FileFacts facts{};     // inode 0: not looked at yet
    int64_t lost_ms = -1;  // since when nothing stands under its name
  };
  struct Category {
    std::string name;
    Codec codec = Codec::gzip;
    std::deque<TailedFile*> queue;
    std::deque<TailedFile*> stopped;  // queued too, but what they have is not to be read yet
    bool partly = false;              // some files' reading stops somewhere
  };

  // --- names: file_table.cc
  void found(const std::string& path, size_t source, const LogPlace& place, bool from_scan,
             Clock now);
  void add(const std::string& path, std::string identity, const LogPlace& place, size_t source,
           Clock now);
  void seen_again(TailedFile& file, const std::string& path, const LogPlace& place, Clock now);
  void rename(TailedFile& file, const std::string& path, const LogPlace& place, Clock now);
  void follow_elsewhere(const std::string& path, const LogPlace& place, Clock now);
  void absent(const std::string& path, Clock now);
  void displaced(TailedFile& file, Clock now);
  static bool still_parked(const std::string& path, Parked& parked);
  void lost_parked(const std::string& path, Clock now);  // file_table_rest.cc
  void note_skipped(const std::vector<SkippedFile>& skipped);
  void note_unreadable(const std::string& path, const std::string& reason);
  // --- positions and ends: file_table_rest.cc
  void place(TailedFile& file, Clock now);
  void start_late(TailedFile& file, Clock now);
  void find_missing(const FileRecord& record, Clock now);
  void find_missing_again(Clock now);
  enum class Reach { open, waiting, gone };
  Reach reach(TailedFile& file, Clock now);
  bool settle(TailedFile& file,
              Clock now);  // true: restless no more; the file may have been removed
  void lose(TailedFile& file);
  void finish(TailedFile& file);
  void remove(TailedFile& file);
  void make_restless(TailedFile& file, Clock now);
  bool may_grow(TailedFile& file, Clock now);
  [[nodiscard]] bool acked(const TailedFile& file) const;
  void end_now(TailedFile& file, Clock now);
  FileId id_of(TailedFile& file);
  // --- queues and descriptors: file_table_queue.cc
  static void look_at_size(TailedFile& file);  // by its path if it is not open
  void enqueue(TailedFile& file, Clock now);
  void note_open(TailedFile& file);  // may close others
  void close_some();
  void close_idle(Clock now);
  [[nodiscard]] bool may_close(const TailedFile& file) const;

  const SourceRules& rules_;
  const std::vector<AgentSource>& sources_;
  Session& session_;
  const FileTableOptions options_;
  std::vector<Category> categories_;
  std::vector<size_t> category_of_;                                     // by source
  std::unordered_map<std::string, std::unique_ptr<TailedFile>> files_;  // by identity
  struct PathHash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  std::unordered_map<std::string, TailedFile*, PathHash, std::equal_to<>> by_path_;
  std::unordered_map<std::string, Parked> parked_;  // by path
  std::set<FileId> missing_;  // in the journal, and we could not look whether they exist
  std::vector<TailedFile*> restless_;
  std::vector<TailedFile*> again_;  // could not be opened or read just now: on the next tick
  std::deque<TailedFile*> open_;    // oldest opened first
  std::vector<Target> new_targets_;
  std::map<std::string, std::string> unreadable_;
  uint64_t unreadable_more_ = 0;
  std::unordered_map<std::string, bool> said_;
  uint64_t seen_ = 0;
  uint64_t scans_ = 0;
  bool placed_ = false;
  bool draining_ = false;
};

}  // namespace tailrace
