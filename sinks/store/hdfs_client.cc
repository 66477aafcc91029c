#include "sinks/store/hdfs_client.h"

#include <algorithm>

namespace tailrace {

namespace {

constexpr int64_t kCallMs =
    10'000;  // a NameNode that is silent for so long is asked no more: another may be active
constexpr int64_t kReadMs = 300'000;  // of a record, which may be a long log's manifest

// Which of two failures tells more of what is wrong.
int weight(HdfsOutcome outcome) {
  if (outcome == HdfsOutcome::not_now) return 3;
  return outcome == HdfsOutcome::standby ? 1 : 2;
}

HdfsAnswer not_answered(const Error& error) {
  HdfsAnswer answer;
  answer.text = error.text;
  return answer;
}

}  // namespace

// At the NameNode that answered last; at the others too, where that one cannot say.
HdfsAnswer HdfsClient::ask(const Operation& operation, std::string* content) {
  HdfsAnswer worst;
  const size_t first = current_, all = settings_.servers.size();
  for (size_t tried = 0; tried < all; ++tried) {
    const size_t at = (first + tried) % all;
    const HdfsUrl& server = settings_.servers[at];
    HttpCall call;
    call.method = operation.method;
    call.address =
        hdfs_address(server, settings_.user, operation.path, operation.op, operation.parameters);
    call.most_bytes = operation.most_bytes;
    call.timeout_ms = kCallMs;
    auto reply = http_.call(call);
    HdfsAnswer answer =
        reply ? understand_hdfs(operation.expects, *reply) : not_answered(reply.error());
    const bool elsewhere =
        !reply || answer.outcome == HdfsOutcome::standby || answer.outcome == HdfsOutcome::not_now;
    if (!elsewhere) {
      current_ = at;
      if (answer.outcome == HdfsOutcome::redirect) {
        if (auto may = check_hdfs_redirect(server, answer.location); !may) {
          answer = not_answered(may.error());
        }
      }
      if (!answer.text.empty()) answer.text = server.server() + ": " + answer.text;
      answer.server_s = reply->server_s;
      if (content) *content = std::move(reply->body);
      return answer;
    }
    if (reply) answer.text = server.server() + ": " + answer.text;
    if (tried == 0 || weight(answer.outcome) > weight(worst.outcome)) worst = std::move(answer);
  }
  return worst;
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
  auto reply = http_.call(call);
  if (!reply) return not_answered(reply.error());
  HdfsAnswer answer = understand_hdfs(operation.expects, *reply);
  if (answer.outcome == HdfsOutcome::redirect) {
    answer = {};
    answer.text = "sent from one server to the next";
  }
  if (content) *content = std::move(reply->body);
  return answer;
}

HdfsAnswer HdfsClient::status(const std::string& path) {
  return ask({"GET", path, "GETFILESTATUS", {}, HdfsExpects::status});
}

HdfsAnswer HdfsClient::list(const std::string& directory, const std::string& after) {
  HdfsParameters parameters;
  if (!after.empty()) parameters.emplace_back("startAfter", after);
  return ask({"GET", directory, "LISTSTATUS_BATCH", std::move(parameters), HdfsExpects::listing});
}

HdfsAnswer HdfsClient::rename(const std::string& from, const std::string& to) {
  return ask({"PUT", from, "RENAME", {{"destination", to}}, HdfsExpects::truth});
}

HdfsAnswer HdfsClient::make_directory(const std::string& path) {
  return ask({"PUT", path, "MKDIRS", {{"permission", "755"}}, HdfsExpects::truth});
}

HdfsAnswer HdfsClient::remove(const std::string& path) {
  return ask({"DELETE", path, "DELETE", {{"recursive", "false"}}, HdfsExpects::truth});
}

HdfsAnswer HdfsClient::touch(const std::string& path) {
  return ask({"PUT", path, "SETTIMES", {}, HdfsExpects::nothing});
}

HdfsAnswer HdfsClient::may_write(const std::string& directory) {
  return ask({"GET", directory, "CHECKACCESS", {{"fsaction", "-wx"}}, HdfsExpects::nothing});
}

HdfsAnswer HdfsClient::quota(const std::string& directory) {
  return ask({"GET", directory, "GETQUOTAUSAGE", {}, HdfsExpects::quota});
}

// What HttpFS takes for granted where nothing is said is not what a NameNode does.
HdfsAnswer HdfsClient::create(const std::string& path, const HttpBody& body) {
  const Operation operation = {
      "PUT", path, "CREATE", {{"overwrite", "false"}, {"permission", "644"}}, HdfsExpects::created};
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
