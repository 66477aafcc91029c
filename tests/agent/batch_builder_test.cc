#include "agent/batch_builder.h"

#include <fcntl.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <map>
#include <thread>

#include "base/newlines.h"
#include "base/random.h"
#include "tests/agent/temp_dir.h"

namespace tailrace {

namespace {
constexpr Codec kCodec = Codec::gzip;

struct Shelf {
  TempDir dir;
  std::vector<std::unique_ptr<TailedFile>> files;
  std::deque<TailedFile*> queue;

  TailedFile& add(const std::string& name, std::string_view text) {
    const auto path = dir.write(name, text);
    files.push_back(std::make_unique<TailedFile>(path, *identity_at(path), *find_log(path), 0));
    files.back()->set_id(static_cast<FileId>(files.size()));
    ready(*files.back());
    return *files.back();
  }
  void ready(TailedFile& file) {
    file.notes.queued = true;
    queue.push_back(&file);
  }
};

// The raw lines of a batch.
std::string raw(const Batch& batch) {
  if (batch.fields.payload_codec == Codec::none) return batch.payload;
  std::string out;
  const auto r =
      make_inflater(batch.fields.payload_codec)->inflate(batch.payload, batch.fields.raw_len, out);
  BOOST_REQUIRE(r.ok());
  return out;
}

BatchPtr next(BatchBuilder& builder, Shelf& shelf) {
  builder.gather(shelf.queue, 1000);
  BOOST_REQUIRE(builder.failed().empty());
  if (builder.empty()) return nullptr;
  BatchPtr batch = builder.finish(1, 0, 7, kCodec, 1001);
  const auto head = BatchHead::parse(batch->head);
  BOOST_REQUIRE_MESSAGE(head.ok(), (head.ok() ? "" : head.error().text));
  BOOST_REQUIRE(head->fields() == batch->fields);
  const std::string text = raw(*batch);
  BOOST_REQUIRE_EQUAL(text.size(), batch->fields.raw_len);
  BOOST_REQUIRE_EQUAL(count_newlines(text), batch->fields.count);
  BOOST_REQUIRE_EQUAL(text.back(), '\n');
  return batch;
}
}  // namespace

BOOST_AUTO_TEST_SUITE(batch_builder)

BOOST_AUTO_TEST_CASE(small_files_share_a_raw_batch) {
  Shelf shelf;
  shelf.add("a", "a1\na2\na-partial");
  shelf.add("b", "");
  shelf.add("c", "c1\n");
  BatchBuilder builder(1 << 20, 1 << 20);
  const BatchPtr batch = next(builder, shelf);
  BOOST_REQUIRE(batch);
  BOOST_TEST(raw(*batch) == "a1\na2\nc1\n");
  BOOST_CHECK(batch->fields.payload_codec == Codec::none);
  BOOST_CHECK(batch->fields.file_codec == kCodec);
  BOOST_TEST(builder.ranges().size() == 2u);
  BOOST_TEST(builder.ranges()[0].end == 6u);
  BOOST_TEST(builder.ranges()[0].lines == 2u);
  BOOST_TEST(builder.drained().size() == 3u);
  BOOST_TEST(shelf.files[0]->notes.partial);
  BOOST_TEST(shelf.queue.empty());
  BOOST_TEST(!next(builder, shelf));
}

BOOST_AUTO_TEST_CASE(
    one_byte_files) {  // T19, scaled to 512 files of 1 to 511 bytes, in one gathering
  Shelf shelf;
  size_t bytes = 0;
  for (size_t i = 1; i < 512; ++i) {
    shelf.add("f" + std::to_string(i), std::string(i - 1, 'x') + "\n");
    bytes += i;
  }
  BatchBuilder builder(1 << 20, 1 << 20);
  const BatchPtr batch = next(builder, shelf);
  BOOST_TEST(batch->fields.count == 511u);
  BOOST_TEST(batch->fields.raw_len == bytes);
  BOOST_CHECK(batch->fields.payload_codec == kCodec);
  BOOST_TEST(shelf.queue.empty());
}

BOOST_AUTO_TEST_CASE(ranges_are_limited) {
  Shelf shelf;
  for (size_t i = 0; i < 200; ++i) shelf.add("f" + std::to_string(i), "x\n");
  BatchBuilder builder(1 << 20, 1 << 20);
  const BatchPtr batch = next(builder, shelf);
  BOOST_TEST(BatchHead::parse(batch->head)->source_count() == 200u);
}

// Whatever the sizes, all lines of each file arrive in order, and ranges follow one another.
BOOST_AUTO_TEST_CASE(nothing_lost_whatever_the_sizes) {
  const uint64_t seed = os_random();
  BOOST_TEST_MESSAGE("seed " << seed);
  BOOST_TEST_CONTEXT("seed " << seed) {
    Rng rng(seed);
    for (int round = 0; round < 10; ++round) {
      const auto batch_bytes = static_cast<uint32_t>(256 + rng.below(5000));
      const auto max_record = static_cast<uint32_t>(64 + rng.below(3000));
      Shelf shelf;
      std::map<FileId, std::string> want;
      for (size_t i = 0; i < 1 + rng.below(6); ++i) {
        std::string text;
        while (text.size() < rng.below(15'000)) {
          text.append(rng.below(rng.chance(0.1) ? 9000 : 60), static_cast<char>('a' + i));
          text += '\n';
        }
        const FileId id = shelf.add("f" + std::to_string(i), text).id();
        std::vector<size_t> cuts;
        std::string payload = text;
        std::vector<MarkedLine> marks;
        CutRules rules;
        rules.max_record = max_record;
        const CutPlan plan = plan_cut(text, rules, cuts);
        payload.resize(text.size() + cut_growth(text.size(), max_record) + 1);
        payload.resize(apply_cut(payload.data(), plan, cuts, 0, marks).bytes);
        want[id] = payload;
      }
      BatchBuilder builder(batch_bytes, max_record);
      std::map<FileId, std::string> got;
      std::map<FileId, uint64_t> at;
      while (!shelf.queue.empty()) {
        const BatchPtr batch = next(builder, shelf);
        if (!batch) continue;
        std::string text = raw(*batch);
        for (const SourceRange& r : builder.ranges()) {
          BOOST_REQUIRE_EQUAL(at[r.file], r.start);
          at[r.file] = r.end;
          for (uint32_t i = 0; i < r.lines; ++i) {
            const size_t end = text.find('\n') + 1;
            got[r.file] += text.substr(0, end);
            text.erase(0, end);
          }
        }
        BOOST_REQUIRE(text.empty());
        BOOST_REQUIRE_LE(batch->fields.raw_len, std::max(batch_bytes, max_record + 2) * 2);
      }
      for (auto& [id, text] : want) BOOST_REQUIRE(got[id] == text);
    }
  }
}

BOOST_AUTO_TEST_CASE(long_lines_are_cut_and_marked) {
  Shelf shelf;
  shelf.add("a", std::string(25, 'a') + "\nshort\n" + std::string(10, 'b') + "\n");
  BatchBuilder builder(1 << 20, 10);
  const BatchPtr batch = next(builder, shelf);
  BOOST_TEST(raw(*batch) == "aaaaaaaaaa\naaaaaaaaaa\naaaaa\nshort\nbbbbbbbbbb\n");
  BOOST_TEST(batch->fields.flags == kBatchSplit);
  const auto head = BatchHead::parse(batch->head);
  BOOST_TEST(head->marked_count() == 2u);
  BOOST_CHECK((head->marked(0) == MarkedLine{0, kBatchSplit}));
  BOOST_CHECK((head->marked(1) == MarkedLine{1, kBatchSplit}));
  BOOST_TEST(builder.split_lines() == 2u);
  BOOST_TEST(builder.ranges()[0].end == 26u + 6 + 11);
}

// Bytes that come between a read and the look at the file's size are neither the end of the file
// nor the proof of a long line.
BOOST_AUTO_TEST_CASE(a_line_that_grows_while_it_is_read) {
  constexpr size_t kLine = 900'000;  // bytes; never longer than a line may be
  Shelf shelf;
  TailedFile& file = shelf.add("grows", "");
  std::atomic<bool> whole = false;
  std::thread writer([&] {
    const Fd fd = *open_file(file.path(), O_WRONLY | O_APPEND);
    for (size_t at = 0; at < kLine; at += 30) (void)write_all(fd.get(), std::string(30, 'x'));
    whole = true;
  });
  BatchBuilder builder(64u << 10, 1u << 20);
  do {
    if (!file.notes.queued) shelf.ready(file);
    BOOST_CHECK(!next(builder, shelf));
  } while (!whole);
  writer.join();
  shelf.dir.append("grows", "\n");
  if (!file.notes.queued) shelf.ready(file);
  const BatchPtr batch = next(builder, shelf);
  BOOST_REQUIRE(batch);
  BOOST_TEST(raw(*batch).size() == kLine + 1);
  BOOST_TEST(builder.split_lines() == 0u);
}

// An unterminated end is sent with a newline of ours. Its own, when it comes after all, adds no
// line; what else comes is a line. Nothing but the file itself need be remembered for that.
BOOST_AUTO_TEST_CASE(unterminated_ends) {
  Shelf shelf;
  TailedFile& file = shelf.add("a", "one\ntwo");
  file.notes.ends = true;
  BatchBuilder builder(1 << 20, 1 << 20);
  const BatchPtr first = next(builder, shelf);
  BOOST_TEST(raw(*first) == "one\ntwo\n");
  BOOST_TEST(first->fields.flags == kBatchUnterminated);
  BOOST_TEST(builder.ranges()[0].end == 7u);
  const FilePosition after = file.position();

  const auto goes_on = [&](std::string_view more) {  // as a later process would
    shelf.dir.write("a", "one\ntwo" + std::string(more));
    TailedFile& again = *shelf.files.emplace_back(
        std::make_unique<TailedFile>(file.path(), file.identity(), *find_log(file.path()), 0));
    again.place(after, 1, 0);
    shelf.ready(again);
    const BatchPtr batch = next(builder, shelf);
    BOOST_REQUIRE(builder.changed().empty());
    return batch ? raw(*batch) : "nothing";
  };
  BOOST_TEST(goes_on("") == "nothing");
  BOOST_TEST(goes_on("\n") == "nothing");
  BOOST_TEST(goes_on("\nthree\n") == "three\n");
  BOOST_TEST(builder.ranges()[0].start == 7u);
  BOOST_TEST(builder.ranges()[0].end == 14u);
  BOOST_TEST(goes_on("\n\n") == "\n");
  BOOST_TEST(goes_on(" and more\n") == " and more\n");
}

BOOST_AUTO_TEST_CASE(a_changed_file_leaves_the_queue) {
  Shelf shelf;
  TailedFile& a = shelf.add("a", "one\n");
  BatchBuilder builder(1 << 20, 1 << 20);
  BOOST_REQUIRE(next(builder, shelf));
  shelf.dir.write("a", "2\n");
  shelf.ready(a);
  BOOST_TEST(!next(builder, shelf));
  BOOST_REQUIRE(builder.changed().size() == 1u);
  a.start_over();
  a.set_id(9);
  shelf.ready(a);
  BOOST_TEST(raw(*next(builder, shelf)) == "2\n");
}

// What is read again for one sink ends where another stands, which may be anywhere in a file.
BOOST_AUTO_TEST_CASE(a_file_is_read_up_to_a_stop_and_a_line_ends_there) {
  Shelf shelf;
  TailedFile& file = shelf.add("a", "a1\na2\na3 and more\na4\n");
  BatchBuilder builder(1 << 20, 1 << 20);
  file.stop_at(3);
  BOOST_TEST(next(builder, shelf)->payload == "a1\n");
  BOOST_TEST(file.stopped());
  BOOST_TEST(shelf.queue.empty());
  BOOST_TEST(!file.notes.partial);
  shelf.ready(file);
  file.stop_at(8);
  const BatchPtr cut = next(builder, shelf);
  BOOST_TEST(cut->payload == "a2\na3\n");
  BOOST_TEST((cut->fields.flags & kBatchUnterminated) != 0);
  BOOST_TEST(file.position().offset == 8u);
  BOOST_TEST(file.stopped());
  shelf.ready(file);
  file.stop_at(UINT64_MAX);
  BOOST_TEST(!file.stopped());
  BOOST_TEST(next(builder, shelf)->payload == " and more\na4\n");
  // Beyond its end there is nothing that would make a line of what is not one.
  file.start_over();
  TailedFile& other = shelf.add("b", "b1\nb2");
  other.stop_at(100);
  BOOST_TEST(next(builder, shelf)->payload == "b1\n");
  BOOST_TEST(!other.stopped());
  BOOST_TEST(other.notes.partial);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tailrace
