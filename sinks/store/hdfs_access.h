// By what a HDFS and we prove to each other who we are, where we let it send us, and what becomes
// of what we write. Thread: any; plain values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/address_rules.h"

namespace tailrace {

struct KerberosSettings {
  std::string principal;  // "tailrace/_HOST@REALM": _HOST is this host's full name; without a realm
                          // krb5.conf's default one. Empty: no Kerberos
  std::string keytab;     // its file, read at each login
  [[nodiscard]] bool given() const { return !principal.empty(); }
};

struct HdfsAccess {
  std::string
      ca_file;  // authorities (PEM) that sign its servers' certificates; empty: the system's
  KerberosSettings kerberos;
  AddressRules redirects;  // whither its servers may send us, besides to themselves; none: anywhere
};

// Of a category's files and directories; what is empty or 0 is HDFS's own choice.
struct HdfsRights {
  std::string owner;  // who writes them in our place (doas)
  std::string group;
  std::string mode = "644";  // of files; a directory may be entered by whoever may read it
  unsigned replication = 0;
};

// How an upload is looked at before it counts.
enum class HdfsVerify { length, checksum };

struct HdfsWriting {
  HdfsRights usual;
  std::map<std::string, HdfsRights> categories;  // all of it, where some of it is otherwise
  uint64_t block_bytes = 0;                      // 0: blocks that hold a file whole
  HdfsVerify verify = HdfsVerify::length;
  uint64_t bytes_per_second = 0;  // of all uploads together; 0: as many as there are

  // Of a path below the root, or of its directories: the first part of it is the category.
  [[nodiscard]] const HdfsRights& rights_of(std::string_view path) const {
    const auto found = categories.find(std::string(path.substr(0, path.find('/'))));
    return found == categories.end() ? usual : found->second;
  }
};

}  // namespace tailrace
