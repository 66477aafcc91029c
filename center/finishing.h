// Makes an open file whole, without the extents of lanes that were given away meanwhile.
// Thread: stage() on the road, run() on a worker, one after the other.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sinks/format/line_file.h"

namespace tailrace {

class Finishing {
 public:
  // `lies`: where it is staged. `dropped`: tags of what is to be cut out; may be empty.
  Finishing(std::shared_ptr<LineFile> file, std::string lies, std::vector<LaneTag> dropped)
      : file_(std::move(file)), dropped_(std::move(dropped)), names_{std::move(lies)} {}

  // Before run(), while this is true: stage() a file for what is kept, each time another one.
  [[nodiscard]] bool cuts() const { return !dropped_.empty(); }
  Result<void> stage(Files& files, std::string staged) {
    auto into = files.stage(staged);
    if (!into) return into.error();
    into_ = std::move(*into);
    names_.push_back(std::move(staged));
    return {};
  }
  // retry_later: call again.
  Result<void> run() {
    if (cuts()) {
      const auto keep = [this](LaneTag tag) {
        return std::find(dropped_.begin(), dropped_.end(), tag) == dropped_.end();
      };
      auto rest = file_->cut(keep, std::move(into_));
      if (!rest) return rest.error();
      file_ = std::move(*rest);
      staged_ = names_.back();
      dropped_.clear();
    }
    return file_->finish();
  }

  // After run().
  [[nodiscard]] const LineFile& file() const { return *file_; }
  // Where it lies, if something was cut out of it.
  [[nodiscard]] const std::string& staged() const { return staged_; }
  // Where something of it may lie.
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }

 private:
  std::shared_ptr<LineFile> file_;
  std::vector<LaneTag> dropped_;
  std::unique_ptr<StagedFile> into_;
  std::vector<std::string> names_;
  std::string staged_;
};

}  // namespace tailrace
