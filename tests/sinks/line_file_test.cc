// Files of lines: what gzip -d and zstd -d make of them, how well raw batches are packed, what is
// left of a file after a cut, and that trouble at the store neither loses nor doubles anything.
#include "sinks/format/line_file.h"

#include <stdio.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <charconv>
#include <map>
#include <set>

#include "base/random.h"
#include "sinks/store/directory_store.h"
#include "tests/sinks/conformance.h"
#include "tests/sinks/memory_store.h"
#include "tests/sinks/scratch_directory.h"

using namespace tailrace;
using namespace tailrace::testing;

namespace {

// A stream of lines "<id> <seq> words...": any loss, repeat or change of places shows.
class Source {
 public:
  Source(uint64_t id, LaneTag tag, Codec codec) : key_{id, 0}, tag_(tag), codec_(codec) {
    if (codec != Codec::none) compressor_ = make_compressor(codec);
  }

  // Makes a batch of about `bytes` and keeps it until the next call.
  void next(size_t bytes, bool compressed, Rng& rng) {
    raw_.clear();
    fields_ = BatchFields{};
    fields_.file_codec = codec_;
    fields_.first_seq = seq_;
    while (raw_.size() < bytes) {
      raw_ += std::to_string(key_.local_id) + " " + std::to_string(seq_++) + " GET /api/v1/item/" +
              std::to_string(rng.below(100'000)) +
              " 200 user-agent=Mozilla/5.0 time=" + std::to_string(rng.below(1000)) + "us\n";
    }
    fields_.count = static_cast<uint32_t>(seq_ - fields_.first_seq);
    fields_.raw_len = static_cast<uint32_t>(raw_.size());
    if (compressed && compressor_) {
      compressor_->compress(raw_, payload_);
      fields_.payload_codec = codec_;
    } else {
      payload_ = raw_;
    }
    fields_.payload_len = static_cast<uint32_t>(payload_.size());
  }
  Result<void> give(LineFile& file) {
    const bool lines = file.format() == FileFormat::sequence;
    return file.append(tag_, key_, fields_, lines ? raw_ : payload_);
  }

  [[nodiscard]] const std::string& raw() const { return raw_; }
  [[nodiscard]] uint64_t lines() const { return seq_; }
  [[nodiscard]] LaneTag tag() const { return tag_; }
  [[nodiscard]] uint64_t id() const { return key_.local_id; }

 private:
  StreamKey key_;
  LaneTag tag_;
  Codec codec_;
  std::unique_ptr<Compressor> compressor_;
  BatchFields fields_;
  std::string raw_;
  std::string payload_;
  uint64_t seq_ = 0;
};

std::string output_of(const std::string& command) {
  FILE* pipe = ::popen(command.c_str(), "r");
  BOOST_REQUIRE(pipe != nullptr);
  std::string out;
  char buffer[65536];
  for (size_t n = 0; (n = ::fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, n);
  BOOST_REQUIRE_MESSAGE(::pclose(pipe) == 0, command << " failed");
  return out;
}

std::string inflate(Codec codec, const std::string& path) {
  switch (codec) {
    case Codec::gzip: return output_of("gzip -dc < " + path);
    case Codec::zstd: return output_of("zstd -dcq < " + path);
    default: return output_of("cat " + path);
  }
}

std::string inflate_bytes(Codec codec, const std::string& bytes) {
  if (bytes.empty()) return {};
  if (bytes.starts_with("SEQ")) {
    const auto reader = make_sequence_reader();
    std::string out;
    must(reader->feed(bytes, out));
    must(reader->finish());
    return out;
  }
  const ScratchDirectory scratch;
  must(replace_file(scratch.path() + "/f", bytes));
  return inflate(codec, scratch.path() + "/f");
}

// All lines of these streams, each once, those of a stream in order.
void check_lines(const std::string& text, const std::vector<Source>& sources,
                 const std::set<LaneTag>& dropped = {}) {
  std::map<uint64_t, uint64_t> next;
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = text.find('\n', at);
    uint64_t id = 0, seq = 0;
    const char* const stop = text.data() + std::min(end, text.size());
    const auto after_id = std::from_chars(text.data() + at, stop, id);
    const auto after_seq = std::from_chars(std::min(after_id.ptr + 1, stop), stop, seq);
    if (end == std::string::npos || after_id.ec != std::errc() || after_seq.ec != std::errc() ||
        seq != next[id])
      BOOST_FAIL("stream " << id << ": line " << seq << " where " << next[id] << " belongs");
    ++next[id];
    at = end + 1;
  }
  for (const Source& source : sources)
    BOOST_TEST(next[source.id()] == (dropped.count(source.tag()) ? 0 : source.lines()));
}

const Codec kCodecs[] = {Codec::gzip, Codec::zstd, Codec::none};

struct Form {
  Codec codec;
  FileFormat format;
};
const Form kForms[] = {{Codec::gzip, FileFormat::lines},      {Codec::zstd, FileFormat::lines},
                       {Codec::none, FileFormat::lines},      {Codec::gzip, FileFormat::sequence},
                       {Codec::snappy, FileFormat::sequence}, {Codec::none, FileFormat::sequence}};

std::unique_ptr<LineFile> file_of(const Form& form, std::unique_ptr<StagedFile> staged, Rng& rng) {
  return std::make_unique<LineFile>(std::move(staged), form.codec, form.format,
                                    make_sync_mark(rng));
}

std::unique_ptr<StagedFile> staged_in(const std::shared_ptr<MemoryStore>& store,
                                      const char* name = "s") {
  return must(store->files()->stage(name));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(line_file)

BOOST_AUTO_TEST_CASE(one_stream_comes_back_byte_for_byte) {
  const uint64_t seed = os_random();
  for (const Codec codec : kCodecs)
    BOOST_TEST_CONTEXT("seed " << seed << " codec " << codec_name(codec)) {
      Rng rng(seed);
      const ScratchDirectory scratch;
      const auto store = must(open_directory_store(scratch.path()));
      LineFile file(must(store.files->stage("app/_stage/1/a")), codec);
      Source source(7, 1, codec);
      std::string expected;
      for (int i = 0; i < 300; ++i) {
        const bool compressed = rng.chance(0.3);
        source.next(1 + rng.below(compressed ? 300'000 : 12'000), compressed, rng);
        must(source.give(file));
        expected += source.raw();
      }
      must(file.finish());
      const std::string path = scratch.path() + "/app/_stage/1/a";
      BOOST_TEST((inflate(codec, path) == expected));
      const std::string bytes = must(read_file(path, 1 << 30));
      BOOST_TEST(bytes.size() == file.size());
      BOOST_TEST(xxh3(bytes) == file.xxh3());
      BOOST_TEST(file.lines() == source.lines());
      BOOST_TEST(file.raw_bytes() == expected.size());
      BOOST_TEST(file.estimated_size() == file.size());
    }
}

BOOST_AUTO_TEST_CASE(compressed_batches_are_untouched) {
  const auto store = MemoryStore::make();
  LineFile file(staged_in(store), Codec::gzip);
  BatchFields fields;
  fields.payload_codec = fields.file_codec = Codec::gzip;
  fields.count = fields.raw_len = 1;
  std::string expected;
  for (const size_t bytes : {size_t{100}, size_t{70'000}, size_t{300'000}, size_t{5}}) {
    const std::string payload(bytes, static_cast<char>('a' + bytes % 26));
    must(file.append(1, {1, 0}, fields, payload));
    expected += payload;
  }
  must(file.finish());
  BOOST_TEST((store->content()["s"] == expected));
}

BOOST_AUTO_TEST_CASE(another_codec_is_refused) {
  LineFile file(staged_in(MemoryStore::make()), Codec::zstd);
  BatchFields fields;
  fields.payload_codec = Codec::gzip;
  const auto refused = file.append(1, {1, 0}, fields, "x");
  BOOST_REQUIRE(!refused.ok());
  BOOST_TEST((refused.error().kind == Error::Kind::rejected));
  BOOST_TEST(file.lines() == 0u);
}

// Lanes, streams, raw and compressed batches as they come: nothing lost, nothing out of order, and
// what is left after lanes are cut out is exactly the rest.
BOOST_AUTO_TEST_CASE(lanes_mix_and_are_cut_out) {
  const uint64_t seed = os_random();
  for (const Form& form : kForms)
    BOOST_TEST_CONTEXT("seed " << seed << " " << format_name(form.format) << " "
                               << codec_name(form.codec)) {
      const Codec codec = form.codec;
      Rng rng(seed);
      const auto store = MemoryStore::make();
      auto file = file_of(form, staged_in(store), rng);
      std::vector<Source> sources;
      for (uint64_t id = 0; id < 12; ++id) sources.emplace_back(id, 100 + id % 4, codec);
      for (int i = 0; i < 1000; ++i) {
        Source& source = sources[rng.below(sources.size())];
        const bool compressed = rng.chance(0.1);
        source.next(1 + rng.below(rng.chance(0.01) ? 700'000
                                  : compressed     ? 100'000
                                                   : 8'000),
                    compressed, rng);
        must(source.give(*file));
      }
      const std::set<LaneTag> dropped = {100, 102};
      auto rest = must(
          file->cut([&](LaneTag tag) { return dropped.count(tag) == 0; }, staged_in(store, "cut")));
      // The rest can grow on, and be cut again.
      for (Source& source : sources) {
        if (dropped.count(source.tag())) continue;
        source.next(3'000, false, rng);
        must(source.give(*rest));
      }
      must(rest->finish());
      const std::string bytes = store->content()["cut"];
      check_lines(inflate_bytes(codec, bytes), sources, dropped);
      BOOST_TEST(rest->size() == bytes.size());
      BOOST_TEST(rest->xxh3() == xxh3(bytes));
      uint64_t lines = 0;
      for (const Source& source : sources)
        if (!dropped.count(source.tag())) lines += source.lines();
      BOOST_TEST(rest->lines() == lines);
      BOOST_TEST(rest->raw_bytes() == inflate_bytes(codec, bytes).size());

      // The whole file, finished all the same, still has every line given to it before.
      const auto none = must(rest->cut([](LaneTag) { return false; }, staged_in(store, "none")));
      must(none->finish());
      BOOST_TEST(inflate_bytes(codec, store->content()["none"]).empty());
      BOOST_TEST(none->lines() == 0u);
    }
}

BOOST_AUTO_TEST_CASE(mixed_lanes_without_a_cut) {
  const uint64_t seed = os_random();
  for (const Form& form : kForms)
    BOOST_TEST_CONTEXT("seed " << seed << " " << format_name(form.format) << " "
                               << codec_name(form.codec)) {
      const Codec codec = form.codec;
      Rng rng(seed);
      const auto store = MemoryStore::make();
      const auto owned = file_of(form, staged_in(store), rng);
      LineFile& file = *owned;
      std::vector<Source> sources;
      for (uint64_t id = 0; id < 5; ++id) sources.emplace_back(id, id % 2, codec);
      for (int i = 0; i < 600; ++i) {
        Source& source = sources[rng.below(sources.size())];
        source.next(1 + rng.below(20'000), rng.chance(0.5), rng);
        must(source.give(file));
      }
      must(file.finish());
      check_lines(inflate_bytes(codec, store->content()["s"]), sources);
    }
}

// 1 KiB raw batches of many hosts, some of them busy enough to compress, in eight lanes: within 15
// % of what one member a lane would be, and well below a member a batch.
BOOST_AUTO_TEST_CASE(small_batches_are_packed_well) {
  for (const Codec codec : {Codec::gzip, Codec::zstd}) {
    Rng rng(5);
    const auto store = MemoryStore::make();
    LineFile file(staged_in(store), codec);
    std::vector<Source> sources;
    for (uint64_t id = 0; id < 64; ++id) sources.emplace_back(id, id % 8, codec);
    const auto compressor = make_compressor(codec);
    std::map<LaneTag, std::string> by_lane;
    std::string member;
    size_t one_each = 0;
    for (int i = 0; i < 4000; ++i) {
      Source& source = sources[rng.below(sources.size())];
      source.next(1024, false, rng);
      must(source.give(file));
      compressor->compress(source.raw(), member);
      one_each += member.size();
      by_lane[source.tag()] += source.raw();
    }
    must(file.finish());
    size_t ideal = 0;
    for (const auto& [tag, raw] : by_lane) {
      compressor->compress(raw, member);
      ideal += member.size();
    }
    BOOST_TEST_MESSAGE(codec_name(codec)
                       << ": " << file.raw_bytes() << " raw, " << file.size() << " packed, "
                       << ideal << " as one member a lane, " << one_each << " as one a batch");
    BOOST_TEST(file.size() < ideal * 115 / 100);
    BOOST_TEST(file.size() * 4 < one_each * 3);
    check_lines(inflate_bytes(codec, store->content()["s"]), sources);
  }
}

// A stream that was quiet once and is busy now does not break the packs of the quiet ones.
BOOST_AUTO_TEST_CASE(busy_streams_leave_packs_alone) {
  Rng rng(13);
  LineFile mixed(staged_in(MemoryStore::make()), Codec::gzip);
  LineFile quiet_alone(staged_in(MemoryStore::make()), Codec::gzip);
  LineFile busy_alone(staged_in(MemoryStore::make()), Codec::gzip);
  Source quiet(1, 1, Codec::gzip), busy(2, 1, Codec::gzip);
  for (int i = 0; i < 1000; ++i) {
    quiet.next(1024, false, rng);
    must(quiet.give(mixed));
    must(quiet.give(quiet_alone));
    busy.next(i == 0 ? 1024 : 17'000, i > 0, rng);
    must(busy.give(mixed));
    must(busy.give(busy_alone));
  }
  for (LineFile* file : {&mixed, &quiet_alone, &busy_alone}) must(file->finish());
  const uint64_t apart = quiet_alone.size() + busy_alone.size();
  BOOST_TEST(mixed.size() < apart + quiet_alone.size() / 20);
}

BOOST_AUTO_TEST_CASE(the_estimate_is_near_before_anything_is_written) {
  Rng rng(9);
  LineFile file(staged_in(MemoryStore::make()), Codec::gzip);
  Source source(1, 1, Codec::gzip);
  for (int i = 0; i < 2000; ++i) {
    source.next(1000, false, rng);
    must(source.give(file));
  }
  const uint64_t estimate = file.estimated_size();
  must(file.finish());
  BOOST_TEST(estimate > file.size() * 8 / 10);
  BOOST_TEST(estimate < file.size() * 12 / 10);
}

// Counts the calls that would be system calls.
class CountingFile final : public StagedFile {
 public:
  CountingFile(std::unique_ptr<StagedFile> file, size_t& appends)
      : file_(std::move(file)), appends_(appends) {}
  Result<void> append(const std::vector<std::string_view>& pieces) override {
    ++appends_;
    return file_->append(pieces);
  }
  Result<std::string> read(uint64_t offset, size_t n) override { return file_->read(offset, n); }
  Result<void> finish() override { return file_->finish(); }
  [[nodiscard]] uint64_t size() const override { return file_->size(); }

 private:
  std::unique_ptr<StagedFile> file_;
  size_t& appends_;
};

BOOST_AUTO_TEST_CASE(small_members_are_written_together) {
  for (const Codec codec : kCodecs) {
    Rng rng(11);
    size_t appends = 0;
    LineFile file(std::make_unique<CountingFile>(staged_in(MemoryStore::make()), appends), codec);
    Source source(1, 1, codec);
    for (int i = 0; i < 500; ++i) {
      source.next(codec == Codec::none ? 5'000 : 16'384, true, rng);
      must(source.give(file));
    }
    must(file.finish());
    BOOST_TEST(appends <= file.size() / kWriteBytes + 2);
  }
}

BOOST_AUTO_TEST_CASE(trouble_at_the_store_neither_loses_nor_doubles) {
  const uint64_t seed = os_random();
  for (const Form& form : kForms)
    BOOST_TEST_CONTEXT("seed " << seed << " " << format_name(form.format) << " "
                               << codec_name(form.codec)) {
      const Codec codec = form.codec;
      Rng rng(seed);
      const auto store = MemoryStore::make();
      const auto owned = file_of(form, staged_in(store), rng);
      LineFile& file = *owned;
      store->set_faults(
          [&rng](const StoreCall&) { return rng.chance(0.5) ? Fault::refused : Fault::none; });
      std::vector<Source> sources;
      for (uint64_t id = 0; id < 6; ++id) sources.emplace_back(id, id % 3, codec);
      int failures = 0;
      const auto until_it_works = [&](const std::function<Result<void>()>& call) {
        for (auto r = call(); !r; r = call()) {
          BOOST_REQUIRE((r.error().kind == Error::Kind::retry_later));
          ++failures;
        }
      };
      for (int i = 0; i < 600; ++i) {
        Source& source = sources[rng.below(sources.size())];
        source.next(1 + rng.below(60'000), rng.chance(0.4), rng);
        until_it_works([&] { return source.give(file); });
      }
      until_it_works([&] { return file.finish(); });
      BOOST_TEST(failures > 0);
      const std::string bytes = store->content()["s"];
      check_lines(inflate_bytes(codec, bytes), sources);
      BOOST_TEST(file.size() == bytes.size());
      BOOST_TEST(file.xxh3() == xxh3(bytes));
    }
}

BOOST_AUTO_TEST_CASE(an_empty_file_is_a_file) {
  const auto store = MemoryStore::make();
  LineFile file(staged_in(store), Codec::gzip);
  must(file.finish());
  BOOST_TEST(file.size() == 0u);
  BOOST_TEST(store->content()["s"].empty());
}

BOOST_AUTO_TEST_SUITE_END()
