// The published files below a directory, of this machine or of HDFS, as `tailrace cat` reads them:
// in the order of their names, without what is not whole yet or not for readers (names that begin
// with '_' or '.'). Thread: any; the calls block.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/time_range.h"
#include "flow/batch.h"
#include "sinks/store/hdfs_client.h"

namespace tailrace {

struct PublishedFile {
  std::string path;
  Codec codec = Codec::none;
  uint64_t bytes = 0;
  std::shared_ptr<HdfsClient> hdfs = {};  // where it is; null: here

  [[nodiscard]] std::string shown() const;  // for messages
};

// One file from its begin to its end.
class PublishedReader {
 public:
  virtual ~PublishedReader() = default;
  // The next piece; empty: the end. It stays until the next call.
  virtual Result<std::string_view> next() = 0;
};
[[nodiscard]] Result<std::unique_ptr<PublishedReader>> open_published(const PublishedFile& file);

struct Selection {
  std::string category;  // "": all
  TimeRange time{};
};

// By extension: .log, .log.gz, .log.zst, .seq. nullopt: not a published file's name.
[[nodiscard]] std::optional<Codec> codec_of_name(std::string_view name);

// Orders names as people count: "a-9" before "a-10".
[[nodiscard]] bool name_before(std::string_view a, std::string_view b);

// `operand` is a directory, which is walked, or one file, which is taken whatever its name (.gz and
// .zst tell the codec). What could not be read is told to `trouble`, one line each.
[[nodiscard]] std::vector<PublishedFile> find_published(const std::string& operand,
                                                        const Selection& selection,
                                                        std::vector<std::string>& trouble);
// The same of a path in HDFS.
[[nodiscard]] std::vector<PublishedFile> find_published(const std::shared_ptr<HdfsClient>& hdfs,
                                                        const std::string& path,
                                                        const Selection& selection,
                                                        std::vector<std::string>& trouble);

}  // namespace tailrace
