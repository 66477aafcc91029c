// The hashes that formats name, against published vectors and against each other.
#include "base/hash.h"

#include <rapidcheck.h>

#include <boost/test/unit_test.hpp>
#include <string>

#include "base/random.h"

using namespace tailrace;

namespace {

// CRC-32C as its definition says it, a bit at a time.
uint32_t crc32c_by_definition(std::string_view bytes) {
  uint32_t crc = ~0u;
  for (const char b : bytes) {
    crc ^= static_cast<uint8_t>(b);
    for (int i = 0; i < 8; ++i) crc = (crc >> 1) ^ ((crc & 1) ? 0x82F63B78u : 0u);
  }
  return ~crc;
}

std::string random_bytes(Rng& rng, size_t n) {
  std::string s(n, '\0');
  for (char& c : s) c = static_cast<char>(rng.next());
  return s;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(hash)

BOOST_AUTO_TEST_CASE(crc32c_of_rfc3720) {
  std::string up, down;
  for (int i = 0; i < 32; ++i) {
    up += static_cast<char>(i);
    down += static_cast<char>(31 - i);
  }
  const std::string read_command(
      "\x01\xc0\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
      "\x14\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00\x14\x00\x00\x00\x18"
      "\x28\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00",
      48);
  for (const auto hash : {crc32c, crc32c_portable}) {
    BOOST_TEST(hash("", 0) == 0u);
    BOOST_TEST(hash("123456789", 0) == 0xE3069283u);
    BOOST_TEST(hash(std::string(32, '\0'), 0) == 0x8A9136AAu);
    BOOST_TEST(hash(std::string(32, '\xFF'), 0) == 0x62A8AB43u);
    BOOST_TEST(hash(up, 0) == 0x46DD794Eu);
    BOOST_TEST(hash(down, 0) == 0x113FDB5Cu);
    BOOST_TEST(hash(read_command, 0) == 0xD9963A56u);
  }
}

BOOST_AUTO_TEST_CASE(crc32c_is_the_same_by_instruction_and_by_table) {
  const uint64_t seed = 3720;
  BOOST_TEST_MESSAGE("seed " << seed);
  Rng rng(seed);
  // Around a byte, a word, and each number of interleaved lanes; at each alignment.
  for (const size_t base : {0u, 8u, 64u, 4096u, 12288u, 24576u, 36864u})
    for (size_t n = base > 9 ? base - 9 : 0; n < base + 10; ++n) {
      const std::string s = random_bytes(rng, n + 8);
      const std::string_view v = std::string_view(s).substr(n % 8, n);
      const auto start = static_cast<uint32_t>(rng.next());
      BOOST_REQUIRE_EQUAL(crc32c(v), crc32c_by_definition(v));
      BOOST_REQUIRE_EQUAL(crc32c(v, start), crc32c_portable(v, start));
    }
}

BOOST_AUTO_TEST_CASE(crc32c_goes_on_from_a_seed) {
  BOOST_TEST(
      rc::check("crc(a + b) = crc(b, crc(a))", [](const std::string& a, const std::string& b) {
        RC_ASSERT(crc32c(a + b) == crc32c(b, crc32c(a)));
        RC_ASSERT(crc32c_portable(a + b) == crc32c(b, crc32c_portable(a)));
      }));
}

BOOST_AUTO_TEST_CASE(xxh3_vectors) {
  BOOST_TEST(xxh3("") == 0x2D06800538D394C2ull);
  BOOST_TEST(xxh3("a") == 0xE6C632B61E964E1Full);
  BOOST_TEST(xxh3("abc") == 0x78AF5F94892F3950ull);
}

BOOST_AUTO_TEST_CASE(xxh3_in_pieces) {
  BOOST_TEST(rc::check("pieces add up", [](const std::vector<std::string>& pieces) {
    Xxh3 h;
    std::string whole;
    for (const std::string& p : pieces) {
      h.update(p);
      whole += p;
    }
    RC_ASSERT(h.digest() == xxh3(whole));
  }));
}

BOOST_AUTO_TEST_CASE(mix64_vectors) {
  // splitmix64 seeded with 0 gives these; state k is k * golden.
  constexpr uint64_t kGolden = 0x9E3779B97F4A7C15ull;
  BOOST_TEST(mix64(0) == 0xE220A8397B1DCDAFull);
  BOOST_TEST(mix64(kGolden) == 0x6E789E6AA1B965F4ull);
  BOOST_TEST(mix64(2 * kGolden) == 0x06C45D188009454Full);
  Rng rng(0);
  BOOST_TEST(rng.next() == 0xE220A8397B1DCDAFull);
  BOOST_TEST(rng.next() == 0x6E789E6AA1B965F4ull);
}

BOOST_AUTO_TEST_CASE(ids_as_text) {
  BOOST_TEST(hex16(0x0123456789ABCDEFull) == "0123456789abcdef");
  BOOST_TEST(hex16(10) == "000000000000000a");
  BOOST_TEST(rc::check("back", [](uint64_t v) { RC_ASSERT(parse_hex16(hex16(v)) == v); }));
  for (const char* bad :
       {"", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF", "0123456789abcdeg"})
    BOOST_TEST(parse_hex16(bad) == 0u, bad);
}

BOOST_AUTO_TEST_CASE(randomness) {
  BOOST_TEST(os_random() != os_random());
  Rng a(5), b(5), c(6);
  bool differs = false;
  for (int i = 0; i < 100; ++i) {
    const uint64_t v = a.below(10);
    BOOST_TEST(v < 10);
    BOOST_TEST(v == b.below(10));
    differs |= v != c.below(10);
  }
  BOOST_TEST(differs);
  BOOST_TEST(a.below(0) == 0u);
  BOOST_TEST(!a.chance(0.0));
  BOOST_TEST(a.chance(1.0));
}

BOOST_AUTO_TEST_SUITE_END()
