#include "center/verify.h"

#include "base/hash.h"
#include "base/newlines.h"

namespace tailrace {

namespace {
constexpr uint64_t kFirst = 16;
constexpr uint64_t kOneIn = 64;

Error corrupt(const char* text) { return Error{Error::Kind::corrupt, text}; }
}  // namespace

Inflater& Verifier::inflater(Codec codec) {
  auto& made = inflaters_[static_cast<size_t>(codec)];
  if (!made) made = make_inflater(codec);
  return *made;
}

Result<void> Verifier::check(const BatchFields& fields, std::string_view payload, uint64_t index,
                             bool whole) {
  lines_ = {};
  if (payload.size() != fields.payload_len)
    return corrupt("a batch's payload is not as long as it says");
  if (crc32c(payload) != fields.payload_crc)
    return corrupt("a batch's payload has another checksum");
  if (auto r = check_member(fields.payload_codec, payload, fields.raw_len); !r) return r;
  if (!whole && index >= kFirst && index % kOneIn != 0) return {};
  std::string_view raw = payload;
  if (fields.payload_codec != Codec::none) {
    if (auto r = inflater(fields.payload_codec).inflate(payload, fields.raw_len, raw_); !r)
      return r;
    raw = raw_;
  }
  if (raw.back() != '\n') return corrupt("a batch's last line has no end");
  if (count_newlines(raw) != fields.count)
    return corrupt("a batch has more or fewer lines than it says");
  lines_ = raw;
  return {};
}

}  // namespace tailrace
