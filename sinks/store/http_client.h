// HTTP to servers that are waited for, by libcurl, which is included from http_client.cc alone. No
// proxy of the environment, no redirect followed by itself, no answer without a bound; connections
// are kept and used again. Thread: a worker, one call at a time per object; every call blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "sinks/store/webhdfs.h"

namespace tailrace {

// What is sent: `length` bytes, read where they lie.
struct HttpBody {
  uint64_t length = 0;
  // Up to n bytes at `offset`; fewer than asked for only at the end.
  std::function<Result<size_t>(uint64_t offset, char* into, size_t n)> read;
};

struct HttpCall {
  std::string method;  // GET, PUT, DELETE
  std::string address;
  const HttpBody* body = nullptr;  // of a PUT; null: an empty one
  std::string header;              // one more, such as "Cookie: ..."; it is never shown
  size_t most_bytes = kMostHdfsAnswerBytes;
  int64_t timeout_ms = 0;  // for all of it; 0: none but that something moves
};

class HttpClient {
 public:
  // `ca_file`: the authorities (PEM) that are believed over TLS; empty: the system's.
  explicit HttpClient(std::string ca_file = {});
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // retry_later: whether it was done is not known. The text names the server, never the query.
  [[nodiscard]] Result<HttpReply> call(const HttpCall& call);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tailrace
