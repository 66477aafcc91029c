#ifdef TAILRACE_HAVE_ISAL
#include <isa-l/igzip_lib.h>

#include <algorithm>

#include "flow/codec_parts.h"
#include "flow/member_inflater.h"

namespace tailrace {

namespace {

uint8_t* bytes_of(const char* p) { return reinterpret_cast<uint8_t*>(const_cast<char*>(p)); }

// What level 1 gathers before it writes a block. Larger ones compress no better and leave the
// cache.
constexpr uint32_t kLevelBytes = ISAL_DEF_LVL1_MEDIUM;

// Deflate's stored blocks add 5 bytes to each 64 KiB, gzip 18; the rest is room to be wrong in.
constexpr size_t bound(size_t raw) { return raw + raw / 1024 + 512; }

class IsalCompressor : public Compressor {
 public:
  IsalCompressor() { isal_deflate_init(&stream_); }

  void compress(std::string_view raw, std::string& out) override {
    if (bound(raw.size()) > room_) {
      room_ = bound(raw.size());
      member_ = std::make_unique_for_overwrite<char[]>(room_);
    }
    isal_deflate_reset(&stream_);
    stream_.level = 1;
    stream_.level_buf = level_buffer_.get();
    stream_.level_buf_size = kLevelBytes;
    stream_.gzip_flag = IGZIP_GZIP;
    stream_.end_of_stream = 1;
    stream_.flush = NO_FLUSH;
    stream_.next_in = bytes_of(raw.data());
    stream_.avail_in = static_cast<uint32_t>(raw.size());
    stream_.next_out = bytes_of(member_.get());
    stream_.avail_out = static_cast<uint32_t>(room_);
    const int r = isal_deflate(&stream_);
    TAILRACE_CHECK(r == COMP_OK && stream_.internal_state.state == ZSTATE_END,
                   "ISA-L did not finish a member within its bound");
    out.assign(member_.get(), stream_.total_out);
  }

 private:
  isal_zstream stream_;
  std::unique_ptr<uint8_t[]> level_buffer_ = std::make_unique<uint8_t[]>(kLevelBytes);
  std::unique_ptr<char[]> member_;  // as long as the worst case; `out` gets what is used of it
  size_t room_ = 0;
};

class IsalEngine {
 public:
  IsalEngine() { isal_inflate_init(&state_); }

  void restart() {
    isal_inflate_reset(&state_);
    state_.crc_flag = ISAL_GZIP;
  }
  Result<bool> step(std::string_view& in, std::span<char>& out) {
    state_.next_in = bytes_of(in.data());
    state_.avail_in = static_cast<uint32_t>(in.size());
    state_.next_out = bytes_of(out.data());
    state_.avail_out = static_cast<uint32_t>(out.size());
    const int r = isal_inflate(&state_);
    if (r != ISAL_DECOMP_OK && r != ISAL_END_INPUT)
      return Error{Error::Kind::corrupt, "broken gzip data (ISA-L code " + std::to_string(r) + ")"};
    in.remove_prefix(in.size() - state_.avail_in);
    out = out.last(state_.avail_out);
    return state_.block_state == ISAL_BLOCK_FINISH;
  }

 private:
  inflate_state state_;
};

}  // namespace

std::unique_ptr<Compressor> make_isal_compressor() { return std::make_unique<IsalCompressor>(); }
std::unique_ptr<Inflater> make_isal_inflater() {
  return std::make_unique<MemberInflater<IsalEngine>>();
}
std::unique_ptr<FileInflater> make_isal_file_inflater() {
  return std::make_unique<MembersInflater<IsalEngine>>();
}

}  // namespace tailrace
#endif
