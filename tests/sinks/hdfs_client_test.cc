// Calls to a HDFS of two servers, of which one says what it likes.
#include "sinks/store/hdfs_client.h"

#include <boost/test/unit_test.hpp>

#include "tests/sinks/canned_server.h"

using namespace tailrace;
using namespace tailrace::testing;

namespace {

std::string answer(int status, const std::string& type, const std::string& body) {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Type: " + type +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}
std::string raised(int status, const std::string& exception, const std::string& message) {
  return answer(
      status, "application/json",
      R"({"RemoteException":{"exception":")" + exception + R"(","message":")" + message + R"("}})");
}
std::string serves() {
  return answer(200, "application/json",
                R"({"FileStatus":{"type":"FILE","length":5,"fileId":7,"pathSuffix":""}})");
}
HdfsClient client_of(const std::vector<const CannedServer*>& servers) {
  HdfsSettings settings;
  for (const CannedServer* server : servers)
    settings.servers.push_back({"webhdfs", "127.0.0.1", server->port(), "", ""});
  settings.user = "tailrace";
  return HdfsClient(settings);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(hdfs_client)

BOOST_AUTO_TEST_CASE(a_server_that_cannot_say_keeps_nobody_from_the_other_one) {
  for (const std::string& said :
       {raised(403, "StandbyException", "m"), raised(403, "SafeModeException", "m"),
        // HttpFS whose NameNode is out of its reach, or to which it has no ticket.
        raised(500, "ConnectException", "Call From a to nn1:8020 failed"),
        raised(500, "IOException", "Client cannot authenticate via:[TOKEN, KERBEROS]"),
        // Another program at its port, one that does not know us any more, a proxy's page.
        answer(404, "text/html", "<html>Not found</html>"),
        answer(401, "text/html", "<html>Authentication required</html>"),
        answer(502, "text/html", "<html>Bad gateway</html>"),
        answer(200, "text/html", "<html>Log in</html>"), std::string()}) {
    const CannedServer first(said), second(serves());
    HdfsClient client = client_of({&first, &second});
    for (int call = 0; call < 2; ++call)
      BOOST_TEST((client.status("/a").outcome == HdfsOutcome::done), said);
    BOOST_TEST(first.calls() == 1u);  // it is asked no more
  }
}

BOOST_AUTO_TEST_CASE(what_hdfs_has_decided_is_asked_of_nobody_else) {
  for (const char* exception : {"AccessControlException", "NSQuotaExceededException",
                                "FileNotFoundException", "IllegalArgumentException"}) {
    const CannedServer first(raised(403, exception, "m")), second(serves());
    HdfsClient client = client_of({&first, &second});
    BOOST_TEST((client.status("/a").outcome != HdfsOutcome::done), exception);
    BOOST_TEST(second.calls() == 0u);
  }
}

BOOST_AUTO_TEST_CASE(of_several_that_cannot_say_the_one_is_told_that_says_most) {
  const CannedServer standby(raised(403, "StandbyException", "m"));
  const CannedServer silent("");
  const CannedServer trouble(raised(403, "IOException", "Failed to find datanode"));
  const CannedServer safe(raised(403, "SafeModeException", "m"));
  const std::vector<const CannedServer*> servers = {&standby, &silent, &trouble, &safe};
  for (size_t more = 1; more < servers.size(); ++more)
    for (const auto& both : {std::vector{servers[more - 1], servers[more]},
                             std::vector{servers[more], servers[more - 1]}}) {
      const HdfsAnswer told = client_of(both).status("/a");
      BOOST_TEST((told.outcome != HdfsOutcome::done));
      BOOST_TEST(told.text.find(std::to_string(servers[more]->port())) != std::string::npos,
                 told.text);
    }
}

BOOST_AUTO_TEST_SUITE_END()
