// A store in memory that keeps the contracts of records.h and files.h, and whose calls can be made
// to fail, to lose their answer, to come late or to come twice: for the conformance suite, the
// Center's tests and the simulation. It can also lose power: then what the contracts do not promise
// may be gone (tests/sinks/unsynced.h). Thread: any; one mutex.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "base/file.h"
#include "base/mutant.h"
#include "base/random.h"
#include "sinks/store/files.h"
#include "sinks/store/records.h"
#include "tests/sinks/unsynced.h"

namespace tailrace::testing {

// What becomes of one call. All but `none` and `twice` answer retry_later.
enum class Fault {
  none,
  refused,      // nothing happens
  answer_lost,  // it happens
  late,         // it happens at some run_late(), when the caller has long gone on; or never
  twice,        // it happens, and is answered; and once more at some run_late()
};

enum class Op {
  cas,
  read,
  list,
  remove,
  make_directory,  // Records
  stage,
  append,
  read_staged,
  finish,
  publish,
  remove_file,
  list_files  // Files
};

struct StoreCall {
  Op op;
  std::string name;  // of what changes or is looked for: the final name for publish
};

class MemoryStore : public std::enable_shared_from_this<MemoryStore> {
 public:
  using Faults = std::function<Fault(const StoreCall&)>;

  [[nodiscard]] static std::shared_ptr<MemoryStore> make() {
    return std::make_shared<MemoryStore>();
  }

  // Another client of this store; it may outlive the caller's pointer to the store.
  [[nodiscard]] std::unique_ptr<Records> records();
  [[nodiscard]] std::unique_ptr<Files> files();

  // Asked before every call, under the mutex. Only changing calls come late or twice.
  void set_faults(Faults faults) {
    const std::lock_guard lock(mutex_);
    faults_ = std::move(faults);
  }
  // With probability p one of the four faults, evenly.
  [[nodiscard]] static Faults random_faults(uint64_t seed, double p) {
    return [rng = Rng(seed), p](const StoreCall&) mutable {
      return rng.chance(p) ? static_cast<Fault>(1 + rng.below(4)) : Fault::none;
    };
  }
  // What was delayed happens now, the oldest first; at most `most`. Returns how many there were.
  size_t run_late(size_t most = SIZE_MAX) {
    const std::lock_guard lock(mutex_);
    size_t ran = 0;
    for (; ran < most && !late_.empty(); ++ran) {
      const auto effect = std::move(late_.front());
      late_.pop_front();
      effect();
    }
    return ran;
  }

  // --- power cuts: from now on what is not synced is known ---------------------------------------
  void may_lose_power() {
    const std::lock_guard lock(mutex_);
    unsynced_.emplace(files_, directories_);
  }
  // Of the last call: what it owes to whoever hears its answer. durable() once he has.
  using Promise = Unsynced::Promise;
  [[nodiscard]] Promise take_promise() {
    const std::lock_guard lock(mutex_);
    return std::exchange(promise_, {});
  }
  void durable(const Promise& promise) {
    const std::lock_guard lock(mutex_);
    if (unsynced_) unsynced_->keep(promise);
  }
  // All clients are dead. Calls that are late are carried out before it, or never.
  void power_cut(Rng& rng) {
    const std::lock_guard lock(mutex_);
    for (; !late_.empty(); late_.pop_front())
      if (rng.chance(0.5)) late_.front()();
    unsynced_->power_cut(rng, files_, directories_);
    ++power_cuts_;
  }
  [[nodiscard]] uint64_t power_cuts() const {
    const std::lock_guard lock(mutex_);
    return power_cuts_;
  }

  // All files and records by path, as somebody sees them who looks from outside.
  [[nodiscard]] std::map<std::string, std::string> content() const {
    const std::lock_guard lock(mutex_);
    std::map<std::string, std::string> seen;
    for (const auto& [path, bytes] : files_) seen[path] = *bytes;
    return seen;
  }
  [[nodiscard]] std::shared_ptr<const std::string> bytes_of(const std::string& path) const {
    const std::lock_guard lock(mutex_);
    const auto file = files_.find(path);
    return file == files_.end() ? nullptr : file->second;
  }
  // As an operator does: takes a file away, or everything below a directory and itself. A
  // make_directory that is as late as that does not bring it back.
  void erase(const std::string& path) {
    const std::lock_guard lock(mutex_);
    const auto goes = [&](const std::string& p) {
      const bool gone = p == path || below(p, path);
      if (gone && unsynced_) unsynced_->removed(p);
      return gone;
    };
    if (directories_.count(path) != 0) taken_.insert(path);
    std::erase_if(files_, [&](const auto& f) { return goes(f.first); });
    std::erase_if(directories_, goes);
    if (unsynced_) unsynced_->keep_all();
  }
  // The same: writes over what is there, or puts it there anew; its directory too.
  void put(const std::string& path, std::string bytes) {
    const std::lock_guard lock(mutex_);
    make_directories_of(path);
    add(path, std::make_shared<std::string>(std::move(bytes)));
    if (unsynced_) unsynced_->keep_all();
  }

 private:
  friend class MemoryRecords;
  friend class MemoryFiles;
  friend class MemoryStagedFile;
  using Bytes = Unsynced::Bytes;

  // --- changes, each known until its directory is synced
  void add(const std::string& path, const Bytes& bytes) {
    files_[path] = bytes;
    if (unsynced_) unsynced_->added(path, bytes);
  }
  bool take_away(const std::string& path) {
    if (files_.erase(path) == 0) return false;
    if (unsynced_) unsynced_->removed(path);
    return true;
  }
  void rename(const std::string& from, const std::string& to, const Bytes& bytes) {
    files_.erase(from);
    files_[to] = bytes;
    if (unsynced_) unsynced_->renamed(from, to, bytes);
  }
  void sync_directory(const std::string& directory) {
    if (unsynced_) unsynced_->sync(directory);
  }
  // Synced before the answer.
  void promise(const std::string& directory) {
    if (unsynced_) promise_.push_back(unsynced_->promise(directory));
  }

  static bool below(const std::string& path, const std::string& directory) {
    return path.starts_with(directory + "/");
  }
  static Error no_answer(const StoreCall& call) {
    return Error{Error::Kind::retry_later, "no answer from the store about " + call.name};
  }
  // Carries `effect` out as the faults want it.
  template <class T>
  Result<T> change(const StoreCall& call, const std::function<Result<T>()>& effect) {
    const std::lock_guard lock(mutex_);
    promise_.clear();
    const Fault fault = faults_ ? faults_(call) : Fault::none;
    if (fault == Fault::refused) return no_answer(call);
    if (fault == Fault::late || fault == Fault::twice)
      late_.emplace_back([effect] { static_cast<void>(effect().ok()); });
    if (fault == Fault::late) return no_answer(call);
    Result<T> result = effect();
    if (fault == Fault::answer_lost) return no_answer(call);
    return result;
  }
  template <class T>
  Result<T> look(const StoreCall& call, const std::function<Result<T>()>& effect) {
    const std::lock_guard lock(mutex_);
    promise_.clear();
    const Fault fault = faults_ ? faults_(call) : Fault::none;
    if (fault != Fault::none && fault != Fault::twice) return no_answer(call);
    return effect();
  }

  enum class Durability { later, durable };
  void make_directories_of(const std::string& path, Durability durability = Durability::durable) {
    for (size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
      const std::string directory = path.substr(0, at);
      const bool made = directories_.insert(directory).second;
      if (!unsynced_) continue;
      if (made) unsynced_->added(directory, nullptr);
      if (durability == Durability::durable) unsynced_->sync(parent_path(directory));
    }
  }
  [[nodiscard]] bool directory_stands(const std::string& path) const {
    return path == "." || directories_.count(path) != 0;
  }
  [[nodiscard]] std::vector<std::string> names_in(const std::string& directory) const {
    std::set<std::string> names;
    const std::string begin = directory == "." ? std::string() : directory + "/";
    add_names(files_, begin, names);
    add_names(directories_, begin, names);
    return {names.begin(), names.end()};
  }
  // The paths directly below `begin`; what lies deeper is passed over.
  template <class Paths>
  static void add_names(const Paths& paths, const std::string& begin,
                        std::set<std::string>& names) {
    for (auto at = paths.lower_bound(begin); at != paths.end();) {
      const std::string& path = path_of(*at);
      if (!path.starts_with(begin)) break;
      const size_t slash = path.find('/', begin.size());
      if (slash == std::string::npos) {
        names.insert(path.substr(begin.size()));
        ++at;
      } else {
        at = paths.lower_bound(path.substr(0, slash) + static_cast<char>('/' + 1));
      }
    }
  }
  static const std::string& path_of(const std::string& path) { return path; }
  static const std::string& path_of(const std::pair<const std::string, Bytes>& file) {
    return file.first;
  }
  Result<void> remove_now(const std::string& name) {
    if (directories_.count(name) != 0) {
      if (!names_in(name).empty()) return Error{Error::Kind::rejected, name + " is not empty"};
      directories_.erase(name);
      if (unsynced_) unsynced_->removed(name);
    }
    take_away(name);
    return {};
  }
  // The rename at the end of a CAS; a tmp that was taken away gives nobody anything.
  Result<Cas> give(const std::string& tmp, const std::string& name, const Bytes& record) {
    const auto holder = files_.find(name);
    if (directories_.count(name) != 0)
      return Error{Error::Kind::rejected, name + " is a directory"};
    if (holder != files_.end() && !mutant(Mutant::overwriting_rename)) {
      take_away(tmp);
      sync_directory(parent_path(name));  // as who reads it does
      return *holder->second == *record ? Cas::won : Cas::lost;
    }
    if (!directory_stands(parent_path(name))) return Cas::no_directory;
    if (!files_.contains(tmp)) return Error{Error::Kind::retry_later, tmp + " is gone"};
    rename(tmp, name, record);
    if (!mutant(Mutant::cas_unsynced)) promise(parent_path(name));
    return Cas::won;
  }
  Result<Published> publish_now(const std::string& staged, const std::string& final_path) {
    make_directories_of(final_path);
    const auto file = files_.find(staged);
    const bool stands = files_.contains(final_path);
    if (!stands && file == files_.end()) return Published::before;
    if (stands)
      take_away(staged);
    else
      rename(staged, final_path, Bytes(file->second));
    if (mutant(Mutant::publish_unsynced)) return Published::now;
    promise(parent_path(final_path));
    promise(parent_path(staged));
    return Published::now;
  }

  mutable std::mutex mutex_;
  std::map<std::string, Bytes> files_;
  std::set<std::string> directories_;
  std::set<std::string> taken_;  // directories, by an operator
  std::deque<std::function<void()>> late_;
  Faults faults_;
  std::optional<Unsynced> unsynced_;
  Promise promise_;
  uint64_t power_cuts_ = 0;
};

class MemoryRecords final : public Records {
 public:
  explicit MemoryRecords(std::shared_ptr<MemoryStore> store) : store_(std::move(store)) {}

  Result<Cas> cas(const std::string& name, std::string_view record, Parent parent,
                  const std::string& tmp) override {
    MemoryStore* s = store_.get();
    const auto bytes = std::make_shared<std::string>(record);
    // The tmp is written at once; what may come late is the rename.
    {
      const std::lock_guard lock(s->mutex_);
      if (parent == Parent::make) s->make_directories_of(name);
      if (!s->directory_stands(parent_path(name))) return Cas::no_directory;
      s->make_directories_of(tmp, MemoryStore::Durability::later);
      s->add(tmp, bytes);
    }
    return s->change<Cas>({Op::cas, name}, [=] { return s->give(tmp, name, bytes); });
  }
  Result<std::optional<std::string>> read(const std::string& name) override {
    MemoryStore* s = store_.get();
    using Found = std::optional<std::string>;
    return s->look<Found>({Op::read, name}, [=]() -> Result<Found> {
      const auto file = s->files_.find(name);
      if (s->directories_.count(name) != 0)
        return Error{Error::Kind::rejected, name + " is a directory"};
      if (file == s->files_.end()) return Found();
      s->sync_directory(parent_path(name));
      return Found(*file->second);
    });
  }
  Result<std::vector<std::string>> list(const std::string& directory) override {
    MemoryStore* s = store_.get();
    using Names = std::vector<std::string>;
    return s->look<Names>({Op::list, directory}, [=]() -> Result<Names> {
      s->sync_directory(directory);
      return s->names_in(directory);
    });
  }
  Result<void> remove(const std::string& name) override {
    MemoryStore* s = store_.get();
    return s->change<void>({Op::remove, name}, [=] {
      s->promise(parent_path(name));
      return s->remove_now(name);
    });
  }
  Result<void> make_directory(const std::string& directory) override {
    MemoryStore* s = store_.get();
    return s->change<void>({Op::make_directory, directory}, [=]() -> Result<void> {
      if (s->taken_.count(directory) != 0)
        return Error{Error::Kind::retry_later, directory + " was taken away"};
      s->make_directories_of(directory + "/");
      return {};
    });
  }

 private:
  std::shared_ptr<MemoryStore> store_;
};

class MemoryStagedFile final : public StagedFile {
 public:
  MemoryStagedFile(std::shared_ptr<MemoryStore> store, std::string path, MemoryStore::Bytes bytes)
      : store_(std::move(store)), path_(std::move(path)), bytes_(std::move(bytes)) {}

  // Refused is the only fault: whoever writes owns the file and knows what it holds.
  Result<void> append(const std::vector<std::string_view>& pieces) override {
    return store_->look<void>({Op::append, path_}, [&]() -> Result<void> {
      if (store_->unsynced_) store_->unsynced_->wrote(bytes_);
      for (std::string_view piece : pieces) bytes_->append(piece);
      return {};
    });
  }
  Result<std::string> read(uint64_t offset, size_t n) override {
    return store_->look<std::string>({Op::read_staged, path_}, [&]() -> Result<std::string> {
      if (offset > bytes_->size() || n > bytes_->size() - offset)
        return Error{Error::Kind::corrupt, path_ + " is shorter than what was written to it"};
      return bytes_->substr(offset, n);
    });
  }
  Result<void> finish() override {
    return store_->look<void>({Op::finish, path_}, [&]() -> Result<void> {
      const auto file = store_->files_.find(path_);
      const bool stands = file != store_->files_.end() && file->second == bytes_;
      if (store_->unsynced_ && stands) {
        store_->unsynced_->sync(bytes_);
        store_->make_directories_of(path_);
        store_->sync_directory(parent_path(path_));
      }
      if (stands) return {};
      return Error{Error::Kind::rejected, path_ + " was removed while it was being written"};
    });
  }
  [[nodiscard]] uint64_t size() const override { return bytes_->size(); }

 private:
  std::shared_ptr<MemoryStore> store_;
  std::string path_;
  MemoryStore::Bytes bytes_;
};

class MemoryFiles final : public Files {
 public:
  explicit MemoryFiles(std::shared_ptr<MemoryStore> store) : store_(std::move(store)) {}

  Result<std::unique_ptr<StagedFile>> stage(const std::string& staged) override {
    using Made = std::unique_ptr<StagedFile>;
    return store_->look<Made>({Op::stage, staged}, [&]() -> Result<Made> {
      store_->make_directories_of(staged, MemoryStore::Durability::later);
      const auto bytes = std::make_shared<std::string>();
      if (store_->files_.contains(staged)) return Error{Error::Kind::rejected, staged + " exists"};
      store_->add(staged, bytes);
      return Made(std::make_unique<MemoryStagedFile>(store_, staged, bytes));
    });
  }
  Result<Published> publish(const std::string& staged, const std::string& final_path) override {
    MemoryStore* s = store_.get();
    return s->change<Published>({Op::publish, final_path},
                                [=] { return s->publish_now(staged, final_path); });
  }
  Result<void> remove(const std::string& staged) override {
    MemoryStore* s = store_.get();
    return s->change<void>({Op::remove_file, staged}, [=] { return s->remove_now(staged); });
  }
  Result<std::vector<std::string>> list(const std::string& directory) override {
    MemoryStore* s = store_.get();
    using Names = std::vector<std::string>;
    return s->look<Names>({Op::list_files, directory},
                          [=]() -> Result<Names> { return s->names_in(directory); });
  }

 private:
  std::shared_ptr<MemoryStore> store_;
};

inline std::unique_ptr<Records> MemoryStore::records() {
  return std::make_unique<MemoryRecords>(shared_from_this());
}
inline std::unique_ptr<Files> MemoryStore::files() {
  return std::make_unique<MemoryFiles>(shared_from_this());
}

}  // namespace tailrace::testing
