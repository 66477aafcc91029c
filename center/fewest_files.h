// Of what was published, how few files of the target size could hold it: for each category and
// directory its bytes over that, rounded up. A machine. Thread: the road.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>

namespace tailrace {

class FewestFiles {
 public:
  // A file of `bytes` was published in `directory`; by how many the least number grew.
  uint64_t add(const std::string& category, std::string_view directory, uint64_t bytes,
               uint64_t target_bytes) {
    std::deque<Directory>& known = categories_[category];
    for (Directory& of : known)
      if (of.path == directory) return grow(of, bytes, target_bytes);
    // Hours end, and after that little comes to them: what comes later counts as if it began anew.
    if (known.size() >= kDirectories) known.pop_front();
    known.push_back({std::string(directory), 0});
    return grow(known.back(), bytes, target_bytes);
  }

 private:
  static constexpr size_t kDirectories = 4;  // of a category, the latest
  struct Directory {
    std::string path;
    uint64_t bytes = 0;
  };
  static uint64_t grow(Directory& of, uint64_t bytes, uint64_t target) {
    const uint64_t before = (of.bytes + target - 1) / target;
    of.bytes += bytes;
    return (of.bytes + target - 1) / target - before;
  }

  std::map<std::string, std::deque<Directory>> categories_;
};

}  // namespace tailrace
