// Result and Error: what a failure carries, and what errno becomes.
#include "base/result.h"

#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <memory>

using namespace tailrace;

BOOST_AUTO_TEST_SUITE(result)

BOOST_AUTO_TEST_CASE(holds_a_value_or_an_error) {
  Result<int> good(7);
  BOOST_TEST(good.ok());
  BOOST_TEST(*good == 7);
  Result<int> bad(Error{Error::Kind::corrupt, "torn"});
  BOOST_TEST(!bad);
  BOOST_TEST((bad.error().kind == Error::Kind::corrupt));
  BOOST_TEST(bad.error().text == "torn");
  BOOST_TEST(Result<void>().ok());
  BOOST_TEST(!Result<void>(Error{Error::Kind::closed, "gone"}));
}

BOOST_AUTO_TEST_CASE(moves_what_cannot_be_copied) {
  Result<std::unique_ptr<int>> r(std::make_unique<int>(3));
  const std::unique_ptr<int> taken = *std::move(r);
  BOOST_TEST(*taken == 3);
}

BOOST_AUTO_TEST_CASE(an_error_is_told_from_further_out) {
  const Error inner{Error::Kind::retry_later, "no space"};
  const Error outer = inner.within("writing /x");
  BOOST_TEST(outer.text == "writing /x: no space");
  BOOST_TEST((outer.kind == Error::Kind::retry_later));
}

BOOST_AUTO_TEST_CASE(errno_says_whether_to_try_again) {
  for (const int e : {ENOSPC, EDQUOT, EAGAIN, EINTR, EMFILE, ENFILE, ENOMEM, EBUSY})
    BOOST_TEST((errno_error(e, "x").kind == Error::Kind::retry_later), "errno " << e);
  for (const int e : {ENOENT, EACCES, EIO, EROFS})
    BOOST_TEST((errno_error(e, "x").kind == Error::Kind::rejected), "errno " << e);
  BOOST_TEST((errno_error(EIO, "x", Error::Kind::fatal).kind == Error::Kind::fatal));
  BOOST_TEST(errno_error(ENOENT, "opening /x").text == "opening /x: No such file or directory");
}

BOOST_AUTO_TEST_SUITE_END()
