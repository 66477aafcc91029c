// What the writer and the reader of SequenceFiles share.
// Thread: any; plain values.
#pragma once

#include <string_view>

#include "flow/batch.h"

namespace tailrace::sequence {

inline constexpr std::string_view kMagic = "SEQ\6";  // and the version
inline constexpr std::string_view kKeyClass = "org.apache.hadoop.io.LongWritable";
inline constexpr std::string_view kValueClass = "org.apache.hadoop.io.Text";

// The class of Hadoop's that reads a codec; "" for none.
inline std::string_view codec_class(Codec codec) {
  switch (codec) {
    case Codec::none: break;
    case Codec::gzip: return "org.apache.hadoop.io.compress.GzipCodec";
    case Codec::zstd: return "org.apache.hadoop.io.compress.ZStandardCodec";
    case Codec::snappy: return "org.apache.hadoop.io.compress.SnappyCodec";
  }
  return "";
}

}  // namespace tailrace::sequence
