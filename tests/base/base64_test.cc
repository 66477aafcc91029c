#include "base/base64.h"

#include <boost/test/unit_test.hpp>

using namespace tailrace;

BOOST_AUTO_TEST_CASE(base64_as_rfc_4648_has_it) {
  const char* const vectors[][2] = {{"", ""},
                                    {"f", "Zg=="},
                                    {"fo", "Zm8="},
                                    {"foo", "Zm9v"},
                                    {"foob", "Zm9vYg=="},
                                    {"fooba", "Zm9vYmE="},
                                    {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) BOOST_TEST(base64(bytes) == text);
  BOOST_TEST(base64("\xfb\xff\xbf") == "+/+/");
}
