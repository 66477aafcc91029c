#include "cli/config/hdfs_config.h"

#include "base/units.h"
#include "center/names.h"
#include "cli/process.h"
#include "sinks/store/hadoop_conf.h"

namespace tailrace {

namespace {

constexpr uint64_t kBlockStep = 1u << 20;

// HDFS takes no path with an empty part in it, as '/logs/' and a name behind it would be.
void read_root(ConfigMap& map, std::string& root) {
  while (root.ends_with('/')) root.pop_back();
  if (map.has("root") && (root.empty() || !valid_store_path(std::string_view(root).substr(1))))
    map.wrong("root", "expected a directory of HDFS", "such as /logs");
}

// Where Hadoop's own clients of this host are told to go.
void read_hadoop_conf_dir(ConfigMap& map, SinkSettings& settings) {
  if (map.has("url"))
    return map.wrong("hadoop_conf_dir", "'url' says already where HDFS is",
                     "leave one of them out");
  const auto conf = read_hadoop_conf(map.text("hadoop_conf_dir"));
  if (!conf) return map.wrong("hadoop_conf_dir", conf.error().text);
  auto urls = namenodes_in(*conf, map.text("nameservice"));
  if (!urls)
    return map.wrong(map.has("nameservice") ? "nameservice" : "hadoop_conf_dir", urls.error().text);
  settings.hdfs = std::move(*urls);
  const std::string key = "hadoop.security.authentication";
  if (conf->value(key) == "kerberos" && !map.has("kerberos"))
    map.wrong("hadoop_conf_dir", "this HDFS uses Kerberos (" + conf->place(key) + ")",
              "kerberos: {principal: tailrace/_HOST@EXAMPLE.COM, keytab: /etc/tailrace/k.keytab}");
}

void read_servers(ConfigMap& map, SinkSettings& settings) {
  if (map.has("hadoop_conf_dir")) return read_hadoop_conf_dir(map, settings);
  if (map.has("nameservice"))
    map.wrong("nameservice", "'nameservice' is of 'hadoop_conf_dir', which is not there");
  if (map.texts("url").empty())
    map.missing("url", "[webhdfs://namenode:9870], or hadoop_conf_dir: /etc/hadoop/conf");
  for (const std::string& text : map.texts("url")) {
    auto url = parse_hdfs_url(text);
    if (!url)
      map.wrong("url", url.error().text);
    else if (!url->path.empty() || !url->user.empty())
      map.wrong("url", "'" + escape(text, 200) + "': only where the server is",
                "the directory stands in 'root', the user in 'user'");
    else if (!settings.hdfs.empty() && url->scheme != settings.hdfs[0].scheme)
      map.wrong("url",
                "one way for all: " + settings.hdfs[0].scheme + "://, or " + url->scheme + "://");
    else
      settings.hdfs.push_back(std::move(*url));
  }
}

void read_kerberos(ConfigMap& map, KerberosSettings& settings) {
  if (!map.has("kerberos")) return;
  ConfigMap kerberos = map.map("kerberos");
  settings.principal = kerberos.text("principal");
  settings.keytab = kerberos.text("keytab");
  if (settings.principal.empty()) kerberos.missing("principal", "tailrace/_HOST@EXAMPLE.COM");
  if (settings.keytab.empty()) kerberos.missing("keytab", "/etc/tailrace/tailrace.keytab");
  if (settings.principal.find_first_of(" \t") != std::string::npos)
    kerberos.wrong("principal", "a principal is name@REALM or name/host@REALM");
  if (map.has("user"))
    map.wrong("user", "with Kerberos the principal is who acts, and 'user' is not believed",
              "leave it out");
}

void read_access(ConfigMap& map, SinkSettings& settings) {
  read_kerberos(map, settings.hdfs_access.kerberos);
  if (auto rules = AddressRules::parse(map.texts("redirect_hosts")))
    settings.hdfs_access.redirects = std::move(*rules);
  else
    map.wrong("redirect_hosts", rules.error().text);
  settings.hdfs_access.ca_file = map.text("ca_file");
  if (map.has("ca_file") && !settings.hdfs.empty() && !settings.hdfs[0].tls())
    map.wrong("ca_file", "'ca_file' is of TLS, which " + settings.hdfs[0].scheme + ":// is not",
              "write swebhdfs:// in url; HttpFS over TLS is swebhdfs://host:14000");
}

// What the map says, over what counts otherwise.
HdfsRights read_rights(ConfigMap& map, HdfsRights rights) {
  if (map.has("owner")) rights.owner = map.text("owner");
  if (map.has("group")) rights.group = map.text("group");
  if (map.has("mode")) rights.mode = map.text("mode");
  if (map.has("replication")) rights.replication = static_cast<unsigned>(map.number("replication"));
  const bool octal =
      rights.mode.size() == 3 && rights.mode.find_first_not_of("01234567") == std::string::npos;
  if (!octal || rights.mode[0] < '6')
    map.wrong("mode",
              "expected three octal digits such as 640, of which the owner may read and write");
  return rights;
}

void read_writing(ConfigMap& map, HdfsWriting& writing) {
  writing.usual = read_rights(map, {});
  ConfigMap categories = map.map("categories");
  categories.each([&](const std::string& name, ConfigMap category) {
    writing.categories[name] = read_rights(category, writing.usual);
  });
  if (map.has("block_size")) writing.block_bytes = map.number("block_size");
  if (writing.block_bytes % kBlockStep != 0)
    map.wrong("block_size", "HDFS's blocks are whole MiB", "such as 128MiB");
  if (map.text("verify") == "checksum") writing.verify = HdfsVerify::checksum;
  if (map.has("bandwidth")) writing.bytes_per_second = map.number("bandwidth");
}

}  // namespace

void read_hdfs_sink(ConfigMap& map, SinkSettings& settings) {
  constexpr const char* kOfHdfs[] = {
      "hadoop_conf_dir", "nameservice",    "url",       "user",  "kerberos",
      "ca_file",         "redirect_hosts", "owner",     "group", "mode",
      "replication",     "block_size",     "bandwidth", "verify"};
  const bool hdfs = map.text("type") == "hdfs";
  for (const char* const key : kOfHdfs)
    if (!hdfs && map.has(key))
      map.wrong(key, "'" + std::string(key) + "' is of a sink of type hdfs");
  if (!hdfs) {
    map.map("categories").each([](const std::string&, ConfigMap category) {
      for (const char* const key : {"owner", "group", "mode", "replication"})
        if (category.has(key))
          category.wrong(key, "'" + std::string(key) + "' is of a sink of type hdfs");
    });
    return;
  }
  read_root(map, settings.root);
  read_servers(map, settings);
  settings.hdfs_user = map.known("user") ? map.text("user") : user_name();
  read_access(map, settings);
  read_writing(map, settings.hdfs_writing);
}

}  // namespace tailrace
