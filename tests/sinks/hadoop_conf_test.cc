// What Hadoop's own settings say of where HDFS is.
#include "sinks/store/hadoop_conf.h"

#include <boost/test/unit_test.hpp>

using namespace tailrace;

namespace {

std::string xml(const std::vector<std::pair<std::string, std::string>>& properties) {
  std::string out = "<?xml version=\"1.0\"?>\n<configuration>\n";
  for (const auto& [name, value] : properties)
    out += "<property><name>" + name + "</name><value>" + value + "</value></property>\n";
  return out + "</configuration>\n";
}

std::string servers(const std::vector<std::pair<std::string, std::string>>& properties,
                    const std::string& nameservice = "") {
  HadoopConf conf;
  const auto added = conf.add("core-site.xml", xml(properties));
  if (!added) return added.error().text;
  const auto urls = namenodes_in(conf, nameservice);
  if (!urls) return "error: " + urls.error().text;
  std::string out;
  for (const HdfsUrl& url : *urls) out += (out.empty() ? "" : " ") + url.server();
  return out;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(hadoop_conf)

BOOST_AUTO_TEST_CASE(properties_are_read_as_hadoop_does) {
  HadoopConf conf;
  BOOST_REQUIRE(
      conf.add("core-site.xml",
               "<configuration><!-- a comment -->\n"
               "<property>\n<name> a </name>\n<value>1 &amp; <![CDATA[<2>]]></value>"
               "<description>of a</description></property>"
               "<property><name>fixed</name><value>x</value><final>true</final></property>"
               "<property><name>c</name><value>${a}/${b}/${c}/${none}</value></property>"
               "</configuration>")
          .ok());
  BOOST_REQUIRE(conf.add("hdfs-site.xml", xml({{"fixed", "y"}, {"b", "${a}"}})).ok());
  BOOST_TEST(conf.value("a") == "1 & <2>");
  BOOST_TEST(conf.place("a") == "core-site.xml:2");
  BOOST_TEST(conf.value("fixed") == "x");
  BOOST_TEST(conf.value("b") == "1 & <2>");
  BOOST_TEST(conf.value("c").starts_with("1 & <2>/1 & <2>/1 & <2>/"));  // and an end to itself
  BOOST_TEST(conf.value("none").empty());
}

BOOST_AUTO_TEST_CASE(a_file_that_is_none_is_told_with_its_line) {
  const auto said = [](std::string_view text) {
    const auto added = HadoopConf().add("a.xml", text);
    return added ? std::string("taken") : added.error().text;
  };
  BOOST_TEST(said("<configuration>\n<property>\n</configuration>") == "a.xml:3: mismatched tag");
  BOOST_TEST(said("<html/>") == "a.xml:1: expected <configuration>, found <html>");
  BOOST_TEST(said("").starts_with("a.xml:1: no element found"));
  BOOST_TEST(said("<!DOCTYPE x [<!ENTITY a \"b\">]>\n<configuration/>") ==
             "a.xml:1: a DOCTYPE is not read");
  BOOST_TEST(said("<configuration>\n<xi:include href=\"b.xml\"/></configuration>") ==
             "a.xml:2: <xi:include> is not followed");
  std::string deep = "<configuration>";
  for (int i = 0; i < 20; ++i) deep += "<a>";
  BOOST_TEST(said(deep) == "a.xml:1: elements within elements within elements");
}

BOOST_AUTO_TEST_CASE(namenodes_of_a_nameservice) {
  const std::vector<std::pair<std::string, std::string>> ha = {
      {"fs.defaultFS", "hdfs://main/"},
      {"dfs.nameservices", "main, other"},
      {"dfs.ha.namenodes.main", "nn1,nn2"},
      {"dfs.namenode.http-address.main.nn1", "a.example.com:9870"},
      {"dfs.namenode.http-address.main.nn2", "0.0.0.0:50070"},
      {"dfs.namenode.rpc-address.main.nn2", "b.example.com:8020"},
      {"dfs.namenode.http-address.other", "c.example.com"}};
  BOOST_TEST(servers(ha) == "webhdfs://a.example.com:9870 webhdfs://b.example.com:50070");
  BOOST_TEST(servers(ha, "other") == "webhdfs://c.example.com:9870");
  BOOST_TEST(servers(ha, "none") ==
             "error: no nameservice 'none' in dfs.nameservices ('main, other')");
  auto encrypted = ha;
  encrypted.emplace_back("dfs.http.policy", "HTTPS_ONLY");
  encrypted.emplace_back("dfs.namenode.https-address.main.nn1", "a.example.com:9443");
  BOOST_TEST(servers(encrypted, "main") ==
             "swebhdfs://a.example.com:9443 swebhdfs://b.example.com:9871");
  encrypted.pop_back();
  BOOST_TEST(servers(encrypted) ==
             "error: neither dfs.namenode.https-address.main.nn1 nor "
             "dfs.namenode.rpc-address.main.nn1 is set");
}

BOOST_AUTO_TEST_CASE(one_namenode) {
  BOOST_TEST(servers({{"fs.defaultFS", "hdfs://nn:8020"}}) == "webhdfs://nn:9870");
  BOOST_TEST(servers({{"fs.defaultFS", "hdfs://nn:8020"},
                      {"dfs.namenode.http-address", "web.example.com:19870"}}) ==
             "webhdfs://web.example.com:19870");
  BOOST_TEST(servers({{"fs.defaultFS", "s3a://bucket"}}) ==
             "error: core-site.xml:3: fs.defaultFS 's3a://bucket' is no hdfs://");
  BOOST_TEST(servers({}) == "error: fs.defaultFS is not set: name a `nameservice`");
  BOOST_TEST(servers({{"fs.defaultFS", "hdfs://nn"}, {"dfs.namenode.http-address", "x:y"}})
                 .starts_with("error: core-site.xml:4: dfs.namenode.http-address"));
}

BOOST_AUTO_TEST_SUITE_END()
