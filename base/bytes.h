// Little-endian fields appended to a string, and taken from a view without ever reading past it.
// Thread: any; plain values. Used by every format on docs/formats.md.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace tailrace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the formats are little-endian");

class ByteWriter {
 public:
  // `out` must outlive the writer; fields are appended to it.
  explicit ByteWriter(std::string& out) : out_(out) {}

  void u8(uint8_t v) { put(v); }
  void u16(uint16_t v) { put(v); }
  void u32(uint32_t v) { put(v); }
  void u64(uint64_t v) { put(v); }
  void i64(int64_t v) { put(v); }
  void raw(std::string_view v) { out_.append(v); }
  // A length (u16) and the bytes; `v` must be shorter than 64 KiB.
  void text16(std::string_view v) {
    u16(static_cast<uint16_t>(v.size()));
    raw(v);
  }
  [[nodiscard]] size_t size() const { return out_.size(); }
  // Overwrites a field written before at `offset`.
  template <class T>
  void patch(size_t offset, T v) {
    std::memcpy(out_.data() + offset, &v, sizeof v);
  }

 private:
  template <class T>
  void put(T v) {
    char b[sizeof v];
    std::memcpy(b, &v, sizeof v);
    out_.append(b, sizeof v);
  }
  std::string& out_;
};

// Once a field does not fit, ok() is false for good and every later field is zero or empty:
// a decoder reads all its fields, then asks ok() once.
class ByteReader {
 public:
  explicit ByteReader(std::string_view in) : in_(in) {}

  uint8_t u8() { return get<uint8_t>(); }
  uint16_t u16() { return get<uint16_t>(); }
  uint32_t u32() { return get<uint32_t>(); }
  uint64_t u64() { return get<uint64_t>(); }
  int64_t i64() { return get<int64_t>(); }
  std::string_view raw(size_t n) {
    if (n > in_.size()) {
      fail();
      return {};
    }
    std::string_view v = in_.substr(0, n);
    in_.remove_prefix(n);
    return v;
  }
  std::string_view text16() { return raw(u16()); }

  void fail() {
    ok_ = false;
    in_ = {};
  }
  [[nodiscard]] bool ok() const { return ok_; }
  // Everything was read and nothing was missing.
  [[nodiscard]] bool done() const { return ok_ && in_.empty(); }
  [[nodiscard]] size_t remaining() const { return in_.size(); }

 private:
  template <class T>
  T get() {
    T v{};
    if (in_.size() < sizeof v) {
      fail();
      return v;
    }
    std::memcpy(&v, in_.data(), sizeof v);
    in_.remove_prefix(sizeof v);
    return v;
  }
  std::string_view in_;
  bool ok_ = true;
};

}  // namespace tailrace
