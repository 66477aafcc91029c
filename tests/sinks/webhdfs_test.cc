// What HDFS answers, as real servers did, and what is made of it; what is asked, as text.
#include "sinks/store/webhdfs.h"

#include <boost/test/unit_test.hpp>

using namespace tailrace;

namespace {

HttpReply json(int status, std::string body) {
  return HttpReply{status, "application/json;charset=utf-8", "", std::move(body)};
}
HttpReply raised(int status, const std::string& exception, const std::string& message) {
  return json(status, R"({"RemoteException":{"exception":")" + exception +
                          R"(","javaClassName":"org.apache.hadoop.)" + exception +
                          R"(","message":")" + message + R"("}})");
}
HdfsUrl server() { return *parse_hdfs_url("webhdfs://nn1:9870"); }

}  // namespace

BOOST_AUTO_TEST_SUITE(webhdfs)

BOOST_AUTO_TEST_CASE(addresses_are_read) {
  const auto url = parse_hdfs_url("webhdfs://alice@nn1.example.com:9871/logs/a/");
  BOOST_REQUIRE(url.ok());
  BOOST_TEST(url->host == "nn1.example.com");
  BOOST_TEST(url->port == 9871);
  BOOST_TEST(url->user == "alice");
  BOOST_TEST(url->path == "/logs/a");
  BOOST_TEST(!url->tls());
  BOOST_TEST(parse_hdfs_url("webhdfs://h")->port == 9870);
  BOOST_TEST(parse_hdfs_url("swebhdfs://h/")->port == 9871);
  BOOST_TEST(parse_hdfs_url("swebhdfs://h/")->tls());
  BOOST_TEST(parse_hdfs_url("httpfs://h/x")->port == 14000);
  BOOST_TEST(parse_hdfs_url("webhdfs://[::1]:50070/x")->host == "::1");
  BOOST_TEST(parse_hdfs_url("webhdfs://[::1]:50070/x")->server() == "webhdfs://[::1]:50070");
}

BOOST_AUTO_TEST_CASE(several_servers_of_one_hdfs) {
  const auto urls = parse_hdfs_urls("webhdfs://me@nn1:9870,nn2/logs");
  BOOST_REQUIRE(urls.ok());
  BOOST_REQUIRE(urls->size() == 2u);
  BOOST_TEST((*urls)[0].user == "me");
  BOOST_TEST((*urls)[1].server() == "webhdfs://nn2:9870");
  BOOST_TEST((*urls)[1].path == "/logs");
  BOOST_TEST(parse_hdfs_urls("webhdfs://nn1/logs")->size() == 1u);
  for (const char* text : {"webhdfs://nn1,/logs", "webhdfs://,nn1/logs", "nn1,nn2", ""})
    BOOST_TEST(!parse_hdfs_urls(text).ok(), text);
}

BOOST_AUTO_TEST_CASE(wrong_addresses_are_refused) {
  for (const char* text :
       {"hdfs://nn:8020/x", "webhdfs:///x", "webhdfs://h:0/", "webhdfs://h:65536/", "webhdfs://h:/",
        "webhdfs://h:98x/", "webhdfs://a:b@h/", "webhdfs://@h/", "webhdfs://h h/",
        "webhdfs://h/a//b", "webhdfs://h/a?x=1", "webhdfs://[::1/x", "webhdfs://[::1]9870/x", ""})
    BOOST_TEST(!parse_hdfs_url(text).ok(), text);
}

BOOST_AUTO_TEST_CASE(every_byte_of_a_name_is_safe_in_an_address) {
  BOOST_TEST(hdfs_address(server(), "bob", "/data/a +%?#&=;\xc3\xa9", "RENAME",
                          {{"destination", "/b/c &=+"}}) ==
             "http://nn1:9870/webhdfs/v1/data/a%20%2B%25%3F%23%26%3D%3B%C3%A9?op=RENAME"
             "&user.name=bob&destination=%2Fb%2Fc%20%26%3D%2B");
  BOOST_TEST(hdfs_address(*parse_hdfs_url("swebhdfs://h:1"), "", "/", "GETFILESTATUS") ==
             "https://h:1/webhdfs/v1/?op=GETFILESTATUS");
}

BOOST_AUTO_TEST_CASE(redirects_stay_where_they_belong) {
  BOOST_TEST(check_hdfs_redirect(server(),
                                 "http://dn1:9864/webhdfs/v1/data/a?op=CREATE&user.name=bob"
                                 "&namenoderpcaddress=nn1:8020&overwrite=false")
                 .ok());
  for (const char* location : {
           "https://dn1:9864/webhdfs/v1/a?op=OPEN",  // another scheme
           "file:///etc/passwd",
           "http://a@dn1/webhdfs/v1/a",
           "http:///webhdfs/v1/a",
           "http://dn1/elsewhere?op=OPEN",
           "http://dn1/webhdfs/v1",
           "http://dn1\\@evil/webhdfs/v1/a",
           "http://dn1/webhdfs/v1/a b",
           "http://dn1/webhdfs/v1/a\r\nX: y",
           "/webhdfs/v1/a",
       })
    BOOST_TEST(!check_hdfs_redirect(server(), location).ok(), location);
  BOOST_TEST(!check_hdfs_redirect(server(), "http://dn/webhdfs/v1/" + std::string(9000, 'a')).ok());
}

BOOST_AUTO_TEST_CASE(a_redirect_names_its_host) {
  BOOST_TEST(hdfs_redirect_host("http://dn1:9864/webhdfs/v1/a?op=OPEN") == "dn1:9864");
  BOOST_TEST(hdfs_redirect_host("https://[::1]:1/webhdfs/v1/a") == "[::1]:1");
}

BOOST_AUTO_TEST_CASE(the_name_of_an_exception_decides) {
  const struct {
    int status;
    const char* exception;
    HdfsOutcome outcome;
  } kCases[] = {
      {403, "FileAlreadyExistsException", HdfsOutcome::exists},
      {500, "FileAlreadyExistsException", HdfsOutcome::exists},  // HttpFS
      {403, "AlreadyBeingCreatedException", HdfsOutcome::exists},
      {403, "RecoveryInProgressException", HdfsOutcome::exists},
      {404, "FileNotFoundException", HdfsOutcome::absent},
      {403, "AccessControlException", HdfsOutcome::denied},
      {500, "AccessControlException", HdfsOutcome::denied},
      {403, "NSQuotaExceededException", HdfsOutcome::quota},
      {403, "DSQuotaExceededException", HdfsOutcome::quota},
      {403, "StandbyException", HdfsOutcome::standby},
      {403, "SafeModeException", HdfsOutcome::not_now},
      {403, "RetriableException", HdfsOutcome::not_now},
      {403, "PathIsNotEmptyDirectoryException", HdfsOutcome::refused},
      {400, "InvalidPathException", HdfsOutcome::refused},
      {400, "IllegalArgumentException", HdfsOutcome::refused},
      {403, "IOException", HdfsOutcome::unknown},
      {403, "EOFException", HdfsOutcome::unknown},
      {403, "ParentNotDirectoryException", HdfsOutcome::unknown},
      {500, "NullPointerException", HdfsOutcome::unknown},
  };
  for (const auto& c : kCases)
    for (const HdfsExpects expects :
         {HdfsExpects::truth, HdfsExpects::status, HdfsExpects::listing, HdfsExpects::content,
          HdfsExpects::created, HdfsExpects::nothing, HdfsExpects::checksum}) {
      const HdfsAnswer answer = understand_hdfs(expects, raised(c.status, c.exception, "m"));
      BOOST_TEST((answer.outcome == c.outcome), c.exception);
      BOOST_TEST(answer.text == std::string(c.exception) + ": m");
    }
}

// What a DataNode says that cannot find out where the NameNode is: another one may do better.
BOOST_AUTO_TEST_CASE(a_name_that_a_datanode_does_not_know_is_no_fault_of_ours) {
  const HdfsAnswer answer = understand_hdfs(
      HdfsExpects::created,
      raised(400, "IllegalArgumentException", "java.net.UnknownHostException: nn1.example.com"));
  BOOST_TEST((answer.outcome == HdfsOutcome::unknown));
  BOOST_TEST((hdfs_error(answer, "writing /a").kind == Error::Kind::retry_later));
}

BOOST_AUTO_TEST_CASE(a_stack_is_not_told_to_people) {
  const HdfsAnswer answer = understand_hdfs(
      HdfsExpects::created, raised(403, "FileAlreadyExistsException",
                                   R"(/a already exists\n\tat org.apache.hadoop.hdfs)"));
  BOOST_TEST(answer.text == "FileAlreadyExistsException: /a already exists");
}

BOOST_AUTO_TEST_CASE(a_checksum_comes_after_a_redirect_or_at_once) {
  HttpReply there = json(307, "");
  there.location = "http://dn1:9864/webhdfs/v1/a?op=GETFILECHECKSUM";
  const HdfsAnswer led = understand_hdfs(HdfsExpects::checksum, there);
  BOOST_TEST((led.outcome == HdfsOutcome::redirect));
  BOOST_TEST(led.location == there.location);
  const HdfsAnswer told = understand_hdfs(
      HdfsExpects::checksum,
      json(200,
           R"({"FileChecksum":{"algorithm":"COMPOSITE-CRC32C","bytes":"475a37c4","length":4}})"));
  BOOST_REQUIRE((told.outcome == HdfsOutcome::done));
  BOOST_TEST(told.checksum->algorithm == "COMPOSITE-CRC32C");
  BOOST_TEST(told.checksum->bytes == "475a37c4");
  for (const char* body : {"", "{}", R"({"FileChecksum":null})", R"({"FileChecksum":{}})",
                           R"({"FileChecksum":{"algorithm":"COMPOSITE-CRC32C"}})",
                           R"({"algorithm":"COMPOSITE-CRC32C","bytes":"475a37c4"})"})
    BOOST_TEST(
        (understand_hdfs(HdfsExpects::checksum, json(200, body)).outcome == HdfsOutcome::unknown),
        body);
}

BOOST_AUTO_TEST_CASE(a_truth_must_be_there) {
  const auto of = [](const char* body) {
    return understand_hdfs(HdfsExpects::truth, json(200, body));
  };
  BOOST_TEST((of(R"({"boolean":true})").outcome == HdfsOutcome::done));
  BOOST_TEST(of(R"({"boolean":true})").yes);
  BOOST_TEST((of(R"({"boolean":false})").outcome == HdfsOutcome::done));
  BOOST_TEST(!of(R"({"boolean":false})").yes);
  for (const char* body : {"", "{}", "true", R"({"boolean":"true"})", R"({"a":{"boolean":true}})",
                           R"([{"boolean":true}])", R"({"boolean":true)", "{\"boolean\":true}x"})
    BOOST_TEST((of(body).outcome == HdfsOutcome::unknown), body);
  BOOST_TEST((understand_hdfs(HdfsExpects::truth, json(404, R"({"boolean":true})")).outcome ==
              HdfsOutcome::unknown));
}

BOOST_AUTO_TEST_CASE(a_status_is_read) {
  const HdfsAnswer answer = understand_hdfs(
      HdfsExpects::status,
      json(200, R"({"FileStatus":{"accessTime":1,"blockSize":134217728,"childrenNum":0,)"
                R"("fileId":16389,"group":"bob","length":3145728,"modificationTime":2,)"
                R"("owner":"bob","pathSuffix":"","permission":"644","replication":1,)"
                R"("storagePolicy":0,"type":"FILE"}})"));
  BOOST_TEST((answer.outcome == HdfsOutcome::done));
  BOOST_REQUIRE(answer.entries.size() == 1u);
  BOOST_TEST((answer.entries[0] == HdfsEntry{"", false, 3145728, 16389}));
  for (const char* body : {R"({"FileStatus":{"type":"SYMLINK"}})", R"({"FileStatus":[]})", "{}"})
    BOOST_TEST(
        (understand_hdfs(HdfsExpects::status, json(200, body)).outcome == HdfsOutcome::unknown),
        body);
}

BOOST_AUTO_TEST_CASE(a_listing_is_read_page_by_page) {
  const auto of = [](const std::string& inside, const char* more) {
    return understand_hdfs(HdfsExpects::listing,
                           json(200, R"({"DirectoryListing":{"partialListing":{"FileStatuses":)"
                                     R"({"FileStatus":[)" +
                                         inside + R"(]}},"remainingEntries":)" + more + "}}"));
  };
  const HdfsAnswer answer = of(
      R"({"pathSuffix":"a","type":"FILE","length":3},{"pathSuffix":"b","type":"DIRECTORY"})", "7");
  BOOST_TEST((answer.outcome == HdfsOutcome::done));
  BOOST_TEST(answer.more == 7u);
  BOOST_REQUIRE(answer.entries.size() == 2u);
  BOOST_TEST(answer.entries[0].name == "a");
  BOOST_TEST(answer.entries[1].directory);
  BOOST_TEST((of("", "0").outcome == HdfsOutcome::done));
  BOOST_TEST((of("", "5").outcome == HdfsOutcome::unknown));  // it would never end
  // A name that would lead elsewhere.
  for (const char* name : {"..", ".", "a/b", ""})
    BOOST_TEST((of(R"({"pathSuffix":")" + std::string(name) +
                       R"(","type":"FILE"},{"pathSuffix":"z","type":"FILE"})",
                   "0")
                    .outcome == HdfsOutcome::unknown),
               name);
}

BOOST_AUTO_TEST_CASE(creating_is_told_where_and_then_that_it_is_done) {
  HttpReply reply{307, "application/octet-stream", "http://dn:9864/webhdfs/v1/a?op=CREATE", ""};
  const HdfsAnswer where = understand_hdfs(HdfsExpects::created, reply);
  BOOST_TEST((where.outcome == HdfsOutcome::redirect));
  BOOST_TEST(where.location == reply.location);
  BOOST_TEST(
      (understand_hdfs(HdfsExpects::created, {201, "", "", ""}).outcome == HdfsOutcome::done));
  // HttpFS says where it lies.
  BOOST_TEST(
      (understand_hdfs(HdfsExpects::created, json(201, R"({"Location":"hdfs://x"})")).outcome ==
       HdfsOutcome::done));
  BOOST_TEST(
      (understand_hdfs(HdfsExpects::created, {200, "", "", ""}).outcome == HdfsOutcome::unknown));
  BOOST_TEST(
      (understand_hdfs(HdfsExpects::created, {307, "", "", ""}).outcome == HdfsOutcome::unknown));
  // Nothing else may send us elsewhere.
  BOOST_TEST((understand_hdfs(HdfsExpects::truth, reply).outcome == HdfsOutcome::unknown));
}

BOOST_AUTO_TEST_CASE(content_is_bytes_and_no_page) {
  BOOST_TEST(
      (understand_hdfs(HdfsExpects::content, {200, "application/octet-stream", "", "{"}).outcome ==
       HdfsOutcome::done));
  BOOST_TEST((understand_hdfs(HdfsExpects::content, {200, "text/html", "", "<html>"}).outcome ==
              HdfsOutcome::unknown));
}

BOOST_AUTO_TEST_CASE(what_is_not_of_hdfs_is_recognised_and_said) {
  const auto said = [](HttpReply reply) {
    const HdfsAnswer answer = understand_hdfs(HdfsExpects::status, reply);
    BOOST_TEST((answer.outcome != HdfsOutcome::done));
    BOOST_TEST((answer.outcome != HdfsOutcome::absent));
    return answer.text;
  };
  BOOST_TEST(said({200, "text/html", "", "<html>Log in</html>"}).find("login page") !=
             std::string::npos);
  BOOST_TEST(said({404, "text/html", "", "<html>Jetty</html>"}).find("HTTP port") !=
             std::string::npos);
  BOOST_TEST(said({401, "text/html", "", "<html>"}).find("Kerberos") != std::string::npos);
  BOOST_TEST(said({502, "text/html", "", "<html>"}).find("502") != std::string::npos);
  // Deep nesting and other bytes end in the same words.
  BOOST_TEST(!said(json(200, std::string(1'000'000, '['))).empty());
  BOOST_TEST(!said(json(200, std::string("\0\xff", 2))).empty());
}

BOOST_AUTO_TEST_CASE(who_does_not_know_us_is_said_with_what_to_do) {
  const auto said = [](HttpReply reply) {
    const HdfsAnswer answer = understand_hdfs(HdfsExpects::status, reply);
    BOOST_TEST((answer.outcome == HdfsOutcome::stranger));
    return answer.text;
  };
  HttpReply reply{401, "text/html", "", "<html>Authentication required</html>"};
  reply.challenge = "Negotiate";
  BOOST_TEST(said(reply) ==
             "it asks who we are (401): it wants Kerberos, by `kerberos: {principal: ..., keytab: "
             "...}`");
  reply.proven = true;
  BOOST_TEST(said(reply).find("does not take our ticket") != std::string::npos);
  reply.challenge = "Basic realm=x";
  BOOST_TEST(said(reply).find("wants 'Basic'") != std::string::npos);
  reply = {403, "text/html", "",
           "<p>GSSException: Failure unspecified at GSS-API level (Mechanism level: Clock skew too "
           "great (37))</p>"};
  BOOST_TEST(said(reply) ==
             "it asks who we are (403): GSSException: Failure unspecified at GSS-API level "
             "(Mechanism level: Clock skew too great (37))");
}

BOOST_AUTO_TEST_CASE(what_proves_who_we_are_is_told_to_nobody) {
  const HdfsAnswer answer = understand_hdfs(
      HdfsExpects::status,
      raised(403, "InvalidToken", "at /a?op=OPEN&delegation=HAAA_x-1&signature=ab, token=cd"));
  BOOST_TEST(answer.text == "InvalidToken: at /a?op=OPEN&delegation=...&signature=... token=...");
  const auto refused =
      check_hdfs_redirect(server(), "https://dn1:9864/webhdfs/v1/a?op=OPEN&delegation=HAAA");
  BOOST_REQUIRE(!refused.ok());
  BOOST_TEST(refused.error().text.find("HAAA") == std::string::npos, refused.error().text);
}

BOOST_AUTO_TEST_CASE(an_error_says_whether_to_try_again) {
  HdfsAnswer answer = understand_hdfs(
      HdfsExpects::truth, raised(403, "AccessControlException", "Permission denied: user=carol"));
  BOOST_TEST((hdfs_error(answer, "renaming /a").kind == Error::Kind::retry_later));
  BOOST_TEST(hdfs_error(answer, "renaming /a").text ==
             "renaming /a: AccessControlException: Permission denied: user=carol");
  answer = understand_hdfs(HdfsExpects::truth, raised(400, "InvalidPathException", "a:b"));
  BOOST_TEST((hdfs_error(answer, "renaming /a").kind == Error::Kind::rejected));
}

BOOST_AUTO_TEST_SUITE_END()
