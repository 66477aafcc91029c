// The store on HDFS, over WebHDFS or HttpFS: records and files under one root. No answer to a
// change is believed alone: whose a name is, a look at it tells, by the file's id, which it keeps
// when it is renamed. Thread: as records.h and files.h say. docs/protocol.md, "The store".
#pragma once

#include <memory>
#include <string>

#include "sinks/store/files.h"
#include "sinks/store/hdfs_client.h"
#include "sinks/store/records.h"

namespace tailrace {

class HdfsRecords final : public Records {
 public:
  explicit HdfsRecords(std::shared_ptr<HdfsClient> client) : client_(std::move(client)) {}

  Result<Cas> cas(const std::string& name, std::string_view record, Parent parent,
                  const std::string& tmp) override;
  Result<std::optional<std::string>> read(const std::string& name) override;
  Result<std::vector<std::string>> list(const std::string& directory) override;
  Result<void> remove(const std::string& name) override;
  Result<void> make_directory(const std::string& directory) override;

 private:
  Result<Cas> whose(const std::string& name, std::string_view record, uint64_t file_id,
                    const HdfsAnswer& renamed);
  std::shared_ptr<HdfsClient> client_;
};

// A staged file is spilled to this machine's disk, nameless, and sent whole by finish(): each try
// under a name of its own beside the staged one, which it gets when its length is right. Several
// may be finished at the same time, each on a worker of its own.
class HdfsFiles final : public Files {
 public:
  explicit HdfsFiles(std::shared_ptr<HdfsClient> client) : client_(std::move(client)) {}

  Result<std::unique_ptr<StagedFile>> stage(const std::string& staged) override;
  Result<Published> publish(const std::string& staged, const std::string& final_path) override;
  Result<void> remove(const std::string& staged) override;
  Result<std::vector<std::string>> list(const std::string& directory) override;

 private:
  [[nodiscard]] const HdfsRights& rights_of(const std::string& path) const {
    return client_->settings().writing.rights_of(path);
  }
  std::shared_ptr<HdfsClient> client_;
};

struct HdfsStore {
  std::unique_ptr<Records> records;
  std::unique_ptr<Files> files;
};
// Makes `spill_dir`; asks HDFS nothing, so that one that is away keeps nobody from starting.
[[nodiscard]] Result<HdfsStore> open_hdfs_store(const HdfsSettings& settings);

}  // namespace tailrace
