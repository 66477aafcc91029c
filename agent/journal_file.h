// The journal on the disk: appended to before a batch is sent, synced about once a second on a
// worker, and now and then folded into a fresh file that takes its place. Thread: the road.
#pragma once

#include <asio/awaitable.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "agent/journal.h"
#include "base/file.h"
#include "base/result.h"
#include "base/worker.h"

namespace tailrace {

class JournalFile {
 public:
  // `journal` must outlive the file. Folded when it is larger than `fold_bytes` and than four times
  // what the last fold wrote.
  JournalFile(std::string path, Journal& journal, uint64_t fold_bytes = 1u << 20);

  // Replays what is there into the journal, cutting a torn end off; makes an empty one if there is
  // none. Blocks. corrupt or rejected: the text names the file and says what to do.
  Result<void> open();
  // Appends the journal's unwritten records, not synced. On an error (a full disk, say) they stay
  // unwritten, nothing is half there for a reader, and the next call tries again.
  Result<void> write();
  // Syncs what was written since the last time, and folds when that is due. A failed sync is not
  // tried again: the whole state goes into a fresh file instead, and until that is done write()
  // fails.
  asio::awaitable<Result<void>> keep(Worker& worker);

  [[nodiscard]] uint64_t bytes() const { return end_; }

 private:
  [[nodiscard]] bool fold_due() const;
  asio::awaitable<Result<void>> sync(Worker& worker);
  asio::awaitable<Result<void>> fold(Worker& worker);

  std::string path_;
  Journal& journal_;
  uint64_t fold_bytes_;
  std::shared_ptr<Fd> fd_;  // shared with a worker that syncs it
  uint64_t end_ = 0;        // where the next record goes
  uint64_t folded_ = 0;     // what the last fold wrote
  bool unsynced_ = false;
  bool broken_ = false;  // a sync failed: this file is not to be relied on
  bool folding_ = false;
  std::string since_fold_;  // written while a fold is under way
};

}  // namespace tailrace
