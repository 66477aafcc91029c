#include "cli/centers_command.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/random.h"
#include "base/units.h"
#include "center/survey.h"
#include "sinks/store/directory_store.h"

namespace tailrace {

namespace {
using Json = nlohmann::ordered_json;
constexpr int kShown = 0;
constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;
constexpr size_t kMostRows = 40;

std::string ago(int64_t then_ms, int64_t now_ms) {
  return then_ms == 0 ? "-" : show_duration(std::max<int64_t>(0, now_ms - then_ms)) + " ago";
}

std::string part_of(const Lane& lane) {
  if (lane.parts == 1) return lane.category;
  return lane.category + " " + std::to_string(lane.part + 1) + "/" + std::to_string(lane.parts);
}

std::string name_of(const Survey& survey, const std::string& owner) {
  if (owner.empty()) return "nobody";
  const auto known = survey.centers.find(owner);
  return known == survey.centers.end() ? owner + " (left)" : known->second.name;
}

std::string owner_of(const Survey& survey, const Survey::OwnedLane& lane) {
  return lane.split ? "in parts" : escape(name_of(survey, lane.owner), 64);
}

size_t lanes_of(const Survey& survey, const std::string& owner) {
  return static_cast<size_t>(std::count_if(survey.lanes.begin(), survey.lanes.end(),
                                           [&](const auto& l) { return l.owner == owner; }));
}

void show(const Survey& survey, const std::string& wanted, int64_t now_ms) {
  std::printf("%-20s %-26s %6s %12s %10s  %s\n", "CENTER", "ADDRESS", "LANES", "SINCE", "VERSION",
              "INCARNATION");
  for (const auto& [incarnation, said] : survey.centers)
    std::printf("%-20s %-26s %6s %12s %10s  %s\n", escape(said.name, 64).c_str(),
                said.address.empty() ? "-" : escape(said.address, 128).c_str(),
                show_count(lanes_of(survey, incarnation)).c_str(),
                show_duration(now_ms - said.started_ms).c_str(), escape(said.version, 32).c_str(),
                incarnation.c_str());
  if (survey.centers.empty()) std::printf("(none is announced)\n");
  std::printf("\n%-30s %-20s %8s %16s %14s\n", "CATEGORY", "CENTER", "STREAMS", "LINES",
              "LAST COMMIT");
  size_t rows = 0, left = 0;
  for (const Survey::OwnedLane& lane : survey.lanes) {
    if (lane.lane.category.find(wanted) == std::string::npos) continue;
    if (++rows > kMostRows && wanted.empty()) {
      ++left;
      continue;
    }
    std::printf("%-30s %-20s %8s %16s %14s\n", part_of(lane.lane).c_str(),
                owner_of(survey, lane).c_str(), show_count(lane.streams).c_str(),
                show_count(lane.lines).c_str(), ago(lane.last_commit_ms, now_ms).c_str());
  }
  if (left > 0)
    std::printf("and %s more: --category TEXT shows those that have TEXT in their name\n",
                show_count(left).c_str());
}

Json as_json(const Survey& survey, const std::string& wanted) {
  Json out;
  out["control"] = survey.control;
  out["sink"] = hex16(survey.sink);
  out["centers"] = Json::array();
  for (const auto& [incarnation, said] : survey.centers)
    out["centers"].push_back({{"name", said.name},
                              {"address", said.address},
                              {"incarnation", incarnation},
                              {"started_ms", said.started_ms},
                              {"version", said.version},
                              {"lanes", lanes_of(survey, incarnation)}});
  out["lanes"] = Json::array();
  for (const Survey::OwnedLane& lane : survey.lanes)
    if (lane.lane.category.find(wanted) != std::string::npos)
      out["lanes"].push_back({{"category", lane.lane.category},
                              {"parts", lane.lane.parts},
                              {"part", lane.lane.part},
                              {"owner", lane.owner},
                              {"split", lane.split},
                              {"epoch", lane.epoch},
                              {"streams", lane.streams},
                              {"lines", lane.lines},
                              {"last_commit_ms", lane.last_commit_ms}});
  return out;
}

int run_centers(const Arguments& arguments) {
  if (arguments.operands().size() != 1) {
    std::fputs("tailrace centers: expected one directory: the root of the published files\n",
               stderr);
    return kWrongUsage;
  }
  const std::string& root = arguments.operands().front();
  struct stat status {};
  if (::stat(root.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
    std::fprintf(stderr, "tailrace centers: %s is no directory\n", escape(root).c_str());
    return kFailed;
  }
  auto store = open_directory_store(root);
  const auto survey = store ? survey_store(*store->records) : Result<Survey>(store.error());
  if (!survey) {
    std::fprintf(stderr, "tailrace centers: %s: %s\n", escape(root).c_str(),
                 survey.error().text.c_str());
    return kFailed;
  }
  const std::string wanted(arguments.value("category"));
  if (arguments.value("format") == "json")
    std::printf("%s\n", as_json(*survey, wanted).dump(2).c_str());
  else
    show(*survey, wanted, wall_ms());
  return kShown;
}

constexpr Option kOptions[] = {
    {"category", "TEXT", "", "only categories with this in their name"},
    {"format", "text|json", "text", "json: an object with control, sink, centers and lanes"},
};
}  // namespace

const Command& centers_command() {
  static const Command kCommand = {
      .name = "centers",
      .summary = "shows which Centers publish into a directory, and who owns which category",
      .synopsis = "DIR [--category TEXT] [--format json]",
      .examples = "  tailrace centers /srv/tailrace\n",
      .operands = "DIR",
      .notes =
          "It reads the control records below DIR and changes nothing. A Center that was "
          "killed stands in the list\nuntil another one has finished its work.\n\n"
          "Exit codes: 0 shown, 1 DIR cannot be read, 2 wrong usage.\n",
      .options = kOptions,
      .run = run_centers,
  };
  return kCommand;
}

}  // namespace tailrace
