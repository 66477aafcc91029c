// What a sink's settings say of HDFS. Thread: main.
#pragma once

#include "base/config.h"
#include "center/center.h"

namespace tailrace {

// Into settings.hdfs and hdfs_*, if the sink is one of HDFS; what is wrong becomes a problem of
// `map`.
void read_hdfs_sink(ConfigMap& map, SinkSettings& settings);

}  // namespace tailrace
