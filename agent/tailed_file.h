// One generation of one log file, and how far it was read. Every read first proves that the bytes
// before the position are still the ones that were read; if not, the file was truncated, copied
// over or written anew, and starts over as another generation. Thread: the road; all calls may
// block on the disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "agent/file_identity.h"
#include "agent/file_position.h"
#include "agent/open_log.h"
#include "base/file.h"
#include "base/result.h"
#include "flow/stream.h"

namespace tailrace {

class TailedFile {
 public:
  TailedFile(std::string path, std::string identity, LogPlace place, size_t source);

  // --- who it is ----------------------------------------------------------------------------
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const std::string& identity() const { return identity_; }
  [[nodiscard]] const FileFacts& facts() const { return place_.facts; }
  [[nodiscard]] bool linked() const { return place_.linked; }
  [[nodiscard]] const std::string& target() const { return place_.target; }
  [[nodiscard]] size_t source() const { return source_; }
  // It was found under another name.
  void renamed(std::string path, LogPlace place);
  // Its name was looked at again: where that leads, and to whose file, may have changed.
  void stands_in(const LogPlace& place) {
    place_.target = place.target;
    place_.linked = place.linked;
    place_.facts.owner = place.facts.owner;
  }

  // --- where it stands ------------------------------------------------------------------------
  // Goes on from a position that is known from before; `number` is the generation's.
  void place(FilePosition at, FileId id, uint32_t generation);
  [[nodiscard]] const FilePosition& position() const { return position_; }
  [[nodiscard]] FileId id() const { return id_; }  // 0: no line of it was taken yet
  void set_id(FileId id) { id_ = id; }
  [[nodiscard]] uint32_t generation() const { return generation_; }
  // Starts over from byte 0 as the next generation, under a number to come.
  void start_over();

  // --- the open file ----------------------------------------------------------------------------
  // closed: it is not there any more under its name; rejected: it may not be opened.
  Result<void> open();
  void adopt(Fd fd) { fd_ = std::move(fd); }
  void close() { fd_.reset(); }
  [[nodiscard]] bool is_open() const { return fd_.valid(); }
  [[nodiscard]] int descriptor() const { return fd_.get(); }
  // Looks at size and links of the open file.
  Result<void> observe();
  [[nodiscard]] uint64_t size() const { return place_.facts.size; }  // as last seen
  void saw_size(uint64_t size) { place_.facts.size = size; }
  [[nodiscard]] bool deleted() const { return place_.facts.links == 0; }
  // Bytes that are known to stand there and were not taken, up to the limit.
  [[nodiscard]] uint64_t unread() const;
  // The offset behind its last newline; 0 if there is none in reach (4 MiB).
  [[nodiscard]] Result<uint64_t> end_of_lines();
  // Who has it open for writing; not_told: we may not ask, or the kernel cannot know.
  enum class Writers { none, some, not_told };
  [[nodiscard]] Writers writers() const;

  // --- reading
  struct Read {
    enum class Kind { bytes, changed, failed };
    Kind kind = Kind::bytes;
    size_t n = 0;               // bytes now at `into`; 0: nothing new
    bool at_end = false;        // they reach the end of the file, or the limit; else there are
                                // as many as there is room for
    bool at_stop = false;       // and a line ends there
    bool after_newline = true;  // a line starts with them
    std::string why;            // failed
  };
  // Reads up to `room` bytes from the position on. The position stays until take().
  [[nodiscard]] Read read(char* into, size_t room);
  // Whether the bytes before the position are those that were read; an Error: they could not be
  // read now, which says nothing about them.
  enum class Proof { intact, other };
  // Moves the position on by the first `n` of the bytes that the last read put at `bytes`; nothing
  // moves unless all before them is intact.
  [[nodiscard]] Result<Proof> take(const char* bytes, size_t n);

  // Nothing at or beyond it is read for now; what stands before it is whole lines.
  void stop_at(uint64_t offset) { stop_ = offset; }
  [[nodiscard]] bool stopped() const { return position_.offset >= stop_; }
  // Nothing at or beyond it is read (--once, drain).
  void limit_to(uint64_t offset) { limit_ = offset; }
  [[nodiscard]] bool limited() const { return limit_ != UINT64_MAX; }
  [[nodiscard]] bool ends_here() const { return notes.ends; }

  // --- what its owners note here ----------------------------------------------------------------
  struct Notes {
    bool in_glob = true;     // its name is one that the sources mean
    bool queued = false;     // waits to be read
    bool again = false;      // could not be opened or read, and is tried again on the tick
    bool listed = false;     // among the open files
    bool restless = false;   // renamed, moved away or deleted, and somebody may still be writing
    bool ends = false;       // nothing comes after what is read now: an unterminated end is a line
    bool partial = false;    // all that is unread is the beginning of a line
    uint64_t scan = 0;       // the scan that saw it last
    uint64_t missed = 0;     // the scan after which we could not look for it; 0: we could
    int64_t grew_ms = 0;     // mono: when it last grew, or lost its name
    int64_t held_ms = -1;    // mono: restless, and somebody had it open for writing then; -1: not
    int64_t unread_ms = -1;  // wall: when the oldest unread byte was first seen
    uint64_t unread_to = 0;  // the bytes below were seen then; later ones at `unread_next_ms`
    int64_t unread_next_ms = -1;
    std::vector<std::string> aliases;  // other names that lead to it
  };
  Notes notes;
  // Keeps unread_ms true after the size was seen or the position moved.
  void note_unread(int64_t wall_ms);

 private:
  Result<Proof> head_intact();
  // Takes the bytes before an unproven position as they are; other: the file ends before it.
  Result<Proof> prove();

  std::string path_;
  std::string identity_;
  LogPlace place_;
  size_t source_ = 0;
  FileId id_ = 0;
  uint32_t generation_ = 0;
  FilePosition position_;
  uint64_t limit_ = UINT64_MAX;
  uint64_t stop_ = UINT64_MAX;
  Fd fd_;
};

}  // namespace tailrace
