// ByteWriter and ByteReader: fields come back, and nothing is read past the end.
#include "base/bytes.h"

#include <rapidcheck.h>

#include <boost/test/unit_test.hpp>

using namespace tailrace;

BOOST_AUTO_TEST_SUITE(bytes)

BOOST_AUTO_TEST_CASE(little_endian) {
  std::string out;
  ByteWriter w(out);
  w.u8(0x01);
  w.u16(0x0203);
  w.u32(0x04050607);
  w.u64(0x08090A0B0C0D0E0Full);
  w.i64(-2);
  w.text16("ab");
  BOOST_TEST(out == std::string("\x01\x03\x02\x07\x06\x05\x04\x0F\x0E\x0D\x0C\x0B\x0A\x09\x08"
                                "\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02\x00"
                                "ab",
                                27));
  w.patch(1, uint16_t{0xFFEE});
  BOOST_TEST(out.substr(0, 4) == "\x01\xEE\xFF\x07");
}

BOOST_AUTO_TEST_CASE(what_is_written_is_read) {
  BOOST_TEST(rc::check("fields round trip", [](uint8_t a, uint16_t b, uint32_t c, uint64_t d,
                                               int64_t e, const std::string& text) {
    std::string out;
    ByteWriter w(out);
    w.u8(a);
    w.u16(b);
    w.u32(c);
    w.u64(d);
    w.i64(e);
    w.text16(text);
    ByteReader r(out);
    RC_ASSERT(r.u8() == a);
    RC_ASSERT(r.u16() == b);
    RC_ASSERT(r.u32() == c);
    RC_ASSERT(r.u64() == d);
    RC_ASSERT(r.i64() == e);
    RC_ASSERT(r.text16() == text);
    RC_ASSERT(r.done());
  }));
}

BOOST_AUTO_TEST_CASE(a_missing_field_fails_all_that_follow) {
  ByteReader r(std::string_view("\x05\x00\x07", 3));
  BOOST_TEST(r.u16() == 5);
  BOOST_TEST(r.u16() == 0);
  BOOST_TEST(!r.ok());
  BOOST_TEST(r.u8() == 0);  // though one byte was left
  BOOST_TEST(r.raw(0).empty());
  BOOST_TEST(!r.done());
}

BOOST_AUTO_TEST_CASE(a_text_longer_than_what_is_left_is_no_text) {
  ByteReader r(
      std::string_view("\x05\x00"
                       "abcd",
                       6));
  BOOST_TEST(r.text16().empty());
  BOOST_TEST(!r.ok());
}

BOOST_AUTO_TEST_CASE(done_wants_the_end) {
  ByteReader r("ab");
  BOOST_TEST(r.u8() == 'a');
  BOOST_TEST(r.ok());
  BOOST_TEST(!r.done());
  BOOST_TEST(r.remaining() == 1u);
  BOOST_TEST(r.raw(1) == "b");
  BOOST_TEST(r.done());
}

BOOST_AUTO_TEST_SUITE_END()
