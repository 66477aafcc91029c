// JANITOR: finishes what a dead incarnation left: seals its log, says that it is over, publishes
// every committed file that is not published yet, says DONE, clears its stage, and takes down its
// announcement. Thread: the road. A machine (store_procedure.h). docs/protocol.md, "JANITOR" and
// "GC".
#pragma once

#include <deque>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "center/names.h"
#include "center/record.h"
#include "center/store_procedure.h"
#include "center/take_over.h"

namespace tailrace {

class Janitor final : public StoreProcedure {
 public:
  // Staged files that are gone and of which that has been said: before that the log is not DONE.
  // nullopt: it need not be said.
  using Told = std::optional<std::set<std::string>>;

  // `me` and `sealed` must outlive it; `sealed` gets what is learned. `uuid` names the records that
  // it writes.
  Janitor(const Acquirer& me, SealedLogs& sealed, std::string log, uint64_t uuid, int64_t now_ms,
          Told told);

  std::optional<StoreRequest> next() override;
  void on(const StoreReply& reply) override;

  enum class Outcome {
    done,
    alive,   // nothing was done to it
    gone,    // say what is gone(), then again
    later,   // something cannot be published or removed now: come again (error() says what)
    failed,  // a record cannot be understood
  };
  [[nodiscard]] Outcome outcome() const { return outcome_; }
  [[nodiscard]] const Error& error() const { return error_; }
  [[nodiscard]] const std::string& log() const { return log_; }
  // What this run of the janitor made visible.
  [[nodiscard]] const std::vector<CommittedFile>& published() const { return published_; }
  // What is neither published nor staged: published and taken away since, or lost while it was
  // staged.
  [[nodiscard]] const std::vector<FileRef>& gone() const { return gone_; }

 private:
  enum class Step {
    list_log,
    read_claim,
    look_whether_cleared,
    take_over,
    say_over,
    publish,
    write_done,
    list_categories,
    list_stages,
    list_stage,
    remove_staged,
    list_tmp,
    remove_tmp,
    remove_announcement,
    remove_over,
    ended,
  };
  void on_claim(const StoreReply& reply);
  void after_take_over();
  void after_saying();
  void on_published(const StoreReply& reply);
  void waits(const FileRef& file, const Error& error);
  void after_publishing();
  void on_cleared(const StoreReply& reply);
  void take_leftovers(const std::string& directory, const std::vector<std::string>& names);
  // Is what is being removed the directory itself? It stays if it is in use after all.
  [[nodiscard]] bool at_directory() const { return leftovers_.size() == 1; }
  void next_category();
  void end(Outcome outcome, Error error = {});

  const Acquirer& me_;
  SealedLogs& sealed_;
  std::string log_;
  uint64_t uuid_;
  int64_t now_ms_;
  Told told_;
  Step step_ = Step::list_log;
  std::optional<TakeOver> take_over_;
  uint64_t epoch_ = 0;  // of the log's newest own claim
  uint64_t claim_entry_ = 0;
  std::deque<FileRef> to_publish_;
  std::optional<std::pair<Outcome, Error>> waits_;  // what cannot be done now, and why
  std::vector<CommittedFile> last_files_;
  std::vector<CommittedFile> published_;
  std::vector<FileRef> gone_;
  std::deque<std::string> categories_;
  std::deque<std::string>
      leftovers_;  // paths of what is to be removed; their directory is the last
  int relists_ = 0;
  Outcome outcome_ = Outcome::failed;
  Error error_;
};

}  // namespace tailrace
