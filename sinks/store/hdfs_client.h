// The calls of HDFS that a store needs, each at whichever NameNode answers. What an answer means to
// the store is not known here: hdfs_store.h. Paths are absolute ones of HDFS.
// Thread: a worker, one call at a time per object; every call blocks, some for a minute.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/locked.h"
#include "base/result.h"
#include "sinks/store/hdfs_access.h"
#include "sinks/store/hdfs_login.h"
#include "sinks/store/http_client.h"
#include "sinks/store/pace.h"
#include "sinks/store/server_choice.h"
#include "sinks/store/webhdfs.h"

namespace tailrace {

struct HdfsSettings {
  std::vector<HdfsUrl> servers;  // NameNodes of one HDFS, or HttpFS: server_choice.h
  std::string user;              // as whom we act where security is off; empty: not said
  std::string root;              // "/logs": what a store's relative names stand below
  std::string spill_dir;         // on this machine: files until they are sent
  HdfsAccess access{};
  HdfsWriting writing{};
  // Shared by all that copy them; made by a client that finds none.
  std::shared_ptr<HdfsLogin> login{};
  std::shared_ptr<Locked<Pace>> pace{};
  std::shared_ptr<Locked<ServerChoice>> choice{};
};

class HdfsClient {
 public:
  explicit HdfsClient(HdfsSettings settings);

  // `as`: whose, and what becomes of what is made; left out: our own, 644.
  [[nodiscard]] HdfsAnswer status(const std::string& path, const HdfsRights& as = {});
  // One page, of names behind `after`.
  [[nodiscard]] HdfsAnswer list(const std::string& directory, const std::string& after,
                                const HdfsRights& as = {});
  // yes: renamed. No says nothing: it may have been done before.
  [[nodiscard]] HdfsAnswer rename(const std::string& from, const std::string& to,
                                  const HdfsRights& as = {});
  [[nodiscard]] HdfsAnswer make_directory(const std::string& path, const HdfsRights& as = {});
  // A file or an empty directory. yes: it was there.
  [[nodiscard]] HdfsAnswer remove(const std::string& path, const HdfsRights& as = {});
  // Changes nothing, as only the active NameNode can: absent is certain.
  [[nodiscard]] HdfsAnswer touch(const std::string& path, const HdfsRights& as = {});
  // done: we may put names into this directory and look at them.
  [[nodiscard]] HdfsAnswer may_write(const std::string& directory, const HdfsRights& as = {});
  [[nodiscard]] HdfsAnswer quota(const std::string& directory, const HdfsRights& as = {});
  // The checksum that HDFS keeps of a file.
  [[nodiscard]] HdfsAnswer checksum(const std::string& path, const HdfsRights& as = {});
  // The group of `as`; done if that names none.
  [[nodiscard]] HdfsAnswer set_group(const std::string& path, const HdfsRights& as);
  // Never over another file. A part of it may be left, and closed as if it were whole.
  [[nodiscard]] HdfsAnswer create(const std::string& path, const HttpBody& body,
                                  const HdfsRights& as = {});
  // The bytes come in `content`.
  [[nodiscard]] HdfsAnswer open(const std::string& path, size_t most_bytes, std::string& content);
  // The same of `n` bytes at `offset`, which must lie within the file.
  [[nodiscard]] HdfsAnswer open_at(const std::string& path, uint64_t offset, size_t n,
                                   std::string& content);

  [[nodiscard]] const HdfsSettings& settings() const { return settings_; }

 private:
  struct Operation {
    std::string method;
    std::string path;
    std::string op;
    HdfsParameters parameters;
    HdfsExpects expects = HdfsExpects::truth;
    size_t most_bytes = kMostHdfsAnswerBytes;
  };
  [[nodiscard]] HdfsAnswer create_once(const Operation& operation, const HttpBody& body);
  [[nodiscard]] Result<HttpReply> send(HttpCall& call, const HdfsUrl& server);
  [[nodiscard]] Result<void> may_follow(const HdfsUrl& server, const std::string& location) const;
  [[nodiscard]] const HdfsUrl* led_to(const std::string& location) const;
  [[nodiscard]] HdfsAnswer ask(const Operation& operation, std::string* content = nullptr);
  [[nodiscard]] Result<HttpReply> ask_one(const Operation& operation, size_t at);
  [[nodiscard]] HdfsAnswer read(const Operation& operation, std::string& content);
  [[nodiscard]] HdfsAnswer follow(const Operation& operation, const std::string& location,
                                  const HttpBody* body, std::string* content);

  HdfsSettings settings_;
  HttpClient http_;
  uint64_t refused_block_ = 0;  // HDFS takes no block as small as that
};

}  // namespace tailrace
