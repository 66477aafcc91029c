// The spool's contract, event by event.
#include "local/spool.h"

#include <boost/test/unit_test.hpp>

#include "tests/local/spool_on_paper.h"

using namespace tailrace;
using namespace tailrace::test;
using Taken = Spool::Taken;

BOOST_TEST_DONT_PRINT_LOG_VALUE(Spool::Taken)

BOOST_AUTO_TEST_SUITE(spool)

BOOST_AUTO_TEST_CASE(takes_what_continues_and_nothing_else) {
  SpoolOnPaper p;
  BOOST_TEST(p.append(1) == Taken::unknown);
  p.stream(1, "nginx");
  BOOST_TEST(p.append(1, 2, 100, 9) == Taken::unknown);
  p.file(9);

  auto batch = p.next(1, 3, 90, 9);
  BOOST_TEST(p.spool->append(batch, 0) == Taken::appended);
  BOOST_TEST(batch->fields.chain_before == 0u);
  BOOST_TEST(batch->fields.chain_after == next_chain(0, batch->fields.payload_crc, 3));
  BOOST_TEST((BatchHead::parse(batch->head)->fields() == batch->fields));
  BOOST_TEST((p.at(1) == Position{3, batch->fields.chain_after}));
  const FileInfo& file = p.spool->tables().files.at(9);
  BOOST_TEST(file.next == 90u);
  BOOST_TEST(file.head_hash == 11u);
  BOOST_TEST(file.tail_hash == 22u);

  BOOST_TEST(p.spool->append(batch, 0) == Taken::unexpected);  // the same once more
  auto ahead = p.next(1, 1, 10, 9);
  SourceRange hole{9, 91, 101, 1, 0, 0};
  ahead->head.clear();
  encode_batch_head(ahead->fields, {hole}, {}, ahead->head);
  BOOST_TEST(p.spool->append(ahead, 0) == Taken::unexpected);  // a hole in the file
  auto flipped = p.next(1, 1, 10, 9);
  flipped->payload[3] = '!';
  BOOST_TEST(p.spool->append(flipped, 0) == Taken::corrupt);
  auto shorter = p.next(1, 1, 10, 9);
  shorter->payload.pop_back();
  BOOST_TEST(p.spool->append(shorter, 0) == Taken::corrupt);
  BOOST_TEST(p.at(1).seq == 3u);
  BOOST_TEST(p.append(1, 1, 10, 9) == Taken::appended);  // none of them changed anything
}

BOOST_AUTO_TEST_CASE(a_batch_may_name_a_file_twice_if_its_ranges_continue) {
  SpoolOnPaper p;
  p.stream(1, "nginx");
  p.file(9);
  auto batch = p.next(1, 2, 20, 0);
  const auto with = [&](uint64_t second_start) {
    batch->head.clear();
    encode_batch_head(batch->fields, {{9, 0, 10, 1, 0, 0}, {9, second_start, 25, 1, 0, 0}}, {},
                      batch->head);
    return p.spool->append(batch, 0);
  };
  BOOST_TEST(with(11) == Taken::unexpected);
  BOOST_TEST(p.spool->tables().files.at(9).next == 0u);
  BOOST_TEST(with(10) == Taken::appended);
  BOOST_TEST(p.spool->tables().files.at(9).next == 25u);
}

BOOST_AUTO_TEST_CASE(definitions_are_kept_and_not_bent) {
  SpoolOnPaper p;
  p.stream(1, "nginx");
  p.stream(1, "nginx");
  StreamInfo other;
  other.stream = 1;
  other.category = "syslog";
  BOOST_TEST(!p.spool->define_stream(other, 0).ok());
  other.stream = 2;
  other.category = "nginx";
  BOOST_TEST(!p.spool->define_stream(other, 0).ok());  // a second number for the same
  other.sub = 1;
  BOOST_TEST(p.spool->define_stream(other, 0).ok());
  other.stream = 3;
  other.category = "../etc";
  BOOST_TEST(!p.spool->define_stream(other, 0).ok());

  p.file(4);
  BOOST_TEST(p.append(1, 1, 50, 4) == Taken::appended);
  FileInfo renamed;
  renamed.file = 4;
  renamed.identity = "i4";
  renamed.path = "/log/4.1";
  BOOST_TEST(p.spool->define_file(renamed, 0).ok());
  BOOST_TEST(p.spool->tables().files.at(4).path == "/log/4.1");
  BOOST_TEST(p.spool->tables().files.at(4).next == 50u);
  renamed.generation = 1;
  BOOST_TEST(!p.spool->define_file(renamed, 0).ok());
}

BOOST_AUTO_TEST_CASE(nothing_is_durable_before_its_group_is) {
  SpoolOnPaper p;
  p.stream(1, "nginx");
  p.commit();
  BOOST_TEST(p.spool->group_due_ms(true, 0) == -1);
  p.now_ms = 1000;
  BOOST_TEST(p.append(1) == Taken::appended);
  BOOST_TEST(!p.spool->all_durable());
  BOOST_TEST(p.spool->durable(1).seq == 0u);
  BOOST_TEST(!p.spool->find(1, 0));
  BOOST_TEST(p.spool->group_due_ms(false, 1000) == 200);
  BOOST_TEST(p.spool->group_due_ms(false, 1150) == 50);
  BOOST_TEST(p.spool->group_due_ms(true, 1000) == 0);
  SpoolGroup group = p.spool->begin_group(1150);
  BOOST_TEST(p.spool->group_due_ms(true, 1150) == -1);
  BOOST_TEST(p.append(1) == Taken::appended);  // goes into the next group
  BOOST_TEST(p.disk.apply(group).ok());
  BOOST_TEST(p.spool->durable(1).seq == 0u);
  p.spool->group_done(1150);
  BOOST_TEST(p.spool->durable(1).seq == 2u);
  BOOST_TEST(p.spool->find(1, 0).has_value());
  BOOST_TEST(!p.spool->find(1, 2));
  BOOST_TEST(!p.spool->all_durable());
  p.commit();
  BOOST_TEST(p.spool->all_durable());
  BOOST_TEST(p.spool->durable(1).seq == 4u);
}

BOOST_AUTO_TEST_CASE(a_group_is_due_at_once_when_it_is_large) {
  SpoolOnPaper p(1 << 20);
  p.options.group_bytes = 1000;
  p.start();
  p.stream(1, "nginx");
  BOOST_TEST(p.append(1, 1, 500) == Taken::appended);
  BOOST_TEST(p.spool->group_due_ms(false, 0) == 200);
  BOOST_TEST(p.append(1, 1, 500) == Taken::appended);
  BOOST_TEST(p.spool->group_due_ms(false, 0) == 0);
}

BOOST_AUTO_TEST_CASE(a_batch_is_found_in_memory_or_read_from_its_place) {
  SpoolOnPaper p(1 << 20);
  p.options.cache_bytes = 500;
  p.start();
  p.stream(1, "nginx");
  auto first = p.next(1, 2, 200);
  BOOST_TEST(p.spool->append(first, 0) == Taken::appended);
  BOOST_TEST(p.append(1, 2, 200) == Taken::appended);
  p.commit();
  BOOST_TEST(!p.spool->find(1, 1));  // not where a batch starts
  const auto cold = p.spool->find(1, 0);
  BOOST_REQUIRE(cold.has_value());
  BOOST_TEST(cold->batch == nullptr);
  BOOST_TEST(cold->end_seq == 2u);
  BOOST_TEST(p.spool->find(1, 2)->batch != nullptr);
  const auto read = p.read(*cold);
  BOOST_REQUIRE(read.ok());
  BOOST_TEST((*read)->head == first->head);
  BOOST_TEST((*read)->payload == first->payload);
  BOOST_TEST(((*read)->fields == first->fields));

  SpoolImage image = p.disk.cached();
  std::string bytes;
  BOOST_REQUIRE(image.read(cold->segment, cold->offset, cold->bytes, bytes).ok());
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string flipped = bytes;
    flipped[i] = static_cast<char>(flipped[i] ^ 4);
    BOOST_TEST(!p.spool->decode_record(*cold, flipped).ok());
  }
  BOOST_TEST(!p.spool->decode_record(*cold, std::string_view(bytes).substr(1)).ok());
}

BOOST_AUTO_TEST_CASE(a_cursor_moves_along_batches_that_the_spool_knows) {
  SpoolOnPaper p;
  p.stream(1, "nginx");
  p.spool->add_sink(kSinkA, 0);
  BOOST_TEST(p.append(1, 2) == Taken::appended);
  const Position two = p.at(1);
  BOOST_TEST(!p.spool->advance_cursor(kSinkA, 1, two, 0));  // not durable: nobody can have it
  p.commit();
  BOOST_TEST(p.append(1, 3) == Taken::appended);
  p.commit();
  BOOST_TEST(!p.spool->advance_cursor(kSinkA, 1, {2, two.chain + 1}, 0));
  BOOST_TEST(!p.spool->advance_cursor(kSinkA, 1, {1, two.chain}, 0));
  BOOST_TEST(!p.spool->advance_cursor(kSinkA, 1, {9, two.chain}, 0));
  BOOST_TEST(!p.spool->advance_cursor(kSinkB, 1, two, 0));
  BOOST_TEST(!p.spool->advance_cursor(kSinkA, 8, two, 0));
  BOOST_TEST((p.spool->cursor(kSinkA, 1) == Position{}));
  BOOST_TEST(p.spool->advance_cursor(kSinkA, 1, two, 0));
  BOOST_TEST((p.spool->cursor(kSinkA, 1) == two));
  BOOST_TEST(p.spool->advance_cursor(kSinkA, 1, two, 0));
  BOOST_TEST(!p.spool->advance_cursor(kSinkA, 1, {2, 5}, 0));  // the same place, other lines
  BOOST_TEST(p.spool->advance_cursor(kSinkA, 1, {0, 0}, 0));
  BOOST_TEST((p.spool->cursor(kSinkA, 1) == two));
  p.commit();
  p.start();
  BOOST_TEST((p.spool->cursor(kSinkA, 1) == two));
  BOOST_TEST((p.spool->chain_at(1, 2) == two.chain));
  BOOST_TEST(!p.spool->chain_at(1, 3));
}

BOOST_AUTO_TEST_CASE(starts_are_told_apart) {
  SpoolOnPaper p;
  BOOST_TEST(p.spool->local_id() == 0x10CA1u);
  BOOST_TEST(p.spool->start() == 1u);
  BOOST_TEST(p.spool->start_before() == 0u);
  p.start();
  p.start();
  BOOST_TEST(p.spool->local_id() == 0x10CA1u);
  BOOST_TEST(p.spool->start() == 3u);
  BOOST_TEST(p.spool->start_before() == 2u);
}

BOOST_AUTO_TEST_CASE(many_starts_with_nothing_new_take_no_room) {
  SpoolOnPaper p;
  p.stream(1, "nginx");
  BOOST_TEST(p.append(1) == Taken::appended);
  p.commit();
  for (int i = 0; i < 40; ++i) p.start();
  BOOST_TEST(p.segments() <= 8u);
  BOOST_TEST(p.spool->used_bytes() <= 8 * 4096u);
  BOOST_TEST(p.spool->find(1, 0).has_value());
}

BOOST_AUTO_TEST_CASE(what_all_sinks_have_is_trimmed_and_its_files_are_used_again) {
  SpoolOnPaper p;
  p.stream(1, "nginx");
  p.spool->add_sink(kSinkA, 0);
  p.spool->add_sink(kSinkB, 0);
  uint64_t most = 0;
  for (int i = 0; i < 300; ++i) {
    BOOST_REQUIRE(p.append(1, 2, 300) == Taken::appended);
    p.commit();
    most = std::max(most, p.spool->used_bytes());
    BOOST_REQUIRE(p.spool->advance_cursor(kSinkA, 1, p.at(1), 0));
    if (i == 60) BOOST_TEST(p.spool->used_bytes() > 7 * 4096u);  // B holds everything back
    if (i >= 60) BOOST_REQUIRE(p.spool->advance_cursor(kSinkB, 1, p.at(1), 0));
  }
  p.commit();
  BOOST_TEST(p.spool->used_bytes() < most);
  BOOST_TEST(p.spool->used_bytes() <= 9 * 4096u);
  BOOST_TEST(p.spool->tables().streams.at(1).oldest.seq > 500u);
  BOOST_TEST(!p.spool->find(1, 0));
  const SpoolTables before = p.spool->tables();
  p.start();
  BOOST_TEST(!p.damaged);
  BOOST_TEST((p.spool->tables().cursors == before.cursors));
  BOOST_TEST((p.at(1) == before.streams.at(1).next));
}

BOOST_AUTO_TEST_CASE(a_cursor_frees_nothing_before_it_is_durable) {
  SpoolOnPaper p;
  p.stream(1, "nginx");
  p.spool->add_sink(kSinkA, 0);
  for (int i = 0; i < 40; ++i) {
    BOOST_REQUIRE(p.append(1, 2, 300) == Taken::appended);
    p.commit();
  }
  const size_t segments = p.segments();
  BOOST_REQUIRE(p.spool->advance_cursor(kSinkA, 1, p.at(1), 0));
  BOOST_TEST(p.spool->find(1, 0).has_value());
  SpoolGroup group = p.spool->begin_group(0);
  for (const SpoolOp& op : group.ops)
    BOOST_TEST((op.kind == SpoolOp::Kind::write || op.kind == SpoolOp::Kind::sync));
  BOOST_TEST(p.spool->find(1, 0).has_value());
  BOOST_REQUIRE(p.disk.apply(group).ok());
  p.spool->group_done(0);
  BOOST_TEST(!p.spool->find(1, 0));
  p.commit();
  BOOST_TEST(p.segments() < segments);
}

BOOST_AUTO_TEST_CASE(a_new_sink_begins_with_the_oldest_that_is_kept) {
  SpoolOnPaper p;
  p.stream(1, "nginx");
  p.spool->add_sink(kSinkA, 0);
  for (int i = 0; i < 60; ++i) {
    BOOST_REQUIRE(p.append(1, 2, 300) == Taken::appended);
    p.commit();
    BOOST_REQUIRE(p.spool->advance_cursor(kSinkA, 1, p.at(1), 0));
  }
  p.commit();
  const Position oldest = p.spool->tables().streams.at(1).oldest;
  BOOST_TEST(oldest.seq > 0u);
  p.spool->add_sink(kSinkB, 0);
  BOOST_TEST((p.spool->cursor(kSinkB, 1) == oldest));
  BOOST_TEST(p.spool->find(1, oldest.seq).has_value());
  p.stream(2, "later");
  BOOST_TEST((p.spool->tables().cursors.at({kSinkB, 2}) == Position{}));
}

BOOST_AUTO_TEST_CASE(the_quota_stops_batches_and_not_cursors) {
  SpoolOnPaper p;
  p.options.quota_bytes = 8 * 4096;
  p.options.category_share_percent = 100;
  p.start();
  p.stream(1, "nginx");
  p.spool->add_sink(kSinkA, 0);
  p.commit();
  int taken = 0;
  while (p.append(1, 2, 300) == Taken::appended) {
    ++taken;
    p.commit();
    BOOST_REQUIRE(taken < 1000);
  }
  BOOST_TEST(p.append(1, 2, 300) == Taken::full);
  BOOST_TEST(!p.spool->has_room());
  BOOST_TEST(p.spool->trouble() == "");
  BOOST_TEST(p.spool->used_bytes() <= 8 * 4096u);
  BOOST_TEST(taken > 40);
  // The commits find room, and make it.
  while (p.spool->cursor(kSinkA, 1).seq < p.at(1).seq) {
    const uint64_t to = p.spool->find(1, p.spool->cursor(kSinkA, 1).seq)->end_seq;
    BOOST_REQUIRE(p.spool->advance_cursor(kSinkA, 1, {to, *p.spool->chain_at(1, to)}, 0));
    p.commit();
    BOOST_TEST(p.spool->used_bytes() <= 9 * 4096u);
  }
  BOOST_TEST(p.spool->has_room());
  BOOST_TEST(p.append(1, 2, 300) == Taken::appended);
}

BOOST_AUTO_TEST_CASE(one_category_at_its_share_leaves_the_others_going) {
  SpoolOnPaper p;
  p.options.quota_bytes = 16 * 4096;
  p.options.category_share_percent = 25;
  p.start();
  p.stream(1, "loud");
  p.stream(2, "quiet");
  p.spool->add_sink(kSinkA, 0);
  while (p.append(1, 2, 300) == Taken::appended) p.commit();
  BOOST_TEST(p.append(1, 2, 300) == Taken::category_full);
  BOOST_TEST(p.append(2, 2, 300) == Taken::appended);
  p.commit();
  p.start();  // the shares are counted anew
  BOOST_TEST(p.append(1, 2, 300) == Taken::category_full);
  BOOST_TEST(p.append(2, 2, 300) == Taken::appended);
  BOOST_TEST(p.spool->category_has_room("quiet"));
  BOOST_TEST(!p.spool->category_has_room("loud"));
  p.commit();
  BOOST_REQUIRE(p.spool->advance_cursor(kSinkA, 1, p.at(1), 0));
  BOOST_REQUIRE(p.spool->advance_cursor(kSinkA, 2, p.at(2), 0));
  p.commit();
  BOOST_TEST(p.spool->category_has_room("loud"));
}

BOOST_AUTO_TEST_CASE(a_full_disk_shows_where_a_file_is_made_and_passes) {
  SpoolOnPaper p;
  p.stream(1, "nginx");
  p.commit();
  bool full = false;
  for (int i = 0; i < 100 && !full; ++i) {
    full = p.append(1, 2, 300) == Taken::full;
    while (p.spool->group_due_ms(true, p.now_ms) == 0) {
      const SpoolGroup group = p.spool->begin_group(p.now_ms);
      if (group.ops[0].kind == SpoolOp::Kind::create) {
        BOOST_TEST(group.last_lsn == 0u);
        p.spool->group_failed({Error::Kind::retry_later, "no space left"}, p.now_ms);
        BOOST_TEST(p.spool->trouble() == "no space left");
        continue;
      }
      BOOST_REQUIRE(p.disk.apply(group).ok());
      p.spool->group_done(p.now_ms);
    }
  }
  BOOST_TEST(full);
  BOOST_TEST(!p.spool->has_room());
  BOOST_TEST(p.spool->all_durable());  // all that was taken is safe
  const int64_t due = p.spool->group_due_ms(false, p.now_ms);
  BOOST_TEST(due > 0);
  p.now_ms += due;
  p.commit();
  BOOST_TEST(p.spool->trouble() == "");
  BOOST_TEST(p.spool->has_room());
  BOOST_TEST(p.append(1, 2, 300) == Taken::appended);
}

BOOST_AUTO_TEST_CASE(a_batch_larger_than_a_segment_gets_a_file_of_its_size) {
  SpoolOnPaper p;
  p.stream(1, "nginx");
  auto large = p.next(1, 5, 20000);
  BOOST_TEST(p.spool->append(large, 0) == Taken::appended);
  BOOST_TEST(p.append(1, 1, 10) != Taken::corrupt);
  p.commit();
  BOOST_TEST(p.spool->durable(1).seq >= 5u);
  p.options.cache_bytes = 0;
  p.start();
  const auto place = p.spool->find(1, 0);
  BOOST_REQUIRE(place.has_value());
  BOOST_TEST((*p.read(*place))->payload == large->payload);
}

BOOST_AUTO_TEST_CASE(a_lost_batch_becomes_a_gap_for_good) {
  SpoolOnPaper p;
  p.stream(1, "nginx");
  p.spool->add_sink(kSinkA, 0);
  for (int i = 0; i < 3; ++i) BOOST_REQUIRE(p.append(1, 2) == Taken::appended);
  p.commit();
  const uint64_t chain = *p.spool->chain_at(1, 4);
  p.spool->give_up(1, 2, "cannot be read", 0);
  for (int i = 0; i < 2; ++i) {
    const auto gap = p.spool->find(1, 2);
    BOOST_REQUIRE(gap.has_value());
    BOOST_REQUIRE(gap->gap != nullptr);
    BOOST_TEST(gap->end_seq == 4u);
    BOOST_TEST(gap->gap->count == 2u);
    BOOST_TEST(gap->gap->chain_after == chain);
    BOOST_TEST(gap->gap->reason == "cannot be read");
    BOOST_TEST(p.spool->find(1, 3)->gap == gap->gap);
    BOOST_TEST(p.spool->find(1, 4)->gap == nullptr);
    p.commit();
    p.start();
    BOOST_TEST(!p.damaged);
  }
  BOOST_TEST(p.spool->advance_cursor(kSinkA, 1, {4, chain}, 0));
}

BOOST_AUTO_TEST_CASE(a_forgotten_file_is_gone) {
  SpoolOnPaper p;
  p.stream(1, "nginx");
  p.file(1);
  p.file(2);
  BOOST_TEST(p.append(1, 1, 10, 1) == Taken::appended);
  p.commit();
  p.spool->forget_file(1, 0);
  p.spool->forget_file(77, 0);
  BOOST_TEST(!p.spool->tables().files.contains(1));
  BOOST_TEST(p.append(1, 1, 10, 1) == Taken::unknown);
  p.commit();
  p.start();
  BOOST_TEST(!p.spool->tables().files.contains(1));
  BOOST_TEST(p.spool->tables().files.contains(2));
}

BOOST_AUTO_TEST_CASE(a_gap_in_a_file_moves_it_on_if_its_end_is_known) {
  SpoolOnPaper p;
  p.stream(1, "nginx");
  p.file(1);
  BOOST_TEST(p.append(1, 1, 10, 1) == Taken::appended);
  p.spool->file_gap({1, 10, UINT64_MAX, "deleted"}, 0);
  BOOST_TEST(p.spool->tables().files.at(1).next == 10u);
  p.spool->file_gap({1, 10, 25, "deleted"}, 0);
  BOOST_TEST(p.spool->tables().files.at(1).next == 25u);
  p.commit();
  p.start();
  BOOST_TEST(p.spool->tables().files.at(1).next == 25u);
}

BOOST_AUTO_TEST_CASE(a_clean_shutdown_ends_with_a_snapshot) {
  SpoolOnPaper p;
  p.stream(1, "nginx");
  BOOST_TEST(p.append(1) == Taken::appended);
  const SpoolTables before = p.spool->tables();
  SpoolGroup group = p.spool->begin_shutdown(0);
  while (group.last_lsn == 0) {
    BOOST_REQUIRE(p.disk.apply(group).ok());
    p.spool->group_done(0);
    group = p.spool->begin_shutdown(0);
  }
  BOOST_REQUIRE(p.disk.apply(group).ok());
  p.spool->group_done(0);
  BOOST_TEST(p.spool->all_durable());
  SpoolImage image = p.disk.durable();
  const auto recovered = recover_spool(image, 1);
  BOOST_REQUIRE(recovered.ok());
  BOOST_TEST((recovered->tables == before));
  BOOST_REQUIRE(recovered->tail.size() >= 2u);
  BOOST_TEST((recovered->tail.back().type == RecordType::clean_shutdown));
  BOOST_TEST((recovered->tail[recovered->tail.size() - 2].type == RecordType::snapshot));
}

BOOST_AUTO_TEST_SUITE_END()
