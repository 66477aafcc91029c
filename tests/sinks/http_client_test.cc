// The HTTP client against servers that say what they like.
#include "sinks/store/http_client.h"

#include <boost/test/unit_test.hpp>
#include <cstring>

#include "tests/sinks/canned_server.h"

using namespace tailrace;
using namespace tailrace::testing;

namespace {

HttpCall get(const CannedServer& server) {
  HttpCall call;
  call.method = "GET";
  call.address = server.address();
  call.timeout_ms = 10'000;
  return call;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(http_client)

BOOST_AUTO_TEST_CASE(an_answer_comes_as_it_was_said) {
  const CannedServer server(
      "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
  const auto reply = HttpClient().call(get(server));
  BOOST_REQUIRE(reply.ok());
  BOOST_TEST(reply->status == 403);
  BOOST_TEST(reply->type == "application/json");
  BOOST_TEST(reply->body == "{}");
  BOOST_TEST(reply->location.empty());
}

BOOST_AUTO_TEST_CASE(a_redirect_is_told_and_not_followed) {
  const CannedServer server(
      "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/webhdfs/v1/a?op=CREATE\r\n"
      "Content-Length: 0\r\n\r\n");
  const auto reply = HttpClient().call(get(server));
  BOOST_REQUIRE(reply.ok());
  BOOST_TEST(reply->status == 307);
  BOOST_TEST(reply->location == "http://127.0.0.1:1/webhdfs/v1/a?op=CREATE");
}

BOOST_AUTO_TEST_CASE(the_cookie_of_hadoop_and_what_it_asks_for_are_told) {
  const CannedServer server(
      "HTTP/1.1 401 Unauthorized\r\nset-cookie: other=1\r\nSet-Cookie: hadoop.auth=\"u=a&s=b\"; "
      "Path=/; HttpOnly\r\nwww-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n");
  HttpCall call = get(server);
  call.header = "Cookie: hadoop.auth=\"x\"";
  const auto reply = HttpClient().call(call);
  BOOST_REQUIRE(reply.ok());
  BOOST_TEST(reply->cookie == "hadoop.auth=\"u=a&s=b\"");
  BOOST_TEST(reply->challenge == "Negotiate");
  BOOST_TEST(server.heard().find("\r\nCookie: hadoop.auth=\"x\"\r\n") != std::string::npos);
}

// A DataNode says 100 Continue unasked, and closes.
BOOST_AUTO_TEST_CASE(a_body_is_sent_whole_and_of_known_length) {
  const CannedServer server(
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nconnection: close\r\n"
      "content-length: 0\r\n\r\n");
  const std::string bytes(300'000, 'x');
  const HttpBody body = {bytes.size(),
                         [&](uint64_t offset, char* into, size_t n) -> Result<size_t> {
                           std::memcpy(into, bytes.data() + offset, n);
                           return n;
                         }};
  HttpCall call = get(server);
  call.method = "PUT";
  call.body = &body;
  const auto reply = HttpClient().call(call);
  BOOST_REQUIRE(reply.ok());
  BOOST_TEST(reply->status == 201);
  BOOST_TEST(server.heard().starts_with("PUT /webhdfs/v1/a?"));
  BOOST_TEST(server.heard().find("Content-Length: 300000\r\n") != std::string::npos);
  BOOST_TEST(server.heard().find("Expect") == std::string::npos);
  BOOST_TEST(server.heard().ends_with("\r\n\r\n" + bytes));
}

BOOST_AUTO_TEST_CASE(a_put_of_nothing_says_so) {
  const CannedServer server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  HttpCall call = get(server);
  call.method = "PUT";
  BOOST_REQUIRE(HttpClient().call(call).ok());
  BOOST_TEST(server.heard().find("Content-Length: 0\r\n") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(what_never_ends_is_ended) {
  const std::string part(1 << 20, 'a');
  const CannedServer body("HTTP/1.1 200 OK\r\n\r\n" + part, 100);
  const auto endless = HttpClient().call(get(body));
  BOOST_REQUIRE(!endless.ok());
  BOOST_TEST((endless.error().kind == Error::Kind::retry_later));
  BOOST_TEST(endless.error().text.find("more than 8.0 MiB") != std::string::npos,
             endless.error().text);
  const CannedServer headers("X: " + std::string(1000, 'b') + "\r\n", 1000);
  BOOST_TEST(!HttpClient().call(get(headers)).ok());
  const CannedServer many("HTTP/1.1 200 OK\r\nX: " + std::string(1000, 'b') + "\r\n", 200);
  BOOST_TEST(!HttpClient().call(get(many)).ok());
}

BOOST_AUTO_TEST_CASE(an_answer_that_is_cut_is_none) {
  const CannedServer server("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345");
  const auto reply = HttpClient().call(get(server));
  BOOST_REQUIRE(!reply.ok());
  BOOST_TEST((reply.error().kind == Error::Kind::retry_later));
}

BOOST_AUTO_TEST_CASE(an_error_names_the_server_and_no_secret) {
  std::string address;
  {
    const CannedServer server("");
    address = server.address();
    const auto empty = HttpClient().call(get(server));
    BOOST_REQUIRE(!empty.ok());
    BOOST_TEST(empty.error().text.find("secret") == std::string::npos);
  }
  HttpCall call;
  call.method = "GET";
  call.address = address;
  const auto refused = HttpClient().call(call);  // nobody listens there any more
  BOOST_REQUIRE(!refused.ok());
  BOOST_TEST((refused.error().kind == Error::Kind::retry_later));
  BOOST_TEST(refused.error().text.find("127.0.0.1:") != std::string::npos);
  BOOST_TEST(refused.error().text.find("secret") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(only_http_is_spoken) {
  HttpCall call;
  call.method = "GET";
  call.address = "file:///etc/hostname";
  BOOST_TEST(!HttpClient().call(call).ok());
}

BOOST_AUTO_TEST_SUITE_END()
