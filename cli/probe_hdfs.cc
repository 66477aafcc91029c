// A sink in HDFS: each server, then the way of a file, as the Center will go it.
#include <algorithm>
#include <cstring>
#include <ctime>

#include "base/clock.h"
#include "base/file.h"
#include "base/random.h"
#include "base/units.h"
#include "cli/probe.h"
#include "cli/road.h"
#include "sinks/store/hdfs_checksum.h"
#include "sinks/store/hdfs_client.h"

namespace tailrace {

namespace {
using Verdict = Probe::Verdict;
constexpr int64_t kMostSkewS = 30;
constexpr uint64_t kTightShare = 10;  // less than a tenth of a quota is left
constexpr size_t kMostCategories = 1'000;
constexpr size_t kMostNamed = 10;

// --- what to do about it

std::string mend(HdfsOutcome outcome, const SinkSettings& sink, const std::string& path) {
  switch (outcome) {
    case HdfsOutcome::denied:
      return "give user '" + escape(sink.hdfs_user, 64) + "' the right to write in " + path +
             " (hadoop fs -chown), or name another `user`";
    case HdfsOutcome::quota:
      return "raise the quota (hdfs dfsadmin -setQuota, -setSpaceQuota), or remove files; a whole "
             "block times its replicas is charged when a file begins";
    case HdfsOutcome::standby:
      return "make one of the NameNodes active (hdfs haadmin -transitionToActive), or name the "
             "other one in `url` too";
    case HdfsOutcome::not_now:
      return "wait until the NameNode has left safe mode (hdfs dfsadmin -safemode get)";
    case HdfsOutcome::exists: return "a file stands where a directory is wanted: move it";
    default: break;
  }
  return "is that the address of a NameNode's web pages (9870) or of HttpFS (14000), and do "
         "firewalls let this host through, to the DataNodes (9864) too?";
}

std::string found_of(const HdfsAnswer& answer) {
  return answer.text.empty() ? "no clear answer" : answer.text;
}

Probe failed(const std::string& about, std::string tried, const HdfsAnswer& answer,
             const SinkSettings& sink, const std::string& path) {
  return {Verdict::fail, about, std::move(tried), found_of(answer),
          mend(answer.outcome, sink, path)};
}

// --- the servers

// Whether one of them serves.
bool probe_servers(const SinkSettings& sink, const std::string& about, Probes& out) {
  bool active = false;
  Probes found;
  for (const HdfsUrl& server : sink.hdfs) {
    SinkSettings one = sink;
    one.hdfs = {server};
    HdfsClient client(hdfs_settings(one));
    const HdfsAnswer answer = client.status("/");
    const std::string tried = "ask " + server.server();
    if (answer.outcome == HdfsOutcome::standby) {
      found.push_back({Verdict::ok, about, tried, "on standby", ""});
      continue;
    }
    if (answer.outcome != HdfsOutcome::done) {
      found.push_back(failed(about, tried, answer, sink, "/"));
      continue;
    }
    active = true;
    found.push_back({Verdict::ok, about, tried, "serves", ""});
    const int64_t skew = answer.server_s == 0 ? 0 : wall_ms() / 1'000 - answer.server_s;
    if (std::abs(skew) > kMostSkewS)
      found.push_back(
          {Verdict::warn, about, "compare clocks with " + server.server(),
           "ours is " + show_duration(std::abs(skew) * 1'000) + (skew > 0 ? " ahead" : " behind"),
           "set the clock of this host, or of that one (Kerberos refuses 5 minutes)"});
  }
  for (Probe& probe : found) {
    // Another one serves: that is what several are for.
    if (active && probe.verdict == Verdict::fail) probe.verdict = Verdict::warn;
    out.push_back(std::move(probe));
  }
  if (!active && std::none_of(found.begin(), found.end(),
                              [](const Probe& p) { return p.verdict == Verdict::fail; }))
    out.push_back({Verdict::fail, about, "find the active NameNode", "all are on standby",
                   mend(HdfsOutcome::standby, sink, "/")});
  return active;
}

// --- the way of a file

struct Step {
  std::string doing;
  HdfsAnswer answer;
  bool good = false;
};

HttpBody some_bytes() {
  static constexpr std::string_view kBytes = "tailrace check\n";
  return {kBytes.size(), [](uint64_t offset, char* into, size_t n) -> Result<size_t> {
            std::memcpy(into, kBytes.data() + offset, n);
            return n;
          }};
}

// That `verify: checksum` can be kept.
Step look_at_checksum(HdfsClient& client, const std::string& path) {
  Step step{"compare its checksum", client.checksum(path)};
  if (step.answer.outcome != HdfsOutcome::done) return step;
  const auto same = is_checksum_of(*step.answer.checksum, some_bytes());
  step.good = same && *same;
  if (!step.good) step.answer.text = same ? "HDFS has another one" : same.error().text;
  return step;
}

// Goes it until a step fails; that is the last one.
Step go(HdfsClient& client, const std::string& directory) {
  const std::string first = directory + "/first", second = directory + "/second";
  const std::string name = directory + "/name";
  Step step{"make a directory", client.make_directory(directory)};
  if (step.answer.outcome != HdfsOutcome::done || !step.answer.yes) return step;
  for (const std::string& path : {first, second}) {
    step = {"write a file, by a DataNode", client.create(path, some_bytes())};
    if (step.answer.outcome != HdfsOutcome::done) return step;
    step = {"look at its length", client.status(path)};
    if (step.answer.outcome != HdfsOutcome::done) return step;
    if (step.answer.entries.front().length == some_bytes().length) continue;
    step.answer.text = "it has another one";
    return step;
  }
  if (client.settings().writing.verify == HdfsVerify::checksum) {
    step = look_at_checksum(client, first);
    if (!step.good) return step;
  }
  step = {"rename it", client.rename(first, name)};
  if (step.answer.outcome != HdfsOutcome::done || !step.answer.yes) return step;
  step = {"be refused a rename onto it", client.rename(second, name)};
  if (step.answer.outcome == HdfsOutcome::done && step.answer.yes) {
    step.answer.text = "a rename went over a file that stood: this is no HDFS that can be used";
    return step;
  }
  step = {"remove it", client.remove(name)};
  step.good = step.answer.outcome == HdfsOutcome::done && step.answer.yes;
  return step;
}

// Directories from `path` up that do not stand, the longest first.
Result<std::vector<std::string>> missing(HdfsClient& client, const std::string& path,
                                         HdfsAnswer& why) {
  std::vector<std::string> out;
  for (std::string at = path; at.size() > 1; at = parent_path(at)) {
    why = client.status(at);
    if (why.outcome == HdfsOutcome::done) return out;
    if (why.outcome != HdfsOutcome::absent) return Error{Error::Kind::retry_later, at};
    out.push_back(at);
  }
  return out;
}

void probe_writing(HdfsClient& client, const SinkSettings& sink, const std::string& path,
                   const std::string& about, Probes& out) {
  const std::string tried = "write and rename in " + path;
  HdfsAnswer why;
  const auto made = missing(client, path, why);
  if (!made) return out.push_back(failed(about, tried, why, sink, path));
  const std::string directory = path + "/_check-" + hex16(os_random());
  const Step last = go(client, directory);
  std::vector<std::string> rests = {directory + "/first", directory + "/second",
                                    directory + "/name", directory};
  rests.insert(rests.end(), made->begin(), made->end());  // those that we made, if they are empty
  for (const std::string& rest : rests) {
    const HdfsAnswer removed = client.remove(rest);
    static_cast<void>(removed);
  }
  if (last.good)
    return out.push_back(
        {Verdict::ok, about, tried, made->empty() ? "works" : "works; it will be made", ""});
  Probe probe = failed(about, tried, last.answer, sink, path);
  probe.found = "cannot " + last.doing + ": " + probe.found;
  out.push_back(std::move(probe));
}

// --- what may stand in the way later

std::string left_of(const std::optional<uint64_t>& most, uint64_t used, bool& tight,
                    std::string (*show)(uint64_t)) {
  if (!most) return "no limit";
  const uint64_t left = *most > used ? *most - used : 0;
  tight = tight || left < *most / kTightShare;
  return show(left) + " left of " + show(*most);
}

void probe_quota(HdfsClient& client, const SinkSettings& sink, const std::string& path,
                 const std::string& about, Probes& out) {
  const HdfsAnswer answer = client.quota(path);
  if (answer.outcome != HdfsOutcome::done || !answer.quota) return;  // it does not tell
  const HdfsQuota& quota = *answer.quota;
  if (!quota.names && !quota.space) return;
  bool tight = false;
  const std::string names = left_of(quota.names, quota.names_used, tight, show_count);
  const std::string space = left_of(quota.space, quota.space_used, tight, show_size);
  out.push_back({tight ? Verdict::warn : Verdict::ok, about, "quota of " + path,
                 "names: " + names + "; bytes times replicas: " + space,
                 tight ? mend(HdfsOutcome::quota, sink, path) : ""});
}

// The directories of categories that stand already.
void probe_categories(HdfsClient& client, const SinkSettings& sink, const std::string& about,
                      Probes& out) {
  const HdfsAnswer listed = client.list(sink.root, "");
  if (listed.outcome != HdfsOutcome::done) return;
  size_t looked = 0, bad = 0;
  for (const HdfsEntry& entry : listed.entries) {
    if (!entry.directory || entry.name.starts_with('_') || entry.name.starts_with('.')) continue;
    if (++looked > kMostCategories) break;
    const std::string path = sink.root + "/" + entry.name;
    const HdfsAnswer may = client.may_write(path, sink.hdfs_writing.rights_of(entry.name));
    if (may.outcome != HdfsOutcome::denied) continue;
    if (++bad <= kMostNamed)
      out.push_back(failed(about, "right to write in " + path, may, sink, path));
  }
  if (looked > 0 && bad == 0)
    out.push_back({Verdict::ok, about, "right to write in each category's directory",
                   show_count(looked) + " looked at", ""});
  if (bad > kMostNamed)
    out.push_back({Verdict::fail, about, "right to write in each category's directory",
                   "and " + show_count(bad - kMostNamed) + " more", ""});
}

}  // namespace

void probe_hdfs(const SinkSettings& sink, const std::string& about, Probes& out) {
  if (!probe_servers(sink, about, out)) return;
  HdfsClient client(hdfs_settings(sink));
  const bool apart = sink.control.starts_with('/');
  const std::string control = apart ? sink.control : sink.root + "/" + sink.control;
  for (const std::string& path : {sink.root, control})
    probe_writing(client, sink, path, about, out);
  for (const std::string& path : {sink.root, control}) probe_quota(client, sink, path, about, out);
  probe_categories(client, sink, about, out);
}

}  // namespace tailrace
