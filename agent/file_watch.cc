#include "agent/file_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "base/units.h"

namespace tailrace {

namespace {
constexpr uint32_t kNames = IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_MOVE_SELF |
                            IN_DELETE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK;
constexpr uint32_t kWrites = IN_MODIFY | IN_EXCL_UNLINK;
constexpr size_t kBufferBytes = 64u << 10;
constexpr int kReadsAtOnce = 2;

struct Event {
  int watch = 0;
  uint32_t mask = 0;
  std::string_view name;
};

// Takes the next event off what read(2) gave.
Event take_event(std::string_view& bytes) {
  inotify_event e{};
  std::memcpy(&e, bytes.data(), sizeof e);
  const char* name = bytes.data() + sizeof e;
  const Event event{e.wd, e.mask, {name, e.len ? ::strnlen(name, e.len) : 0}};
  bytes.remove_prefix(sizeof e + e.len);
  return event;
}

void join(const std::string& dir, std::string_view name, std::string& out) {
  out.assign(dir);
  if (name.empty()) return;
  if (out.back() != '/') out += '/';
  out += name;
}
}  // namespace

FileWatch::FileWatch(asio::io_context& road) : names_(road), writes_(road), buffer_(kBufferBytes) {}

Result<void> FileWatch::open() {
  if (auto r = open_queue(names_); !r) return r;
  return open_queue(writes_);
}

Result<void> FileWatch::open_queue(Queue& queue) {
  const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0)
    return errno_error(errno,
                       "inotify is not to be had, new files are found by scans only "
                       "(raise fs.inotify.max_user_instances)");
  asio::error_code error;
  queue.descriptor.assign(fd, error);
  if (!error) return {};
  ::close(fd);
  return Error{Error::Kind::rejected, "inotify: " + error.message()};
}

std::optional<bool> FileWatch::Queue::add(const std::string& path, const std::string& told_as,
                                          uint32_t mask) {
  const int watch = ::inotify_add_watch(descriptor.native_handle(), path.c_str(), mask);
  if (watch < 0) return std::nullopt;
  paths[watch] = told_as;
  const auto [known, fresh] = watches.try_emplace(told_as, watch);
  if (fresh || known->second == watch) return fresh;
  leave(std::exchange(known->second, watch));
  return true;
}

void FileWatch::Queue::leave(int watch) {
  // At once, not when the kernel has answered: what happens there still is told under no name.
  paths.erase(watch);
  for (const auto& [path, other] : watches) {
    if (other != watch) continue;
    paths[watch] = path;
    return;
  }
  ::inotify_rm_watch(descriptor.native_handle(), watch);
}

void FileWatch::Queue::drop(int watch) {
  const auto it = paths.find(watch);
  if (it == paths.end()) return;
  const auto by_path = watches.find(it->second);
  if (by_path != watches.end() && by_path->second == watch) watches.erase(by_path);
  paths.erase(it);
}

bool FileWatch::watch_directory(const std::string& path) {
  if (!names_.descriptor.is_open()) return false;
  // Also if the name is watched: a symlink on its way may lead to another folder now.
  const auto fresh = names_.add(path, path, kNames);
  if (!fresh) {
    complain(errno, path);
    return false;
  }
  if (!writes_.add(path, path, kWrites | IN_ONLYDIR)) complain(errno, path);
  return *fresh;
}

void FileWatch::watch_target(const std::string& target, const std::string& path) {
  if (writes_.descriptor.is_open()) writes_.add(target, path, kWrites);
}

void FileWatch::complain(int error, const std::string& path) {
  if (error == ENOENT || error == ENOTDIR || error == EACCES || complained_) return;
  complained_ = true;
  log::warning("cannot watch " + escape(path) + " (" + std::strerror(error) +
                   "): new lines there are found by scans only; raise fs.inotify.max_user_watches",
               {{"path", path}});
}

bool FileWatch::read_names(Names& into) {
  const ssize_t n = ::read(names_.descriptor.native_handle(), buffer_.data(), buffer_.size());
  if (n <= 0) return false;
  std::string_view bytes(buffer_.data(), static_cast<size_t>(n));
  while (!bytes.empty()) {
    const Event e = take_event(bytes);
    if (e.mask & (IN_Q_OVERFLOW | IN_ISDIR | IN_MOVE_SELF | IN_DELETE_SELF)) into.scan = true;
    if (e.mask & IN_MOVE_SELF) {  // its path is another one now; the scan finds it under that
      ::inotify_rm_watch(names_.descriptor.native_handle(), e.watch);
      const auto moved = names_.paths.find(e.watch);
      if (moved != names_.paths.end()) {
        const auto w = writes_.watches.find(moved->second);
        if (w != writes_.watches.end())
          ::inotify_rm_watch(writes_.descriptor.native_handle(), w->second);
      }
    }
    if (e.mask & IN_IGNORED) names_.drop(e.watch);
    const auto dir = names_.paths.find(e.watch);
    if (e.name.empty() || (e.mask & IN_ISDIR) || dir == names_.paths.end()) continue;
    join(dir->second, e.name, path_);
    into.paths.push_back(path_);
  }
  return true;
}

asio::awaitable<Result<void>> FileWatch::wait(Names& into) {
  while (names_.descriptor.is_open()) {
    bool any = false;
    for (int i = 0; i < kReadsAtOnce && read_names(into); ++i) any = true;
    if (any) co_return Result<void>();
    asio::error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    co_await names_.descriptor.async_wait(asio::posix::stream_descriptor::wait_read, token);
    if (error) break;
  }
  co_return Error{Error::Kind::closed, "the watch was closed"};
}

bool FileWatch::collect_writes(const std::function<void(std::string_view path)>& written) {
  if (!writes_.descriptor.is_open()) return true;
  bool complete = true;
  for (;;) {
    const ssize_t n = ::read(writes_.descriptor.native_handle(), buffer_.data(), buffer_.size());
    if (n <= 0) return complete;
    std::string_view bytes(buffer_.data(), static_cast<size_t>(n));
    while (!bytes.empty()) {
      const Event e = take_event(bytes);
      if (e.mask & IN_Q_OVERFLOW) complete = false;
      if (e.mask & IN_IGNORED) writes_.drop(e.watch);
      const auto dir = writes_.paths.find(e.watch);
      if (dir == writes_.paths.end()) continue;
      join(dir->second, e.name, path_);
      written(path_);
    }
  }
}

void FileWatch::close() {
  asio::error_code ignored;
  names_.descriptor.close(ignored);
  writes_.descriptor.close(ignored);
}

}  // namespace tailrace
