#include "sinks/format/file_format.h"

#include "base/units.h"
#include "flow/codec.h"

namespace tailrace {

std::string_view format_name(FileFormat format) {
  return format == FileFormat::sequence ? "sequence_file" : "text";
}

Result<FileFormat> parse_format(std::string_view name) {
  for (const FileFormat format : {FileFormat::lines, FileFormat::sequence})
    if (name == format_name(format)) return format;
  return Error{Error::Kind::rejected,
               "expected a format: text or sequence_file; got '" + escape(name, 64) + "'"};
}

std::string file_suffix(FileFormat format, Codec codec) {
  if (format == FileFormat::sequence) return std::string(kSequenceSuffix);
  return ".log" + std::string(codec_extension(codec));
}

}  // namespace tailrace
