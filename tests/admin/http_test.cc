#include "admin/http.h"

#include <boost/test/unit_test.hpp>

#include "admin/metrics.h"

namespace tailrace {

BOOST_AUTO_TEST_SUITE(admin)

BOOST_AUTO_TEST_CASE(a_request_in_pieces) {
  const std::string whole = "GET /metrics?a=b HTTP/1.1\r\nHost: x\r\n\r\n";
  for (size_t n = 0; n < whole.size(); ++n)
    BOOST_TEST_REQUIRE(
        (parse_http_request(whole.substr(0, n)).outcome == HttpRequest::Outcome::incomplete));
  const HttpRequest request = parse_http_request(whole);
  BOOST_TEST((request.outcome == HttpRequest::Outcome::whole));
  BOOST_TEST(request.path == "/metrics");
  BOOST_TEST(request.query == "a=b");
  BOOST_TEST(!request.head);
  BOOST_TEST(parse_http_request("HEAD / HTTP/1.0\r\n\r\n").head);
}

BOOST_AUTO_TEST_CASE(what_is_refused) {
  const std::pair<std::string, int> cases[] = {
      {"PUT /metrics HTTP/1.1\r\n\r\n", 405},
      {"POST /metrics HTTP/1.1\r\nHost: x\r\noRIGIN: http://evil\r\n\r\n", 403},
      {"GET /metrics HTTP/2.0\r\n\r\n", 505},
      {"GET /metrics\r\n\r\n", 400},
      {"GET metrics HTTP/1.1\r\n\r\n", 400},
      {"\x16\x03\x01", 400},
      {std::string(20, 'A'), 400},
      {"GET / HTTP/1.1\r\nX: " + std::string(9000, 'x'), 431},
      {"GET / HTTP/1.1\r\nX: " + std::string(9000, 'x') + "\r\n\r\n", 431},
  };
  for (const auto& [bytes, status] : cases) {
    const HttpRequest request = parse_http_request(bytes);
    BOOST_TEST((request.outcome == HttpRequest::Outcome::bad), bytes.substr(0, 40));
    BOOST_TEST(request.status == status, bytes.substr(0, 40));
  }
}

BOOST_AUTO_TEST_CASE(an_answer) {
  const std::string out = write_http_answer({404, "text/plain", "no\n"}, false);
  BOOST_TEST(out.starts_with("HTTP/1.1 404 Not Found\r\n"));
  BOOST_TEST(
      out.ends_with("Content-Length: 3\r\nCache-Control: no-store\r\n"
                    "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\nno\n"));
  BOOST_TEST(write_http_answer({200, "text/plain", "no\n"}, true).ends_with("\r\n\r\n"));
}

BOOST_AUTO_TEST_CASE(metrics_as_text) {
  constexpr Metric kTable[] = {
      {"a_total", Metric::Type::counter, "", "how many"},
      {"b", Metric::Type::gauge, "category|reason", "what"},
      {"c", Metric::Type::gauge, "", "never set"},
  };
  MetricValues values(kTable);
  values.set("b", 0.5, "web\"x|why");
  values.set("b", 2, "log|");
  values.set("a_total", 12345678901);
  BOOST_TEST(values.text() ==
             "# HELP a_total how many\n# TYPE a_total counter\na_total 12345678901\n"
             "# HELP b what\n# TYPE b gauge\nb{category=\"web\\\"x\",reason=\"why\"} 0.5\n"
             "b{category=\"log\",reason=\"\"} 2\n");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tailrace
