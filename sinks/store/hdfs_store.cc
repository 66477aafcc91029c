#include "sinks/store/hdfs_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/random.h"
#include "sinks/store/hdfs_checksum.h"
#include "sinks/store/spill.h"

namespace tailrace {

namespace {

constexpr size_t kMostRecordBytes = 64u << 20;  // a manifest of a long log

Error not_known(std::string what) { return Error{Error::Kind::retry_later, std::move(what)}; }

// Whatever stays, the janitor of its directory takes away.
void try_to_remove(HdfsClient& client, const std::string& path, const HdfsRights& as = {}) {
  const HdfsAnswer removed = client.remove(path, as);
  static_cast<void>(removed);
}

Result<void> removed(HdfsClient& client, const std::string& path, const HdfsRights& as = {}) {
  const HdfsAnswer answer = client.remove(path, as);
  if (answer.outcome == HdfsOutcome::done || answer.outcome == HdfsOutcome::absent) return {};
  return hdfs_error(answer, "removing " + path);
}

Result<void> made(HdfsClient& client, const std::string& directory, const HdfsRights& as = {}) {
  const HdfsAnswer answer = client.make_directory(directory, as);
  if (answer.outcome == HdfsOutcome::done && answer.yes) return {};
  return hdfs_error(answer, "making the directory " + directory);
}

Result<std::vector<std::string>> listed(HdfsClient& client, const std::string& directory,
                                        const HdfsRights& as = {}) {
  std::vector<std::string> names;
  for (;;) {
    const HdfsAnswer page = client.list(directory, names.empty() ? "" : names.back(), as);
    if (page.outcome == HdfsOutcome::absent) return names;
    if (page.outcome != HdfsOutcome::done) return hdfs_error(page, "listing " + directory);
    for (const HdfsEntry& entry : page.entries) {
      if (entry.name.empty())
        return Error{Error::Kind::rejected, directory + " is a file, not a directory"};
      if (!names.empty() && entry.name <= names.back())
        return not_known("listing " + directory + ": the names are not in order");
      names.push_back(entry.name);
    }
    if (page.more == 0 || page.entries.empty()) return names;
  }
}

// A file with all of `body`, under a name that was never used before; the id it has. After an error
// a part of it may stand there, now or later: the name is used no more.
Result<uint64_t> written(HdfsClient& client, const std::string& path, const HttpBody& body,
                         const HdfsRights& as = {}) {
  const std::string doing = "writing " + path;
  const HdfsAnswer created = client.create(path, body, as);
  if (created.outcome != HdfsOutcome::done) {
    try_to_remove(client, path, as);
    return hdfs_error(created, doing);
  }
  const HdfsAnswer stands = client.status(path, as);
  if (stands.outcome != HdfsOutcome::done) return hdfs_error(stands, doing);
  const HdfsAnswer group = client.set_group(path, as);
  if (group.outcome != HdfsOutcome::done) {
    try_to_remove(client, path, as);
    return hdfs_error(group, "giving " + path + " to the group " + as.group);
  }
  const HdfsEntry& file = stands.entries.front();
  if (!file.directory && file.length == body.length) return file.file_id;
  try_to_remove(client, path, as);
  return not_known(doing + ": of " + std::to_string(body.length) + " bytes " +
                   std::to_string(file.length) + " came");
}

HttpBody body_of(std::string_view bytes) {
  return {bytes.size(), [bytes](uint64_t offset, char* into, size_t n) -> Result<size_t> {
            std::memcpy(into, bytes.data() + offset, n);
            return n;
          }};
}

class HdfsStagedFile final : public StagedFile {
 public:
  HdfsStagedFile(std::shared_ptr<HdfsClients> clients, const std::string& name, Fd fd)
      : clients_(std::move(clients)),
        as_(clients_->rights_of(name)),
        path_(clients_->path(name)),
        spill_(std::move(fd), "the spill of " + path_) {}

  Result<void> append(const std::vector<std::string_view>& pieces) override {
    return spill_.append(pieces);
  }
  Result<std::string> read(uint64_t offset, size_t n) override { return spill_.read(offset, n); }
  [[nodiscard]] uint64_t size() const override { return spill_.size(); }

  Result<void> finish() override {
    const auto client = clients_->one();
    return send(*client);
  }

 private:
  // All uploads of a sink share what may be sent a second.
  void keep_pace(size_t bytes) const {
    const auto& pace = clients_->settings().pace;
    if (!pace) return;
    const int64_t ms = pace->with([&](Pace& all) { return all.wait_ms(bytes, mono_ms()); });
    if (ms > 0) ::usleep(static_cast<useconds_t>(ms * 1'000));
  }

  // By option: that nothing on the way, and no memory of a DataNode's, has changed a byte.
  Result<void> verify(HdfsClient& client, const std::string& part) {
    if (clients_->settings().writing.verify == HdfsVerify::length || spill_.size() == 0) return {};
    const std::string doing = "verifying " + part;
    const HdfsAnswer answer = client.checksum(part, as_);
    if (answer.outcome != HdfsOutcome::done) return hdfs_error(answer, doing);
    const HttpBody sent = {spill_.size(), [this](uint64_t offset, char* into, size_t n) {
                             return read_at(spill_.fd(), into, n, offset);
                           }};
    const auto same = is_checksum_of(*answer.checksum, sent);
    if (!same) return same.error().within(doing);
    if (*same) return {};
    return not_known(doing + ": HDFS has other bytes than were sent (" +
                     answer.checksum->algorithm + "): it is sent again");
  }

  Result<void> send(HdfsClient& client) {
    const std::string part = path_ + "." + std::to_string(++tries_);
    const HttpBody body = {spill_.size(), [this](uint64_t offset, char* into, size_t n) {
                             keep_pace(n);
                             return read_at(spill_.fd(), into, n, offset);
                           }};
    const auto file_id = written(client, part, body, as_);
    if (!file_id) return file_id.error();
    if (auto r = verify(client, part); !r) {
      try_to_remove(client, part, as_);
      return r;
    }
    ours_.push_back(*file_id);
    const HdfsAnswer renamed = client.rename(part, path_, as_);
    if (renamed.outcome == HdfsOutcome::done && renamed.yes) return {};
    // Not known, or the name is taken: by an earlier try of ours whose answer was lost, or not.
    const HdfsAnswer holder = client.status(path_, as_);
    try_to_remove(client, part, as_);
    if (holder.outcome == HdfsOutcome::absent) return hdfs_error(renamed, "renaming " + part);
    if (holder.outcome != HdfsOutcome::done) return hdfs_error(holder, "looking at " + path_);
    const uint64_t id = holder.entries.front().file_id;
    if (id != 0 && std::find(ours_.begin(), ours_.end(), id) != ours_.end()) return {};
    return Error{Error::Kind::rejected, path_ + " is taken by a file that is not ours"};
  }

  std::shared_ptr<HdfsClients> clients_;
  HdfsRights as_;
  std::string path_;
  Spill spill_;
  uint64_t tries_ = 0;
  std::vector<uint64_t> ours_;  // ids of whole files that may have got the name
};

// Without a name on the disk, so that nothing is left of it whatever ends this process.
Result<Fd> nameless_file(const std::string& directory) {
  const std::string name = directory + "/" + hex16(os_random());
  auto fd = open_file(name, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (fd && ::unlink(name.c_str()) != 0) return errno_error(errno, "unlinking " + name);
  return fd;
}

// What stands under a path; nothing: nullopt.
Result<std::optional<std::string>> record_at(HdfsClient& client, const std::string& path) {
  const std::string doing = "reading " + path;
  const HdfsAnswer stands = client.status(path);
  if (stands.outcome == HdfsOutcome::absent) return std::optional<std::string>();
  if (stands.outcome != HdfsOutcome::done) return hdfs_error(stands, doing);
  const HdfsEntry& file = stands.entries.front();
  if (file.directory || file.length > kMostRecordBytes)
    return Error{Error::Kind::rejected, path + " is no record of ours: too large, or no file"};
  std::string bytes;
  if (file.length == 0) return std::optional<std::string>(bytes);
  const HdfsAnswer opened = client.open(path, kMostRecordBytes, bytes);
  if (opened.outcome == HdfsOutcome::absent) return std::optional<std::string>();
  if (opened.outcome != HdfsOutcome::done) return hdfs_error(opened, doing);
  if (bytes.size() != file.length)
    return not_known(doing + ": of " + std::to_string(file.length) + " bytes " +
                     std::to_string(bytes.size()) + " came");
  return std::optional<std::string>(std::move(bytes));
}

// Whether `record`, written as the file `file_id`, has that name.
Result<Cas> whose(HdfsClient& client, const std::string& name, std::string_view record,
                  uint64_t file_id, const HdfsAnswer& renamed) {
  const HdfsAnswer holder = client.status(name);
  if (holder.outcome == HdfsOutcome::done) {
    const HdfsEntry& entry = holder.entries.front();
    if (entry.directory)
      return Error{Error::Kind::rejected, name + " is a directory: no record of ours"};
    if (file_id != 0 && entry.file_id == file_id) return Cas::won;
    auto theirs = record_at(client, name);
    if (!theirs) return theirs.error();
    if (theirs->has_value()) return **theirs == record ? Cas::won : Cas::lost;
    return not_known(name + " was taken and then removed");
  }
  if (holder.outcome != HdfsOutcome::absent) return hdfs_error(holder, "looking at " + name);
  const std::string directory = parent_path(name);
  const HdfsAnswer above = client.status(directory);
  if (above.outcome == HdfsOutcome::absent) return Cas::no_directory;
  if (above.outcome != HdfsOutcome::done) return hdfs_error(above, "looking at " + directory);
  return hdfs_error(renamed, "giving a record the name " + name);
}

}  // namespace

HdfsClients::HdfsClients(HdfsSettings settings) {
  auto first = std::make_unique<HdfsClient>(std::move(settings));  // makes what all share
  settings_ = first->settings();
  idle_.with([&](auto& idle) { idle.push_back(std::move(first)); });
}

HdfsClients::Lent HdfsClients::one() {
  auto client = idle_.with([](auto& idle) {
    std::unique_ptr<HdfsClient> last;
    if (!idle.empty()) {
      last = std::move(idle.back());
      idle.pop_back();
    }
    return last;
  });
  if (!client) client = std::make_unique<HdfsClient>(settings_);
  return {client.release(), [this](HdfsClient* lent) {
            std::unique_ptr<HdfsClient> back(lent);
            idle_.with([&](auto& idle) { idle.push_back(std::move(back)); });
          }};
}

Result<Cas> HdfsRecords::cas(const std::string& name, std::string_view record, Parent parent,
                             const std::string& tmp) {
  const auto client = clients_->one();
  const std::string to = clients_->path(name), from = clients_->path(tmp);
  if (parent == Parent::make)
    if (auto r = made(*client, parent_path(to)); !r) return r.error();
  const auto file_id = written(*client, from, body_of(record));
  if (!file_id) return file_id.error();
  const HdfsAnswer renamed = client->rename(from, to);
  auto cas = whose(*client, to, record, *file_id, renamed);
  if (renamed.outcome == HdfsOutcome::done && renamed.yes) {
    // A directory of somebody's in the record's place takes it in instead of refusing it.
    if (!cas && cas.error().kind == Error::Kind::rejected)
      try_to_remove(*client, to + from.substr(from.rfind('/')));
  } else {
    try_to_remove(*client, from);
  }
  return cas;
}

Result<std::optional<std::string>> HdfsRecords::read(const std::string& name) {
  const auto client = clients_->one();
  return record_at(*client, clients_->path(name));
}

Result<std::vector<std::string>> HdfsRecords::list(const std::string& directory) {
  return listed(*clients_->one(), clients_->path(directory));
}

Result<void> HdfsRecords::remove(const std::string& name) {
  return removed(*clients_->one(), clients_->path(name));
}

Result<void> HdfsRecords::make_directory(const std::string& directory) {
  return made(*clients_->one(), clients_->path(directory));
}

Result<std::unique_ptr<StagedFile>> HdfsFiles::stage(const std::string& staged) {
  auto fd = nameless_file(clients_->settings().spill_dir);
  if (!fd) return Error{Error::Kind::retry_later, fd.error().text};
  return std::unique_ptr<StagedFile>(
      std::make_unique<HdfsStagedFile>(clients_, staged, *std::move(fd)));
}

Result<Published> HdfsFiles::publish(const std::string& staged, const std::string& final_path) {
  const auto client = clients_->one();
  const std::string from = clients_->path(staged), to = clients_->path(final_path);
  const std::string doing = "publishing " + to;
  const HdfsRights& as = clients_->rights_of(final_path);
  HdfsAnswer renamed = client->rename(from, to, as);
  if (renamed.outcome == HdfsOutcome::done && renamed.yes) return Published::now;
  if (renamed.outcome != HdfsOutcome::done) return hdfs_error(renamed, doing);
  // The name is taken, the staged file is gone, or there is no directory yet.
  HdfsAnswer stands = client->status(to, as);
  if (stands.outcome == HdfsOutcome::absent) {
    if (auto r = made(*client, parent_path(to), as); !r) return r.error();
    renamed = client->rename(from, to, as);
    if (renamed.outcome == HdfsOutcome::done && renamed.yes) return Published::now;
    // Only a call that would change it can be sure that the staged file is gone; and then nobody
    // gives it the name any more.
    const HdfsAnswer gone = client->touch(from, as);
    stands = client->status(to, as);
    if (gone.outcome == HdfsOutcome::absent && stands.outcome == HdfsOutcome::absent)
      return Published::before;
  }
  if (stands.outcome == HdfsOutcome::absent) return hdfs_error(renamed, doing);
  if (stands.outcome != HdfsOutcome::done) return hdfs_error(stands, doing);
  // Presence is proof: names are never given twice.
  if (auto r = removed(*client, from, as); !r) return r.error();
  return Published::now;
}

Result<void> HdfsFiles::remove(const std::string& staged) {
  return removed(*clients_->one(), clients_->path(staged), clients_->rights_of(staged));
}

Result<std::vector<std::string>> HdfsFiles::list(const std::string& directory) {
  return listed(*clients_->one(), clients_->path(directory), clients_->rights_of(directory));
}

Result<HdfsStore> open_hdfs_store(const HdfsSettings& settings) {
  if (auto r = make_directories(settings.spill_dir); !r) return r.error();
  const auto clients = std::make_shared<HdfsClients>(settings);
  HdfsStore store;
  store.records = std::make_unique<HdfsRecords>(clients);
  store.files = std::make_unique<HdfsFiles>(clients);
  return store;
}

}  // namespace tailrace
