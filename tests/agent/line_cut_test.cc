#include "agent/line_cut.h"

#include <rapidcheck.h>

#include <boost/test/unit_test.hpp>
#include <string>

namespace tailrace {

namespace {
struct Expected {
  std::string payload;
  std::string rest;
  std::vector<MarkedLine> marks;
  uint32_t lines = 0;
};

// The rules, byte for byte.
Expected slow_cut(std::string_view in, const CutRules& rules, uint32_t first_line) {
  Expected out;
  size_t i = rules.continues && in.starts_with('\n') ? 1 : 0;
  std::string line;
  size_t taken = 0;
  const auto end_line = [&](uint8_t mark) {
    out.payload += line + '\n';
    line.clear();
    if (mark) out.marks.push_back({first_line + out.lines, mark});
    ++out.lines;
  };
  for (; i < in.size(); ++i) {
    if (in[i] == '\n') {
      end_line(0);
      taken = i + 1;
      continue;
    }
    if (line.size() == rules.max_record) {
      end_line(kBatchSplit);
      taken = i;
    }
    line += in[i];
  }
  if (rules.ends_here && !line.empty()) {
    end_line(kBatchUnterminated);
    taken = in.size();
  }
  out.rest = in.substr(taken);
  return out;
}

Expected cut(std::string_view in, const CutRules& rules, uint32_t first_line) {
  std::vector<size_t> cuts;
  Expected out;
  const CutPlan plan = plan_cut(in, rules, cuts);
  if (plan.taken == 0) {
    out.rest = in;
    return out;
  }
  std::string buffer(in);
  buffer.resize(in.size() + cut_growth(in.size(), rules.max_record) + 1);
  const CutLines lines = apply_cut(buffer.data(), plan, cuts, first_line, out.marks);
  out.payload = buffer.substr(0, lines.bytes);
  out.rest = in.substr(plan.taken);
  out.lines = lines.lines;
  return out;
}
}  // namespace

BOOST_AUTO_TEST_SUITE(line_cut)

BOOST_AUTO_TEST_CASE(agrees_with_the_rules_byte_for_byte) {
  BOOST_TEST(rc::check("a cut is what the rules say", [] {
    const auto in = *rc::gen::container<std::string>(
        rc::gen::weightedElement<char>({{4, 'a'}, {2, '\n'}, {1, '\0'}, {1, '\r'}, {1, '\xff'}}));
    CutRules rules;
    rules.max_record = *rc::gen::inRange<uint32_t>(1, 9);
    rules.ends_here = *rc::gen::arbitrary<bool>();
    rules.continues = *rc::gen::arbitrary<bool>();
    const uint32_t first = *rc::gen::inRange<uint32_t>(0, 1000);
    const Expected want = slow_cut(in, rules, first);
    const Expected got = cut(in, rules, first);
    RC_ASSERT(got.payload == want.payload);
    if (!want.payload.empty()) RC_ASSERT(got.rest == want.rest);
    RC_ASSERT(got.lines == want.lines);
    RC_ASSERT(got.marks == want.marks);
  }));
}

BOOST_AUTO_TEST_CASE(a_cut_is_never_followed_by_a_newline) {
  CutRules rules;
  rules.max_record = 4;
  BOOST_TEST(cut("abcd", rules, 0).lines == 0u);    // it may still end here
  BOOST_TEST(cut("abcd\n", rules, 0).lines == 1u);  // and did: not too long
  BOOST_TEST(cut("abcde", rules, 0).payload == "abcd\n");
  BOOST_TEST(cut("abcde", rules, 0).rest == "e");
}

BOOST_AUTO_TEST_CASE(the_newline_that_comes_late) {
  CutRules rules;
  rules.continues = true;
  BOOST_TEST(cut("\n", rules, 0).rest == "\n");  // alone it adds no line, and waits
  BOOST_TEST(cut("\nnext", rules, 0).rest == "\nnext");
  BOOST_TEST(cut("\nnext\n", rules, 0).payload == "next\n");
  BOOST_TEST(cut("\n\n", rules, 0).payload == "\n");
  BOOST_TEST(cut("more\n", rules, 0).payload == "more\n");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tailrace
