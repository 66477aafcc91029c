#include "local/spool_disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>

#include "local/spool_record.h"

namespace tailrace {

namespace {
constexpr size_t kLeastSegments = 2;  // made even where little is left free
// Those that <linux/magic.h> does not name; 9p is the folder of a virtual machine's host.
constexpr int64_t kCifsMagic = 0xFF534D42, kSmb2Magic = 0xFE534D42, kLustreMagic = 0x0BD00BD0,
                  kGpfsMagic = 0x47504653, kBeeGfsMagic = 0x19830326, kNcpMagic = 0x564C;

Error fatal(const Error& error) { return {Error::Kind::fatal, error.text}; }

bool on_network(const struct statfs& fs) {
  const auto type = static_cast<int64_t>(static_cast<uint32_t>(fs.f_type));
  constexpr int64_t kAll[] = {NFS_SUPER_MAGIC, SMB_SUPER_MAGIC,  kCifsMagic,       kSmb2Magic,
                              AFS_SUPER_MAGIC, CODA_SUPER_MAGIC, CEPH_SUPER_MAGIC, V9FS_MAGIC,
                              kLustreMagic,    kGpfsMagic,       kBeeGfsMagic,     kNcpMagic};
  return std::find(std::begin(kAll), std::end(kAll), type) != std::end(kAll);
}
}  // namespace

SpoolDisk::SpoolDisk(std::string directory, uint32_t leave_free_percent, uint64_t leave_free_bytes)
    : directory_(std::move(directory)),
      leave_free_percent_(leave_free_percent),
      leave_free_bytes_(leave_free_bytes) {}

Result<void> SpoolDisk::open() {
  if (auto made = make_directories(directory_); !made) return made.error().within("spool");
  struct statfs fs {};
  if (::statfs(directory_.c_str(), &fs) != 0) return errno_error(errno, "statfs of " + directory_);
  if (on_network(fs))
    return Error{Error::Kind::rejected, "the spool " + directory_ +
                                            " lies on a network filesystem, where what was synced "
                                            "may still be lost: put it on a local disk"};
  return {};
}

// --- operations -------------------------------------------------------------------------------

Result<void> SpoolDisk::apply(const SpoolGroup& group) {
  for (const SpoolOp& op : group.ops)
    if (auto done = carry_out(op, group); !done) return done.error().within("spool " + directory_);
  return {};
}

Result<void> SpoolDisk::carry_out(const SpoolOp& op, const SpoolGroup& group) {
  switch (op.kind) {
    case SpoolOp::Kind::create: return create(op);
    case SpoolOp::Kind::write: {
      const Result<void> written = write(op, group);
      return written ? written : fatal(written.error().within(op.name));
    }
    case SpoolOp::Kind::sync: {
      const Result<int> fd = opened(op.name);
      if (!fd) return fatal(fd.error());
      const Result<void> synced = sync_data(*fd);
      return synced ? synced : fatal(synced.error().within(op.name));
    }
    case SpoolOp::Kind::sync_names: {
      const Result<void> synced = sync_directory(directory_);
      return synced ? synced : fatal(synced.error());
    }
    case SpoolOp::Kind::rename:
      if (::rename(path(op.name).c_str(), path(op.to).c_str()) != 0)
        return fatal(errno_error(errno, "renaming " + op.name + " to " + op.to));
      if (open_name_ == op.name) open_name_ = op.to;
      return {};
    case SpoolOp::Kind::remove:
      if (open_name_ == op.name) open_name_.clear();
      if (::unlink(path(op.name).c_str()) != 0)
        return fatal(errno_error(errno, "removing " + op.name));
      return {};
  }
  return {};
}

Result<int> SpoolDisk::opened(const std::string& name) {
  if (open_name_ == name && open_.valid()) return open_.get();
  Result<Fd> fd = open_file(path(name), O_RDWR);
  if (!fd) return fd.error();
  open_ = std::move(*fd);
  open_name_ = name;
  return open_.get();
}

Result<void> SpoolDisk::write(const SpoolOp& op, const SpoolGroup& group) {
  const Result<int> fd = opened(op.name);
  if (!fd) return fd.error();
  std::vector<iovec> pieces;
  pieces.reserve(op.pieces);
  for (size_t i = op.first_piece; i < op.first_piece + op.pieces; ++i) {
    const std::string_view piece = group.pieces[i];
    pieces.push_back({const_cast<char*>(piece.data()), piece.size()});  // it is only read
  }
  return write_at(*fd, pieces, op.offset);
}

Result<void> SpoolDisk::room_left(uint64_t bytes) {
  const Result<std::vector<SpoolFile>> here = files();
  if (!here) return here.error();
  if (here->size() < kLeastSegments) return {};
  struct statvfs fs {};
  if (::statvfs(directory_.c_str(), &fs) != 0) return errno_error(errno, "statvfs");
  const uint64_t total = uint64_t{fs.f_blocks} * fs.f_frsize;
  const uint64_t free = uint64_t{fs.f_bavail} * fs.f_frsize;
  const uint64_t leave = std::min(total / 100 * leave_free_percent_, leave_free_bytes_);
  if (free >= bytes + leave) return {};
  return Error{Error::Kind::retry_later, "the disk is nearly full: " + std::to_string(free >> 20) +
                                             " MiB are free and " + std::to_string(leave >> 20) +
                                             " MiB are left to others; make room, or give the "
                                             "spool another disk"};
}

// The one place where a full disk may show. Only that is retry_later, and it leaves nothing behind.
Result<void> SpoolDisk::create(const SpoolOp& op) {
  if (auto room = room_left(op.bytes); !room) return room;
  Result<Fd> fd = open_file(path(op.name), O_RDWR | O_CREAT | O_TRUNC);
  if (!fd) {
    const bool full = errno == ENOSPC || errno == EDQUOT;
    return full ? fd.error() : fatal(fd.error());
  }
  int failed = 0;
  do failed = ::posix_fallocate(fd->get(), 0, static_cast<off_t>(op.bytes));
  while (failed == EINTR);
  if (failed == 0) {
    open_ = std::move(*fd);
    open_name_ = op.name;
    return {};
  }
  const Error error =
      errno_error(failed, "allocating " + std::to_string(op.bytes >> 20) + " MiB for " + op.name);
  if (::unlink(path(op.name).c_str()) != 0 || (failed != ENOSPC && failed != EDQUOT))
    return fatal(error);
  return Error{Error::Kind::retry_later, error.text};
}

// --- reading ----------------------------------------------------------------------------------

Result<std::vector<SpoolFile>> SpoolDisk::files() {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(directory_.c_str()), ::closedir);
  if (!dir) return errno_error(errno, "reading directory " + directory_);
  std::vector<SpoolFile> files;
  for (;;) {
    errno = 0;
    const dirent* const entry = ::readdir(dir.get());
    if (entry == nullptr) break;
    const std::string name = entry->d_name;
    if (parse_spool_name(name).first == SpoolName::other) continue;
    struct stat st {};
    if (::stat(path(name).c_str(), &st) != 0) return errno_error(errno, "stat of " + path(name));
    files.push_back({name, static_cast<uint64_t>(st.st_size)});
  }
  if (errno != 0) return errno_error(errno, "reading directory " + directory_);
  return files;
}

Result<void> SpoolDisk::read(const std::string& name, uint64_t offset, size_t n, std::string& out) {
  out.clear();
  const Result<int> fd = opened(name);
  if (!fd) return fd.error();
  out.resize(n);
  const Result<size_t> got = read_at(*fd, out.data(), n, offset);
  if (!got) return got.error().within(path(name));
  out.resize(*got);
  return {};
}

Result<std::string> SpoolDisk::read_record(const Spool::Place& place) const {
  const Result<Fd> fd = open_file(path(place.segment), O_RDONLY);
  if (!fd) return fd.error();
  std::string bytes(place.bytes, '\0');
  const Result<size_t> got = read_at(fd->get(), bytes.data(), bytes.size(), place.offset);
  if (!got) return got.error().within(path(place.segment));
  bytes.resize(*got);
  return bytes;
}

Result<std::string> SpoolDisk::set_aside(const Spool::Place& place, const std::string& name) const {
  const Result<std::string> record = read_record(place);
  if (!record) return record.error();
  if (record->size() < kRecordHeaderBytes)
    return Error{Error::Kind::corrupt, path(place.segment) + " ends before the batch"};
  const std::string folder = path("quarantine");
  if (auto made = make_directories(folder); !made) return made.error();
  const std::string file = folder + "/" + name;
  const std::string_view batch = std::string_view(*record).substr(kRecordHeaderBytes);
  if (auto written = replace_file(file, batch); !written) return written.error();
  return file;
}

}  // namespace tailrace
