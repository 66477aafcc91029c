// What recovery makes of a spool whose bytes are not what was written, and of the ends that crashes
// leave.
#include "local/spool_recovery.h"

#include <rapidcheck.h>

#include <boost/test/unit_test.hpp>

#include "base/bytes.h"
#include "base/random.h"
#include "tests/local/spool_on_paper.h"

using namespace tailrace;
using namespace tailrace::test;

namespace {

// Counts what is read, and refuses to be asked for more than a bounded piece of a file.
class CountingImages final : public SpoolImages {
 public:
  explicit CountingImages(SpoolImage image) : image_(std::move(image)) {}
  Result<std::vector<SpoolFile>> files() override { return image_.files(); }
  Result<void> read(const std::string& name, uint64_t offset, size_t n, std::string& out) override {
    bytes += n;
    largest = std::max(largest, n);
    return image_.read(name, offset, n, out);
  }
  uint64_t bytes = 0;
  size_t largest = 0;

 private:
  SpoolImage image_;
};

constexpr size_t kBytes = 800;  // of a batch's payload: four batches a segment

// A stream of 12 batches of which all but the last group are known to be synced.
struct Sample {
  SpoolOnPaper paper;
  SpoolImage image;
  std::vector<Spool::Place> places;
  std::vector<uint64_t> starts;

  explicit Sample(uint64_t segment_bytes = 4096) : paper(segment_bytes) {
    paper.stream(1, "nginx");
    paper.file(3);
    paper.spool->add_sink(kSinkA, 0);
    for (int i = 0; i < 12; ++i) {
      starts.push_back(paper.at(1).seq);
      BOOST_REQUIRE(paper.append(1, 2, kBytes, 3) == Spool::Taken::appended);
      paper.commit();
    }
    image = paper.disk.durable();
    for (const uint64_t seq : starts) places.push_back(*paper.spool->find(1, seq));
  }
  char& byte(size_t batch, uint64_t at) {
    return image.content.at(places[batch].segment)[places[batch].offset + at];
  }
};

Result<RecoveredSpool> recover(SpoolImage image) { return recover_spool(image, 1); }

// How many of the sample's batches recovery has, and that whatever it lacks is said to be lost.
size_t intact_batches(const Sample& sample, const RecoveredSpool& r) {
  size_t intact = 0;
  uint64_t end = 0;
  const auto ranges = r.index.streams().find(1);
  BOOST_REQUIRE((ranges != r.index.streams().end()));
  for (const SpoolRange& range : ranges->second) {
    BOOST_TEST(range.first_seq == end);
    end = range.end_seq;
    if (range.gap()) {
      BOOST_TEST(gap_at(r.tables, 1, range.first_seq) != nullptr);
      BOOST_TEST(r.damaged);
      continue;
    }
    BOOST_TEST((sample.paper.spool->chain_at(1, range.end_seq) == range.chain_after));
    ++intact;
  }
  BOOST_TEST(end == r.tables.streams.at(1).next.seq);
  return intact;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(spool_recovery)

BOOST_AUTO_TEST_CASE(nothing_there_is_a_new_spool) {
  SpoolImage image;
  image.content["lost+found"] = "";
  image.content["0000000004.new"] = std::string(4096, 'x');
  image.content["0000000002.free"] = std::string(4096, 'y');
  const auto r = recover_spool(image, 0xABC);
  BOOST_REQUIRE(r.ok());
  BOOST_TEST(r->tables.local_id == 0xABCu);
  BOOST_TEST(r->log.next_era == 5u);
  BOOST_TEST(r->log.next_file == 3u);
  BOOST_TEST(r->log.useless.size() == 1u);
  BOOST_TEST(r->log.spares.size() == 1u);
}

BOOST_AUTO_TEST_CASE(an_intact_spool_is_all_there) {
  const Sample s;
  const auto r = recover(s.image);
  BOOST_REQUIRE(r.ok());
  BOOST_TEST(!r->damaged);
  BOOST_TEST(intact_batches(s, *r) == 12u);
  BOOST_TEST((r->tables == s.paper.spool->tables()));
}

// The last batch was synced, but nothing that is on the disk proves it.
BOOST_AUTO_TEST_CASE(a_bad_last_record_is_a_torn_tail) {
  for (const uint64_t at : {uint64_t{5}, uint64_t{40}, uint64_t{300}}) {
    Sample s;
    s.byte(11, at) ^= 1;
    const auto r = recover(s.image);
    BOOST_REQUIRE(r.ok());
    BOOST_TEST(!r->damaged);
    BOOST_TEST(r->notes.size() <= 1u);
    BOOST_TEST(intact_batches(s, *r) == 11u);
    BOOST_TEST(r->tables.streams.at(1).next.seq == 22u);
    BOOST_TEST(r->tables.files.at(3).next == 11 * kBytes);
  }
}

BOOST_AUTO_TEST_CASE(a_bad_record_that_was_synced_is_damage_and_costs_itself_alone) {
  for (size_t batch = 0; batch < 11; ++batch) {
    Sample s;
    s.byte(batch, 40) ^= 1;
    const auto r = recover(s.image);
    BOOST_REQUIRE(r.ok());
    BOOST_TEST(r->damaged);
    BOOST_TEST(intact_batches(s, *r) == 11u);
    BOOST_REQUIRE(r->gaps.size() == 1u);
    BOOST_TEST(r->gaps[0].first_seq == 2 * batch);
    BOOST_TEST(r->gaps[0].count == 2u);
    BOOST_TEST((s.paper.spool->chain_at(1, 2 * batch + 2) == r->gaps[0].chain_after));
    BOOST_TEST(r->tables.streams.at(1).next.seq == 24u);
    BOOST_TEST(r->tables.files.at(3).next == 12 * kBytes);
  }
}

// The gap is written down: the next start knows it and does not say it again.
BOOST_AUTO_TEST_CASE(a_file_whose_definition_is_damaged_is_still_known_by_its_number) {
  Sample s;
  for (auto& [name, bytes] : s.image.content)
    for (size_t at = bytes.find("/log/3"); at != std::string::npos; at = bytes.find("/log/3", at))
      bytes[at] ^= 1;
  const auto r = recover(s.image);
  BOOST_REQUIRE(r.ok());
  BOOST_TEST(r->damaged);
  BOOST_TEST(intact_batches(s, *r) == 12u);
  BOOST_REQUIRE(r->tables.files.contains(3));
  BOOST_TEST(r->tables.files.at(3).identity == "");
  BOOST_TEST(r->tables.files.at(3).next == 12 * kBytes);
}

BOOST_AUTO_TEST_CASE(a_stream_whose_definition_is_damaged_is_kept_without_a_name) {
  Sample s;
  for (auto& [name, bytes] : s.image.content)
    for (size_t at = bytes.find("nginx"); at != std::string::npos; at = bytes.find("nginx", at))
      bytes[at] ^= 1;
  const auto r = recover(s.image);
  BOOST_REQUIRE(r.ok());
  BOOST_TEST(r->damaged);
  BOOST_TEST(intact_batches(s, *r) == 12u);
  BOOST_TEST(r->tables.streams.at(1).category == "");
  BOOST_TEST(r->tables.streams.at(1).next.seq == 24u);
  BOOST_TEST(r->tables.files.at(3).next == 12 * kBytes);  // nobody reads them again
  BOOST_TEST(r->notes.back().find("which category stream 1 stands for is lost") !=
             std::string::npos);
}

// It had nothing of the stream: what is missing at its beginning was never delivered to it.
BOOST_AUTO_TEST_CASE(what_a_sink_lacks_whose_cursor_is_lost_is_lost_for_it) {
  for (const bool known : {true, false}) {
    SpoolOnPaper paper(1u << 20);
    for (const uint64_t sink : {kSinkA, kSinkB}) paper.spool->add_sink(sink, 0);
    paper.stream(1, "nginx");
    paper.stream(2, "app");
    paper.file(3);
    for (int i = 0; i < 4; ++i) {
      BOOST_REQUIRE(paper.append(1, 2, kBytes, 3) == Spool::Taken::appended);
      paper.commit();
    }
    const Position passed{4, *paper.spool->chain_at(1, 4)};
    BOOST_REQUIRE(paper.spool->advance_cursor(kSinkA, 1, passed, paper.now_ms));
    BOOST_REQUIRE(paper.append(1, 2, kBytes, 3) == Spool::Taken::appended);
    paper.commit();
    SpoolImage image = paper.disk.durable();
    size_t cursors = 0;
    for (const StreamId stream : {1u, 2u}) {
      if (known && stream == 2) continue;
      std::string cursor;
      encode_cursor({kSinkB, stream, {}}, cursor);
      for (auto& [name, bytes] : image.content)
        for (size_t at = bytes.find(cursor); at != std::string::npos; at = bytes.find(cursor, at)) {
          bytes[at] ^= 1;
          ++cursors;
        }
    }
    BOOST_REQUIRE(cursors > 0u);
    for (const uint64_t seq : {0u, 2u}) {
      const Spool::Place place = *paper.spool->find(1, seq);
      image.content.at(place.segment)[place.offset + 40] ^= 1;
    }
    const auto r = recover(image);
    BOOST_REQUIRE(r.ok());
    BOOST_REQUIRE(!r->tables.cursors.contains({kSinkB, 1}));
    BOOST_TEST((r->tables.cursors.at({kSinkA, 1}) == passed));
    // Whoever is not known may have it all.
    BOOST_TEST(r->gaps.size() == (known ? 1u : 0u));
    paper.disk = VirtualDisk(image);
    paper.start();
    paper.spool->add_sink(kSinkB, 0);
    BOOST_TEST(paper.spool->cursor(kSinkB, 1).seq == 0u);
    BOOST_TEST(paper.spool->origins().empty());
    BOOST_TEST(paper.spool->tables().gaps.at({1, 0}).count == 4u);
  }
}

// Else a Local would tell its agent that lines are final which one sink has, and forget the other.
BOOST_AUTO_TEST_CASE(a_torn_group_says_of_no_sink_that_it_is_ahead_without_the_others) {
  SpoolOnPaper paper(1u << 20);
  paper.stream(1, "nginx");
  paper.stream(2, "app");
  paper.file(3);
  BOOST_REQUIRE(paper.append(1, 2, kBytes, 3) == Spool::Taken::appended);
  paper.commit();
  const std::string segment = paper.spool->find(1, 0)->segment;
  std::string before = paper.disk.durable().content.at(segment);
  for (const uint64_t sink : {kSinkA, kSinkB}) paper.spool->add_sink(sink, 0);
  const Position passed{2, *paper.spool->chain_at(1, 2)};
  BOOST_REQUIRE(paper.spool->advance_cursor(kSinkA, 1, passed, paper.now_ms));
  paper.commit();
  const SpoolImage whole = paper.disk.durable();
  const std::string& after = whole.content.at(segment);
  before.resize(after.size());
  size_t ahead = 0;
  for (size_t at = 0; at <= after.size(); ++at) {
    if (at < after.size() && before[at] == after[at]) continue;
    SpoolImage torn = whole;
    torn.content.at(segment).replace(at, std::string::npos, before, at);
    const auto r = recover(torn);
    BOOST_REQUIRE(r.ok());
    const auto cursor = r->tables.cursors.find({kSinkA, 1});
    if (cursor == r->tables.cursors.end() || cursor->second.seq == 0) continue;
    ++ahead;
    BOOST_TEST(r->tables.cursors.contains({kSinkB, 1}));
  }
  BOOST_TEST(ahead > 0u);
}

BOOST_AUTO_TEST_CASE(a_gap_is_remembered) {
  Sample s;
  s.byte(4, 40) ^= 1;
  s.paper.disk = VirtualDisk(s.image);
  s.paper.start();
  BOOST_TEST(s.paper.damaged);
  BOOST_TEST(s.paper.spool->find(1, 8)->gap != nullptr);
  BOOST_TEST(s.paper.spool->find(1, 10)->gap == nullptr);
  BOOST_REQUIRE(s.paper.append(1, 2, 100, 3) == Spool::Taken::appended);
  s.paper.commit();
  const auto r = recover(s.paper.disk.durable());
  BOOST_REQUIRE(r.ok());
  BOOST_TEST(r->gaps.empty());
  BOOST_TEST(r->tables.gaps.size() == 1u);
  BOOST_TEST(intact_batches(s, *r) == 12u);
}

BOOST_AUTO_TEST_CASE(a_lost_segment_costs_what_it_held) {
  Sample s;
  const std::string name = s.places[5].segment;
  size_t held = 0;
  for (const auto& p : s.places) held += p.segment == name;
  BOOST_REQUIRE(name != s.places[0].segment);
  BOOST_REQUIRE(name != s.places[11].segment);
  s.image.content.erase(name);
  const auto r = recover(s.image);
  BOOST_REQUIRE(r.ok());
  BOOST_TEST(r->damaged);
  BOOST_TEST(intact_batches(s, *r) == 12 - held);
}

BOOST_AUTO_TEST_CASE(a_segment_is_read_without_its_header) {
  for (const size_t batch : {size_t{0}, size_t{5}}) {
    Sample s;
    s.image.content.at(s.places[batch].segment)[20] ^= 1;
    const auto r = recover(s.image);
    BOOST_REQUIRE(r.ok());
    BOOST_TEST(r->damaged);
    BOOST_TEST(intact_batches(s, *r) == 12u);
  }
}

BOOST_AUTO_TEST_CASE(what_cannot_be_read_at_all_is_refused_with_advice) {
  Sample s;
  SpoolImage headless = s.image;
  for (auto& [name, bytes] : headless.content) bytes[20] ^= 1;
  const auto none = recover(headless);
  BOOST_REQUIRE(!none.ok());
  BOOST_TEST((none.error().kind == Error::Kind::corrupt));
  BOOST_TEST(none.error().text.find("aside") != std::string::npos);

  SpoolImage mixed = s.image;
  std::string& first = mixed.content.begin()->second;
  std::string header;
  encode_segment_header({parse_spool_name(mixed.content.begin()->first).second, 0xF0, 1, 0},
                        header);
  first.replace(0, header.size(), header);
  const auto two = recover(mixed);
  BOOST_REQUIRE(!two.ok());
  BOOST_TEST((two.error().kind == Error::Kind::rejected));
  BOOST_TEST(two.error().text.find("another spool") != std::string::npos);
}

// Any bits anywhere: never a crash, never an invented batch, never silence.
BOOST_AUTO_TEST_CASE(flipped_bits_are_never_silent) {
  const Sample sample;
  BOOST_TEST(rc::check("bits anywhere", [&sample] {
    SpoolImage image = sample.image;
    const auto flips = *rc::gen::inRange(1, 6);
    for (int i = 0; i < flips; ++i) {
      auto it = image.content.begin();
      std::advance(it,
                   *rc::gen::inRange<ptrdiff_t>(0, static_cast<ptrdiff_t>(image.content.size())));
      const auto bit = *rc::gen::inRange<size_t>(0, it->second.size() * 8);
      it->second[bit / 8] = static_cast<char>(it->second[bit / 8] ^ (1 << bit % 8));
    }
    auto r = recover(image);
    if (!r) return;  // the only SNAPSHOT
    const StreamInfo* const stream =
        r->tables.streams.contains(1) ? &r->tables.streams.at(1) : nullptr;
    const bool all = stream && stream->next.seq == 24;
    uint64_t end = 0;
    if (stream) {
      for (const SpoolRange& range : r->index.streams().at(1)) {
        RC_ASSERT(range.first_seq == end);
        RC_ASSERT(!range.gap() || r->damaged);
        if (!range.gap())
          RC_ASSERT(sample.paper.spool->chain_at(1, range.end_seq) == range.chain_after);
        end = range.end_seq;
      }
      RC_ASSERT(end == stream->next.seq);
    }
    // All but the last batch were proven to be synced.
    if (!all && (!stream || stream->next.seq < 22)) RC_ASSERT(r->damaged);
    // And a spool can go on from it.
    Spool spool(sample.paper.options, std::move(*r), 5);
    VirtualDisk disk(image);
    for (int i = 0; i < 20 && spool.group_due_ms(true, 0) == 0; ++i) {
      RC_ASSERT(disk.apply(spool.begin_group(0)).ok());
      spool.group_done(0);
    }
    RC_ASSERT(spool.all_durable());
  }));
}

// A recycled file holds whole records of its earlier life. The right number at the right place is
// not enough to be one of this segment's.
BOOST_AUTO_TEST_CASE(a_record_of_the_files_earlier_life_is_none) {
  for (const uint64_t back : {uint64_t{0}, uint64_t{1}, uint64_t{3}}) {
    Sample s;
    const uint64_t era = parse_spool_name(s.places[11].segment).second;
    std::string& segment = s.image.content.at(s.places[11].segment);
    size_t end = kSegmentHeaderBytes;
    RecordHeader h = decode_record_header(std::string_view(segment).substr(end));
    for (uint64_t lsn = h.lsn; h.lsn == lsn && h.bytes() < segment.size(); ++lsn) {
      end += h.bytes();
      h = decode_record_header(std::string_view(segment).substr(end));
      if (h.lsn != lsn + 1) {
        std::string body, stale;
        encode_cursor({kSinkA, 1, {20, 0x57A1E}}, body);
        RecordHeader r;
        r.type = RecordType::cursor;
        r.body_len = static_cast<uint32_t>(body.size());
        r.lsn = lsn + 1;
        r.durable_lsn = lsn;
        r.crc = record_crc(r, body, record_seed(era - back, s.paper.spool->local_id()));
        encode_record_header(r, stale);
        segment.replace(end, stale.size() + body.size(), stale + body);
        break;
      }
    }
    const auto r = recover(s.image);
    BOOST_REQUIRE(r.ok());
    BOOST_TEST(!r->damaged);
    BOOST_TEST((r->tables.cursors.at({kSinkA, 1}).seq == 20) == (back == 0));
  }
}

// A log line that looks like a record, even of a segment to come, is a log line.
BOOST_AUTO_TEST_CASE(records_inside_payloads_are_no_records) {
  Sample s;
  std::string forged;
  RecordHeader h;
  h.type = RecordType::clean_shutdown;
  for (uint64_t era = 1; era < 20; ++era) {
    for (uint64_t lsn = 10; lsn < 40; ++lsn) {
      h.lsn = lsn;
      h.durable_lsn = lsn - 1;
      h.crc = record_crc(h, "", record_seed(era, 0xBAD));  // it cannot know the spool's id
      encode_record_header(h, forged);
    }
  }
  SpoolOnPaper p;
  p.stream(1, "nginx");
  auto batch = p.next(1, 1, forged.size());
  batch->payload = forged;
  batch->fields.payload_crc = crc32c(forged);
  batch->head.clear();
  encode_batch_head(batch->fields, {}, {}, batch->head);
  BOOST_REQUIRE(p.spool->append(batch, 0) == Spool::Taken::appended);
  p.commit();
  SpoolImage image = p.disk.durable();
  const Spool::Place place = *p.spool->find(1, 0);
  image.content.at(place.segment)[place.offset + 3] ^= 1;
  const auto r = recover(image);
  BOOST_REQUIRE(r.ok());
  BOOST_TEST(!r->damaged);
  BOOST_TEST(r->tables.streams.at(1).next.seq == 0u);
}

BOOST_AUTO_TEST_CASE(payloads_are_read_above_the_newest_durable_lsn_only) {
  SpoolOnPaper p(4u << 20);
  p.stream(1, "nginx");
  for (int i = 0; i < 100; ++i) {
    BOOST_REQUIRE(p.append(1, 1, 200'000) == Spool::Taken::appended);
    p.commit();
  }
  CountingImages images(p.disk.durable());
  const auto r = recover_spool(images, 1);
  BOOST_REQUIRE(r.ok());
  BOOST_TEST(!r->damaged);
  BOOST_TEST(r->tables.streams.at(1).next.seq == 100u);
  BOOST_TEST(r->tail.size() <= 2u);
  // 20 MB of payloads: of most only the head's surroundings were read; the newest segment's free
  // part was searched for what a crash may have left.
  BOOST_TEST(images.bytes < 7'000'000u);
  BOOST_TEST(images.largest <= 300'000u);
}

// A payload that rotted below the newest durable_lsn is found when it is read, and becomes a gap
// then.
BOOST_AUTO_TEST_CASE(an_old_damaged_payload_is_found_when_it_is_read) {
  Sample s;
  s.byte(3, 300) ^= 1;
  s.paper.disk = VirtualDisk(s.image);
  s.paper.options.cache_bytes = 0;
  s.paper.start();
  BOOST_TEST(!s.paper.damaged);
  const auto place = s.paper.spool->find(1, 6);
  BOOST_REQUIRE(place.has_value());
  const auto read = s.paper.read(*place);
  BOOST_REQUIRE(!read.ok());
  BOOST_TEST((read.error().kind == Error::Kind::corrupt));
  s.paper.spool->give_up(1, 6, "payload damaged", 0);
  BOOST_TEST(s.paper.spool->find(1, 6)->gap != nullptr);
  for (size_t i = 0; i < 12; ++i)
    if (i != 3) BOOST_TEST(s.paper.read(*s.paper.spool->find(1, 2 * i)).ok());
}

// The same of one that a start copied, since the newest segment was small: it is not sent from
// memory as if it were whole.
BOOST_AUTO_TEST_CASE(a_damaged_payload_that_was_copied_is_found_too) {
  Sample s(256 << 10);
  s.byte(3, 300) ^= 1;
  s.paper.disk = VirtualDisk(s.image);
  s.paper.start();
  s.paper.commit();
  BOOST_TEST((s.paper.spool->find(1, 4)->batch != nullptr));
  const auto place = s.paper.spool->find(1, 6);
  BOOST_REQUIRE(place.has_value());
  BOOST_TEST((place->batch == nullptr));
  BOOST_TEST((s.paper.read(*place).error().kind == Error::Kind::corrupt));
}

// After a failed fsync the page cache shows what the disk does not have: it is written again,
// elsewhere.
BOOST_AUTO_TEST_CASE(what_is_above_durable_lsn_is_copied_before_anything_is_served) {
  SpoolOnPaper p(64 << 10);
  p.stream(1, "nginx");
  for (int i = 0; i < 30; ++i) {
    BOOST_REQUIRE(p.append(1, 2, 400) == Spool::Taken::appended);
    p.commit();
  }
  BOOST_REQUIRE(p.append(1, 2, 333) == Spool::Taken::appended);
  const SpoolGroup group = p.spool->begin_group(0);
  p.disk.set_fault({VirtualDisk::Fault::Kind::error, p.disk.ops_done() + group.ops.size()});
  BOOST_TEST(!p.disk.apply(group).ok());
  const SpoolImage power_cut_now = p.disk.durable();
  BOOST_TEST(recover(power_cut_now)->tables.streams.at(1).next.seq == 60u);
  p.start();
  BOOST_TEST(p.at(1).seq == 62u);
  const auto after = recover(p.disk.durable());
  BOOST_REQUIRE(after.ok());
  BOOST_TEST(after->tables.streams.at(1).next.seq == 62u);
}

BOOST_AUTO_TEST_SUITE_END()
