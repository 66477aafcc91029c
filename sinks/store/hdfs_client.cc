#include "sinks/store/hdfs_client.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/units.h"

namespace tailrace {

namespace {

constexpr uint64_t kLeastBlock = 1u << 20;  // what HDFS takes, unless it is told otherwise
constexpr uint64_t kMostBlock = 1u << 30;
constexpr int64_t kReadMs = 300'000;  // of a record, which may be a long log's manifest

// Who may read a directory may enter it.
std::string directory_mode(std::string mode) {
  for (char& digit : mode)
    if (digit >= '4' && digit <= '7') digit = static_cast<char>(digit | 1);
  return mode;
}

// That holds a file whole, and takes no more of a quota than it needs.
uint64_t whole_block(uint64_t bytes) {
  return std::clamp((bytes + kLeastBlock - 1) / kLeastBlock * kLeastBlock, kLeastBlock, kMostBlock);
}

HdfsParameters parameters_of(const HdfsRights& as, HdfsParameters more = {}) {
  if (!as.owner.empty()) more.emplace_back("doas", as.owner);
  return more;
}

// Which of two failures tells more of what is wrong; 0: it is an answer, which counts.
constexpr int kSilence = 2;
int weight(HdfsOutcome outcome) {
  switch (outcome) {
    case HdfsOutcome::not_now:
    case HdfsOutcome::stranger: return 4;
    case HdfsOutcome::unknown: return 3;
    case HdfsOutcome::standby: return 1;
    default: return 0;
  }
}

HdfsAnswer not_answered(const Error& error) {
  HdfsAnswer answer;
  answer.text = error.text;
  return answer;
}

}  // namespace

HdfsClient::HdfsClient(HdfsSettings settings)
    : settings_(std::move(settings)), http_(settings_.access.ca_file) {
  if (settings_.writing.bytes_per_second > 0 && !settings_.pace)
    settings_.pace = std::make_shared<Locked<Pace>>(settings_.writing.bytes_per_second);
  if (!settings_.choice)
    settings_.choice = std::make_shared<Locked<ServerChoice>>(settings_.servers.size());
  const KerberosSettings& kerberos = settings_.access.kerberos;
  if (!kerberos.given()) return;
  settings_.user.clear();  // a server that believed it would not ask for a proof
  if (!settings_.login) settings_.login = std::make_shared<HdfsLogin>(kerberos);
}

// With what shows `server`, one of ours, who we are.
Result<HttpReply> HdfsClient::send(HttpCall& call, const HdfsUrl& server) {
  if (!settings_.login) return http_.call(call);
  for (bool first = true;; first = false) {
    auto header = settings_.login->header_for(server);
    if (!header) return header.error().within(server.server());
    call.header = std::move(*header);
    auto reply = http_.call(call);
    if (!reply) return reply;
    reply->proven = true;
    if (!settings_.login->heard(server, call.header, *reply) || !first) return reply;
  }
}

// The server of ours to which a redirect leads; null: another, which gets nothing of what shows who
// we are. HttpFS sends to itself, a NameNode to a DataNode, with a token in the address.
const HdfsUrl* HdfsClient::led_to(const std::string& location) const {
  for (const HdfsUrl& server : settings_.servers)
    if (location.starts_with(hdfs_origin(server) + "/")) return &server;
  return nullptr;
}

Result<void> HdfsClient::may_follow(const HdfsUrl& server, const std::string& location) const {
  auto may = check_hdfs_redirect(server, location);
  if (!may || led_to(location)) return may;
  const std::string at = hdfs_redirect_host(location);
  if (settings_.access.redirects.allow(at)) return {};
  return Error{Error::Kind::rejected, "a redirect to " + escape(at, 200) +
                                          " is not followed: `redirect_hosts` does not name it"};
}

// At the NameNode that answered last; at the others too, where that one cannot say, or something
// else answers in its place. What it may have done nevertheless, a look finds out.
HdfsAnswer HdfsClient::ask(const Operation& operation, std::string* content) {
  HdfsAnswer worst;
  int told = 0;
  const auto order =
      settings_.choice->with([](const ServerChoice& c) { return c.order(mono_ms()); });
  for (const size_t at : order) {
    const HdfsUrl& server = settings_.servers[at];
    auto reply = ask_one(operation, at);
    HdfsAnswer answer =
        reply ? understand_hdfs(operation.expects, *reply) : not_answered(reply.error());
    const int tells = reply ? weight(answer.outcome) : kSilence;
    if (tells == 0) {
      settings_.choice->with([at](ServerChoice& c) { c.served(at); });
      if (answer.outcome == HdfsOutcome::redirect) {
        if (auto may = may_follow(server, answer.location); !may) {
          answer = not_answered(may.error());
        }
      }
      if (!answer.text.empty()) answer.text = server.server() + ": " + answer.text;
      answer.server_s = reply->server_s;
      if (content) *content = std::move(reply->body);
      return answer;
    }
    if (reply) answer.text = server.server() + ": " + answer.text;
    if (tells > std::exchange(told, std::max(told, tells))) worst = std::move(answer);
  }
  return worst;
}

Result<HttpReply> HdfsClient::ask_one(const Operation& operation, size_t at) {
  const HdfsUrl& server = settings_.servers[at];
  const int64_t asked_ms = mono_ms();
  HttpCall call;
  call.method = operation.method;
  call.address =
      hdfs_address(server, settings_.user, operation.path, operation.op, operation.parameters);
  call.most_bytes = operation.most_bytes;
  call.timeout_ms =
      settings_.choice->with([&](const ServerChoice& c) { return c.patience_ms(at, asked_ms); });
  auto reply = send(call, server);
  settings_.choice->with([&](ServerChoice& c) {
    if (reply)
      c.answered(at);
    else
      c.silent(at, asked_ms, mono_ms());
  });
  return reply;
}

// The second step, at a DataNode: it is asked once, and sends us nowhere.
HdfsAnswer HdfsClient::follow(const Operation& operation, const std::string& location,
                              const HttpBody* body, std::string* content) {
  HttpCall call;
  call.method = operation.method;
  call.address = location;
  call.body = body;
  call.most_bytes = operation.most_bytes;
  call.timeout_ms = body ? 0 : kReadMs;  // a file takes as long as it takes, if it moves
  const HdfsUrl* const ours = led_to(location);
  auto reply = ours ? send(call, *ours) : http_.call(call);
  if (!reply) return not_answered(reply.error());
  HdfsAnswer answer = understand_hdfs(operation.expects, *reply);
  if (answer.outcome == HdfsOutcome::redirect) {
    answer = {};
    answer.text = "sent from one server to the next";
  }
  if (content) *content = std::move(reply->body);
  return answer;
}

HdfsAnswer HdfsClient::status(const std::string& path, const HdfsRights& as) {
  return ask({"GET", path, "GETFILESTATUS", parameters_of(as), HdfsExpects::status});
}

HdfsAnswer HdfsClient::list(const std::string& directory, const std::string& after,
                            const HdfsRights& as) {
  HdfsParameters parameters = parameters_of(as);
  if (!after.empty()) parameters.emplace_back("startAfter", after);
  return ask({"GET", directory, "LISTSTATUS_BATCH", std::move(parameters), HdfsExpects::listing});
}

HdfsAnswer HdfsClient::rename(const std::string& from, const std::string& to,
                              const HdfsRights& as) {
  return ask({"PUT", from, "RENAME", parameters_of(as, {{"destination", to}}), HdfsExpects::truth});
}

HdfsAnswer HdfsClient::make_directory(const std::string& path, const HdfsRights& as) {
  return ask({"PUT", path, "MKDIRS", parameters_of(as, {{"permission", directory_mode(as.mode)}}),
              HdfsExpects::truth});
}

HdfsAnswer HdfsClient::remove(const std::string& path, const HdfsRights& as) {
  return ask(
      {"DELETE", path, "DELETE", parameters_of(as, {{"recursive", "false"}}), HdfsExpects::truth});
}

HdfsAnswer HdfsClient::touch(const std::string& path, const HdfsRights& as) {
  return ask({"PUT", path, "SETTIMES", parameters_of(as), HdfsExpects::nothing});
}

HdfsAnswer HdfsClient::set_group(const std::string& path, const HdfsRights& as) {
  HdfsAnswer done;
  done.outcome = HdfsOutcome::done;
  if (as.group.empty()) return done;
  return ask(
      {"PUT", path, "SETOWNER", parameters_of(as, {{"group", as.group}}), HdfsExpects::nothing});
}

HdfsAnswer HdfsClient::may_write(const std::string& directory, const HdfsRights& as) {
  return ask({"GET", directory, "CHECKACCESS", parameters_of(as, {{"fsaction", "-wx"}}),
              HdfsExpects::nothing});
}

HdfsAnswer HdfsClient::checksum(const std::string& path, const HdfsRights& as) {
  const Operation operation = {"GET", path, "GETFILECHECKSUM", parameters_of(as),
                               HdfsExpects::checksum};
  HdfsAnswer answer = ask(operation);
  if (answer.outcome != HdfsOutcome::redirect) return answer;
  return follow(operation, answer.location, nullptr, nullptr);
}

HdfsAnswer HdfsClient::quota(const std::string& directory, const HdfsRights& as) {
  return ask({"GET", directory, "GETQUOTAUSAGE", parameters_of(as), HdfsExpects::quota});
}

// What HttpFS takes for granted where nothing is said is not what a NameNode does.
HdfsAnswer HdfsClient::create(const std::string& path, const HttpBody& body, const HdfsRights& as) {
  Operation operation = {"PUT", path, "CREATE",
                         parameters_of(as, {{"overwrite", "false"}, {"permission", as.mode}}),
                         HdfsExpects::created};
  if (as.replication > 0)
    operation.parameters.emplace_back("replication", std::to_string(as.replication));
  const uint64_t chosen = settings_.writing.block_bytes;
  const bool whole = chosen == 0 && whole_block(body.length) > refused_block_;
  const HdfsParameters usual = operation.parameters;
  if (chosen > 0 || whole)
    operation.parameters.emplace_back("blocksize",
                                      std::to_string(whole ? whole_block(body.length) : chosen));
  HdfsAnswer answer = create_once(operation, body);
  if (!whole || answer.outcome == HdfsOutcome::done ||
      answer.text.find("min-block-size") == std::string::npos)
    return answer;
  refused_block_ = whole_block(body.length);  // before anything was made
  operation.parameters = usual;
  return create_once(operation, body);
}

HdfsAnswer HdfsClient::create_once(const Operation& operation, const HttpBody& body) {
  HdfsAnswer where = ask(operation);
  if (where.outcome == HdfsOutcome::redirect)
    return follow(operation, where.location, &body, nullptr);
  if (where.outcome != HdfsOutcome::done) return where;
  where.outcome = HdfsOutcome::unknown;  // nothing was sent yet: something else stands there
  where.text = "it took a file before that was sent";
  return where;
}

HdfsAnswer HdfsClient::open(const std::string& path, size_t most_bytes, std::string& content) {
  return read({"GET", path, "OPEN", {}, HdfsExpects::content, most_bytes}, content);
}

HdfsAnswer HdfsClient::open_at(const std::string& path, uint64_t offset, size_t n,
                               std::string& content) {
  HdfsParameters range = {{"offset", std::to_string(offset)}, {"length", std::to_string(n)}};
  return read({"GET", path, "OPEN", std::move(range), HdfsExpects::content,
               std::max(n, kMostHdfsAnswerBytes)},
              content);
}

HdfsAnswer HdfsClient::read(const Operation& operation, std::string& content) {
  HdfsAnswer answer = ask(operation, &content);
  if (answer.outcome != HdfsOutcome::redirect) return answer;
  return follow(operation, answer.location, nullptr, &content);
}

}  // namespace tailrace
