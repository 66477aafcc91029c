// SequenceFiles: golden bytes, that all comes back in every codec, where blocks end, and that
// nothing damaged is ever taken for whole. Hadoop's own reader:
// tests/neighbours/hadoop_reader_test.py.
#include "sinks/format/sequence_file.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdlib>

#include "base/file.h"
#include "base/random.h"
#include "tests/flow/sample.h"

using namespace tailrace;

namespace {

const Codec kEvery[] = {Codec::none, Codec::gzip, Codec::zstd, Codec::snappy};

SyncMark mark(char first) {
  SyncMark out;
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<char>(first + static_cast<int>(i));
  return out;
}

std::string encode(Codec codec, const std::vector<TimedLines>& lines, const SyncMark& sync) {
  SequenceEncoder encoder(codec, sync);
  std::string out = encoder.header();
  encoder.encode(lines, out);
  return out;
}

// By pieces of so many bytes; nullopt: refused.
std::optional<std::string> read(std::string_view file, size_t piece) {
  const auto reader = make_sequence_reader();
  std::string out;
  for (; !file.empty(); file.remove_prefix(std::min(piece, file.size())))
    if (!reader->feed(file.substr(0, piece), out)) return std::nullopt;
  if (!reader->finish()) return std::nullopt;
  return out;
}

// How many times the mark stands in it, that of its header too.
size_t marks(std::string_view file, const SyncMark& sync) {
  size_t count = 0;
  const std::string_view wanted(sync.data(), sync.size());
  for (size_t at = 0; (at = file.find(wanted, at)) != std::string_view::npos; at += wanted.size())
    ++count;
  return count;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sequence_file)

// Not of gzip, which has two engines.
BOOST_AUTO_TEST_CASE(the_bytes_are_those_of_the_golden_files) {
  const std::string long_line(300, 'x');
  const std::string later = "\n" + long_line + "\n";
  const std::vector<TimedLines> lines = {{1795528800123, "first\nsecond\n"}, {-1, later}};
  for (const Codec codec : {Codec::none, Codec::snappy}) {
    const std::string bytes = encode(codec, lines, mark('A'));
    const std::string path = std::string(TAILRACE_GOLDEN_DIR) + "/sequence_file_" +
                             std::string(codec_name(codec)) + "_v6.bin";
    if (std::getenv("TAILRACE_WRITE_GOLDEN") != nullptr)
      BOOST_REQUIRE(replace_file(path, bytes).ok());
    const auto golden = read_file(path, 1 << 20);
    BOOST_REQUIRE_MESSAGE(golden.ok(), (golden.ok() ? "" : golden.error().text));
    BOOST_TEST((*golden == bytes), path << " is not what is written");
    BOOST_TEST((read(*golden, 1 << 20) == "first\nsecond\n\n" + long_line + "\n"));
  }
}

BOOST_AUTO_TEST_CASE(all_comes_back_in_every_codec_and_in_any_pieces) {
  const uint64_t seed = os_random();
  for (const Codec codec : kEvery)
    BOOST_TEST_CONTEXT("seed " << seed << " codec " << codec_name(codec)) {
      Rng rng(seed);
      std::string text = sample::log_text(rng, 200'000) + "\n\n" + std::string(70'000, '\xFF') +
                         "\r\n" + std::string(127, 'a') + "\n" + std::string(128, 'b') + "\n" +
                         std::string(255, 'c') + "\n" + std::string(256, 'd') + "\n" +
                         std::string(65'535, 'e') + "\n" + std::string(65'536, 'f') + "\n";
      const size_t half = text.find('\n', text.size() / 2) + 1;
      const std::string file = encode(
          codec,
          {{1, std::string_view(text).substr(0, half)}, {2, std::string_view(text).substr(half)}},
          make_sync_mark(rng));
      for (const size_t piece : {size_t{97}, size_t{65'536}, file.size()})
        BOOST_TEST((read(file, piece) == text), "in pieces of " << piece);
    }
}

BOOST_AUTO_TEST_CASE(a_block_has_an_end_in_bytes_and_in_lines) {
  const SyncMark sync = mark('\x80');
  for (const Codec codec : kEvery) BOOST_TEST_CONTEXT("codec " << codec_name(codec)) {
      const auto blocks_of = [&](const std::string& lines) {
        const std::string file = encode(codec, {{5, lines}}, sync);
        BOOST_TEST((read(file, 1 << 20) == lines));
        return marks(file, sync) - 1;
      };
      BOOST_TEST(blocks_of("a\n") == 1u);
      BOOST_TEST(blocks_of(std::string(65'536, '\n')) == 1u);
      BOOST_TEST(blocks_of(std::string(65'537, '\n')) == 2u);
      std::string large;
      while (large.size() < (3u << 20)) large += std::string(1'000, 'x') + "\n";
      BOOST_TEST(blocks_of(large) == 2u);
    }
}

BOOST_AUTO_TEST_CASE(an_encoder_keeps_nothing_of_what_it_gave) {
  SequenceEncoder encoder(Codec::gzip, mark('A'));
  const TimedLines lines{7, "one\ntwo\n"};
  std::string first, second;
  encoder.encode({&lines, 1}, first);
  encoder.encode({}, second);
  BOOST_TEST(second.empty());
  encoder.encode({&lines, 1}, second);
  BOOST_TEST((first == second));
}

BOOST_AUTO_TEST_CASE(a_file_that_was_cut_is_refused_but_between_blocks) {
  const std::string text = "first\nsecond\n";
  for (const Codec codec : kEvery) {
    const SyncMark sync = mark('A');
    SequenceEncoder encoder(codec, sync);
    std::string file = encoder.header();
    std::vector<size_t> ends = {file.size()};
    for (int block = 0; block < 3; ++block) {
      const TimedLines lines{block, text};
      const size_t before = file.size();
      encoder.encode({&lines, 1}, file);
      if (codec == Codec::none) {  // its records stand for themselves
        ends.push_back(before + 20);
        ends.push_back(before + 20 + 4 + 4 + 8 + 1 + 5);
      }
      ends.push_back(file.size());
    }
    for (size_t n = 0; n <= file.size(); ++n) {
      const bool end = std::find(ends.begin(), ends.end(), n) != ends.end();
      BOOST_REQUIRE_MESSAGE(read(std::string_view(file).substr(0, n), 64).has_value() == end,
                            codec_name(codec) << " cut at " << n);
    }
  }
}

BOOST_AUTO_TEST_CASE(nothing_else_is_taken_for_one) {
  const std::string good = encode(Codec::gzip, {{1, "first\nsecond\n"}}, mark('A'));
  const auto with = [&good](std::string_view from, std::string_view to) {
    std::string bad = good;
    const size_t at = bad.find(from);
    BOOST_REQUIRE(at != std::string::npos);
    return bad.replace(at, from.size(), to);
  };
  BOOST_REQUIRE(read(good, 64));
  const size_t body = good.find("ABCDEFGHIJKLMNOP") + 16;
  const std::string head = good.substr(0, body), block = good.substr(body);
  const std::string of_values =
      "\x8a"
      "too large";
  for (const std::string& bad :
       {with("SEQ\6", "SEQ\5"), with("LongWritable", "ByteWritable"), with("io.Text", "io.Tixt"),
        with("GzipCodec", "Bzip2Codc"), with(std::string("\1\1", 2), std::string("\1\0", 2)),
        with(std::string("\0\0\0\0", 4), std::string("\0\0\0\1", 4)), "x" + good,
        head + block.substr(1),
        head + std::string(4, '\xFF') + "another mark....\1" + block.substr(21),
        // No records, and one more than there are.
        head + block.substr(0, 20) + '\0' + block.substr(21),
        head + block.substr(0, 20) + '\3' + block.substr(21),
        // A part of 16 MiB and a byte; a negative length.
        head + block.substr(0, 21) + "\x8c\x01" + std::string("\0\0\1", 3) + block.substr(22),
        head + block.substr(0, 21) + '\x80' + block.substr(22)})
    BOOST_TEST(!read(bad, 64), "taken: " << bad.substr(0, 40));
}

BOOST_AUTO_TEST_CASE(a_bomb_costs_little) {
  // A block of one record whose value is said to be short and inflates to 64 MiB.
  std::string zeros, packed;
  make_compressor(Codec::gzip)->compress(std::string(64u << 20, '\0'), zeros);
  std::string file = encode(Codec::gzip, {{1, "x\n"}}, mark('A'));
  const size_t body = file.find("ABCDEFGHIJKLMNOP") + 16;
  file.resize(body + 20);
  file += '\1';
  const auto put = [&file](const std::string& part) {
    file += '\x8c';  // four bytes follow
    for (int shift = 24; shift >= 0; shift -= 8)
      file += static_cast<char>(part.size() >> shift & 0xFF);
    file += part;
  };
  const auto compressor = make_compressor(Codec::gzip);
  for (const std::string& raw : {std::string("\x08"), std::string(8, '\0'), std::string("\2")}) {
    compressor->compress(raw, packed);
    put(packed);
  }
  put(zeros);
  std::string out;
  BOOST_TEST(!make_sequence_reader()->feed(file, out));
  BOOST_TEST(out.size() < 100u);
}

BOOST_AUTO_TEST_SUITE_END()
