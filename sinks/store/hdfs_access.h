// By what a HDFS and we prove to each other who we are. Thread: any; plain values.
#pragma once

#include <string>

namespace tailrace {

struct HdfsAccess {
  std::string
      ca_file;  // authorities (PEM) that sign its servers' certificates; empty: the system's
};

}  // namespace tailrace
