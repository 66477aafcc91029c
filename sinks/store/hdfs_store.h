// The store on HDFS, over WebHDFS or HttpFS: records and files under one root. No answer to a
// change is believed alone: whose a name is, a look at it tells, by the file's id, which it keeps
// when it is renamed. Several calls may be under way. Thread: as records.h and files.h say.
// docs/protocol.md, "The store".
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sinks/store/files.h"
#include "sinks/store/hdfs_client.h"
#include "sinks/store/records.h"

namespace tailrace {

// Clients of one HDFS, which share who they are, their pace and what is known of its servers: one
// for each call under way, and their connections stay open for the next. Thread: any.
class HdfsClients {
 public:
  explicit HdfsClients(HdfsSettings settings);

  // Nobody else's until it is let go; the clients must outlive that.
  using Lent = std::unique_ptr<HdfsClient, std::function<void(HdfsClient*)>>;
  [[nodiscard]] Lent one();
  [[nodiscard]] const HdfsSettings& settings() const { return settings_; }
  [[nodiscard]] std::string path(const std::string& name) const {
    return name.starts_with('/') ? name : settings_.root + "/" + name;
  }
  [[nodiscard]] const HdfsRights& rights_of(const std::string& name) const {
    return settings_.writing.rights_of(name);
  }

 private:
  HdfsSettings settings_;
  Locked<std::vector<std::unique_ptr<HdfsClient>>> idle_;
};

class HdfsRecords final : public Records {
 public:
  explicit HdfsRecords(std::shared_ptr<HdfsClients> clients) : clients_(std::move(clients)) {}

  Result<Cas> cas(const std::string& name, std::string_view record, Parent parent,
                  const std::string& tmp) override;
  Result<std::optional<std::string>> read(const std::string& name) override;
  Result<std::vector<std::string>> list(const std::string& directory) override;
  Result<void> remove(const std::string& name) override;
  Result<void> make_directory(const std::string& directory) override;

 private:
  std::shared_ptr<HdfsClients> clients_;
};

// A staged file is spilled to this machine's disk, nameless, and sent whole by finish(): each try
// under a name of its own beside the staged one, which it gets when its length is right. Several
// may be finished at the same time, each on a worker of its own.
class HdfsFiles final : public Files {
 public:
  explicit HdfsFiles(std::shared_ptr<HdfsClients> clients) : clients_(std::move(clients)) {}

  Result<std::unique_ptr<StagedFile>> stage(const std::string& staged) override;
  Result<Published> publish(const std::string& staged, const std::string& final_path) override;
  Result<void> remove(const std::string& staged) override;
  Result<std::vector<std::string>> list(const std::string& directory) override;

 private:
  std::shared_ptr<HdfsClients> clients_;
};

struct HdfsStore {
  std::unique_ptr<Records> records;
  std::unique_ptr<Files> files;
};
// Makes `spill_dir`; asks HDFS nothing, so that one that is away keeps nobody from starting.
[[nodiscard]] Result<HdfsStore> open_hdfs_store(const HdfsSettings& settings);

}  // namespace tailrace
