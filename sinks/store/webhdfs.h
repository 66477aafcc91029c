// WebHDFS as text: what is asked of a NameNode, or of HttpFS, which speaks the same; and what an
// answer means. Decided on the exception's name, never on the status alone: HDFS says 403 of almost
// everything, HttpFS 500. Thread: any; pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace tailrace {

// Of an answer that is not a file's content.
inline constexpr size_t kMostHdfsAnswerBytes = 8u << 20;

// webhdfs://user@host:port/path; swebhdfs:// is the same over TLS; httpfs:// is HttpFS.
struct HdfsUrl {
  std::string scheme;
  std::string host;  // an IPv6 address without its brackets
  uint16_t port = 0;
  std::string user;  // empty: none was named
  std::string path;  // "/logs", or empty

  [[nodiscard]] bool tls() const { return scheme == "swebhdfs"; }
  [[nodiscard]] std::string server() const;  // "webhdfs://host:port", for people too
};
// rejected: what is wrong with it. Without a port: 9870, 9871 over TLS, 14000 of HttpFS.
[[nodiscard]] Result<HdfsUrl> parse_hdfs_url(std::string_view text);
// The same with several servers of one HDFS: webhdfs://nn1:9870,nn2:9870/path. At least one.
[[nodiscard]] Result<std::vector<HdfsUrl>> parse_hdfs_urls(std::string_view text);

// Everything but letters, digits and -._~ as %XX; a '/' too unless it is kept.
enum class Slashes { kept, encoded };
[[nodiscard]] std::string percent_encode(std::string_view text, Slashes slashes);

// "http://host:port", with which every address of it begins.
[[nodiscard]] std::string hdfs_origin(const HdfsUrl& server);
// Names are the protocol's, values are encoded here.
using HdfsParameters = std::vector<std::pair<std::string_view, std::string>>;
// The http:// address of an operation on `path`, which is absolute. `user` empty: not said.
[[nodiscard]] std::string hdfs_address(const HdfsUrl& server, std::string_view user,
                                       std::string_view path, std::string_view op,
                                       const HdfsParameters& parameters = {});
// Whether `location`, which `server` sent us to, may be followed: the same scheme, a path of
// WebHDFS, nothing that means one thing to us and another to who parses it. rejected: why not.
[[nodiscard]] Result<void> check_hdfs_redirect(const HdfsUrl& server, std::string_view location);
// "host:port" of one that passed that.
[[nodiscard]] std::string hdfs_redirect_host(std::string_view location);

// What came back over HTTP.
struct HttpReply {
  int status = 0;
  std::string type;      // Content-Type
  std::string location;  // where a redirect leads
  std::string body;
  int64_t server_s = 0;     // the server's clock, in seconds since 1970; 0: it did not say
  std::string cookie{};     // the last Set-Cookie of Hadoop's, "hadoop.auth=..." alone
  std::string challenge{};  // WWW-Authenticate: what it wants to be shown
  bool proven = false;      // by Kerberos we showed who asks
};

enum class HdfsOutcome {
  done,
  exists,    // the name is taken
  absent,    // no such file or directory
  denied,    // no right
  stranger,  // who we are is not known there, or not believed
  quota,     // of names or of space
  standby,   // this NameNode is not the active one
  not_now,   // safe mode, or not ready yet
  refused,   // the request itself: it will never be done
  unknown,   // done or not: look
  redirect,  // ask there (HdfsAnswer::location)
};

struct HdfsEntry {
  std::string name;  // in a listing
  bool directory = false;
  uint64_t length = 0;
  uint64_t file_id = 0;  // stays when the file is renamed; 0: not said
  bool operator==(const HdfsEntry&) const = default;
};

// Of one directory; what its parents allow is not in it.
struct HdfsQuota {
  std::optional<uint64_t> names, space;  // how many files and directories, bytes times replicas
  uint64_t names_used = 0;
  uint64_t space_used = 0;
};

// Of a file, as HDFS tells it: hdfs_checksum.h.
struct HdfsChecksum {
  std::string algorithm;  // "MD5-of-0MD5-of-512CRC32C"
  std::string bytes;      // hexadecimal
};

struct HdfsAnswer {
  HdfsOutcome outcome = HdfsOutcome::unknown;
  std::string text;                // unless done: what was said, for people
  bool yes = false;                // of HdfsExpects::truth
  std::vector<HdfsEntry> entries;  // one of a status, many of a listing
  uint64_t more = 0;               // entries of a listing behind these
  std::string location;
  std::optional<HdfsQuota> quota{};
  std::optional<HdfsChecksum> checksum{};
  int64_t server_s = 0;  // HttpReply's
};

// What the answer to an operation must hold to be believed.
enum class HdfsExpects {
  truth,     // MKDIRS, RENAME, DELETE: {"boolean": ...}
  status,    // GETFILESTATUS
  listing,   // LISTSTATUS_BATCH
  content,   // OPEN: the bytes, or a redirect
  created,   // CREATE: 201, or a redirect
  nothing,   // SETTIMES, CHECKACCESS: 200
  quota,     // GETQUOTAUSAGE
  checksum,  // GETFILECHECKSUM: that, or a redirect
};
[[nodiscard]] HdfsAnswer understand_hdfs(HdfsExpects expects, const HttpReply& reply);

// The error that a caller returns of it. refused is rejected, all else retry_later: HDFS may get
// over a full quota and a missing right. `doing`: "renaming /a".
[[nodiscard]] Error hdfs_error(const HdfsAnswer& answer, std::string_view doing);

}  // namespace tailrace
