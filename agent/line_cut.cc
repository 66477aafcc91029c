#include "agent/line_cut.h"

#include <algorithm>
#include <cstring>

#include "base/newlines.h"

namespace tailrace {

namespace {
// Where newlines must be put so that no line of buffer[from, to) is longer than `most`; `to` is the
// end of a line, or of a part of one that stays open.
void find_long_lines(const char* buffer, size_t from, size_t to, size_t most,
                     std::vector<size_t>& cuts) {
  while (to - from > most) {
    // All lines that end within the next most + 1 bytes are short enough.
    const void* last = ::memrchr(buffer + from, '\n', most + 1);
    if (last) {
      from = static_cast<size_t>(static_cast<const char*>(last) - buffer) + 1;
    } else {
      from += most;
      cuts.push_back(from);
    }
  }
}

// Puts a newline before each of the source positions `cuts`, moving each byte once.
void insert_newlines(char* buffer, size_t n, const std::vector<size_t>& cuts) {
  size_t end = n;
  for (size_t i = cuts.size(); i-- > 0;) {
    std::memmove(buffer + cuts[i] + i + 1, buffer + cuts[i], end - cuts[i]);
    buffer[cuts[i] + i] = '\n';
    end = cuts[i];
  }
}
}  // namespace

CutPlan plan_cut(std::string_view source, const CutRules& rules, std::vector<size_t>& cuts) {
  CutPlan plan;
  cuts.clear();
  if (rules.continues && source.starts_with('\n')) plan.left_out = 1;
  const size_t n = source.size();
  const size_t first = plan.left_out;
  find_long_lines(source.data(), first, n, rules.max_record, cuts);
  const void* last = n > first ? ::memrchr(source.data() + first, '\n', n - first) : nullptr;
  size_t end =
      last ? static_cast<size_t>(static_cast<const char*>(last) - source.data()) + 1 : first;
  // What stands behind the last newline is taken up to its last cut, or wholly if nothing will
  // follow.
  if (rules.ends_here && end < n) {
    plan.unterminated = true;
    end = n;
  } else if (!cuts.empty() && cuts.back() > end) {
    end = cuts.back();
  }
  plan.taken = end > first ? end : 0;
  return plan;
}

CutLines apply_cut(char* buffer, const CutPlan& plan, const std::vector<size_t>& cuts,
                   uint32_t first_line, std::vector<MarkedLine>& marks) {
  CutLines out;
  out.bytes = plan.taken - plan.left_out;
  if (!cuts.empty()) {
    insert_newlines(buffer, plan.taken, cuts);
    out.bytes += cuts.size();
  }
  if (plan.left_out) std::memmove(buffer, buffer + plan.left_out, out.bytes);
  if (plan.unterminated) buffer[out.bytes++] = '\n';
  size_t from = 0;
  for (size_t i = 0; i < cuts.size(); ++i) {
    const size_t to = cuts[i] - plan.left_out + i + 1;
    out.lines += static_cast<uint32_t>(count_newlines({buffer + from, to - from}));
    marks.push_back({first_line + out.lines - 1, static_cast<uint8_t>(kBatchSplit)});
    from = to;
  }
  out.lines += static_cast<uint32_t>(count_newlines({buffer + from, out.bytes - from}));
  if (plan.unterminated)
    marks.push_back({first_line + out.lines - 1, static_cast<uint8_t>(kBatchUnterminated)});
  return out;
}

}  // namespace tailrace
