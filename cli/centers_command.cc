#include "cli/centers_command.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/random.h"
#include "base/units.h"
#include "center/survey.h"
#include "cli/center_client.h"
#include "cli/cluster.h"
#include "cli/places.h"

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
    std::printf(
        "%-20s %-26s %6s %12s %10s  %s%s\n", escape(said.name, 64).c_str(),
        said.address.empty() ? "-" : escape(said.address, 128).c_str(),
        show_count(lanes_of(survey, incarnation)).c_str(),
        show_duration(now_ms - said.started_ms).c_str(), escape(said.version, 32).c_str(),
        incarnation.c_str(),
        survey.over.contains(incarnation) ? " (is over; files of it wait to be published)" : "");
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
                              {"over", survey.over.contains(incarnation)},
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

// --- who answers

std::string state_of(const CenterAnswer& answer) {
  if (!answer.why.empty()) return "NO ANSWER";
  if (answer.report.drained()) return "drained";
  return answer.report.draining() ? "draining" : "running";
}

struct Sum {
  uint64_t lanes = 0;
  double lines = 0, bytes = 0;
  int64_t oldest_ms = -1;
  uint64_t held = 0;
};
Sum sum_of(const proto::CenterReport& report) {
  Sum sum;
  for (const auto& sink : report.sinks()) {
    sum.lanes += sink.lanes();
    sum.lines = std::max(sum.lines, sink.lines_per_second());
    sum.bytes = std::max(sum.bytes, sink.bytes_per_second());
    sum.oldest_ms = std::max(sum.oldest_ms, sink.oldest_age_ms());
    sum.held += sink.uncommitted() + sink.unpublished();
  }
  return sum;
}

void show_live(const std::vector<CenterAnswer>& answers, int64_t now_ms) {
  std::printf("%-20s %-26s %-9s %6s %10s %12s %12s %9s %7s %9s  %s\n", "CENTER", "ADDRESS", "STATE",
              "LANES", "LINES/S", "BYTES/S", "LINES HELD", "OLDEST", "LOCALS", "FOR", "VERSION");
  for (const CenterAnswer& answer : answers) {
    const proto::CenterReport& said = answer.report;
    const std::string name = said.name().empty() ? "-" : escape(said.name(), 64);
    const std::string address = said.address().empty() ? answer.address : said.address();
    if (!answer.why.empty()) {
      std::printf("%-20s %-26s %-9s\n  ! %s\n", name.c_str(), escape(address, 128).c_str(),
                  state_of(answer).c_str(), escape(answer.why, 512).c_str());
      continue;
    }
    const Sum sum = sum_of(said);
    std::printf("%-20s %-26s %-9s %6s %10s %12s %12s %9s %7s %9s  %s\n", name.c_str(),
                escape(address, 128).c_str(), state_of(answer).c_str(),
                show_count(sum.lanes).c_str(), show_count(static_cast<uint64_t>(sum.lines)).c_str(),
                show_size(static_cast<uint64_t>(sum.bytes)).c_str(), show_count(sum.held).c_str(),
                sum.oldest_ms < 0 ? "-" : show_duration(sum.oldest_ms).c_str(),
                show_count(said.locals()).c_str(),
                show_duration(now_ms - said.started_ms()).c_str(),
                escape(said.version(), 32).c_str());
    for (const auto& sink : said.sinks())
      if (!sink.trouble().empty())
        std::printf("  ! sink %s: %s\n", escape(sink.name(), 64).c_str(),
                    escape(sink.trouble(), 512).c_str());
    if (said.rebalance_paused())
      std::printf("  ! rebalance is paused: `tailrace rebalance resume` ends that\n");
  }
}

Json live_as_json(const std::string& cluster, const std::vector<CenterAnswer>& answers) {
  Json out;
  out["cluster"] = cluster;
  out["centers"] = Json::array();
  for (const CenterAnswer& answer : answers) {
    Json of = {
        {"name", answer.report.name()},
        {"address", answer.report.address().empty() ? answer.address : answer.report.address()},
        {"state", answer.why.empty() ? state_of(answer) : "no answer"}};
    if (!answer.why.empty()) {
      of["why"] = answer.why;
      out["centers"].push_back(of);
      continue;
    }
    of["version"] = answer.report.version();
    of["started_ms"] = answer.report.started_ms();
    of["locals"] = answer.report.locals();
    of["rebalance_paused"] = answer.report.rebalance_paused();
    of["sinks"] = Json::array();
    for (const auto& sink : answer.report.sinks())
      of["sinks"].push_back(
          {{"name", sink.name()},
           {"sink", sink.sink()},
           {"lanes", sink.lanes()},
           {"lines_per_second", sink.lines_per_second()},
           {"bytes_per_second", sink.bytes_per_second()},
           {"uncommitted", sink.uncommitted()},
           {"unpublished", sink.unpublished()},
           {"oldest_seconds", sink.oldest_age_ms() < 0
                                  ? Json(nullptr)
                                  : Json(static_cast<double>(sink.oldest_age_ms()) / 1000)},
           {"trouble", sink.trouble()}});
    out["centers"].push_back(of);
  }
  return out;
}

int run_live(const Arguments& arguments) {
  if (arguments.given("category")) {
    std::fputs("tailrace centers: --category needs the root of the published files, or --sink\n",
               stderr);
    return kWrongUsage;
  }
  const auto cluster = cluster_of(arguments);
  if (!cluster) {
    std::fprintf(stderr, "tailrace centers: %s\n", cluster.error().text.c_str());
    return kWrongUsage;
  }
  const auto known = centers_of(*cluster);
  if (!known) {
    std::fprintf(stderr, "tailrace centers: %s\n", known.error().text.c_str());
    return kFailed;
  }
  const std::vector<CenterAnswer> answers = ask_centers(*known, cluster->number);
  if (arguments.value("format") == "json")
    std::printf("%s\n", live_as_json(cluster->name, answers)
                            .dump(2, ' ', false, Json::error_handler_t::replace)
                            .c_str());
  else if (answers.empty())
    std::printf("no Center of '%s' is announced\n", escape(cluster->name, 64).c_str());
  else
    show_live(answers, wall_ms());
  const bool all = std::all_of(answers.begin(), answers.end(),
                               [](const CenterAnswer& answer) { return answer.why.empty(); });
  return all && !answers.empty() ? kShown : kFailed;
}

int failed(const Error& why, int code) {
  std::fprintf(stderr, "tailrace centers: %s\n", why.text.c_str());
  return code;
}

int run_centers(const Arguments& arguments) {
  if (arguments.operands().empty() && !arguments.given("sink")) return run_live(arguments);
  const auto places = places_meant(arguments);
  if (!places) return failed(places.error(), exit_code(places.error()));
  const SinkSettings& place = places->front();
  const auto store = open_place(place);
  const auto survey = store ? survey_store(*store->records) : Result<Survey>(store.error());
  if (!survey) return failed(survey.error().within(escape(place.where())), kFailed);
  const std::string wanted(arguments.value("category"));
  if (arguments.value("format") == "json")
    std::printf(
        "%s\n",
        as_json(*survey, wanted).dump(2, ' ', false, Json::error_handler_t::replace).c_str());
  else
    show(*survey, wanted, wall_ms());
  return kShown;
}

constexpr Option kOptions[] = {
    kClusterOption,
    {"sink", "NAME", "", "with a Center's settings: what the records of this sink say"},
    {"category", "TEXT", "", "of records: only categories with this in their name"},
    {"format", "text|json", "text", "json: an object with centers, and of records lanes"},
};
}  // namespace

const Command& centers_command() {
  static const Command kCommand = {
      .name = "centers",
      .summary = "shows the Centers of a cluster and how they are, or who owns which category",
      .synopsis = "[DIR|URL] [--config FILE [--sink NAME]] [--category TEXT] [--format json]",
      .examples =
          "  tailrace centers\n"
          "  tailrace centers /srv/tailrace --category nginx\n"
          "  tailrace centers webhdfs://nn1:9870,nn2:9870/logs\n",
      .operands = "DIR|URL",
      .notes =
          "Without DIR or URL the Centers that the settings of this host name, and all that these\n"
          "know of, are asked. With it, the root of published files, or with --sink, the control\n"
          "records there say who owns what; a Center that was killed stands there until another "
          "one has finished its\n"
          "work. Nothing is changed.\n\n"
          "Exit codes: 0 shown, 1 a Center does not answer or the records cannot be read, 2 wrong "
          "usage.\n",
      .options = kOptions,
      .run = run_centers,
  };
  return kCommand;
}

}  // namespace tailrace
