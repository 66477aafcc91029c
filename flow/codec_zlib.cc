#include <zlib.h>

#include "flow/codec_parts.h"
#include "flow/member_inflater.h"

namespace tailrace {

namespace {

constexpr int kGzipWindow = 15 + 16;  // the largest window, and gzip's wrapper

Bytef* bytes_of(const char* p) { return reinterpret_cast<Bytef*>(const_cast<char*>(p)); }

class ZlibCompressor : public Compressor {
 public:
  ZlibCompressor() {
    const int r = deflateInit2(&stream_, 1, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY);
    TAILRACE_CHECK(r == Z_OK, "zlib cannot start: out of memory?");
  }
  ~ZlibCompressor() override { deflateEnd(&stream_); }
  ZlibCompressor(const ZlibCompressor&) = delete;
  ZlibCompressor& operator=(const ZlibCompressor&) = delete;

  void compress(std::string_view raw, std::string& out) override {
    deflateReset(&stream_);
    const size_t bound = deflateBound(&stream_, raw.size());
    if (bound > room_) {
      room_ = bound;
      member_ = std::make_unique_for_overwrite<char[]>(room_);
    }
    stream_.next_in = bytes_of(raw.data());
    stream_.avail_in = static_cast<uInt>(raw.size());
    stream_.next_out = bytes_of(member_.get());
    stream_.avail_out = static_cast<uInt>(room_);
    const int r = deflate(&stream_, Z_FINISH);
    TAILRACE_CHECK(r == Z_STREAM_END, "zlib did not finish a member within its bound");
    out.assign(member_.get(), stream_.total_out);
  }

 private:
  z_stream stream_{};
  std::unique_ptr<char[]> member_;  // as long as the worst case; `out` gets what is used of it
  size_t room_ = 0;
};

class ZlibEngine {
 public:
  ZlibEngine() {
    const int r = inflateInit2(&stream_, kGzipWindow);
    TAILRACE_CHECK(r == Z_OK, "zlib cannot start: out of memory?");
  }
  ~ZlibEngine() { inflateEnd(&stream_); }
  ZlibEngine(const ZlibEngine&) = delete;
  ZlibEngine& operator=(const ZlibEngine&) = delete;

  void restart() { inflateReset(&stream_); }
  Result<bool> step(std::string_view& in, std::span<char>& out) {
    stream_.next_in = bytes_of(in.data());
    stream_.avail_in = static_cast<uInt>(in.size());
    stream_.next_out = bytes_of(out.data());
    stream_.avail_out = static_cast<uInt>(out.size());
    const int r = inflate(&stream_, Z_NO_FLUSH);
    if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
      return Error{Error::Kind::corrupt,
                   std::string("broken gzip data: ") +
                       (stream_.msg ? stream_.msg : "zlib does not say what")};
    in.remove_prefix(in.size() - stream_.avail_in);
    out = out.last(stream_.avail_out);
    return r == Z_STREAM_END;
  }

 private:
  z_stream stream_{};
};

}  // namespace

std::unique_ptr<Compressor> make_zlib_compressor() { return std::make_unique<ZlibCompressor>(); }
std::unique_ptr<Inflater> make_zlib_inflater() {
  return std::make_unique<MemberInflater<ZlibEngine>>();
}
std::unique_ptr<FileInflater> make_zlib_file_inflater() {
  return std::make_unique<MembersInflater<ZlibEngine>>();
}

}  // namespace tailrace
