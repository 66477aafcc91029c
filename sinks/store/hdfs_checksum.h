// Whether a file of HDFS holds the bytes that were sent, by the checksum that it tells of it: MD5
// of MD5s of CRC32Cs, or the CRC32C of the whole (dfs.checksum.combine.mode = COMPOSITE_CRC). A
// DataNode makes the CRCs as the bytes come in, so that this finds what was changed on the way.
// Thread: any.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "sinks/store/http_client.h"
#include "sinks/store/webhdfs.h"

namespace tailrace {

// Whether `theirs` is that of all of `body`, which is read once. retry_later: that cannot be told,
// and why; or what `body` said.
[[nodiscard]] Result<bool> is_checksum_of(const HdfsChecksum& theirs, const HttpBody& body);

}  // namespace tailrace
