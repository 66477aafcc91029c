#include "agent/file_identity.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cstring>

#include "base/hash.h"
#include "control.pb.h"

namespace tailrace {

namespace {
// Nobody there, or we could not look: the difference decides whether a file counts as deleted.
Error cannot(std::string_view call) {
  const int error = errno;
  if (error == ENOENT || error == ENOTDIR || error == ESTALE)
    return Error{Error::Kind::closed, "there is no such file"};
  return errno_error(error, call, Error::Kind::retry_later);
}

Result<FileFacts> facts(int fd, const char* path, int flags) {
  struct statx sx {};
  if (::statx(fd, path, flags | AT_STATX_DONT_SYNC, STATX_BASIC_STATS | STATX_BTIME, &sx) != 0)
    return cannot("statx");
  FileFacts f;
  f.device = makedev(sx.stx_dev_major, sx.stx_dev_minor);
  f.inode = sx.stx_ino;
  if (sx.stx_mask & STATX_BTIME)
    f.birth_ns = sx.stx_btime.tv_sec * 1'000'000'000 + sx.stx_btime.tv_nsec;
  f.written_ms = sx.stx_mtime.tv_sec * 1'000 + sx.stx_mtime.tv_nsec / 1'000'000;
  f.size = sx.stx_size;
  f.links = sx.stx_nlink;
  f.mode = sx.stx_mode;
  f.owner = sx.stx_uid;
  return f;
}

// The kernel's file_handle with room behind it, and as the bytes that the identity keeps.
struct Handle {
  alignas(struct file_handle) char bytes[sizeof(struct file_handle) + MAX_HANDLE_SZ] = {};
  struct file_handle* get() {
    return reinterpret_cast<struct file_handle*>(bytes);
  }

  [[nodiscard]] std::string pack() {
    std::string out(sizeof get()->handle_type + get()->handle_bytes, '\0');
    std::memcpy(out.data(), &get()->handle_type, sizeof get()->handle_type);
    std::memcpy(out.data() + sizeof get()->handle_type, get()->f_handle, get()->handle_bytes);
    return out;
  }
  [[nodiscard]] bool unpack(std::string_view in) {
    if (in.size() < sizeof get()->handle_type) return false;
    std::memcpy(&get()->handle_type, in.data(), sizeof get()->handle_type);
    in.remove_prefix(sizeof get()->handle_type);
    if (in.empty() || in.size() > MAX_HANDLE_SZ) return false;
    std::memcpy(get()->f_handle, in.data(), in.size());
    get()->handle_bytes = static_cast<unsigned>(in.size());
    return true;
  }
};

// XFS_IOC_FSGEOMETRY_V1 of the kernel's fs/xfs/libxfs/xfs_fs.h, which no header for programs has.
struct XfsGeometry {
  uint32_t sizes[8];
  uint64_t blocks[4];
  unsigned char uuid[16];
  uint32_t more[7];
};
constexpr unsigned long kXfsGeometry = _IOR('X', 100, XfsGeometry);

// The file itself, or its folder if that is on the same filesystem (a file may be mounted alone).
Result<Fd> open_on(const std::string& path, const FileFacts& facts) {
  constexpr int kFolder = O_RDONLY | O_DIRECTORY;
  constexpr int kFile = O_RDONLY | O_NONBLOCK | O_NOFOLLOW;
  if (facts.regular() || facts.directory())
    if (auto fd = open_file(path, facts.directory() ? kFolder : kFile)) return fd;
  auto folder = open_file(parent_path(path), kFolder);
  if (!folder) return Error{Error::Kind::retry_later, folder.error().text};
  const auto above = facts_of(folder->get());
  if (above && above->device == facts.device) return folder;
  return Error{Error::Kind::retry_later, "neither it nor its folder can be opened"};
}

// XFS makes f_fsid of its device's number, and disks may be numbered otherwise after a reboot: all
// files on them would be others. Its uuid stays.
Result<uint64_t> number_of_xfs(int fd, const char* path, const FileFacts& facts) {
  Fd own;
  if (*path) {
    auto opened = open_on(path, facts);
    if (!opened) return opened.error();
    own = std::move(*opened);
    fd = own.get();
  }
  XfsGeometry geometry{};
  if (::ioctl(fd, kXfsGeometry, &geometry) != 0) return cannot("ioctl(XFS_IOC_FSGEOMETRY_V1)");
  const std::string_view uuid(reinterpret_cast<const char*>(geometry.uuid), sizeof geometry.uuid);
  return xxh3(uuid);
}

// statfs follows a symlink; a symlink is never asked for its identity.
Result<uint64_t> filesystem(int fd, const char* path, const FileFacts& facts) {
  struct statfs fs {};
  if ((*path ? ::statfs(path, &fs) : ::fstatfs(fd, &fs)) != 0) return cannot("statfs");
  if (fs.f_type == XFS_SUPER_MAGIC) return number_of_xfs(fd, path, facts);
  uint64_t number = 0;
  static_assert(sizeof fs.f_fsid == sizeof number);
  std::memcpy(&number, &fs.f_fsid, sizeof number);
  return number ? number : facts.device;
}

Result<std::string> identity(int fd, const char* path, int flags) {
  const auto f = facts(fd, path, flags);
  if (!f) return f.error();
  const auto number = filesystem(fd, path, *f);
  if (!number) return number.error();
  proto::FileIdentity out;
  out.set_filesystem(*number);
  Handle handle;
  handle.get()->handle_bytes = MAX_HANDLE_SZ;
  int mount = 0;
  if (::name_to_handle_at(fd, path, handle.get(), &mount, flags & AT_EMPTY_PATH) == 0) {
    out.set_handle(handle.pack());
  } else {
    if (errno == ENOENT) return cannot("name_to_handle_at");
    out.set_inode(f->inode);
    out.set_birth_ns(f->birth_ns);
  }
  return out.SerializeAsString();
}
}  // namespace

bool FileFacts::regular() const { return S_ISREG(mode); }
bool FileFacts::symlink() const { return S_ISLNK(mode); }
bool FileFacts::directory() const { return S_ISDIR(mode); }

std::string_view kind_of_file(uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG: return "a regular file";
    case S_IFDIR: return "a directory";
    case S_IFIFO: return "a FIFO";
    case S_IFSOCK: return "a socket";
    case S_IFLNK: return "a symlink";
    default: return "a device";
  }
}

Result<FileFacts> facts_at(const std::string& path) {
  return facts(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW);
}
Result<FileFacts> facts_of(int fd) { return facts(fd, "", AT_EMPTY_PATH); }

Result<std::string> identity_at(const std::string& path) {
  return identity(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW);
}
Result<std::string> identity_of(int fd) { return identity(fd, "", AT_EMPTY_PATH); }

Result<bool> on_filesystem(std::string_view identity, const std::string& folder) {
  proto::FileIdentity who;
  if (!who.ParseFromArray(identity.data(), static_cast<int>(identity.size())))
    return Error{Error::Kind::rejected, "this is no identity"};
  const auto f = facts(AT_FDCWD, folder.c_str(), 0);
  if (!f) return f.error();
  const auto number = filesystem(AT_FDCWD, folder.c_str(), *f);
  if (!number) return number.error();
  return *number == who.filesystem();
}

bool same_but_filesystem(std::string_view a, std::string_view b) {
  proto::FileIdentity x;
  proto::FileIdentity y;
  return x.ParseFromArray(a.data(), static_cast<int>(a.size())) &&
         y.ParseFromArray(b.data(), static_cast<int>(b.size())) && x.handle() == y.handle() &&
         x.inode() == y.inode() && x.birth_ns() == y.birth_ns();
}

Result<Fd> open_by_identity(std::string_view bytes, const std::string& near) {
  proto::FileIdentity who;
  Handle handle;
  if (!who.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) ||
      !handle.unpack(who.handle()))
    return Error{Error::Kind::rejected, "this filesystem gives no file handles"};
  const auto mount = open_file(near, O_RDONLY | O_DIRECTORY);
  if (!mount) return Error{Error::Kind::rejected, mount.error().text};
  const int fd = ::open_by_handle_at(mount->get(), handle.get(),
                                     O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 && errno == ESTALE) return Error{Error::Kind::closed, "the file exists no more"};
  if (fd < 0) return Error{Error::Kind::rejected, errno_error(errno, "open_by_handle_at").text};
  Fd file(fd);
  const auto found = identity_of(fd);
  if (!found || *found != bytes) return Error{Error::Kind::closed, "the file exists no more"};
  return file;
}

}  // namespace tailrace
