// Where a batch is cut: whole lines only, long ones in pieces, an unterminated end with a newline
// of ours. Thread: any; pure functions over a buffer. Rules: docs/protocol.md, "Batches".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "flow/batch.h"

namespace tailrace {

struct CutRules {
  uint32_t max_record = 1u << 20;  // bytes of a line without its newline
  bool ends_here = false;          // nothing will follow these bytes: an unterminated end is a line
  bool continues = false;  // they start after bytes that were sent with a newline of ours: one
                           // that stands first is that line's own, and adds none
};

// What will be cut, before anything is changed.
struct CutPlan {
  size_t taken = 0;           // source bytes, from the first; 0: there is no whole line
  size_t left_out = 0;        // the first of them that do not become payload
  bool unterminated = false;  // a newline of ours comes last
};
// `cuts` is replaced by the places where long lines are cut. A line is cut only once a byte beyond
// max_record is seen, so a cut is never followed by a newline: what `continues` says stays certain.
[[nodiscard]] CutPlan plan_cut(std::string_view source, const CutRules& rules,
                               std::vector<size_t>& cuts);

// How much longer than the source a payload can get: room that must stand behind it.
[[nodiscard]] constexpr size_t cut_growth(size_t source_bytes, uint32_t max_record) {
  return source_bytes / max_record + 1;
}

struct CutLines {
  size_t bytes = 0;    // payload bytes that stand in the buffer now
  uint32_t lines = 0;  // newlines in these
};
// Makes payload of the source bytes at `buffer`, in place. Marks are appended to `marks`, the first
// line being number `first_line`.
CutLines apply_cut(char* buffer, const CutPlan& plan, const std::vector<size_t>& cuts,
                   uint32_t first_line, std::vector<MarkedLine>& marks);

}  // namespace tailrace
