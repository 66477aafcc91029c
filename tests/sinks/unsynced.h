// What a directory store has been told and has not synced: names by their directory, and the bytes
// of files. A power cut may take any of it away, but for what the file system does as one: a
// renamed file is under its old name, its new one or both. Thread: whose store it is.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/random.h"

namespace tailrace::testing {

class Unsynced {
 public:
  using Bytes = std::shared_ptr<std::string>;
  using Files = std::map<std::string, Bytes>;
  // A directory, and the newest change in it that its sync reaches.
  using Promise = std::vector<std::pair<std::string, uint64_t>>;

  // All that stands there is on the disk.
  Unsynced(Files files, std::set<std::string> directories)
      : files_(std::move(files)), directories_(std::move(directories)) {}

  // A name; no bytes: a directory's.
  void added(const std::string& path, const Bytes& bytes) { add({path, bytes, true, {}}); }
  void removed(const std::string& path) { add({path, nullptr, false, {}}); }
  void renamed(const std::string& from, const std::string& to, const Bytes& bytes) {
    added(to, bytes);
    add({from, nullptr, false, promise(parent_path(to))});
  }
  void wrote(const Bytes& bytes) { unwritten_.insert(bytes); }

  void sync(const Bytes& bytes) { unwritten_.erase(bytes); }
  void sync(const std::string& directory) { sync(directory, newest_); }
  [[nodiscard]] Promise::value_type promise(const std::string& directory) const {
    return {directory, newest_};
  }
  void keep(const Promise& promise) {
    for (const auto& [directory, newest] : promise) sync(directory, newest);
  }
  void keep_all() {
    for (const auto& [number, change] : in_order()) apply(*change);
    changes_.clear();
  }

  // What is left, as those find it who start again.
  void power_cut(Rng& rng, Files& files, std::set<std::string>& directories) {
    const double part = static_cast<double>(rng.below(3)) / 2;  // of the names: none, half, all
    std::set<uint64_t> lost;
    for (const auto& [number, change] : in_order()) {
      if (rng.chance(part) && !lost.contains(change->only_with.second))
        apply(*change);
      else
        lost.insert(number);
    }
    changes_.clear();
    forget_orphans();
    for (auto& [path, bytes] : files_)
      if (unwritten_.contains(bytes))
        bytes = std::make_shared<std::string>(bytes->substr(0, rng.below(bytes->size() + 1)));
    unwritten_.clear();
    files = files_;
    directories = directories_;
  }

 private:
  struct Change {
    std::string path;
    Bytes bytes;
    bool adds = false;
    Promise::value_type only_with;  // a name that must have been given
  };
  void add(Change change) {
    std::string directory = parent_path(change.path);
    changes_[std::move(directory)].emplace(++newest_, std::move(change));
  }
  [[nodiscard]] std::map<uint64_t, const Change*> in_order() const {
    std::map<uint64_t, const Change*> all;
    for (const auto& [directory, changes] : changes_)
      for (const auto& [number, change] : changes) all.emplace(number, &change);
    return all;
  }
  void sync(const std::string& directory, uint64_t newest) {
    const auto found = changes_.find(directory);
    if (found == changes_.end()) return;
    std::map<uint64_t, Change>& here = found->second;
    while (!here.empty() && here.begin()->first <= newest) {
      const auto change = here.extract(here.begin());
      const auto& [with, number] = change.mapped().only_with;
      if (const auto other = changes_.find(with); other != changes_.end())
        if (const auto name = other->second.extract(number); !name.empty()) apply(name.mapped());
      apply(change.mapped());
    }
    if (here.empty()) changes_.erase(directory);
  }
  void apply(const Change& change) {
    if (!change.adds) {
      files_.erase(change.path);
      directories_.erase(change.path);
    } else if (change.bytes) {
      files_[change.path] = change.bytes;
    } else {
      directories_.insert(change.path);
    }
  }
  // What lies in a directory whose own name is lost.
  void forget_orphans() {
    const auto orphan = [this](const std::string& path) {
      for (size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1))
        if (!directories_.contains(path.substr(0, at))) return true;
      return false;
    };
    std::erase_if(directories_, orphan);
    std::erase_if(files_, [&](const auto& file) { return orphan(file.first); });
  }

  // On the disk.
  Files files_;
  std::set<std::string> directories_;
  std::map<std::string, std::map<uint64_t, Change>> changes_;  // by directory, in order
  std::set<Bytes> unwritten_;
  uint64_t newest_ = 0;
};

}  // namespace tailrace::testing
