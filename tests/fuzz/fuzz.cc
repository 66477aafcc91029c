// libFuzzer's door to every decoder that a stranger's bytes reach. $TAILRACE_FUZZ names the one to
// try: tests/fuzz.cmake runs each. Whatever comes in, it is taken or refused: no crash, no memory
// beyond what the input's own size allows, no undefined behaviour. Thread: one.
#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <span>
#include <string>

#include "admin/http.h"
#include "agent/journal.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/config.h"
#include "base/hash.h"
#include "base/units.h"
#include "base/yaml.h"
#include "center/names.h"
#include "center/record.h"
#include "cli/config/keys.h"
#include "control.pb.h"
#include "discovery/member.h"
#include "discovery/servers.h"
#include "flow/batch.h"
#include "flow/codec.h"
#include "flow/frame_reader.h"
#include "local/spool_record.h"
#include "local/spool_recovery.h"
#include "sinks/format/sequence_file.h"
#include "sinks/kafka/kafka_records.h"
#include "sinks/kafka/kafka_settings.h"
#include "sinks/kafka/kafka_unpack.h"
#include "sinks/store/hdfs_checksum.h"
#include "sinks/store/webhdfs.h"
#include "tests/fuzz/sign.h"
#include "tests/local/virtual_disk.h"

namespace tailrace::fuzz {

namespace {
using Bytes = std::string_view;

// As a socket gives them: in pieces, whose sizes the bytes choose themselves.
void frame(Bytes bytes) {
  FrameReader reader;
  Frame into;
  for (size_t at = 0;;) {
    const Result<bool> whole = reader.next(into);
    if (!whole) return;
    if (*whole) continue;
    if (at == bytes.size()) return;
    const size_t step = 1 + static_cast<unsigned char>(bytes[at]) * 7u;
    size_t put = 0;
    for (const std::span<char>& room : reader.room(into)) {
      const size_t n = std::min({room.size(), bytes.size() - at, step - put});
      if (n == 0) continue;
      std::memcpy(room.data(), bytes.data() + at, n);
      at += n;
      put += n;
    }
    reader.arrived(put);
  }
}

void batch_head(Bytes bytes) {
  const auto head = BatchHead::parse(bytes);
  if (!head) return;
  static_cast<void>(head->fields());
}

template <class Message>
void parse_one(Bytes bytes) {
  Message message;
  if (message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    static_cast<void>(message.SerializeAsString());
}

void message(Bytes bytes) {
  static constexpr void (*kParsers[])(Bytes) = {
      parse_one<proto::Hello>,       parse_one<proto::Welcome>, parse_one<proto::Reject>,
      parse_one<proto::StreamDef>,   parse_one<proto::FileDef>, parse_one<proto::Committed>,
      parse_one<proto::Credit>,      parse_one<proto::Rewind>,  parse_one<proto::Redirect>,
      parse_one<proto::Released>,    parse_one<proto::Stale>,   parse_one<proto::Ping>,
      parse_one<proto::Pong>,        parse_one<proto::Busy>,    parse_one<proto::Gap>,
      parse_one<proto::LocalWelcome>};
  if (bytes.empty()) return;
  kParsers[static_cast<unsigned char>(bytes[0]) % std::size(kParsers)](bytes.substr(1));
}

// A directory with one segment of these bytes, or two, cut where they say.
void spool(Bytes bytes) {
  if (bytes.empty()) return;
  const size_t cut = static_cast<unsigned char>(bytes[0]) * (bytes.size() - 1) / 255;
  test::SpoolImage image;
  image.content[spool_name(SpoolName::segment, 1)] = bytes.substr(1, cut);
  if (cut + 1 < bytes.size())
    image.content[spool_name(SpoolName::segment, 2)] = bytes.substr(1 + cut);
  static_cast<void>(recover_spool(image, 7).ok());
}

void journal(Bytes bytes) {
  Journal journal;
  static_cast<void>(journal.replay(bytes).ok());
}

template <class Record>
void decode_one(Bytes bytes) {
  const auto record = Record::decode(bytes);
  if (!record) return;
  const auto again = Record::decode(record->encode());
  TAILRACE_CHECK(again && *again == *record, "a record that was read is not what it writes");
}

void names(Bytes bytes) {
  static_cast<void>(parse_incarnation(bytes));
  static_cast<void>(parse_entry_name(bytes));
  static_cast<void>(parse_claim_name(bytes));
  static_cast<void>(parse_manifest_name(bytes));
  static_cast<void>(parse_table_name(bytes));
  static_cast<void>(parse_question_name(bytes));
  static_cast<void>(parse_over_name(bytes));
  static_cast<void>(parse_final_path(bytes));
  static_cast<void>(valid_store_path(bytes));
}

void settings(Bytes bytes) {
  std::vector<ConfigProblem> problems;
  const ConfigText text("fuzz.yaml", std::string(bytes));
  const YamlNode root = parse_yaml(text, problems);
  // One of the roles, and one of the problems, each time: all would take ten times as long.
  const std::string_view role = kRoles[bytes.size() % std::size(kRoles)];
  if (problems.empty()) ConfigMap(text, root, config_keys(role), problems).check();
  if (!problems.empty()) static_cast<void>(problems[bytes.size() % problems.size()].show());
  static_cast<void>(parse_duration_ms(bytes).ok());
  static_cast<void>(expand_references(bytes).ok());
}

template <Codec codec>
void inflate(Bytes bytes) {
  std::string out;
  const auto file = make_file_inflater(codec);
  if (file->feed(bytes, out)) static_cast<void>(file->finish().ok());
  static_cast<void>(make_inflater(codec)->inflate(bytes, bytes.size() * 3, out).ok());
  static_cast<void>(check_member(codec, bytes, static_cast<uint32_t>(bytes.size() * 3)).ok());
}

// In one piece and in two: the same lines, or broken at the same place.
void sequence_file(Bytes bytes) {
  std::string whole, pieces;
  const auto at_once = make_sequence_reader(), in_two = make_sequence_reader();
  const bool good = at_once->feed(bytes, whole).ok();
  const size_t half = bytes.size() / 2;
  const bool good_in_two = in_two->feed(bytes.substr(0, half), pieces).ok() &&
                           in_two->feed(bytes.substr(half), pieces).ok();
  TAILRACE_CHECK(good == good_in_two && whole == pieces, "what is read hangs on the pieces");
  if (good) TAILRACE_CHECK(at_once->finish().ok() == in_two->finish().ok(), "so does the end");
}

// What anybody may have written into ZooKeeper; what is believed can be said again.
void member(Bytes bytes) {
  static_cast<void>(AddressRules::parse({std::string(bytes)}).ok());
  static_cast<void>(parse_zookeeper(bytes).ok());
  static_cast<void>(center_of_node(bytes));
  const auto one = Member::decode(bytes);
  if (!one) return;
  TAILRACE_CHECK(one->encode().ok() || bytes.size() > kMostMemberBytes / 2, "not said again");
  const std::string node = member_node_name(one->name, 1);
  static_cast<void>(believe_member(node, bytes, one->cluster, AddressRules()).ok());
}

// Whatever speaks in HDFS's place.
void webhdfs(Bytes bytes) {
  static_cast<void>(parse_hdfs_url(bytes).ok());
  if (bytes.size() < 2) return;
  const HdfsUrl server{"webhdfs", "h", 1, "", ""};
  static_cast<void>(check_hdfs_redirect(server, bytes).ok());
  constexpr int kStatuses[] = {200, 201, 307, 401, 403, 404, 500};
  HttpReply reply;
  reply.status = kStatuses[static_cast<unsigned char>(bytes[0]) % std::size(kStatuses)];
  reply.body = bytes.substr(2);
  reply.location = bytes[1] % 2 == 0 ? "" : reply.body;
  for (int expects = 0; expects <= static_cast<int>(HdfsExpects::checksum); ++expects) {
    const HdfsAnswer answer = understand_hdfs(static_cast<HdfsExpects>(expects), reply);
    for (const HdfsEntry& entry : answer.entries)
      TAILRACE_CHECK(entry.name.find('/') == std::string::npos || answer.entries.size() == 1,
                     "a name that leads elsewhere was believed");
    if (answer.checksum) static_cast<void>(is_checksum_of(*answer.checksum, HttpBody{}).ok());
    static_cast<void>(hdfs_error(answer, "x"));
  }
}

// Whatever was written into the positions' topic, with a sum that is right too.
void kafka(Bytes bytes) {
  static_cast<void>(parse_kafka_url(bytes).ok());
  if (bytes.empty()) return;
  const size_t split = std::min<size_t>(static_cast<unsigned char>(bytes[0]), bytes.size() - 1);
  const Bytes key = bytes.substr(1, split);
  std::string value(bytes.substr(1 + split));
  for (int times = 0; times < 2; ++times) {
    static_cast<void>(decode_identity(key, value).ok());
    const auto position = decode_position("web", key, value);
    if (position && *position)
      TAILRACE_CHECK(encode_position("web", **position).value == value, "another position");
    ByteWriter(value).u32(crc32c(value));
  }
  static_cast<void>(category_of_key(key));
}

// Records of a topic that anybody may have written. Of those that are no batches every byte comes
// out once, whatever their headers say; of pieces that come again (the same place in the same line)
// at most once.
void kafka_lines(Bytes bytes) {
  static constexpr Bytes kSplits[] = {"", "0/9", "5/9", "1/2/"};
  static constexpr Bytes kCodecs[] = {"gzip", "zstd", "snappy", "none", "lz4"};
  KafkaUnpacker unpacker;
  std::string out;
  size_t in = 0;
  bool batches = false, pieces = false;
  const auto text = [](Bytes of) {
    return of.size() - static_cast<size_t>(std::count(of.begin(), of.end(), '\n'));
  };
  while (bytes.size() > 3) {
    const auto kind = static_cast<unsigned char>(bytes[0]);
    const size_t size = std::min<size_t>(static_cast<unsigned char>(bytes[1]), bytes.size() - 3);
    KafkaLines record{bytes.substr(3, size)};
    record.stream = bytes.substr(2, kind % 2);
    record.seq = bytes.substr(2, kind / 2 % 2);
    record.split = kSplits[kind / 4 % 4];
    pieces = pieces || kind / 4 % 4 == 1 || kind / 4 % 4 == 2;
    if (kind >= 192) {
      batches = true;
      record.codec = kCodecs[kind % 5];
      record.raw = record.lines = bytes.substr(2, 1 + kind / 8 % 2);
      if (kind % 8 == 0) record.raw = "1000";
    }
    if (record.codec.empty()) in += text(record.value);
    static_cast<void>(unpacker.take(record, out).ok());
    bytes.remove_prefix(3 + size);
  }
  static_cast<void>(unpacker.finish(out).ok());
  TAILRACE_CHECK(unpacker.whole(), "something is held back for ever");
  TAILRACE_CHECK(out.empty() || out.back() == '\n', "a line does not end");
  TAILRACE_CHECK(batches || text(out) == in || (pieces && text(out) < in),
                 "bytes were lost, or come twice");
}

void http(Bytes bytes) { static_cast<void>(parse_http_request(bytes)); }

const std::map<std::string, void (*)(Bytes)>& targets() {
  static const std::map<std::string, void (*)(Bytes)> kTargets = {
      {"frame", frame},
      {"batch_head", batch_head},
      {"message", message},
      {"spool", spool},
      {"journal", journal},
      {"commit_record", decode_one<CommitRecord>},
      {"claim", decode_one<LaneClaim>},
      {"manifest", decode_one<Manifest>},
      {"announcement", decode_one<Announcement>},
      {"sink_identity", decode_one<SinkIdentity>},
      {"names", names},
      {"member", member},
      {"settings", settings},
      {"gzip", inflate<Codec::gzip>},
      {"zstd", inflate<Codec::zstd>},
      {"snappy", inflate<Codec::snappy>},
      {"sequence_file", sequence_file},
      {"http", http},
      {"webhdfs", webhdfs},
      {"kafka", kafka},
      {"kafka_lines", kafka_lines},
  };
  return kTargets;
}

void (*chosen())(Bytes) {
  const char* const name = std::getenv("TAILRACE_FUZZ");
  const auto found = targets().find(name ? name : "");
  if (found != targets().end()) return found->second;
  std::fputs("TAILRACE_FUZZ must be one of:", stderr);
  for (const auto& [target, run] : targets()) std::fprintf(stderr, " %s", target.c_str());
  std::fputs("\n", stderr);
  std::exit(2);
}

}  // namespace
}  // namespace tailrace::fuzz

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t most);

// Half of what it makes is signed.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t most, unsigned seed) {
  static const std::string target = std::getenv("TAILRACE_FUZZ");
  size = LLVMFuzzerMutate(data, size, most);
  if (seed % 2 == 0) tailrace::fuzz::sign(target, {reinterpret_cast<char*>(data), size});
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static void (*const run)(std::string_view) = [] {
    google::protobuf::SetLogHandler(nullptr);
    return tailrace::fuzz::chosen();
  }();
  run({reinterpret_cast<const char*>(data), size});
  return 0;
}
