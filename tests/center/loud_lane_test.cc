// A lane that its Center splits, by what the target size of its category's files is.
#include <boost/test/unit_test.hpp>

#include "center/incarnation.h"
#include "center/store_call.h"
#include "tests/sinks/memory_store.h"

namespace tailrace {
namespace {

using testing::MemoryStore;

constexpr uint64_t kSelf = 5, kOther = 6;  // state_uuids
constexpr uint64_t kRollBytes = 100, kSequenceRollBytes = 400;
constexpr int64_t kEachMs = 60'000;
constexpr uint64_t kLocals = 4;
constexpr uint64_t kBatchBytes = 30;

std::string category_of(uint64_t center) {
  for (int i = 0;; ++i)
    if (std::string name = "app" + std::to_string(i);
        center_of({name, 1, 0}, {kSelf, kOther}) == center)
      return name;
}

// A Center beside another one, whose store does at once what it is asked.
class Alone {
 public:
  explicit Alone(FileFormat format) {
    Announcement other;
    other.name = "other";
    other.address = "b:1";
    other.state_uuid = kOther;
    store_->put(me_.names.announcement(incarnation_name({1, 2})), other.encode());
    IncarnationOptions options;
    options.center = "a";
    options.formats.usual = format;
    options.roll.bytes = kRollBytes;
    options.roll.sequence_bytes = kSequenceRollBytes;
    options.split = {4 * kRollBytes, kEachMs, 4 * kSequenceRollBytes};
    incarnation_ = std::make_unique<Incarnation>(
        std::move(options), me_, *Layout::parse("{category}"), TimeZone(), Rng(1), now(), 0);
    tick();
    for (uint64_t local = 1; local <= kLocals; ++local)
      BOOST_REQUIRE(incarnation_->wish(category_, {local, 0}, now()));
    tick();
    BOOST_REQUIRE(incarnation_->takes(category_, {1, 0}));
  }
  // So many bytes, all Locals alike, before the time is over that it is watched; then a file more.
  void take(uint64_t bytes) {
    for (uint64_t taken = 0; taken < bytes; taken += kBatchBytes) batch();
    now_ms_ += kEachMs;
    for (const size_t before = closed_; closed_ == before;) batch();
    tick();
  }
  bool split = false;

 private:
  [[nodiscard]] Moment now() const { return {now_ms_, now_ms_}; }
  void batch() {
    const StreamKey stream{1 + batches_++ % kLocals, 0};
    BatchFields f;
    Position& at = next_[stream.local_id];
    f.first_seq = at.seq;
    f.count = 1;
    f.chain_before = at.chain;
    f.chain_after = next_chain(at.chain, f.payload_crc, f.count);
    at = {f.end_seq(), f.chain_after};
    f.raw_len = f.payload_len = kBatchBytes;
    const auto verdict = incarnation_->judge(category_, stream, f, now());
    BOOST_REQUIRE((verdict.kind == Judgement::take));
    incarnation_->took(category_, stream, f, verdict, sizes_[verdict.file->id] += kBatchBytes,
                       now());
    act();
  }
  void tick() {
    incarnation_->tick(now());
    act();
  }
  void act() {
    for (;;) {
      auto actions = incarnation_->take_actions();
      if (actions.empty()) return;
      for (CenterAction& action : actions) std::visit([this](auto& a) { on(a); }, action);
    }
  }
  StoreReply call(const StoreRequest& request) {
    return call_store(request, *records_, *files_, "tmp-" + std::to_string(++tmps_));
  }
  void on(RunProcedure& a) {
    while (const auto request = a.procedure->next()) a.procedure->on(call(*request));
    incarnation_->procedure_done(*a.procedure, now());
  }
  void on(FinishFile& a) {
    ++closed_;
    incarnation_->file_finished(a.file, sizes_[a.file], 1);
  }
  void on(CommitEntry& a) {
    incarnation_->commit_done(call(CasRequest{a.name, a.record}).cas, now());
  }
  void on(PublishFile& a) { incarnation_->publish_done(a.file.stage, Published::now, now()); }
  void on(TellSplit&) { split = true; }
  void on(Fenced& a) { BOOST_FAIL(a.reason); }
  template <class Other>
  void on(Other&) {}

  std::shared_ptr<MemoryStore> store_ = MemoryStore::make();
  std::unique_ptr<Records> records_ = store_->records();
  std::unique_ptr<Files> files_ = store_->files();
  Acquirer me_{.names = StoreNames("_tailrace", 2),
               .cluster = 1,
               .sink = 2,
               .incarnation = incarnation_name({3, 4}),
               .address = "a:1",
               .state_uuid = kSelf};
  const std::string category_ = category_of(kSelf);
  int64_t now_ms_ = 1'700'000'000'000;
  uint64_t batches_ = 0, tmps_ = 0;
  size_t closed_ = 0;
  std::map<uint64_t, Position> next_;
  std::map<OpenFileId, uint64_t> sizes_;
  std::unique_ptr<Incarnation> incarnation_;
};

// Whether a lane of such files is split after so many bytes.
bool splits(FileFormat format, uint64_t bytes) {
  Alone center(format);
  center.take(bytes);
  return center.split;
}

BOOST_AUTO_TEST_SUITE(loud_lane)

BOOST_AUTO_TEST_CASE(four_target_files_are_loud_whatever_their_format) {
  BOOST_TEST(!splits(FileFormat::lines, 2 * kRollBytes));
  BOOST_TEST(splits(FileFormat::lines, 6 * kRollBytes));
  BOOST_TEST(!splits(FileFormat::sequence, 6 * kRollBytes));
  BOOST_TEST(splits(FileFormat::sequence, 6 * kSequenceRollBytes));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tailrace
