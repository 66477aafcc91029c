// Where a HDFS's NameNodes are, out of the files that Hadoop's own clients read: core-site.xml and
// hdfs-site.xml. expat is included from hadoop_conf.cc alone. Thread: any; files are read in
// read_hadoop_conf() only.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sinks/store/webhdfs.h"

namespace tailrace {

// The properties of several files; what a later file says counts, unless an earlier one is final.
class HadoopConf {
 public:
  // Takes what a file says. rejected: "FILE:LINE: what is wrong".
  [[nodiscard]] Result<void> add(const std::string& file, std::string_view xml);
  // With ${other.property} in it replaced; empty: not set.
  [[nodiscard]] std::string value(const std::string& name) const;
  // "FILE:LINE" of it, for people.
  [[nodiscard]] std::string place(const std::string& name) const;

 private:
  struct Property {
    std::string value;
    std::string file;
    size_t line = 0;
    bool final = false;
  };
  [[nodiscard]] std::string expanded(const std::string& value, int depth) const;
  std::map<std::string, Property> properties_;
};

// core-site.xml and, if there is one, hdfs-site.xml in that directory. rejected: what cannot be
// read.
[[nodiscard]] Result<HadoopConf> read_hadoop_conf(const std::string& directory);

// The NameNodes of `nameservice` (empty: that of fs.defaultFS), by the scheme that dfs.http.policy
// says. rejected: which property, and where it stands.
[[nodiscard]] Result<std::vector<HdfsUrl>> namenodes_in(const HadoopConf& conf,
                                                        const std::string& nameservice);

}  // namespace tailrace
