// Who is announced in the store, as one look after another finds it.
#include "center/roll_call.h"

#include <boost/test/unit_test.hpp>

#include "tests/center/acquirer.h"

namespace tailrace::testing {
namespace {

const std::string kOther = "1763000000000-00000000000000aa";

// One look at a store in which the other one is announced by that record. How many records it read.
struct Looked {
  Announced found;
  size_t reads = 0;
};
Looked look(const Acquirer& me, const Announced& before, const std::string& record) {
  Looked out;
  RollCall call(me, before, std::nullopt);
  while (const auto request = call.next()) {
    StoreReply reply;
    if (std::holds_alternative<ListRequest>(*request)) reply.names = {kOther};
    if (std::holds_alternative<ReadRequest>(*request)) {
      ++out.reads;
      reply.record = record;
    }
    call.on(reply);
  }
  out.found = call.announced();
  return out;
}

// What it takes away of a `live/` with these names in it.
std::vector<std::string> removed(const Acquirer& me, const std::vector<std::string>& names,
                                 std::set<std::string>& over) {
  std::vector<std::string> out;
  RollCall call(me, {}, std::nullopt);
  while (const auto request = call.next()) {
    StoreReply reply;
    if (std::holds_alternative<ListRequest>(*request)) reply.names = names;
    if (const auto* remove = std::get_if<RemoveRequest>(&*request))
      out.push_back(remove->name.substr(me.names.live().size() + 1));
    call.on(reply);
  }
  over = call.over();
  return out;
}

BOOST_AUTO_TEST_CASE(who_is_over_is_known_until_it_is_finished) {
  const Acquirer me = acquirer();
  const std::string mine = me.incarnation, gone = "1763000000000-00000000000000bb";
  const std::string question = ".00000000000000cc";
  std::set<std::string> over;
  const auto out =
      removed(me,
              {gone + ".over", gone + question, kOther, kOther + ".over", kOther + question, mine,
               mine + ".over", mine + question, "a note.over"},
              over);
  BOOST_TEST((over == std::set<std::string>{kOther}));
  // What is said of it, and asked, comes first: who waits for an answer does not wait long.
  const std::vector<std::string> all{mine + question, mine + ".over", gone + ".over",
                                     gone + question};
  BOOST_TEST(out == all, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(an_announcement_is_read_once) {
  const Acquirer me = acquirer();
  Announcement said;
  said.name = "other";
  said.address = "other:1";
  said.state_uuid = 9;
  const Looked first = look(me, {}, said.encode());
  BOOST_TEST(first.reads == 1u);
  BOOST_TEST((first.found.at(kOther) == said));
  const Looked second = look(me, first.found, said.encode());
  BOOST_TEST(second.reads == 0u);
  BOOST_TEST((second.found.at(kOther) == said));
}

// Whoever would not read it again placed lanes among fewer Centers than all others for ever, and
// they sent Locals to each other in a circle.
BOOST_AUTO_TEST_CASE(one_that_could_not_be_read_is_read_again) {
  const Acquirer me = acquirer();
  const Looked spoilt = look(me, {}, "rubbish");
  BOOST_TEST((spoilt.found.at(kOther) == Announcement{}));
  Announcement said;
  said.name = "other";
  said.address = "other:1";
  said.state_uuid = 9;
  const Looked mended = look(me, spoilt.found, said.encode());
  BOOST_TEST(mended.reads == 1u);
  BOOST_TEST((mended.found.at(kOther) == said));
}

}  // namespace
}  // namespace tailrace::testing
