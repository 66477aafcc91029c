#include "sinks/store/hadoop_conf.h"

#include <expat.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "base/address.h"
#include "base/file.h"
#include "base/units.h"

namespace tailrace {

namespace {

constexpr size_t kMostFileBytes = 4u << 20;
constexpr size_t kMostDepth = 8;
constexpr int kMostExpansions = 20;  // as Hadoop itself
constexpr uint16_t kHttpPort = 9870, kHttpsPort = 9871;

Error wrong(std::string text) { return Error{Error::Kind::rejected, std::move(text)}; }

std::string trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(kBlank) - begin + 1));
}

// <configuration><property><name>..</name><value>..</value></property>...</configuration>
class Properties {
 public:
  struct Property {
    std::string name;
    std::string value;
    bool final = false;
    size_t line = 0;
  };

  Properties() : parser_(XML_ParserCreate(nullptr), XML_ParserFree) {
    XML_SetUserData(parser_.get(), this);
    XML_SetElementHandler(
        parser_.get(),
        [](void* self, const char* name, const char**) {
          static_cast<Properties*>(self)->begin(name);
        },
        [](void* self, const char*) { static_cast<Properties*>(self)->end(); });
    XML_SetCharacterDataHandler(parser_.get(), [](void* self, const char* text, int n) {
      static_cast<Properties*>(self)->text_.append(text, static_cast<size_t>(n));
    });
    XML_SetStartDoctypeDeclHandler(
        parser_.get(), [](void* self, const char*, const char*, const char*, int) {
          static_cast<Properties*>(self)->refuse("a DOCTYPE is not read");
        });
  }

  // rejected: "LINE: what is wrong".
  Result<std::vector<Property>> read(std::string_view xml) {
    const auto done = XML_Parse(parser_.get(), xml.data(), static_cast<int>(xml.size()), XML_TRUE);
    if (!refused_.empty()) return wrong(refused_);
    if (done != XML_STATUS_OK)
      return wrong(at() + XML_ErrorString(XML_GetErrorCode(parser_.get())));
    return std::move(properties_);
  }

 private:
  [[nodiscard]] size_t line() const { return XML_GetCurrentLineNumber(parser_.get()); }
  [[nodiscard]] std::string at() const { return std::to_string(line()) + ": "; }
  void refuse(const std::string& why) {
    if (refused_.empty()) refused_ = at() + why;
    XML_StopParser(parser_.get(), XML_FALSE);
  }

  void begin(std::string_view name) {
    if (path_.empty() && name != "configuration")
      return refuse("expected <configuration>, found <" + escape(name, 64) + ">");
    if (name.ends_with("include")) return refuse("<" + escape(name, 64) + "> is not followed");
    if (path_.size() >= kMostDepth) return refuse("elements within elements within elements");
    path_.emplace_back(name);
    if (path_.size() == 2 && name == "property") now_ = Property{{}, {}, false, line()};
    text_.clear();
  }

  void end() {
    if (!refused_.empty()) return;  // one may come after the parser was stopped
    const bool within = path_.size() == 3 && path_[1] == "property";
    if (within && path_[2] == "name") now_.name = trimmed(text_);
    if (within && path_[2] == "value") now_.value = trimmed(text_);
    if (within && path_[2] == "final") now_.final = trimmed(text_) == "true";
    if (path_.size() == 2 && path_[1] == "property" && !now_.name.empty())
      properties_.push_back(std::move(now_));
    path_.pop_back();
    text_.clear();
  }

  std::unique_ptr<XML_ParserStruct, void (*)(XML_Parser)> parser_;
  std::vector<std::string> path_;
  std::string text_;
  Property now_;
  std::vector<Property> properties_;
  std::string refused_;
};

std::vector<std::string> words_of(const std::string& list) {
  std::vector<std::string> out;
  for (size_t at = 0; at <= list.size();) {
    const size_t comma = std::min(list.find(',', at), list.size());
    if (std::string word = trimmed(std::string_view(list).substr(at, comma - at)); !word.empty())
      out.push_back(std::move(word));
    at = comma + 1;
  }
  return out;
}

// The address of the web server of one NameNode; `suffix`: ".ns.nn1", ".ns" or nothing.
Result<HdfsUrl> namenode(const HadoopConf& conf, const std::string& suffix, bool tls,
                         const std::string& rpc_host) {
  const std::string key = std::string("dfs.namenode.") + (tls ? "https" : "http") + "-address";
  const uint16_t port = tls ? kHttpsPort : kHttpPort;
  HdfsUrl url;
  url.scheme = tls ? "swebhdfs" : "webhdfs";
  url.host = rpc_host;
  url.port = port;
  std::string text = conf.value(key + suffix);
  if (const std::string rpc = conf.value("dfs.namenode.rpc-address" + suffix); !rpc.empty())
    if (const auto at = parse_host_port(rpc, port)) url.host = at->host;
  if (!text.empty()) {
    const auto at = parse_host_port(text, port);
    if (!at) return at.error().within(conf.place(key + suffix) + ": " + key + suffix);
    url.port = at->port;
    if (at->host != "0.0.0.0" && at->host != "::") url.host = at->host;
  }
  if (url.host.empty())
    return wrong("neither " + key + suffix + " nor dfs.namenode.rpc-address" + suffix + " is set");
  return parse_hdfs_url(url.server());  // no address that such a one would not be
}

}  // namespace

Result<void> HadoopConf::add(const std::string& file, std::string_view xml) {
  if (xml.size() > kMostFileBytes) return wrong(file + ":1: larger than 4 MiB");
  auto read = Properties().read(xml);
  if (!read) return wrong(file + ":" + read.error().text);
  for (const Properties::Property& property : *read) {
    Property& known = properties_[property.name];
    if (!known.final) known = {property.value, file, property.line, property.final};
  }
  return {};
}

std::string HadoopConf::value(const std::string& name) const {
  const auto found = properties_.find(name);
  return found == properties_.end() ? std::string() : expanded(found->second.value, 0);
}

std::string HadoopConf::expanded(const std::string& value, int depth) const {
  std::string out;
  size_t at = 0;
  for (;;) {
    const size_t begin = depth < kMostExpansions ? value.find("${", at) : std::string::npos;
    const size_t end = begin == std::string::npos ? begin : value.find('}', begin);
    if (end == std::string::npos) return out + value.substr(at);
    const auto found = properties_.find(value.substr(begin + 2, end - begin - 2));
    out += value.substr(at, begin - at);
    out += found == properties_.end() ? value.substr(begin, end + 1 - begin)
                                      : expanded(found->second.value, depth + 1);
    at = end + 1;
    if (out.size() > kMostFileBytes) return {};
  }
}

std::string HadoopConf::place(const std::string& name) const {
  const auto found = properties_.find(name);
  if (found == properties_.end()) return "?";
  return found->second.file + ":" + std::to_string(found->second.line);
}

Result<HadoopConf> read_hadoop_conf(const std::string& directory) {
  HadoopConf conf;
  for (const char* const name : {"core-site.xml", "hdfs-site.xml"}) {
    const std::string file = directory + "/" + name;
    struct stat status {};
    const bool optional = std::string_view(name) == "hdfs-site.xml";
    if (optional && ::stat(file.c_str(), &status) != 0 && errno == ENOENT) continue;
    const auto xml = read_file(file, kMostFileBytes);
    if (!xml) return xml.error();
    if (auto added = conf.add(file, *xml); !added) return added.error();
  }
  return conf;
}

Result<std::vector<HdfsUrl>> namenodes_in(const HadoopConf& conf, const std::string& nameservice) {
  std::string service = nameservice;
  if (service.empty()) {
    const std::string usual = conf.value("fs.defaultFS");
    if (!usual.starts_with("hdfs://"))
      return wrong(usual.empty() ? "fs.defaultFS is not set: name a `nameservice`"
                                 : conf.place("fs.defaultFS") + ": fs.defaultFS '" +
                                       escape(usual, 100) + "' is no hdfs://");
    service = usual.substr(7, usual.find('/', 7) - 7);
  }
  const bool tls = conf.value("dfs.http.policy") == "HTTPS_ONLY";
  const std::vector<std::string> nodes = words_of(conf.value("dfs.ha.namenodes." + service));
  std::vector<HdfsUrl> urls;
  for (const std::string& node : nodes) {
    auto url = namenode(conf, "." + service + "." + node, tls, "");
    if (!url) return url.error();
    urls.push_back(std::move(*url));
  }
  if (!urls.empty()) return urls;
  const std::vector<std::string> services = words_of(conf.value("dfs.nameservices"));
  const bool named = std::find(services.begin(), services.end(), service) != services.end();
  if (!named && !nameservice.empty())
    return wrong("no nameservice '" + escape(nameservice, 100) + "' in dfs.nameservices ('" +
                 escape(conf.value("dfs.nameservices"), 200) + "')");
  std::string host;
  if (!named) {
    const auto at = parse_host_port(service, 0);
    if (!at) return at.error().within(conf.place("fs.defaultFS") + ": fs.defaultFS");
    host = at->host;
  }
  auto url = namenode(conf, named ? "." + service : "", tls, host);
  if (!url) return url.error();
  urls.push_back(std::move(*url));
  return urls;
}

}  // namespace tailrace
