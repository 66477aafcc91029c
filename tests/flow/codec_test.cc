// The codecs: each engine against the others and the usual tools; broken, lying and bombing
// members.
#include "flow/codec.h"

#include <rapidcheck.h>
#include <snappy.h>

#include <filesystem>
#include <functional>

#include "flow/codec_parts.h"
#include "tests/flow/sample.h"

using namespace tailrace;

namespace {

struct Engine {
  const char* name;
  Codec codec;
  std::function<std::unique_ptr<Compressor>()> compressor;
  std::function<std::unique_ptr<Inflater>()> inflater;
  std::function<std::unique_ptr<FileInflater>()> file_inflater;
};

const std::vector<Engine>& engines() {
  static const std::vector<Engine> all = {
#ifdef TAILRACE_HAVE_ISAL
      {"isal", Codec::gzip, make_isal_compressor, make_isal_inflater, make_isal_file_inflater},
#endif
      {"zlib", Codec::gzip, make_zlib_compressor, make_zlib_inflater, make_zlib_file_inflater},
      {"zstd", Codec::zstd, make_zstd_compressor, make_zstd_inflater, make_zstd_file_inflater},
      {"snappy", Codec::snappy, make_snappy_compressor, make_snappy_inflater,
       make_snappy_file_inflater},
      {"none", Codec::none, [] { return make_compressor(Codec::none); },
       [] { return make_inflater(Codec::none); }, [] { return make_file_inflater(Codec::none); }},
  };
  return all;
}

std::string member(const Engine& e, std::string_view raw) {
  std::string out;
  e.compressor()->compress(raw, out);
  return out;
}

// Short, long, repeating, random, and just around what a piece of an inflater holds.
std::vector<std::string> texts() {
  Rng rng(1952);
  std::vector<std::string> all = {"\n", "a\n", std::string(300'000, '\0') + "\n",
                                  "\xFF\xFE\r\n\r\n\n\n", sample::noise(rng, 300'000)};
  for (const size_t n : {100u, 65'535u, 65'536u, 65'537u, 131'072u, 700'000u})
    all.push_back(sample::log_text(rng, n).substr(0, n));
  return all;
}

std::string run_tool(const std::string& command, const std::string& input) {
  std::string path = "/tmp/tailrace-codec-test-XXXXXX";
  BOOST_REQUIRE(::mkdtemp(path.data()) != nullptr);
  BOOST_REQUIRE(replace_file(path + "/in", input).ok());
  const std::string whole = command + " < " + path + "/in > " + path + "/out";
  BOOST_TEST(std::system(whole.c_str()) == 0, command);
  const auto out = read_file(path + "/out", 64 << 20);
  BOOST_REQUIRE(out.ok());
  std::filesystem::remove_all(path);
  return *out;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(codec)

BOOST_AUTO_TEST_CASE(names) {
  for (const Codec c : {Codec::none, Codec::gzip, Codec::zstd, Codec::snappy})
    BOOST_TEST((*parse_codec(codec_name(c)) == c));
  BOOST_TEST(codec_extension(Codec::none) == "");
  BOOST_TEST(codec_extension(Codec::gzip) == ".gz");
  BOOST_TEST(codec_extension(Codec::zstd) == ".zst");
  BOOST_TEST(codec_extension(Codec::snappy) == ".snappy");
  for (const char* bad : {"", "GZIP", "lz4", "Snappy"}) BOOST_TEST(!parse_codec(bad), bad);
}

BOOST_AUTO_TEST_CASE(each_engine_reads_what_each_wrote) {
  for (const Engine& w : engines()) {
    const auto compressor = w.compressor();  // used again and again, as in life
    for (const Engine& r : engines()) {
      if (r.codec != w.codec) continue;
      const auto inflater = r.inflater();
      std::string packed, back;
      for (const std::string& text : texts()) {
        BOOST_TEST_CONTEXT(w.name << " to " << r.name << ", " << text.size() << " bytes") {
          compressor->compress(text, packed);
          BOOST_TEST(check_member(w.codec, packed, static_cast<uint32_t>(text.size())).ok());
          BOOST_TEST(inflater->inflate(packed, text.size(), back).ok());
          BOOST_TEST((back == text));
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_compressor_gives_the_same_bytes_each_time) {
  for (const Engine& e : engines()) {
    const auto used = e.compressor();
    for (const std::string& text : texts()) {
      std::string again;
      used->compress(text, again);
      BOOST_TEST((again == member(e, text)), e.name);
    }
  }
}

BOOST_AUTO_TEST_CASE(members_one_after_another_are_a_file_for_the_usual_tools) {
  std::string whole;
  for (const std::string& text : texts()) whole += text;
  for (const Engine& e : engines()) {
    if (e.codec == Codec::snappy) continue;  // Hadoop reads it: tests/neighbours
    std::string file;
    for (const std::string& text : texts()) file += member(e, text);
    const char* tool = e.codec == Codec::gzip   ? "gzip -dc"
                       : e.codec == Codec::zstd ? "zstd -dcq"
                                                : "cat";
    BOOST_TEST((run_tool(tool, file) == whole), e.name << " by " << tool);
  }
}

BOOST_AUTO_TEST_CASE(a_file_is_inflated_in_any_pieces) {
  Rng rng(7);
  std::string whole;
  std::vector<std::string> parts;
  for (const size_t n : {1u, 30u, 65'536u, 100'000u, 2000u})
    parts.push_back(sample::log_text(rng, n));
  for (const std::string& part : parts) whole += part;
  for (const Engine& e : engines()) {
    std::string file;
    for (const std::string& part : parts) file += member(e, part);
    for (const size_t most : {1u, 7u, 1000u, 200'000u}) {
      const auto inflater = e.file_inflater();
      std::string out;
      size_t failed = 0;
      for (std::string_view rest = file; !rest.empty();) {
        const size_t n = std::min<size_t>(rest.size(), 1 + rng.below(most));
        failed += !inflater->feed(rest.substr(0, n), out);
        rest.remove_prefix(n);
      }
      BOOST_TEST(failed == 0u);
      BOOST_TEST(inflater->finish().ok());
      BOOST_TEST((out == whole), e.name << " in pieces of up to " << most);
    }
  }
}

BOOST_AUTO_TEST_CASE(files_of_the_usual_tools_are_read) {
  Rng rng(9);
  const std::string text = sample::log_text(rng, 500'000);
  for (const Engine& e : engines()) {
    if (e.codec == Codec::none || e.codec == Codec::snappy) continue;
    const std::string packed =
        run_tool(e.codec == Codec::gzip ? "gzip -9c" : "zstd -19cq --single-thread", text);
    std::string out;
    const auto inflater = e.file_inflater();
    BOOST_TEST(inflater->feed(packed, out).ok());
    BOOST_TEST(inflater->finish().ok());
    BOOST_TEST((out == text), e.name);
  }
}

BOOST_AUTO_TEST_CASE(a_file_cut_anywhere_is_said_to_be_cut) {
  Rng rng(3);
  for (const Engine& e : engines()) {
    if (e.codec == Codec::none) continue;
    const std::string first = member(e, sample::log_text(rng, 2000));
    const std::string file = first + member(e, sample::log_text(rng, 1000));
    for (size_t n = 0; n <= file.size(); ++n) {
      const auto inflater = e.file_inflater();
      std::string out;
      BOOST_REQUIRE(inflater->feed(std::string_view(file).substr(0, n), out).ok());
      const bool at_an_end = n == 0 || n == first.size() || n == file.size();
      BOOST_REQUIRE_MESSAGE(inflater->finish().ok() == at_an_end, e.name << " cut at " << n);
    }
  }
}

BOOST_AUTO_TEST_CASE(every_truncation_and_flipped_bit_of_a_member_is_refused_or_harmless) {
  Rng rng(4);
  const std::string text = sample::log_text(rng, 700);
  for (const Engine& e : engines()) {
    if (e.codec == Codec::none) continue;
    const std::string good = member(e, text);
    const auto inflater = e.inflater();
    std::string out;
    for (size_t n = 0; n < good.size(); ++n)
      BOOST_REQUIRE(!inflater->inflate(good.substr(0, n), text.size(), out));
    size_t refused = 0;
    for (size_t bit = 0; bit < good.size() * 8; ++bit) {
      std::string bad = good;
      bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
      const auto r = inflater->inflate(bad, text.size(), out);
      // A few bits mean nothing (a time in gzip's header, the code of a symbol that is not used).
      // Snappy has no checksum: the batch's own tells.
      const bool as_it_was = e.codec == Codec::snappy ? out.size() == text.size() : out == text;
      BOOST_REQUIRE_MESSAGE(!r || as_it_was, e.name << " bit " << bit);
      refused += !r;
      if (!r) BOOST_REQUIRE((r.error().kind == Error::Kind::corrupt));
    }
    if (e.codec != Codec::snappy) BOOST_TEST(refused > good.size() * 8 - 150);
    BOOST_TEST(inflater->inflate(good, text.size(), out).ok());  // nothing of that is left behind
    BOOST_TEST((out == text));
  }
}

BOOST_AUTO_TEST_CASE(exactly_one_member_of_exactly_that_length) {
  Rng rng(5);
  const std::string text = sample::log_text(rng, 5000);
  for (const Engine& e : engines()) {
    const std::string one = member(e, text);
    const auto inflater = e.inflater();
    std::string out;
    const auto n = static_cast<uint32_t>(text.size());
    for (const uint32_t wrong : {0u, 1u, n - 1, n + 1, 2 * n}) {
      BOOST_TEST(!inflater->inflate(one, wrong, out), e.name << " taken as " << wrong);
      BOOST_TEST(!check_member(e.codec, one, wrong), e.name << " taken as " << wrong);
    }
    BOOST_TEST(!inflater->inflate(one + one, n, out), e.name);
    BOOST_TEST(!inflater->inflate(one + one, 2 * n, out) == (e.codec != Codec::none), e.name);
    BOOST_TEST(!inflater->inflate(one + "x", n, out), e.name);
    BOOST_TEST(!inflater->inflate("", n, out), e.name);
    BOOST_TEST(!check_member(e.codec, "", n), e.name);
    BOOST_TEST(!check_member(e.codec, one + "xxxx", n), e.name);
  }
}

BOOST_AUTO_TEST_CASE(a_bomb_is_stopped_one_byte_after_what_it_said) {
  for (const Engine& e : engines()) {
    if (e.codec == Codec::none) continue;
    const std::string bomb = member(e, std::string(16 << 20, 'x'));
    BOOST_TEST_MESSAGE(e.name << ": " << bomb.size() << " bytes hold 16 MiB");
    const auto inflater = e.inflater();
    std::string out;
    BOOST_TEST(!inflater->inflate(bomb, 1000, out), e.name);
    BOOST_TEST(out.capacity() < 2000u, e.name);
    BOOST_TEST(!check_member(e.codec, bomb, 1000), e.name);
  }
}

// What Hadoop's readers take: chunks of at most 192 KiB, and no empty block, which they take for
// the end of the file.
BOOST_AUTO_TEST_CASE(snappy_blocks_are_what_readers_take) {
  Rng rng(6);
  const std::string text = sample::noise(rng, 500'000);
  std::string block;
  make_snappy_compressor()->compress(text, block);
  const auto length = [&block](size_t at) {
    size_t n = 0;
    for (size_t i = 0; i < 4; ++i) n = n << 8 | static_cast<unsigned char>(block.at(at + i));
    return n;
  };
  BOOST_TEST(length(0) == 500'000u);
  size_t chunks = 0;
  for (size_t at = 4; at < block.size(); at += 4 + length(at)) {
    ++chunks;
    BOOST_TEST(length(at) <= 256u << 10);
  }
  BOOST_TEST(chunks == 3u);
  make_snappy_compressor()->compress("", block);
  BOOST_TEST(block.empty());
  std::string out;
  BOOST_TEST(!make_snappy_file_inflater()->feed(std::string(4, '\0'), out));
  // One chunk of all would be too long for them.
  std::string long_block("\0\4\0\0", 4), packed;
  snappy::Compress(std::string(256u << 10, 'x').data(), 256u << 10, &packed);
  long_block +=
      std::string{0, 0, static_cast<char>(packed.size() >> 8), static_cast<char>(packed.size())} +
      packed;
  BOOST_TEST(!check_member(Codec::snappy, long_block, 256u << 10));
  BOOST_TEST(!make_snappy_inflater()->inflate(long_block, 256u << 10, out));
}

BOOST_AUTO_TEST_CASE(gzip_that_claims_more_than_deflate_can_is_refused_unread) {
  std::string lie = member(engines()[0], "short\n");
  const uint32_t claim = 4 << 20;
  std::memcpy(lie.data() + lie.size() - 4, &claim, 4);
  BOOST_TEST(!check_member(Codec::gzip, lie, claim));
}

BOOST_AUTO_TEST_CASE(any_bytes_are_refused_or_inflated_within_bounds) {
  for (const Engine& e : engines()) {
    const auto inflater = e.inflater();
    const std::string good = member(e, "some text, some text, some text\n");
    BOOST_TEST(rc::check(std::string("garbage: ") + e.name, [&](const std::string& tail) {
      const size_t keep = *rc::gen::inRange<size_t>(0, good.size());
      std::string out;
      const auto r = inflater->inflate(good.substr(0, keep) + tail, 32, out);
      RC_ASSERT(!r || out.size() == 32u);
      (void)check_member(e.codec, good.substr(0, keep) + tail, 32);
      const auto file = e.file_inflater();
      std::string all;
      (void)file->feed(good.substr(0, keep) + tail, all);
      (void)file->finish();
    }));
  }
}

BOOST_AUTO_TEST_CASE(no_memory_is_taken_again_and_again) {
  Rng rng(6);
  const std::string text = sample::log_text(rng, 700'000);
  for (const Engine& e : engines()) {
    const auto compressor = e.compressor();
    std::string out;
    compressor->compress(text, out);
    const char* at = out.data();
    for (int i = 0; i < 3; ++i) compressor->compress(text, out);
    BOOST_TEST(static_cast<const void*>(out.data()) == static_cast<const void*>(at), e.name);
    BOOST_TEST(out.capacity() <= 2 * out.size(), e.name);
  }
}

BOOST_AUTO_TEST_SUITE_END()
