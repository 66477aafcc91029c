#include "sinks/store/webhdfs.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/units.h"

namespace tailrace {

namespace {

constexpr size_t kMostSaid = 400;  // of a message: HDFS sends whole stacks
constexpr size_t kMostLocation = 8u << 10;
constexpr size_t kMostDepth = 16;
constexpr std::string_view kPrefix = "/webhdfs/v1";

Error wrong(std::string text) { return Error{Error::Kind::rejected, std::move(text)}; }

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

struct Scheme {
  std::string_view name;
  uint16_t port;
};
constexpr Scheme kSchemes[] = {{"webhdfs", 9870}, {"swebhdfs", 9871}, {"httpfs", 14000}};

const Scheme* scheme_of(std::string_view text) {
  for (const Scheme& scheme : kSchemes)
    if (text.starts_with(scheme.name) && text.substr(scheme.name.size()).starts_with("://"))
      return &scheme;
  return nullptr;
}

// --- what is in an answer ------------------------------------------------------------------------

// The few fields that are read, whatever else stands there. No tree is made, so that what comes in
// costs no more than its own size.
class Fields final : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::string exception;
  std::string message;
  std::optional<bool> truth;
  std::vector<HdfsEntry> entries;
  std::optional<uint64_t> remaining;
  std::optional<HdfsQuota> quota;
  std::optional<HdfsChecksum> checksum;

  bool null() override { return true; }
  bool boolean(bool value) override {
    if (levels_.size() == 1 && name() == "boolean") truth = value;
    return true;
  }
  bool number_integer(number_integer_t) override { return true; }  // a negative one
  bool number_unsigned(number_unsigned_t value) override {
    if (levels_.empty()) return true;
    if (HdfsEntry* const entry = current()) {
      if (name() == "length") entry->length = value;
      if (name() == "fileId") entry->file_id = value;
    } else if (levels_.back().name == "DirectoryListing" && name() == "remainingEntries") {
      remaining = value;
    } else if (quota && levels_.back().name == "QuotaUsage") {
      if (name() == "quota") quota->names = value;
      if (name() == "spaceQuota") quota->space = value;
      if (name() == "fileAndDirectoryCount") quota->names_used = value;
      if (name() == "spaceConsumed") quota->space_used = value;
    }
    return true;
  }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t& value) override {
    if (levels_.empty()) return true;
    if (HdfsEntry* const entry = current()) {
      if (name() == "pathSuffix") entry->name = value;
      if (name() == "type") entry->directory = value == "DIRECTORY";
      if (name() == "type" && value != "DIRECTORY" && value != "FILE") return false;
    } else if (checksum && levels_.back().name == "FileChecksum") {
      if (name() == "algorithm") checksum->algorithm = value;
      if (name() == "bytes") checksum->bytes = value;
    } else if (levels_.back().name == "RemoteException") {
      if (name() == "exception") exception = value;
      if (name() == "message") message = value;
    }
    return true;
  }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override {
    if (!levels_.empty() && name() == "FileStatus") entries.emplace_back();
    if (!levels_.empty() && name() == "QuotaUsage") quota.emplace();
    if (!levels_.empty() && name() == "FileChecksum") checksum.emplace();
    return enter(false);
  }
  bool start_array(size_t) override { return enter(true); }
  bool key(string_t& value) override {
    key_ = value;
    return true;
  }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  struct Level {
    std::string name;
    bool array = false;
  };
  // Of the value that comes now; elements are called as their array is.
  [[nodiscard]] const std::string& name() const {
    return levels_.back().array ? levels_.back().name : key_;
  }
  [[nodiscard]] HdfsEntry* current() {
    return !levels_.back().array && levels_.back().name == "FileStatus" ? &entries.back() : nullptr;
  }
  bool enter(bool array) {
    if (levels_.size() >= kMostDepth) return false;
    levels_.push_back({levels_.empty() ? std::string() : name(), array});
    key_.clear();
    return true;
  }
  bool leave() {
    levels_.pop_back();
    key_.clear();
    return true;
  }

  std::vector<Level> levels_;
  std::string key_;
};

std::optional<Fields> read_fields(std::string_view body) {
  Fields fields;
  if (!nlohmann::json::sax_parse(body.begin(), body.end(), &fields)) return std::nullopt;
  return fields;
}

// --- what an exception means ---------------------------------------------------------------------

struct Named {
  std::string_view exception;
  HdfsOutcome outcome;
};
// All others are unknown: an IOException may come after the deed, and whatever stands in the way
// may be taken away by its owner.
constexpr Named kExceptions[] = {
    {"FileNotFoundException", HdfsOutcome::absent},
    {"FileAlreadyExistsException", HdfsOutcome::exists},
    {"AlreadyBeingCreatedException", HdfsOutcome::exists},
    {"RecoveryInProgressException", HdfsOutcome::exists},
    {"AccessControlException", HdfsOutcome::denied},
    {"AuthorizationException", HdfsOutcome::denied},
    {"SecurityException", HdfsOutcome::denied},
    {"NSQuotaExceededException", HdfsOutcome::quota},
    {"DSQuotaExceededException", HdfsOutcome::quota},
    {"QuotaByStorageTypeExceededException", HdfsOutcome::quota},
    {"QuotaExceededException", HdfsOutcome::quota},
    {"StandbyException", HdfsOutcome::standby},
    {"ObserverRetryOnActiveException", HdfsOutcome::standby},
    {"SafeModeException", HdfsOutcome::not_now},
    {"RetriableException", HdfsOutcome::not_now},
    {"PathIsNotEmptyDirectoryException", HdfsOutcome::refused},
    {"InvalidPathException", HdfsOutcome::refused},
    {"IllegalArgumentException", HdfsOutcome::refused},
    {"UnsupportedOperationException", HdfsOutcome::refused},
};

// A server may repeat to us what we, or it, put into an address.
std::string without_secrets(std::string_view text) {
  constexpr std::string_view kNames[] = {"delegation=", "hadoop.auth=", "signature=", "token="};
  std::string out(text);
  for (const std::string_view name : kNames) {
    for (size_t at = out.find(name); at != std::string::npos; at = out.find(name, at)) {
      at += name.size();
      const size_t end = std::min(out.find_first_of("& \t\n", at), out.size());
      out.replace(at, end - at, "...");
    }
  }
  return out;
}

HdfsAnswer of_exception(const Fields& fields) {
  HdfsAnswer answer;
  for (const Named& named : kExceptions)
    if (named.exception == fields.exception) answer.outcome = named.outcome;
  // A DataNode whose name service fails calls the NameNode's name an illegal argument.
  if (fields.message.find("UnknownHostException") != std::string::npos)
    answer.outcome = HdfsOutcome::unknown;
  const std::string message = without_secrets(fields.message.substr(0, fields.message.find('\n')));
  answer.text = escape(fields.exception, 100);
  if (!message.empty()) answer.text += ": " + escape(message, kMostSaid);
  if (message.find("is not allowed to impersonate") != std::string::npos)
    answer.text += "; the servers must allow it by hadoop.proxyuser.USER.hosts and .groups";
  return answer;
}

// Java's words of what is wrong with a proof of Kerberos's, in a page.
size_t gss_in(std::string_view body) { return body.find("GSSException: "); }

// Who we are is not known there, or not believed.
std::string unbelieved(const HttpReply& reply) {
  std::string text = "it asks who we are (" + std::to_string(reply.status) + ")";
  const bool kerberos = reply.challenge.empty() || reply.challenge.starts_with("Negotiate");
  if (!kerberos)
    return text + " and wants '" +
           escape(reply.challenge.substr(0, reply.challenge.find_first_of(" ,")), 40) +
           "' where HDFS uses Kerberos: is this a proxy, or does the server lack "
           "hadoop.http.authentication.type = kerberos?";
  if (const size_t at = gss_in(reply.body); at != std::string_view::npos) {
    const std::string_view said = std::string_view(reply.body).substr(at);
    return text + ": " + escape(without_secrets(said.substr(0, said.find_first_of("<\n"))), 300);
  }
  if (reply.proven)
    return text +
           " and does not take our ticket for HTTP/: does `url` name it as that principal "
           "does, and has it that principal's newest key?";
  return text + ": it wants Kerberos, by `kerberos: {principal: ..., keytab: ...}`";
}

// An answer that is none of HDFS's: a proxy's, a page that asks for a password, another server's.
HdfsAnswer not_understood(const HttpReply& reply) {
  HdfsAnswer answer;
  const std::string_view head = std::string_view(reply.body).substr(0, 1024);
  const bool page = reply.type.find("html") != std::string::npos ||
                    head.find("<html") != std::string_view::npos ||
                    head.find("<HTML") != std::string_view::npos ||
                    head.find("<!DOCTYPE") != std::string_view::npos;
  answer.text = "HTTP status " + std::to_string(reply.status);
  if (reply.status == 401 || gss_in(reply.body) != std::string_view::npos) {
    answer.outcome = HdfsOutcome::stranger;
    answer.text = unbelieved(reply);
  } else if (page && reply.status == 200) {
    answer.text =
        "it answered with a web page where HDFS answers with JSON: is this a proxy's login page?";
  } else if (reply.status == 404) {
    answer.text += " without a word of HDFS: is this address a NameNode's HTTP port, or HttpFS?";
  } else if (page) {
    answer.text += " with a web page";
  } else {
    answer.text += " with an answer that is not understood";
  }
  return answer;
}

bool plain_entry_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos;
}

bool take(HdfsExpects expects, Fields& fields, HdfsAnswer& answer) {
  switch (expects) {
    case HdfsExpects::truth:
      if (!fields.truth) return false;
      answer.yes = *fields.truth;
      return true;
    case HdfsExpects::status:
      answer.entries = std::move(fields.entries);
      return answer.entries.size() == 1;
    case HdfsExpects::listing:
      if (!fields.remaining) return false;
      answer.more = *fields.remaining;
      answer.entries = std::move(fields.entries);
      if (answer.entries.empty() && answer.more > 0) return false;
      if (answer.entries.size() == 1 && answer.entries[0].name.empty()) return true;  // a file's
      return std::all_of(answer.entries.begin(), answer.entries.end(),
                         [](const HdfsEntry& entry) { return plain_entry_name(entry.name); });
    case HdfsExpects::quota: answer.quota = fields.quota; return answer.quota.has_value();
    case HdfsExpects::checksum:
      answer.checksum = std::move(fields.checksum);
      return answer.checksum && !answer.checksum->bytes.empty();
    case HdfsExpects::content:
    case HdfsExpects::created:
    case HdfsExpects::nothing: return true;
  }
  return false;
}

}  // namespace

std::string HdfsUrl::server() const {
  const bool v6 = host.find(':') != std::string::npos;
  return scheme + "://" + (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<HdfsUrl> parse_hdfs_url(std::string_view text) {
  const Scheme* const scheme = scheme_of(text);
  if (text.starts_with("hdfs://"))
    return wrong("'" + escape(text, 200) +
                 "': hdfs:// is spoken by Hadoop's own programs; write webhdfs:// and the port of "
                 "the NameNode's web pages (9870)");
  if (scheme == nullptr)
    return wrong("expected webhdfs://host:9870/path, swebhdfs:// or httpfs://, not '" +
                 escape(text, 200) + "'");
  HdfsUrl url;
  url.scheme = scheme->name;
  std::string_view rest = text.substr(scheme->name.size() + 3);
  const size_t slash = std::min(rest.find('/'), rest.size());
  url.path = rest.substr(slash);
  while (url.path.ends_with('/')) url.path.pop_back();
  std::string_view authority = rest.substr(0, slash);
  if (const size_t at = authority.rfind('@'); at != std::string_view::npos) {
    url.user = authority.substr(0, at);
    authority.remove_prefix(at + 1);
    if (url.user.empty() || url.user.find(':') != std::string::npos)
      return wrong("'" + escape(text, 200) +
                   "': before the '@' stands a user's name, and no password: HDFS knows none");
  }
  const bool v6 = authority.starts_with('[');
  const size_t close = v6 ? authority.find(']') : 0;
  if (close == std::string_view::npos) return wrong("'" + escape(text, 200) + "' lacks a ']'");
  const size_t colon = authority.find(':', close);
  url.host = v6 ? authority.substr(1, close - 1) : authority.substr(0, colon);
  if (url.host.empty() || !std::all_of(url.host.begin(), url.host.end(),
                                       [v6](char c) { return is_plain(c) || (v6 && c == ':'); }))
    return wrong("'" + escape(text, 200) + "' names no host");
  if (v6 && colon != close + 1 && close + 1 != authority.size())
    return wrong("'" + escape(text, 200) + "': expected [address]:port");
  url.port = scheme->port;
  if (colon != std::string_view::npos) {
    uint32_t port = 0;
    const std::string_view digits = authority.substr(colon + 1);
    for (const char c : digits)
      port = c >= '0' && c <= '9' && port < 100'000 ? port * 10 + static_cast<uint32_t>(c - '0')
                                                    : 100'000;
    if (digits.empty() || port == 0 || port > 65'535)
      return wrong("'" + escape(text, 200) + "': the port is a number between 1 and 65535");
    url.port = static_cast<uint16_t>(port);
  }
  if (url.path.find("//") != std::string::npos || url.path.find_first_of("?#") != std::string::npos)
    return wrong("'" + escape(text, 200) + "': the path is a directory such as /logs");
  return url;
}

Result<std::vector<HdfsUrl>> parse_hdfs_urls(std::string_view text) {
  const size_t found = text.find("://");
  const size_t begin = found == std::string_view::npos ? text.size() : found + 3;
  const size_t end = std::min(text.find('/', begin), text.size());
  const std::string_view servers = text.substr(begin, end - begin);
  std::vector<HdfsUrl> urls;
  for (size_t at = 0; at <= servers.size();) {
    const size_t comma = std::min(servers.find(',', at), servers.size());
    std::string one(text.substr(0, begin));
    one += servers.substr(at, comma - at);
    one += text.substr(end);
    auto url = parse_hdfs_url(one);
    if (!url) return url.error();
    urls.push_back(std::move(*url));
    at = comma + 1;
  }
  return urls;
}

std::string percent_encode(std::string_view text, Slashes slashes) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (is_plain(c) || (c == '/' && slashes == Slashes::kept)) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += {'%', kHex[byte >> 4], kHex[byte & 15]};
  }
  return out;
}

std::string hdfs_origin(const HdfsUrl& server) {
  const std::string shown = server.server();
  return (server.tls() ? "https" : "http") + shown.substr(shown.find(':'));
}

std::string hdfs_address(const HdfsUrl& server, std::string_view user, std::string_view path,
                         std::string_view op, const HdfsParameters& parameters) {
  std::string out = hdfs_origin(server);
  out += kPrefix;
  out += percent_encode(path, Slashes::kept);
  out += "?op=";
  out += op;
  if (!user.empty()) out += "&user.name=" + percent_encode(user, Slashes::encoded);
  for (const auto& [name, value] : parameters) {
    out += '&';
    out += name;
    out += '=' + percent_encode(value, Slashes::encoded);
  }
  return out;
}

Result<void> check_hdfs_redirect(const HdfsUrl& server, std::string_view location) {
  const std::string_view scheme = server.tls() ? "https://" : "http://";
  const std::string shown =  // behind the '?' may stand a token
      "a redirect to '" + escape(location.substr(0, location.find('?')), 100) + "'";
  if (location.size() > kMostLocation) return wrong("a redirect of more than 8 KiB");
  for (const char c : location)
    if (c <= ' ' || c == 0x7f || c == '\\' || c == '"' || c == '<' || c == '>' || c == '#')
      return wrong(shown + " holds what no address may");
  if (!location.starts_with(scheme))
    return wrong(shown + " is not followed: it leaves " + std::string(scheme));
  const std::string_view rest = location.substr(scheme.size());
  const size_t slash = std::min(rest.find_first_of("/?"), rest.size());
  const std::string_view authority = rest.substr(0, slash);
  if (authority.empty() || authority.find('@') != std::string_view::npos)
    return wrong(shown + " is not followed: it names no plain host");
  if (!rest.substr(slash).starts_with(std::string(kPrefix) + "/"))
    return wrong(shown + " is not followed: it is no address of WebHDFS");
  return {};
}

std::string hdfs_redirect_host(std::string_view location) {
  const size_t begin = location.find("://");
  if (begin == std::string_view::npos) return {};
  location.remove_prefix(begin + 3);
  return std::string(location.substr(0, location.find_first_of("/?")));
}

HdfsAnswer understand_hdfs(HdfsExpects expects, const HttpReply& reply) {
  const int status = reply.status;
  const bool raw = expects == HdfsExpects::content || expects == HdfsExpects::created;
  if ((raw || expects == HdfsExpects::checksum) && (status == 307 || status == 302) &&
      !reply.location.empty()) {
    HdfsAnswer answer;
    answer.outcome = HdfsOutcome::redirect;
    answer.location = reply.location;
    return answer;
  }
  const bool page = reply.type.find("html") != std::string::npos;
  const bool bare = status == (expects == HdfsExpects::created ? 201 : 200) && !page &&
                    (raw || (expects == HdfsExpects::nothing && reply.body.empty()));
  std::optional<Fields> fields;
  if (!bare) fields = read_fields(reply.body);
  if (fields && !fields->exception.empty()) return of_exception(*fields);
  HdfsAnswer answer;
  if (bare || (status == 200 && !raw && fields && take(expects, *fields, answer))) {
    answer.outcome = HdfsOutcome::done;
    return answer;
  }
  return not_understood(reply);
}

Error hdfs_error(const HdfsAnswer& answer, std::string_view doing) {
  const bool never = answer.outcome == HdfsOutcome::refused;
  std::string text(doing);
  return Error{never ? Error::Kind::rejected : Error::Kind::retry_later,
               text + ": " + (answer.text.empty() ? "no clear answer" : answer.text)};
}

}  // namespace tailrace
