// The little of HTTP/1.1 that an admin port needs: GET, HEAD and POST of fixed paths. A pure parser
// and a writer; RFC 9112 is where the grammar comes from. Thread: any.
#pragma once

#include <string>
#include <string_view>

namespace tailrace {

inline constexpr size_t kMostRequestBytes = 8u << 10;  // request line and headers

struct HttpRequest {
  enum class Outcome {
    incomplete,  // read on
    whole,
    bad,  // answer `status` and close
  };
  Outcome outcome = Outcome::incomplete;
  int status = 0;
  std::string why;  // of a bad one, for the answer
  bool head = false;
  bool post = false;  // a command; its body is not read
  std::string path;   // "/metrics", without the query
  std::string query;  // behind the '?', undecoded
};

// `bytes`: all that has come so far.
[[nodiscard]] HttpRequest parse_http_request(std::string_view bytes);

struct HttpAnswer {
  int status = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body;
};
// The bytes to send; the connection is closed after them.
[[nodiscard]] std::string write_http_answer(const HttpAnswer& answer, bool head);

}  // namespace tailrace
