// The codecs behind codec.h, one .cc for each foreign library.
// Thread: as in codec.h.
#pragma once

#include <memory>

#include "flow/codec.h"

namespace tailrace {

// ISA-L and zlib make and read the same format; both are built where both are there, so that each
// can be tested against the other.
#ifdef TAILRACE_HAVE_ISAL
[[nodiscard]] std::unique_ptr<Compressor> make_isal_compressor();
[[nodiscard]] std::unique_ptr<Inflater> make_isal_inflater();
[[nodiscard]] std::unique_ptr<FileInflater> make_isal_file_inflater();
#endif
[[nodiscard]] std::unique_ptr<Compressor> make_zlib_compressor();
[[nodiscard]] std::unique_ptr<Inflater> make_zlib_inflater();
[[nodiscard]] std::unique_ptr<FileInflater> make_zlib_file_inflater();

[[nodiscard]] std::unique_ptr<Compressor> make_zstd_compressor();
[[nodiscard]] std::unique_ptr<Inflater> make_zstd_inflater();
[[nodiscard]] std::unique_ptr<FileInflater> make_zstd_file_inflater();
// Exactly one frame, without a dictionary, that says it holds raw_len bytes.
[[nodiscard]] bool zstd_frame_says(std::string_view payload, uint32_t raw_len);

[[nodiscard]] std::unique_ptr<Compressor> make_snappy_compressor();
[[nodiscard]] std::unique_ptr<Inflater> make_snappy_inflater();
[[nodiscard]] std::unique_ptr<FileInflater> make_snappy_file_inflater();
// Exactly one block of that length, in chunks that Hadoop's readers take; nothing, if it is 0.
[[nodiscard]] bool snappy_block_says(std::string_view payload, size_t raw_len);

}  // namespace tailrace
