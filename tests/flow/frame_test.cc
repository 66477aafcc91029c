// Frames: golden bytes, limits decided on the prefix, any cut of the stream, and the queue out.
#include "flow/frame.h"

#include <rapidcheck.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "control.pb.h"
#include "flow/connection.h"
#include "flow/frame_queue.h"
#include "flow/frame_reader.h"
#include "tests/flow/sample.h"

using namespace tailrace;

namespace {

std::string frame(FrameType type, uint16_t flags, const std::string& header,
                  const std::string& payload) {
  const auto prefix = encode_frame_prefix(type, flags, header, payload.size());
  return std::string(prefix.data(), prefix.size()) + header + payload;
}

// A prefix whose lengths are claims; its checksum is right for an empty header.
std::string claim(uint8_t type, uint16_t flags, uint32_t header_len, uint32_t payload_len) {
  std::string s;
  ByteWriter w(s);
  w.u32(kFrameMagic);
  w.u8(kFrameVersion);
  w.u8(type);
  w.u16(flags);
  w.u32(header_len);
  w.u32(payload_len);
  w.u32(crc32c(s));
  return s;
}

struct Fed {
  std::vector<Frame> frames;
  Result<void> end;
};

// Feeds `bytes` in pieces of 1 to `most` bytes, as much as the reader has room for.
Fed feed(std::string_view bytes, Rng& rng, size_t most) {
  FrameReader reader;
  Frame into;
  Fed fed;
  for (;;) {
    const auto whole = reader.next(into);
    if (!whole) {
      fed.end = whole.error();
      return fed;
    }
    if (*whole) {
      fed.frames.push_back(into);
      continue;
    }
    if (bytes.empty()) {
      if (!reader.between_frames()) fed.end = Error{Error::Kind::closed, "in the middle"};
      return fed;
    }
    const auto room = reader.room(into);
    RC_ASSERT(room[0].size() + room[1].size() > 0u);
    size_t n = std::min({bytes.size(), 1 + rng.below(most), room[0].size() + room[1].size()});
    const size_t first = std::min(n, room[0].size());
    std::copy_n(bytes.data(), first, room[0].data());
    std::copy_n(bytes.data() + first, n - first, room[1].data());
    reader.arrived(n);
    bytes.remove_prefix(n);
  }
}

Result<bool> first_of(const std::string& bytes) {
  FrameReader reader;
  Frame into;
  const auto room = reader.room(into);
  std::copy(bytes.begin(), bytes.end(), room[1].data());
  reader.arrived(bytes.size());
  return reader.next(into);
}

void check_refused(const std::string& bytes, Error::Kind kind, const std::string& says) {
  const auto r = first_of(bytes);
  BOOST_REQUIRE_MESSAGE(!r.ok(), "taken, but: " << says);
  BOOST_TEST((r.error().kind == kind), says);
  BOOST_TEST(r.error().text.find(says) != std::string::npos, r.error().text << " has no " << says);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(frames)

BOOST_AUTO_TEST_CASE(golden) {
  const std::string now = frame(FrameType::append, kFramePush, "a header", "the payload");
  const std::string bytes = sample::golden("frame_v1.bin", now);
  BOOST_TEST((bytes == now));
  Rng rng(1);
  const Fed fed = feed(bytes, rng, 100);
  BOOST_REQUIRE(fed.frames.size() == 1u);
  BOOST_TEST((fed.frames[0].type == FrameType::append));
  BOOST_TEST(fed.frames[0].flags == kFramePush);
  BOOST_TEST(fed.frames[0].header == "a header");
  BOOST_TEST(fed.frames[0].payload == "the payload");
}

BOOST_AUTO_TEST_CASE(row_1_a_length_bomb_is_refused_on_its_prefix) {
  check_refused(claim(14, 0, 100, UINT32_MAX), Error::Kind::corrupt, "the limit is 4.0 MiB");
  check_refused(claim(14, 0, UINT32_MAX, UINT32_MAX), Error::Kind::corrupt, "the limit is 4.0 MiB");
  check_refused(claim(14, 0, 1, kMaxFrameBytes), Error::Kind::corrupt, "the limit is 4.0 MiB");
  check_refused(claim(200, 0, 0, kMaxFrameBytes + 1), Error::Kind::corrupt, "the limit is 4.0 MiB");
  const auto just = first_of(claim(200, 0, 0, kMaxFrameBytes));
  BOOST_REQUIRE(just.ok());
  BOOST_TEST(!*just);
}

BOOST_AUTO_TEST_CASE(row_1_what_is_only_claimed_takes_no_memory) {
  FrameReader reader;
  Frame into;
  const std::string bytes = claim(200, 0, kMaxFrameBytes, 0);
  std::copy(bytes.begin(), bytes.end(), reader.room(into)[1].data());
  reader.arrived(bytes.size());
  BOOST_TEST(!*reader.next(into));
  (void)reader.room(into);
  BOOST_TEST(into.header.capacity() + into.payload.capacity() < 600u << 10);
}

BOOST_AUTO_TEST_CASE(row_2_other_protocols_are_named) {
  check_refused(std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03xxxxxxxxxxxx", 23),
                Error::Kind::rejected, "TLS");
  for (const char* method : {"GET / HTTP/1.1\r\nHost: x\r\n", "POST /x HTTP/1.1\r\nHost: x\r\n",
                             "PUT /x HTTP/1.1\r\nHost: x\r\n", "HEAD / HTTP/1.1\r\nHost: x\r\n"})
    check_refused(method, Error::Kind::rejected, "HTTP");
  check_refused("<34>Oct 11 22:14:15 host su:", Error::Kind::rejected,
                "does not speak our protocol");
  check_refused(std::string("\x1b[2J\0\n12345678901234567", 24), Error::Kind::rejected,
                "\\x1b[2J\\x00");
}

BOOST_AUTO_TEST_CASE(row_3_a_damaged_header_ends_the_stream) {
  const std::string good = frame(FrameType::ack, 0, "some header", "");
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    Rng rng(bit);
    // What follows may complete a frame that claims to be longer.
    const Fed fed = feed(bad + good + good, rng, 100);
    BOOST_REQUIRE_MESSAGE(fed.frames.empty() && !fed.end.ok(), "bit " << bit);
  }
}

BOOST_AUTO_TEST_CASE(row_4_another_version_says_which) {
  std::string bytes = claim(1, 0, 0, 0);
  bytes[4] = 9;
  check_refused(bytes, Error::Kind::rejected, "frame version 9, this program 1 to 1");
}

BOOST_AUTO_TEST_CASE(row_5_types_and_flags) {
  for (const int type : {0, 7, 9, 32, 127})
    check_refused(claim(static_cast<uint8_t>(type), 0, 0, 0), Error::Kind::rejected, "is unknown");
  for (int type = 128; type < 256; ++type)
    BOOST_TEST(*first_of(claim(static_cast<uint8_t>(type), 0xFFFF, 0, 0)), "ignorable " << type);
  for (int bit = 1; bit < 16; ++bit)
    check_refused(claim(5, static_cast<uint16_t>(1 << bit), 0, 0), Error::Kind::rejected, "flags");
  BOOST_TEST(*first_of(claim(5, kFramePush, 0, 0)));
}

BOOST_AUTO_TEST_CASE(row_6_empty_frames_where_they_make_sense) {
  for (const FrameType type : {FrameType::append, FrameType::data}) {
    check_refused(frame(type, 0, "", "payload"), Error::Kind::corrupt, "carries no batch");
    check_refused(frame(type, 0, "header", ""), Error::Kind::corrupt, "carries no batch");
  }
  for (const FrameType type :
       {FrameType::ping, FrameType::pong, FrameType::goodbye, FrameType::drain})
    BOOST_TEST(*first_of(frame(type, 0, "", "")));
  check_refused(frame(FrameType::ping, 0, "", "x"), Error::Kind::corrupt, "none by rule");
}

BOOST_AUTO_TEST_CASE(any_cut_of_the_stream_gives_the_same_frames) {
  BOOST_TEST(rc::check("torn and glued reads", [](uint64_t seed) {
    Rng rng(seed);
    std::string stream;
    std::vector<Frame> sent(1 + rng.below(12));
    for (Frame& f : sent) {
      f.type = rng.chance(0.5) ? FrameType::data : static_cast<FrameType>(128 + rng.below(128));
      f.flags = rng.chance(0.5) ? kFramePush : 0;
      const size_t scale = size_t{1} << rng.below(19);
      f.header = sample::noise(rng, 1 + rng.below(scale));
      f.payload = sample::noise(rng, 1 + rng.below(scale));
      stream += frame(f.type, f.flags, f.header, f.payload);
    }
    const Fed fed = feed(stream, rng, stream.size() > 50'000 ? 300'000 : 40);
    RC_ASSERT(fed.end.ok());
    RC_ASSERT(fed.frames.size() == sent.size());
    for (size_t i = 0; i < sent.size(); ++i) {
      RC_ASSERT(fed.frames[i].type == sent[i].type);
      RC_ASSERT(fed.frames[i].flags == sent[i].flags);
      RC_ASSERT(fed.frames[i].header == sent[i].header);
      RC_ASSERT(fed.frames[i].payload == sent[i].payload);
    }
  }));
}

BOOST_AUTO_TEST_CASE(any_end_of_the_stream_is_between_frames_or_said) {
  const std::string one = frame(FrameType::data, 0, "header", "payload");
  const std::string stream = one + frame(FrameType::ping, 0, "", "") + one;
  for (size_t n = 0; n <= stream.size(); ++n) {
    Rng rng(n);
    const Fed fed = feed(std::string_view(stream).substr(0, n), rng, 9);
    const bool whole = n == 0 || n == one.size() || n == one.size() + 20 || n == stream.size();
    BOOST_REQUIRE_MESSAGE(fed.end.ok() == whole, "cut at " << n);
  }
}

BOOST_AUTO_TEST_CASE(garbage_after_good_frames_never_becomes_a_frame) {
  BOOST_TEST(rc::check("garbage", [](uint64_t seed) {
    Rng rng(seed);
    const std::string good = frame(FrameType::data, 0, "header", "payload");
    std::string bytes = good + good;
    const size_t from =
        good.size() + rng.below(kFramePrefixBytes + 6);  // prefix or header of the second
    for (size_t i = from; i < bytes.size(); ++i) bytes[i] = static_cast<char>(rng.next());
    bytes += sample::noise(rng, 2000);
    const Fed fed = feed(bytes, rng, 500);
    RC_ASSERT(fed.frames.size() == 1u);
    RC_ASSERT(!fed.end.ok());
  }));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(frame_queue)

namespace {

BatchPtr batch(const std::string& head, const std::string& payload) {
  auto b = std::make_shared<Batch>();
  b->head = head;
  b->payload = payload;
  return b;
}

// Takes up to `most` bytes out of the queue, as a socket would.
std::string take(FrameQueue& queue, size_t most, size_t pieces) {
  std::vector<iovec> iov(pieces);
  const size_t used = queue.gather(iov);
  std::string out;
  for (size_t i = 0; i < used; ++i) {
    RC_ASSERT(iov[i].iov_len > 0u);
    out.append(static_cast<const char*>(iov[i].iov_base), iov[i].iov_len);
  }
  out.resize(std::min(out.size(), most));
  queue.wrote(out.size());
  return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(what_is_queued_comes_out_in_order_however_it_is_taken) {
  BOOST_TEST(rc::check("partial writes", [](uint64_t seed) {
    Rng rng(seed);
    FrameQueue queue;
    std::string expected, got;
    for (int step = 0; step < 60; ++step) {
      if (rng.chance(0.6)) {
        const std::string head = sample::noise(rng, 1 + rng.below(200));
        if (rng.chance(0.5)) {
          const std::string payload = sample::noise(rng, 1 + rng.below(5000));
          queue.push({.type = FrameType::data, .before = "sink", .batch = batch(head, payload)});
          expected += frame(FrameType::data, 0, "sink" + head, payload);
        } else if (rng.chance(0.5)) {
          proto::Busy busy;
          busy.set_retry_ms(static_cast<uint32_t>(rng.next()));
          queue.push(FrameType::busy, 1, &busy);
          expected += frame(FrameType::busy, 1, busy.SerializeAsString(), "");
        } else {
          queue.push(FrameType::ping, 0, nullptr);
          expected += frame(FrameType::ping, 0, "", "");
        }
      } else {
        got += take(queue, rng.below(8000), 1 + rng.below(20));
      }
      RC_ASSERT(queue.bytes() == expected.size() - got.size());
    }
    while (!queue.empty()) got += take(queue, 1 + rng.below(8000), 1 + rng.below(64));
    RC_ASSERT(got == expected);
    RC_ASSERT(queue.bytes() == 0u);
  }));
}

BOOST_AUTO_TEST_CASE(a_batch_is_let_go_with_its_last_byte) {
  FrameQueue queue;
  auto b = batch("head", "payload");
  queue.push({.type = FrameType::data, .batch = b});
  BOOST_TEST(b.use_count() == 2);
  (void)take(queue, 30, 64);  // all but one byte
  BOOST_TEST(b.use_count() == 2);
  (void)take(queue, 1, 64);
  BOOST_TEST(b.use_count() == 1);
  queue.push({.type = FrameType::data, .batch = b});
  queue.clear();
  BOOST_TEST(b.use_count() == 1);
}

BOOST_AUTO_TEST_CASE(a_farewell_is_all_that_is_kept_but_for_a_frame_begun) {
  const std::string data = frame(FrameType::data, 0, "head", "payload");
  proto::Reject reject;
  reject.set_text("why");
  const std::string farewell = frame(FrameType::reject, 0, reject.SerializeAsString(), "");
  for (size_t written = 0; written < 2 * data.size(); ++written) {
    FrameQueue queue;
    auto b = batch("head", "payload");
    for (int i = 0; i < 3; ++i) queue.push({.type = FrameType::data, .batch = b});
    queue.push(FrameType::reject, 0, &reject);
    std::string got = take(queue, written, 64);
    BOOST_TEST(queue.keep_farewell());
    got += take(queue, 1000, 64);
    BOOST_TEST(queue.empty());
    BOOST_TEST(b.use_count() == 1);
    const size_t begun = (written + data.size() - 1) / data.size();
    std::string expected;
    for (size_t i = 0; i < begun; ++i) expected += data;
    BOOST_TEST((got == expected + farewell), written << " bytes written");
  }
}

BOOST_AUTO_TEST_CASE(without_a_farewell_at_the_end_nothing_is_kept) {
  FrameQueue queue;
  BOOST_TEST(!queue.keep_farewell());
  queue.push(FrameType::reject, 0, nullptr);
  queue.push(FrameType::ping, 0, nullptr);
  BOOST_TEST(!queue.keep_farewell());
  queue.clear();
  queue.push(FrameType::goodbye, 0, nullptr);
  BOOST_TEST(queue.keep_farewell());
  BOOST_TEST(queue.bytes() == kFramePrefixBytes);
}

BOOST_AUTO_TEST_SUITE_END()
