#include "sinks/store/directory_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "sinks/store/spill.h"

namespace tailrace {

namespace {

constexpr size_t kMostRecordBytes = 64u << 20;  // a manifest of a long log
using Durability = DirectoryRoot::Durability;
using Moved = DirectoryRoot::Moved;

Error not_known(const std::string& what) { return Error{Error::Kind::retry_later, what}; }

class DirectoryStagedFile final : public StagedFile {
 public:
  DirectoryStagedFile(std::shared_ptr<const DirectoryRoot> root, std::string path, Fd fd)
      : root_(std::move(root)),
        path_(std::move(path)),
        spill_(std::move(fd), root_->shown(path_)) {}
  // Whatever it is of, a full disk needs the room: nobody else knows of it yet.
  ~DirectoryStagedFile() override {
    if (finished_) return;
    const auto mine = root_->is_name_of(path_, spill_.fd());
    if (mine && *mine) static_cast<void>(root_->remove(path_).ok());
  }
  DirectoryStagedFile(const DirectoryStagedFile&) = delete;
  DirectoryStagedFile& operator=(const DirectoryStagedFile&) = delete;

  Result<void> append(const std::vector<std::string_view>& pieces) override {
    return spill_.append(pieces);
  }
  Result<std::string> read(uint64_t offset, size_t n) override { return spill_.read(offset, n); }
  [[nodiscard]] uint64_t size() const override { return spill_.size(); }

  Result<void> finish() override {
    struct stat st {};
    if (::fstat(spill_.fd(), &st) != 0)
      return errno_error(errno, "fstat of " + root_->shown(path_));
    const auto length = static_cast<uint64_t>(st.st_size);
    if (length < spill_.size()) return spill_.shorter_than_written();
    if (length > spill_.size() && ::ftruncate(spill_.fd(), static_cast<off_t>(spill_.size())) != 0)
      return errno_error(errno, "cutting " + root_->shown(path_), Error::Kind::retry_later);
    if (auto r = sync_data(spill_.fd()); !r) return r.error().within(root_->shown(path_));
    const std::string directory = parent_path(path_);
    if (auto r = root_->make_directory(directory, Durability::durable); !r) return r;
    if (auto r = root_->sync_directory(directory); !r) return r;
    auto mine = root_->is_name_of(path_, spill_.fd());
    if (!mine) return mine.error();
    if (!*mine)
      return Error{Error::Kind::rejected,
                   root_->shown(path_) + " was removed by somebody while it was being written"};
    finished_ = true;
    return {};
  }

 private:
  std::shared_ptr<const DirectoryRoot> root_;
  std::string path_;
  Spill spill_;
  bool finished_ = false;
};

}  // namespace

Result<void> DirectoryRecords::write_tmp(const std::string& tmp, std::string_view record) {
  // Made anew, never written over: a rest under this name may be linked to a record by now.
  if (auto r = root_->remove(tmp); !r) return r.error();
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL;
  auto fd = root_->open_at(tmp, kFlags);
  if (!fd) {
    if (auto r = root_->make_directory(parent_path(tmp), Durability::later); !r) return r;
    fd = root_->open_at(tmp, kFlags);
  }
  if (!fd) return fd.error();
  if (auto r = write_at(fd->get(), record, 0); !r)
    return not_known(r.error().within(root_->shown(tmp)).text);
  struct stat st {};
  if (::fstat(fd->get(), &st) != 0 || static_cast<uint64_t>(st.st_size) != record.size())
    return not_known(root_->shown(tmp) + " is not as long as what was written to it");
  if (auto r = sync_data(fd->get()); !r) return r.error().within(root_->shown(tmp));
  return {};
}

Result<Cas> DirectoryRecords::cas(const std::string& name, std::string_view record, Parent parent,
                                  const std::string& tmp) {
  const std::string directory = parent_path(name);
  if (parent == Parent::make)
    if (auto r = root_->make_directory(directory, Durability::durable); !r) return r.error();
  auto stands = root_->is_directory(directory);
  if (!stands) return stands.error();
  if (!*stands) return Cas::no_directory;

  auto moved = [&]() -> Result<Moved> {
    if (auto r = write_tmp(tmp, record); !r) return r.error();
    return root_->move(tmp, name);
  }();
  if (!moved || *moved != Moved::yes) {
    const auto rest = root_->remove(tmp);  // a rest that stays is the janitor's
    static_cast<void>(rest);
  }
  if (!moved) return moved.error();
  if (*moved == Moved::yes) {
    if (auto r = root_->sync_directory(directory); !r) return r.error();
    return Cas::won;
  }
  if (*moved == Moved::taken) {
    auto holder = read(name);
    if (!holder) return holder.error();
    if (holder->has_value()) return **holder == record ? Cas::won : Cas::lost;
    return not_known(root_->shown(name) + " was taken and then removed");
  }
  stands = root_->is_directory(directory);
  if (!stands) return stands.error();
  if (!*stands) return Cas::no_directory;
  return not_known(root_->shown(tmp) + " was removed before it got its name");
}

Result<std::optional<std::string>> DirectoryRecords::read(const std::string& name) {
  auto there = root_->exists(name);
  if (!there) return there.error();
  if (!*there) return std::optional<std::string>();
  auto fd = root_->open_at(name, O_RDONLY | O_NONBLOCK);
  if (!fd) return fd.error();
  struct stat st {};
  if (::fstat(fd->get(), &st) != 0) return errno_error(errno, "fstat of " + root_->shown(name));
  if (!S_ISREG(st.st_mode) || static_cast<uint64_t>(st.st_size) > kMostRecordBytes)
    return Error{Error::Kind::rejected,
                 root_->shown(name) + " is no record of ours: too large, or no file"};
  std::string bytes(static_cast<size_t>(st.st_size), '\0');
  auto n = read_at(fd->get(), bytes.data(), bytes.size(), 0);
  if (!n) return not_known(n.error().within(root_->shown(name)).text);
  bytes.resize(*n);
  if (auto r = root_->sync_directory(parent_path(name)); !r) return r.error();
  return std::optional<std::string>(std::move(bytes));
}

Result<std::vector<std::string>> DirectoryRecords::list(const std::string& directory) {
  auto names = root_->list(directory);
  if (!names || names->empty()) return names;
  if (auto r = root_->sync_directory(directory); !r) return r.error();
  return names;
}

Result<void> DirectoryRecords::remove(const std::string& name) {
  auto removed = root_->remove(name);
  if (!removed) return removed.error();
  const std::string directory = parent_path(name);
  auto stands = root_->is_directory(directory);
  if (!stands) return stands.error();
  if (!*stands) return {};
  return root_->sync_directory(directory);
}

Result<void> DirectoryRecords::make_directory(const std::string& directory) {
  return root_->make_directory(directory, Durability::durable);
}

// The names are synced by finish(), so that nothing here waits for the disk.
Result<std::unique_ptr<StagedFile>> DirectoryFiles::stage(const std::string& staged) {
  if (auto r = root_->make_directory(parent_path(staged), Durability::later); !r) return r.error();
  auto fd = root_->open_at(staged, O_RDWR | O_CREAT | O_EXCL);
  if (!fd) return fd.error();
  return std::unique_ptr<StagedFile>(
      std::make_unique<DirectoryStagedFile>(root_, staged, *std::move(fd)));
}

Result<Published> DirectoryFiles::publish(const std::string& staged,
                                          const std::string& final_path) {
  const std::string stage_directory = parent_path(staged), directory = parent_path(final_path);
  if (auto r = root_->make_directory(directory, Durability::durable); !r) return r.error();
  auto moved = root_->move(staged, final_path);
  if (!moved) return moved.error();
  // Presence is proof: names are never given twice.
  auto stands = root_->exists(final_path);
  if (!stands) return stands.error();
  if (!*stands) {
    auto parent_stands = root_->is_directory(directory);
    if (!parent_stands) return parent_stands.error();
    // The rename itself, not a look, said that the staged file is gone.
    if (*moved == Moved::absent && *parent_stands) return Published::before;
    return not_known(root_->shown(final_path) + " was removed while it was published");
  }
  if (*moved == Moved::taken)
    if (auto r = root_->remove(staged); !r) return r.error();
  if (auto r = root_->sync_directory(directory); !r) return r.error();
  auto stage_stands = root_->is_directory(stage_directory);
  if (!stage_stands) return stage_stands.error();
  if (!*stage_stands) return Published::now;
  if (auto r = root_->sync_directory(stage_directory); !r) return r.error();
  return Published::now;
}

Result<void> DirectoryFiles::remove(const std::string& staged) {
  auto removed = root_->remove(staged);
  if (!removed) return removed.error();
  return {};
}

Result<std::vector<std::string>> DirectoryFiles::list(const std::string& directory) {
  return root_->list(directory);
}

Result<DirectoryStore> open_directory_store(const std::string& root, Exclusive exclusive) {
  auto opened = DirectoryRoot::open(root, exclusive);
  if (!opened) return opened.error();
  const auto shared = std::make_shared<const DirectoryRoot>(*std::move(opened));
  DirectoryStore store;
  store.records = std::make_unique<DirectoryRecords>(shared);
  store.files = std::make_unique<DirectoryFiles>(shared);
  return store;
}

}  // namespace tailrace
