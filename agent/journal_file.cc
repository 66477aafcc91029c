#include "agent/journal_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

#include "agent/journal_records.h"
#include "base/log.h"
#include "base/units.h"

namespace tailrace {

namespace {
constexpr size_t kMaxJournalBytes = 4ull << 30;
constexpr uint64_t kFoldFactor = 4;

struct Fresh {
  std::shared_ptr<Fd> fd;
  Result<void> result;
};

// A new file with these bytes, synced, under a name of its own.
Fresh write_fresh(const std::string& path, std::string_view bytes) {
  auto fd = open_file(path, O_RDWR | O_CREAT | O_TRUNC);
  if (!fd) return {nullptr, fd.error()};
  auto file = std::make_shared<Fd>(std::move(*fd));
  if (auto r = write_all(file->get(), bytes); !r) return {nullptr, r.error().within(path)};
  if (auto r = sync_data(file->get()); !r) return {nullptr, r.error().within(path)};
  return {std::move(file), {}};
}
}  // namespace

JournalFile::JournalFile(std::string path, Journal& journal, uint64_t fold_bytes)
    : path_(std::move(path)), journal_(journal), fold_bytes_(fold_bytes) {}

Result<void> JournalFile::open() {
  if (::access(path_.c_str(), F_OK) != 0) {
    std::string empty;
    journal_.encode_all(empty);
    if (auto r = replace_file(path_, empty); !r) return r.error().within("the agent's journal");
  }
  const auto bytes = read_file(path_, kMaxJournalBytes);
  if (!bytes) return bytes.error().within("the agent's journal");
  const auto replay = journal_.replay(*bytes);
  if (!replay)
    return Error{
        replay.error().kind,
        "the agent's journal " + path_ + " is damaged: " + replay.error().text +
            ". Move it away to go on from what the Local's spool knows; while that spool is "
            "there, nothing is lost or read twice"};
  if (replay->torn > 0)
    log::info("the agent's journal had a torn end of " + show_size(replay->torn) +
              ", as after a crash");
  end_ = replay->good;
  if (end_ > 0 && replay->version != kJournalVersion) {
    std::string renewed;
    journal_.encode_all(renewed);
    if (auto r = replace_file(path_, renewed); !r) return r.error().within("the agent's journal");
    end_ = renewed.size();
  }
  auto fd = open_file(path_, O_RDWR);
  if (!fd) return fd.error();
  if (::ftruncate(fd->get(), static_cast<off_t>(end_)) != 0)
    return errno_error(errno, "cutting " + path_);
  fd_ = std::make_shared<Fd>(std::move(*fd));
  folded_ = end_;
  unsynced_ = true;
  if (end_ == 0) broken_ = true;  // not even a header: the first keep() writes it anew
  return {};
}

Result<void> JournalFile::write() {
  std::string& records = journal_.unwritten();
  if (records.empty()) return {};
  if (broken_)
    return Error{Error::Kind::retry_later,
                 path_ + " could not be synced; a fresh one is to be written"};
  if (auto r = write_at(fd_->get(), records, end_); !r)
    return Error{Error::Kind::retry_later, path_ + ": " + r.error().text};
  end_ += records.size();
  if (folding_) since_fold_ += records;
  records.clear();
  unsynced_ = true;
  return {};
}

bool JournalFile::fold_due() const {
  return broken_ || (end_ > fold_bytes_ && end_ > kFoldFactor * folded_);
}

asio::awaitable<Result<void>> JournalFile::keep(Worker& worker) {
  if (fold_due()) {
    Result<void> folded = co_await fold(worker);
    co_return folded;
  }
  if (!unsynced_) co_return Result<void>();
  Result<void> synced = co_await sync(worker);
  co_return synced;
}

asio::awaitable<Result<void>> JournalFile::sync(Worker& worker) {
  const uint64_t end = end_;
  unsynced_ = false;
  const auto result = std::make_shared<Result<void>>();
  const std::shared_ptr<Fd> fd = fd_;
  std::function<void()> work = [fd, result] { *result = sync_data(fd->get()); };
  co_await worker.run(std::move(work));
  if (!result->ok()) {
    broken_ = true;
    co_return Error{Error::Kind::retry_later, path_ + ": " + result->error().text};
  }
  const bool quiet = journal_.unwritten().empty() && !unsynced_;
  journal_.mark_durable(end);
  const Result<void> marked = write();
  if (marked && quiet) unsynced_ = false;  // a mark alone is no reason to sync again
  co_return marked;
}

asio::awaitable<Result<void>> JournalFile::fold(Worker& worker) {
  const auto bytes = std::make_shared<std::string>();
  const auto fresh = std::make_shared<Fresh>();
  const std::string tmp = path_ + ".tmp";
  // The state includes what could not be written; of that, only what comes later is added.
  journal_.encode_all(*bytes);
  if (broken_)
    journal_.unwritten().clear();
  else if (auto r = write(); !r)
    co_return r;
  since_fold_.clear();
  folding_ = true;
  std::function<void()> work = [bytes, fresh, tmp] { *fresh = write_fresh(tmp, *bytes); };
  co_await worker.run(std::move(work));
  folding_ = false;
  Result<void> result = fresh->result;
  uint64_t end = bytes->size();
  if (result) result = write_at(fresh->fd->get(), since_fold_, end);
  end += since_fold_.size();
  if (result && ::rename(tmp.c_str(), path_.c_str()) != 0)
    result = errno_error(errno, "renaming onto " + path_);
  if (!result) {
    ::unlink(tmp.c_str());
    co_return Error{Error::Kind::retry_later, result.error().text};
  }
  fd_ = fresh->fd;
  end_ = end;
  folded_ = bytes->size();
  broken_ = false;
  unsynced_ = true;
  const auto named = std::make_shared<Result<void>>();
  const std::string folder = parent_path(path_);
  std::function<void()> sync_name = [named, folder] { *named = sync_directory(folder); };
  co_await worker.run(std::move(sync_name));
  if (!named->ok()) {
    broken_ = true;
    co_return Error{Error::Kind::retry_later, named->error().text};
  }
  co_return Result<void>();
}

}  // namespace tailrace
