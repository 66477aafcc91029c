// A sink in HDFS: each server, then the way of a file, as the Center will go it.
#include <algorithm>
#include <cstring>
#include <ctime>
#include <optional>
#include <set>

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
constexpr uint64_t kLeastSpace = 1u << 20;  // a small file's block

// --- what to do about it

// As whom HDFS sees what is done with these rights.
std::string user_of(const SinkSettings& sink, const HdfsRights& as) {
  if (!as.owner.empty()) return as.owner;
  const std::string& principal = sink.hdfs_access.kerberos.principal;
  return principal.empty() ? sink.hdfs_user : principal.substr(0, principal.find_first_of("/@"));
}

std::string mend_stranger(const SinkSettings& sink) {
  if (sink.hdfs_access.kerberos.given())
    return "mend `kerberos` of this sink (klist -kt KEYTAB shows whose keys there are); `url` must "
           "name each server as its principal HTTP/... does";
  return "if this HDFS uses Kerberos, add `kerberos: {principal: ..., keytab: ...}` to this sink; "
         "else `url` leads to something that stands before it";
}

std::string mend_denied(const HdfsAnswer& answer, const SinkSettings& sink, const std::string& path,
                        const HdfsRights& as) {
  const std::string user = escape(user_of(sink, as), 64);
  const bool kerberos = sink.hdfs_access.kerberos.given();
  const std::string key = !as.owner.empty() ? "`owner`" : kerberos ? "`principal`" : "`user`";
  if (answer.text.find("is not allowed to impersonate") == std::string::npos)
    return "give user '" + user + "' the right to write in " + path +
           " (hadoop fs -chown), or name another " + key;
  const std::string ours = escape(user_of(sink, {}), 64);
  return "allow '" + ours + "' to act for '" + user + "' (hadoop.proxyuser." + ours +
         ".hosts and .groups of the NameNodes; of HttpFS httpfs.proxyuser...), or leave `owner` "
         "out";
}

std::string mend(const HdfsAnswer& answer, const SinkSettings& sink, const std::string& path,
                 const HdfsRights& as = {}) {
  switch (answer.outcome) {
    case HdfsOutcome::denied: return mend_denied(answer, sink, path, as);
    case HdfsOutcome::stranger: return mend_stranger(sink);
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
  // No ticket: nothing was asked yet.
  if (answer.text.find(": Kerberos: ") != std::string::npos) return mend_stranger(sink);
  return "is that the address of a NameNode's web pages (9870) or of HttpFS (14000), and do "
         "firewalls let this host through, to the DataNodes (9864) too?";
}

std::string found_of(const HdfsAnswer& answer) {
  return answer.text.empty() ? "no clear answer" : answer.text;
}

Probe failed(const std::string& about, std::string tried, const HdfsAnswer& answer,
             const SinkSettings& sink, const std::string& path, const HdfsRights& as = {}) {
  return {Verdict::fail, about, std::move(tried), found_of(answer), mend(answer, sink, path, as)};
}

// --- the servers

// Whether one of them serves.
bool probe_servers(const SinkSettings& sink, const std::string& about, Probes& out) {
  bool active = false;
  HdfsAnswer standby;
  Probes found;
  for (const HdfsUrl& server : sink.hdfs) {
    SinkSettings one = sink;
    one.hdfs = {server};
    HdfsClient client(hdfs_settings(one));
    const HdfsAnswer answer = client.status("/");
    const std::string tried = "ask " + server.server();
    if (answer.outcome == HdfsOutcome::standby) {
      standby = answer;
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
                   mend(standby, sink, "/")});
  return active;
}

// --- the way of a file

struct Step {
  std::string doing;
  HdfsAnswer answer;
  bool good = false;
  std::string mend{};  // empty: as of any such answer
};

// What becomes of a file there, besides.
struct Wanted {
  HdfsRights rights;             // of who asks
  std::set<std::string> groups;  // to which he gives files
};
Wanted wanted_in_root(const SinkSettings& sink) {
  Wanted out;
  out.rights = sink.hdfs_writing.usual;
  if (out.rights.owner.empty()) out.groups.insert(out.rights.group);
  for (const auto& [name, rights] : sink.hdfs_writing.categories)
    if (rights.owner.empty()) out.groups.insert(rights.group);
  out.groups.erase("");
  out.rights.owner.clear();
  out.rights.group.clear();
  return out;
}

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

// That files can be given to the groups that shall have them.
Step give_to_groups(HdfsClient& client, const std::string& path, const Wanted& wanted,
                    const std::string& user) {
  Step step;
  for (const std::string& group : wanted.groups) {
    HdfsRights as = wanted.rights;
    as.group = group;
    step = {"give it to the group " + escape(group, 64), client.set_group(path, as)};
    step.mend = "make '" + escape(user, 64) +
                "' one of that group, as the NameNodes see it (hdfs "
                "groups), or name another `group`";
    if (step.answer.outcome != HdfsOutcome::done) return step;
  }
  step.good = true;
  return step;
}

// Goes it until a step fails; that is the last one.
Step go(HdfsClient& client, const std::string& directory, const Wanted& wanted,
        const std::string& user) {
  const std::string first = directory + "/first", second = directory + "/second";
  const std::string name = directory + "/name";
  Step step{"make a directory", client.make_directory(directory)};
  if (step.answer.outcome != HdfsOutcome::done || !step.answer.yes) return step;
  for (const std::string& path : {first, second}) {
    step = {"write a file, by a DataNode", client.create(path, some_bytes(), wanted.rights)};
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
  step = give_to_groups(client, first, wanted, user);
  if (!step.good) return step;
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
                   const Wanted& wanted, const std::string& about, Probes& out) {
  const std::string tried = "write and rename in " + path;
  HdfsAnswer why;
  const auto made = missing(client, path, why);
  if (!made) return out.push_back(failed(about, tried, why, sink, path));
  const std::string directory = path + "/_check-" + hex16(os_random());
  const Step last = go(client, directory, wanted, user_of(sink, {}));
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
  if (last.answer.outcome == HdfsOutcome::denied && !last.mend.empty()) probe.mend = last.mend;
  out.push_back(std::move(probe));
}

// --- what may stand in the way later

std::string left_of(const std::optional<uint64_t>& most, uint64_t used, uint64_t least,
                    Verdict& verdict, std::string (*show)(uint64_t)) {
  if (!most) return "no limit";
  const uint64_t left = *most > used ? *most - used : 0;
  if (left < least)
    verdict = Verdict::fail;
  else if (left < *most / kTightShare && verdict == Verdict::ok)
    verdict = Verdict::warn;
  return show(left) + " left of " + show(*most);
}

// nullopt: it has none, or does not tell.
std::optional<Probe> probe_quota(HdfsClient& client, const SinkSettings& sink,
                                 const std::string& path, const std::string& about,
                                 const HdfsRights& as = {}) {
  HdfsAnswer answer = client.quota(path, as);
  if (answer.outcome != HdfsOutcome::done || !answer.quota) return std::nullopt;
  const HdfsQuota& quota = *answer.quota;
  if (!quota.names && !quota.space) return std::nullopt;
  Verdict verdict = Verdict::ok;
  const std::string names = left_of(quota.names, quota.names_used, 1, verdict, show_count);
  const std::string space = left_of(quota.space, quota.space_used, kLeastSpace, verdict, show_size);
  answer.outcome = HdfsOutcome::quota;
  return Probe{verdict, about, "quota of " + path,
               "names: " + names + "; bytes times replicas: " + space,
               verdict == Verdict::ok ? "" : mend(answer, sink, path)};
}

// So many of a kind are named, the rest is counted.
class Named {
 public:
  Named(std::string about, std::string tried, Probes& out)
      : about_(std::move(about)), tried_(std::move(tried)), out_(out) {}
  void add(Probe probe) {
    if (probe.verdict == Verdict::fail) worst_ = Verdict::fail;
    if (++bad_ <= kMostNamed) out_.push_back(std::move(probe));
  }
  void end(size_t looked) {
    if (looked > 0 && bad_ == 0)
      out_.push_back({Verdict::ok, about_, tried_, show_count(looked) + " looked at", ""});
    if (bad_ > kMostNamed)
      out_.push_back({worst_, about_, tried_, "and " + show_count(bad_ - kMostNamed) + " more",
                      "as of those above"});
  }

 private:
  std::string about_, tried_;
  Probes& out_;
  Verdict worst_ = Verdict::warn;
  size_t bad_ = 0;
};

// Whoever shall own files of categories that do not stand yet, and must be able to begin them.
void probe_owners(HdfsClient& client, const SinkSettings& sink, const std::set<std::string>& stand,
                  Named& rights, const std::string& about) {
  const HdfsWriting& writing = sink.hdfs_writing;
  const auto look = [&](const HdfsRights& as, const std::string& tried, Verdict verdict) {
    if (as.owner.empty()) return;
    const HdfsAnswer may = client.may_write(sink.root, as);
    if (may.outcome != HdfsOutcome::denied) return;
    Probe probe = failed(about, tried, may, sink, sink.root, as);
    if (may.text.find("impersonate") == std::string::npos) probe.verdict = verdict;
    rights.add(std::move(probe));
  };
  for (const auto& [name, as] : writing.categories)
    if (!stand.contains(name)) look(as, "right to make " + sink.root + "/" + name, Verdict::fail);
  // A directory may be made for him before its category's first line.
  look(writing.usual, "right to make directories of new categories in " + sink.root, Verdict::warn);
}

// The directories of categories that stand already, and those that will be made by others.
void probe_categories(HdfsClient& client, const SinkSettings& sink, const std::string& about,
                      Probes& out) {
  const HdfsAnswer listed = client.list(sink.root, "");
  if (listed.outcome != HdfsOutcome::done) return;
  std::set<std::string> stand;
  Named rights(about, "right to write in each category's directory", out);
  Named quotas(about, "quota of each category's directory", out);
  for (const HdfsEntry& entry : listed.entries) {
    if (!entry.directory || entry.name.starts_with('_') || entry.name.starts_with('.')) continue;
    if (stand.size() == kMostCategories) break;
    stand.insert(entry.name);
    const std::string path = sink.root + "/" + entry.name;
    const HdfsRights& as = sink.hdfs_writing.rights_of(entry.name);
    const HdfsAnswer may = client.may_write(path, as);
    if (may.outcome == HdfsOutcome::denied)
      rights.add(failed(about, "right to write in " + path, may, sink, path, as));
    if (auto quota = probe_quota(client, sink, path, about, as);
        quota && quota->verdict != Verdict::ok)
      quotas.add(std::move(*quota));
  }
  probe_owners(client, sink, stand, rights, about);
  rights.end(stand.size());
  quotas.end(0);
}

}  // namespace

void probe_hdfs(const SinkSettings& sink, const std::string& about, Probes& out) {
  if (!probe_servers(sink, about, out)) return;
  HdfsClient client(hdfs_settings(sink));
  const bool apart = sink.control.starts_with('/');
  const std::string control = apart ? sink.control : sink.root + "/" + sink.control;
  probe_writing(client, sink, sink.root, wanted_in_root(sink), about, out);
  probe_writing(client, sink, control, {}, about, out);
  for (const std::string& path : {sink.root, control})
    if (auto quota = probe_quota(client, sink, path, about)) out.push_back(std::move(*quota));
  probe_categories(client, sink, about, out);
}

}  // namespace tailrace
