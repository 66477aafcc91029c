#include <zstd.h>

#include "flow/codec_parts.h"
#include "flow/member_inflater.h"

namespace tailrace {

namespace {

constexpr int kLevel = 1;

class ZstdCompressor : public Compressor {
 public:
  ZstdCompressor() : context_(ZSTD_createCCtx()) {
    TAILRACE_CHECK(context_ != nullptr, "zstd cannot start: out of memory?");
    ZSTD_CCtx_setParameter(context_, ZSTD_c_compressionLevel, kLevel);
    ZSTD_CCtx_setParameter(context_, ZSTD_c_contentSizeFlag, 1);
    ZSTD_CCtx_setParameter(context_, ZSTD_c_checksumFlag, 1);
  }
  ~ZstdCompressor() override { ZSTD_freeCCtx(context_); }
  ZstdCompressor(const ZstdCompressor&) = delete;
  ZstdCompressor& operator=(const ZstdCompressor&) = delete;

  void compress(std::string_view raw, std::string& out) override {
    const size_t bound = ZSTD_compressBound(raw.size());
    if (bound > room_) {
      room_ = bound;
      frame_ = std::make_unique_for_overwrite<char[]>(room_);
    }
    const size_t n = ZSTD_compress2(context_, frame_.get(), room_, raw.data(), raw.size());
    TAILRACE_CHECK(!ZSTD_isError(n), ZSTD_getErrorName(n));
    out.assign(frame_.get(), n);
  }

 private:
  ZSTD_CCtx* context_;
  std::unique_ptr<char[]> frame_;  // as long as the worst case; `out` gets what is used of it
  size_t room_ = 0;
};

class ZstdEngine {
 public:
  ZstdEngine() : context_(ZSTD_createDCtx()) {
    TAILRACE_CHECK(context_ != nullptr, "zstd cannot start: out of memory?");
  }
  ~ZstdEngine() { ZSTD_freeDCtx(context_); }
  ZstdEngine(const ZstdEngine&) = delete;
  ZstdEngine& operator=(const ZstdEngine&) = delete;

  void restart() { ZSTD_DCtx_reset(context_, ZSTD_reset_session_only); }
  Result<bool> step(std::string_view& in, std::span<char>& out) {
    ZSTD_inBuffer input{in.data(), in.size(), 0};
    ZSTD_outBuffer output{out.data(), out.size(), 0};
    const size_t r = ZSTD_decompressStream(context_, &output, &input);
    if (ZSTD_isError(r))
      return Error{Error::Kind::corrupt, std::string("broken zstd data: ") + ZSTD_getErrorName(r)};
    in.remove_prefix(input.pos);
    out = out.subspan(output.pos);
    return r == 0;
  }

 private:
  ZSTD_DCtx* context_;
};

}  // namespace

std::unique_ptr<Compressor> make_zstd_compressor() { return std::make_unique<ZstdCompressor>(); }
std::unique_ptr<Inflater> make_zstd_inflater() {
  return std::make_unique<MemberInflater<ZstdEngine>>();
}
std::unique_ptr<FileInflater> make_zstd_file_inflater() {
  return std::make_unique<MembersInflater<ZstdEngine>>();
}

bool zstd_frame_says(std::string_view payload, uint32_t raw_len) {
  return ZSTD_getFrameContentSize(payload.data(), payload.size()) == raw_len &&
         ZSTD_getDictID_fromFrame(payload.data(), payload.size()) == 0 &&
         ZSTD_findFrameCompressedSize(payload.data(), payload.size()) == payload.size();
}

}  // namespace tailrace
