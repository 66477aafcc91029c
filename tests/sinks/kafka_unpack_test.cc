#include "sinks/kafka/kafka_unpack.h"

#include <boost/test/unit_test.hpp>

#include "base/units.h"
#include "sinks/kafka/kafka_records.h"

namespace tailrace::testing {
namespace {

const std::string kRaw = "one\ntwo\n\nfour\n";

KafkaLines line(std::string_view value) { return {.value = value, .stream = "s/0", .seq = "1"}; }
KafkaLines piece(std::string_view value, std::string_view split, std::string_view stream = "s/0",
                 std::string_view seq = "7") {
  return {.value = value, .stream = stream, .seq = seq, .split = split};
}

// What comes of records, and what was said.
struct Unpacked {
  std::string out;
  std::string why;
  KafkaUnpacker unpacker;
  Unpacked& take(const KafkaLines& record) {
    if (const auto done = unpacker.take(record, out); !done) why += done.error().text + "; ";
    return *this;
  }
  Unpacked& finish() {
    if (const auto done = unpacker.finish(out); !done) why += done.error().text + "; ";
    return *this;
  }
};

BOOST_AUTO_TEST_CASE(a_record_is_a_line) {
  Unpacked u;
  u.take(line("a")).take(line("")).take({.value = "no headers"}).finish();
  BOOST_TEST(u.out == "a\n\nno headers\n");
  BOOST_TEST(u.why == "");
}

BOOST_AUTO_TEST_CASE(a_batch_of_each_codec_is_its_lines) {
  for (const Codec codec : {Codec::none, Codec::gzip, Codec::zstd, Codec::snappy}) {
    std::string packed;
    make_compressor(codec)->compress(kRaw, packed);
    KafkaLines record{
        .value = packed, .seq = "0", .codec = codec_name(codec), .lines = "4", .raw = "14"};
    BOOST_REQUIRE(kRaw.size() == 14);
    Unpacked good;
    good.take(record).take(record);
    BOOST_TEST(good.out == kRaw + kRaw);
    BOOST_TEST(good.why == "");
    // Another number of lines than it says: they are there, and it is said.
    record.lines = "5";
    Unpacked wrong;
    wrong.take(record);
    BOOST_TEST(wrong.out == kRaw);
    BOOST_TEST(wrong.why.find("4 lines") != std::string::npos);
    record.lines = "4";
    record.value = std::string_view(packed).substr(0, packed.size() - 1);
    Unpacked cut;
    cut.take(record);
    BOOST_TEST(cut.out == "");
    BOOST_TEST(cut.why.find("does not inflate") != std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(headers_that_are_no_batchs_are_told) {
  for (const auto& [codec, lines, raw] : {std::tuple{"lz4", "1", "2"},
                                          {"none", "x", "2"},
                                          {"none", "1", ""},
                                          {"none", "1", "-2"},
                                          {"none", "1", "4294967296"},
                                          {"gzip", "1", "99999999999999999999"}}) {
    Unpacked u;
    u.take({.value = "a\n", .codec = codec, .lines = lines, .raw = raw});
    BOOST_TEST(u.out == "");
    BOOST_TEST(u.why != "");
  }
}

BOOST_AUTO_TEST_CASE(pieces_are_joined_stream_by_stream) {
  Unpacked u;
  u.take(piece("a", "0/4")).take(line("between")).take(piece("x", "0/2", "t/0"));
  BOOST_TEST(!u.unpacker.whole());
  BOOST_TEST(u.unpacker.waits_for(piece("", "1/4")));
  BOOST_TEST(!u.unpacker.waits_for(piece("", "1/4", "s/0", "8")));
  BOOST_TEST(!u.unpacker.waits_for(line("")));
  u.take(piece("bb", "1/4")).take(piece("y", "1/2", "t/0")).take(piece("c", "3/4"));
  BOOST_TEST(u.unpacker.whole());
  BOOST_TEST(!u.unpacker.waits_for(piece("", "1/4")));
  u.finish();
  BOOST_TEST(u.out == "between\nxy\nabbc\n");
  BOOST_TEST(u.why == "");
}

// Without transactions: who sent some pieces of a line died, or another Center sends them too.
BOOST_AUTO_TEST_CASE(pieces_that_come_again_do_not_make_another_line) {
  Unpacked again;  // cut at other places, since the topic's limit is another now
  again.take(piece("ab", "0/6")).take(piece("cd", "2/6"));
  again.take(piece("abc", "0/6")).take(piece("def", "3/6")).finish();
  BOOST_TEST(again.out == "abcdef\n");
  BOOST_TEST(again.why == "");

  Unpacked back;  // an earlier line is cut too, and comes again before it
  back.take(piece("x", "0/1")).take(piece("ab", "0/4", "s/0", "8"));
  back.take(piece("x", "0/1")).take(piece("ab", "0/4", "s/0", "8"));
  back.take(piece("cd", "2/4", "s/0", "8")).finish();
  BOOST_TEST(back.out == "x\nx\nabcd\n");
  BOOST_TEST(back.why == "");

  Unpacked both;  // two senders at once
  both.take(piece("ab", "0/6")).take(piece("abc", "0/6")).take(piece("cd", "2/6"));
  both.take(piece("def", "3/6")).take(piece("ef", "4/6")).finish();
  BOOST_TEST(both.out == "abcdef\n");
  BOOST_TEST(both.why == "");

  Unpacked late;  // begun again when it was whole already, and never ended
  late.take(piece("ab", "0/3")).take(piece("c", "2/3"));
  late.take(piece("ab", "0/3")).take(line("next")).take(piece("x", "0/1", "s/0", "9")).finish();
  BOOST_TEST(late.out == "abc\nnext\nx\n");
  BOOST_TEST(late.why == "");

  Unpacked end;  // begun again, ended, and the end once more
  end.take(piece("ab", "0/3")).take(piece("ab", "0/3")).take(piece("c", "2/3"));
  end.take(piece("c", "2/3")).finish();
  BOOST_TEST(end.out == "abc\n");
  BOOST_TEST(end.why == "");
}

BOOST_AUTO_TEST_CASE(pieces_without_their_end_are_printed_and_told) {
  Unpacked u;
  u.take(piece("a", "0/2")).take(piece("b", "0/2", "s/0", "8")).finish();
  BOOST_TEST(u.out == "a\nb\n");
  BOOST_TEST(u.why.find("line 7 of stream s/0 never came") != std::string::npos);
  Unpacked end;  // its begin was removed
  end.take(piece("z", "9/10")).finish();
  BOOST_TEST(end.out == "z\n");
  BOOST_TEST(end.why.find("before byte 9 of line 7") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_piece_whose_header_is_none_stands_alone) {
  for (const char* split : {"last", "1/", "/4", "0/3", "9/8", "0/4/1", "-1/4"}) {
    Unpacked u;
    u.take(piece("four", split)).finish();
    BOOST_TEST(u.out == "four\n");
    BOOST_TEST(u.why.find("header split") != std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(what_is_held_is_bounded) {
  const std::string large(1u << 20, 'x');
  Unpacked u;
  size_t held = 0;
  for (size_t i = 0; i < 100; ++i) {
    const std::string split = std::to_string(i << 20) + "/999999999";
    u.take(piece(large, split));
    held += large.size();
    BOOST_TEST(held - std::min(held, u.out.size()) <= KafkaUnpacker::kMost);
  }
  BOOST_TEST(u.why.find(show_size(KafkaUnpacker::kMost)) != std::string::npos);
  u.finish();
  BOOST_TEST(static_cast<size_t>(std::count(u.out.begin(), u.out.end(), 'x')) == held);
}

BOOST_AUTO_TEST_CASE(streams_whose_lines_are_whole_make_room) {
  const std::string name(1u << 20, 's'), large((1u << 20) - 1024, 'x');
  Unpacked u;
  for (int i = 0; i < 100; ++i) u.take(piece("x", "0/1", name + std::to_string(i)));
  for (int i = 0; i < 60; ++i) u.take(piece(large, "0/999999999", std::to_string(i)));
  BOOST_TEST(u.why == "");
}

BOOST_AUTO_TEST_CASE(whose_position_a_key_names) {
  KafkaPosition position;
  position.key = {0x0123456789abcdef, 3};
  BOOST_TEST(category_of_key(encode_position("web.2", position).key) == "web.2");
  for (const char* other : {"", "sink/0123456789abcdef", "position/", "position/web",
                            "position//1/0", "position/We b/1/0"})
    BOOST_TEST(category_of_key(other) == "");
}

}  // namespace
}  // namespace tailrace::testing
