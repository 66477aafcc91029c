// What an open file is made of, and what its name ends with. Thread: any; plain values.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "flow/batch.h"

namespace tailrace {

// The numbers stand in records.
enum class FileFormat : uint8_t {
  lines = 1,     // members, frames or blocks of lines, one behind the other
  sequence = 2,  // Hadoop's SequenceFile (sinks/format/sequence_file.h)
};

// As settings name it: text, sequence_file. rejected: neither.
[[nodiscard]] std::string_view format_name(FileFormat format);
[[nodiscard]] Result<FileFormat> parse_format(std::string_view name);

inline constexpr std::string_view kSequenceSuffix = ".seq";  // the codec stands in the file
// ".log.gz", ".seq".
[[nodiscard]] std::string file_suffix(FileFormat format, Codec codec);

// Which format a category's files have.
struct FileFormats {
  FileFormat usual = FileFormat::lines;
  std::map<std::string, FileFormat, std::less<>> of;

  [[nodiscard]] FileFormat operator()(std::string_view category) const {
    const auto found = of.find(category);
    return found == of.end() ? usual : found->second;
  }
};

}  // namespace tailrace
