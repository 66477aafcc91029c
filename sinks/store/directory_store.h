// The store as a local directory: records and files on one file system that knows links or renames
// without replacing, and fsync of directories. Files of others may stand beside ours.
// Thread: as records.h and files.h say. docs/formats/records.md, "Names".
#pragma once

#include <memory>
#include <string>

#include "sinks/store/directory_root.h"
#include "sinks/store/files.h"
#include "sinks/store/records.h"

namespace tailrace {

class DirectoryRecords final : public Records {
 public:
  explicit DirectoryRecords(std::shared_ptr<const DirectoryRoot> root) : root_(std::move(root)) {}

  Result<Cas> cas(const std::string& name, std::string_view record, Parent parent,
                  const std::string& tmp) override;
  Result<std::optional<std::string>> read(const std::string& name) override;
  Result<std::vector<std::string>> list(const std::string& directory) override;
  Result<void> remove(const std::string& name) override;
  Result<void> make_directory(const std::string& directory) override;

 private:
  Result<void> write_tmp(const std::string& tmp, std::string_view record);
  std::shared_ptr<const DirectoryRoot> root_;
};

// A staged file is the open file itself: append() writes into the page cache, finish() syncs it and
// its names. remove() takes an empty directory away too.
class DirectoryFiles final : public Files {
 public:
  explicit DirectoryFiles(std::shared_ptr<const DirectoryRoot> root) : root_(std::move(root)) {}

  Result<std::unique_ptr<StagedFile>> stage(const std::string& staged) override;
  Result<Published> publish(const std::string& staged, const std::string& final_path) override;
  Result<void> remove(const std::string& staged) override;
  Result<std::vector<std::string>> list(const std::string& directory) override;

 private:
  std::shared_ptr<const DirectoryRoot> root_;
};

struct DirectoryStore {
  std::unique_ptr<Records> records;
  std::unique_ptr<Files> files;
};
// `root` must exist: made by the operator, or by who starts from nothing.
[[nodiscard]] Result<DirectoryStore> open_directory_store(const std::string& root,
                                                          Exclusive exclusive = Exclusive::rename);

}  // namespace tailrace
