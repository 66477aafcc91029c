#include "base/newlines.h"

#include <boost/test/unit_test.hpp>
#include <string>

namespace tailrace {

BOOST_AUTO_TEST_SUITE(newlines)

BOOST_AUTO_TEST_CASE(counts) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += i % 7 == 0 ? '\n' : static_cast<char>(i);
  for (const size_t from : {0u, 1u, 31u})
    for (const size_t n : {0u, 1u, 31u, 32u, 33u, 8191u, 99'000u}) {
      const std::string_view part = std::string_view(text).substr(from, n);
      BOOST_TEST(count_newlines(part) == count_newlines_portable(part));
    }
  const std::string empties(1u << 20, '\n');
  BOOST_TEST(count_newlines(empties) == empties.size());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tailrace
