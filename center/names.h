// Every name that a Center gives at a store, and the way back from a listing.
// docs/formats/records.md, "Names". Thread: any; pure functions. Atoms must be valid (a check):
// whatever comes from a peer is validated where it comes in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/own_directory.h"
#include "flow/batch.h"
#include "flow/stream.h"
#include "sinks/format/file_format.h"

namespace tailrace {

// One session of a Center with one store: <start, ms>-<random, hex16>. Never reused.
struct IncarnationId {
  int64_t start_ms = 0;
  uint64_t random = 0;
  bool operator==(const IncarnationId&) const = default;
};
[[nodiscard]] std::string incarnation_name(const IncarnationId& incarnation);
[[nodiscard]] std::optional<IncarnationId> parse_incarnation(std::string_view name);

// A Center's name follows the rule of a category's.
[[nodiscard]] bool valid_center_name(std::string_view name);
// A lane of a category; or, with the empty category and 1-0, a log itself.
[[nodiscard]] bool valid_lane(const Lane& lane);
// A path below the root: 1 to 1,024 bytes, no empty, "." or ".." part, no control byte.
[[nodiscard]] bool valid_store_path(std::string_view path);

inline constexpr std::string_view kSinkIdentityName = kOutputMark;
inline constexpr std::string_view kDefaultControl = "_tailrace";

// Names below <control>/<sink>.
class StoreNames {
 public:
  // `control`: a path below the root, or an absolute one.
  StoreNames(std::string_view control, uint64_t sink);

  [[nodiscard]] std::string lanes() const;                           // categories
  [[nodiscard]] std::string lanes(std::string_view category) const;  // <parts>-<part>
  [[nodiscard]] std::string lane(const Lane& lane) const;            // claims, tables
  [[nodiscard]] std::string claim(const Lane& lane, uint64_t epoch) const;
  // What a claim and its owner's log say of the lane before `entry`.
  [[nodiscard]] std::string table(const Lane& lane, uint64_t epoch, uint64_t entry) const;
  [[nodiscard]] std::string logs() const;  // incarnations
  [[nodiscard]] std::string log(
      std::string_view incarnation) const;  // entries, own claims, manifests
  [[nodiscard]] std::string entry(std::string_view incarnation, uint64_t entry) const;
  [[nodiscard]] std::string own_claim(std::string_view incarnation, uint64_t epoch) const;
  [[nodiscard]] std::string manifest(std::string_view incarnation, uint64_t first,
                                     uint64_t last) const;
  [[nodiscard]] std::string live() const;  // incarnations
  [[nodiscard]] std::string announcement(std::string_view incarnation) const;
  // "Do you live?", asked of it by somebody else.
  [[nodiscard]] std::string question(std::string_view incarnation, uint64_t uuid) const;
  // "It is over": its log is sealed, and not DONE yet.
  [[nodiscard]] std::string over(std::string_view incarnation) const;
  [[nodiscard]] std::string tmps() const;  // incarnations
  [[nodiscard]] std::string tmp(std::string_view incarnation) const;
  [[nodiscard]] std::string tmp(std::string_view incarnation, uint64_t uuid) const;

 private:
  std::string base_;
};

// Names within a lane's and a log's directory, as a listing gives them.
[[nodiscard]] std::optional<uint64_t> parse_claim_name(std::string_view name);  // an epoch
[[nodiscard]] std::optional<std::pair<uint64_t, uint64_t>> parse_table_name(
    std::string_view name);  // epoch, entry
[[nodiscard]] std::optional<uint64_t> parse_entry_name(std::string_view name);
[[nodiscard]] std::optional<std::pair<uint64_t, uint64_t>> parse_manifest_name(
    std::string_view name);
[[nodiscard]] std::optional<std::string> parse_question_name(std::string_view name);  // of whom
[[nodiscard]] std::optional<std::string> parse_over_name(std::string_view name);      // who
[[nodiscard]] std::optional<Lane> parse_lane_name(std::string_view category, std::string_view name);

// Where a category's files are written.
[[nodiscard]] std::string stage_directory(std::string_view category);  // of incarnations
[[nodiscard]] std::string stage_directory(std::string_view category, std::string_view incarnation);
[[nodiscard]] std::string stage_path(std::string_view category, std::string_view incarnation,
                                     uint64_t uuid);
struct StageName {
  std::string category;
  std::string incarnation;
  uint64_t uuid = 0;
  bool operator==(const StageName&) const = default;
};
[[nodiscard]] std::optional<StageName> parse_stage_path(std::string_view path);

// What a published file's name tells.
struct FinalName {
  std::string category;
  int64_t closed_s = 0;  // seconds since 1970 (UTC), until 9999
  std::string center;
  std::string incarnation;
  uint64_t entry = 0;         // that commits it
  uint32_t k = 0;             // which file of the entry
  Codec codec = Codec::none;  // of lines; a SequenceFile's name does not tell it
  FileFormat format = FileFormat::lines;
  bool operator==(const FinalName&) const = default;
};
// `directory`: as the layout renders it; begins with the category.
[[nodiscard]] std::string final_path(std::string_view directory, const FinalName& name);
// The category is the path's first part. Names of others are nullopt.
[[nodiscard]] std::optional<FinalName> parse_final_path(std::string_view path);

}  // namespace tailrace
