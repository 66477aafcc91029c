#include "admin/http.h"

#include <algorithm>
#include <cctype>

namespace tailrace {

namespace {
HttpRequest bad(int status, std::string why) {
  HttpRequest out;
  out.outcome = HttpRequest::Outcome::bad;
  out.status = status;
  out.why = std::move(why);
  return out;
}

std::string_view reason_of(int status) {
  switch (status) {
    case 200: return "OK";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 431: return "Request Header Fields Too Large";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    default: return "Bad Request";
  }
}

bool is_token(std::string_view word) {
  return !word.empty() && word.size() <= 16 &&
         std::all_of(word.begin(), word.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}
// `name` in lower case.
bool has_header(std::string_view head, std::string_view name) {
  for (size_t at = head.find("\r\n"); at != std::string_view::npos; at = head.find("\r\n", at)) {
    at += 2;
    const std::string_view said = head.substr(at, name.size());
    const bool same = std::equal(said.begin(), said.end(), name.begin(), name.end(),
                                 [](char a, char b) { return std::tolower(a) == b; });
    if (same && head.substr(at + said.size()).starts_with(':')) return true;
  }
  return false;
}
}  // namespace

HttpRequest parse_http_request(std::string_view bytes) {
  const size_t line_end = bytes.find("\r\n");
  const std::string_view line = bytes.substr(0, line_end);
  // Who speaks something else is told at once, not when 8 KiB have come.
  const std::string_view method = line.substr(0, line.find(' '));
  const bool maybe_method =
      std::all_of(method.begin(), method.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
  if (!bytes.empty() && (!maybe_method || method.size() > 16))
    return bad(400, "this port speaks HTTP/1.1");
  const size_t end = bytes.find("\r\n\r\n");
  if (std::min(end, bytes.size()) > kMostRequestBytes)
    return bad(431, "a request has 8 KiB of headers at most");
  if (end == std::string_view::npos) return {};
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last || !is_token(method))
    return bad(400, "no request line");
  const std::string_view version = line.substr(last + 1);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return bad(505, "HTTP/1.1 is spoken here");
  const bool post = method == "POST";
  if (method != "GET" && method != "HEAD" && !post)
    return bad(405, "only GET, HEAD and POST are answered here");
  // A page that a browser shows may send a POST to any port of its machine, and names itself.
  if (post && has_header(bytes.substr(0, end), "origin"))
    return bad(403, "a browser cannot give commands here");
  const std::string_view target = line.substr(first + 1, last - first - 1);
  if (!target.starts_with('/')) return bad(400, "the path must begin with '/'");
  HttpRequest out;
  out.outcome = HttpRequest::Outcome::whole;
  out.head = method == "HEAD";
  out.post = post;
  out.path = target.substr(0, target.find('?'));
  if (out.path.size() < target.size()) out.query = target.substr(out.path.size() + 1);
  return out;
}

std::string write_http_answer(const HttpAnswer& answer, bool head) {
  std::string out = "HTTP/1.1 " + std::to_string(answer.status) + " ";
  out += reason_of(answer.status);
  out += "\r\nContent-Type: " + answer.type +
         "\r\nContent-Length: " + std::to_string(answer.body.size()) +
         "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
         "Connection: close\r\n";
  if (answer.status == 405) out += "Allow: GET, HEAD, POST\r\n";
  out += "\r\n";
  if (!head) out += answer.body;
  return out;
}

}  // namespace tailrace
