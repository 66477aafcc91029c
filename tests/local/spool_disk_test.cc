// The spool on a real directory.
#include "local/spool_disk.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>

#include "base/hash.h"
#include "local/spool_recovery.h"

using namespace tailrace;

namespace {

struct Directory {
  std::string path;
  Directory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "spool_XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  ~Directory() { std::filesystem::remove_all(path); }
};

void run_groups(Spool& spool, SpoolDisk& disk) {
  while (spool.group_due_ms(true, 0) == 0) {
    const SpoolGroup group = spool.begin_group(0);
    const auto done = disk.apply(group);
    BOOST_REQUIRE_MESSAGE(done.ok(), (done.ok() ? "" : done.error().text));
    spool.group_done(0);
  }
}

std::shared_ptr<Batch> batch_of(const Spool& spool, const std::string& payload) {
  auto batch = std::make_shared<Batch>();
  BatchFields& f = batch->fields;
  f.stream = 1;
  f.first_seq = spool.tables().streams.at(1).next.seq;
  f.count = 1;
  f.raw_len = f.payload_len = static_cast<uint32_t>(payload.size());
  f.payload_crc = crc32c(payload);
  batch->payload = payload;
  encode_batch_head(f, {}, {}, batch->head);
  return batch;
}

SpoolGroup group_of(SpoolOp::Kind kind, const std::string& name, uint64_t bytes = 0) {
  SpoolGroup group;
  SpoolOp op;
  op.kind = kind;
  op.name = name;
  op.bytes = bytes;
  group.ops.push_back(op);
  return group;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(spool_disk)

BOOST_AUTO_TEST_CASE(a_spool_lives_on_a_disk_over_several_starts) {
  const Directory dir;
  SpoolOptions options;
  options.segment_bytes = 64 << 10;
  options.quota_bytes = 4 << 20;
  options.cache_bytes = 0;
  uint64_t id = 0;
  std::vector<std::string> payloads;
  for (uint64_t start = 1; start <= 4; ++start) {
    SpoolDisk disk(dir.path + "/spool", 0);
    BOOST_REQUIRE(disk.open().ok());
    auto recovered = recover_spool(disk, 0x1D);
    BOOST_REQUIRE(recovered.ok());
    BOOST_TEST(!recovered->damaged);
    Spool spool(options, std::move(*recovered), start);
    run_groups(spool, disk);
    BOOST_TEST((id == 0 || id == spool.local_id()));
    id = spool.local_id();
    BOOST_TEST(spool.start_before() == start - 1);
    if (start == 1) {
      StreamInfo stream;
      stream.stream = 1;
      stream.category = "nginx";
      BOOST_REQUIRE(spool.define_stream(stream, 0).ok());
    }
    for (int i = 0; i < 40; ++i) {
      payloads.emplace_back(1 + (payloads.size() * 977) % 9000, static_cast<char>('a' + i % 26));
      BOOST_REQUIRE((spool.append(batch_of(spool, payloads.back()), 0) == Spool::Taken::appended));
      run_groups(spool, disk);
    }
    BOOST_TEST(spool.durable(1).seq == payloads.size());
    for (size_t i = 0; i < payloads.size(); ++i) {
      const auto place = spool.find(1, i);
      BOOST_REQUIRE(place.has_value());
      const auto bytes = disk.read_record(*place);
      BOOST_REQUIRE(bytes.ok());
      const auto batch = spool.decode_record(*place, *bytes);
      BOOST_REQUIRE(batch.ok());
      BOOST_TEST((*batch)->payload == payloads[i]);
    }
  }
}

BOOST_AUTO_TEST_CASE(segments_are_allocated_and_of_the_size_asked_for) {
  const Directory dir;
  SpoolDisk disk(dir.path, 0);
  BOOST_REQUIRE(disk.open().ok());
  BOOST_REQUIRE(disk.apply(group_of(SpoolOp::Kind::create, "0000000001.free", 1 << 20)).ok());
  struct stat st {};
  BOOST_REQUIRE(::stat((dir.path + "/0000000001.free").c_str(), &st) == 0);
  BOOST_TEST(st.st_size == 1 << 20);
  BOOST_TEST(st.st_blocks * 512 >= 1 << 20);
  const auto files = disk.files();
  BOOST_REQUIRE(files.ok());
  BOOST_REQUIRE(files->size() == 1u);
  BOOST_TEST((*files)[0].bytes == 1u << 20);
}

BOOST_AUTO_TEST_CASE(no_room_is_said_at_creation_and_leaves_nothing) {
  const Directory dir;
  SpoolDisk disk(dir.path, 0, 0);
  struct statvfs fs {};
  BOOST_REQUIRE(::statvfs(dir.path.c_str(), &fs) == 0);
  const uint64_t too_much = uint64_t{fs.f_blocks} * fs.f_frsize + (1ull << 30);
  const auto made = disk.apply(group_of(SpoolOp::Kind::create, "0000000001.free", too_much));
  BOOST_REQUIRE(!made.ok());
  BOOST_TEST((made.error().kind == Error::Kind::retry_later), made.error().text);
  BOOST_TEST(!std::filesystem::exists(dir.path + "/0000000001.free"));
}

BOOST_AUTO_TEST_CASE(some_of_the_disk_is_left_to_others) {
  const Directory dir;
  SpoolDisk disk(dir.path, 100, UINT64_MAX);
  BOOST_TEST(disk.apply(group_of(SpoolOp::Kind::create, "0000000001.free", 4096)).ok());
  BOOST_TEST(disk.apply(group_of(SpoolOp::Kind::create, "0000000002.free", 4096)).ok());
  const auto third = disk.apply(group_of(SpoolOp::Kind::create, "0000000003.free", 4096));
  BOOST_REQUIRE(!third.ok());
  BOOST_TEST((third.error().kind == Error::Kind::retry_later));
  BOOST_TEST(third.error().text.find(dir.path) != std::string::npos);
}

BOOST_AUTO_TEST_CASE(any_other_error_is_fatal) {
  const Directory dir;
  SpoolDisk disk(dir.path, 0);
  for (const auto kind :
       {SpoolOp::Kind::write, SpoolOp::Kind::sync, SpoolOp::Kind::rename, SpoolOp::Kind::remove}) {
    const auto done = disk.apply(group_of(kind, "0000000009.seg"));
    BOOST_REQUIRE(!done.ok());
    BOOST_TEST((done.error().kind == Error::Kind::fatal));
  }
  std::filesystem::remove_all(dir.path);
  const auto synced = disk.apply(group_of(SpoolOp::Kind::sync_names, ""));
  BOOST_REQUIRE(!synced.ok());
  BOOST_TEST((synced.error().kind == Error::Kind::fatal));
}

BOOST_AUTO_TEST_SUITE_END()
