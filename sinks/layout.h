// Which directory a bucket's lines of a category go to: "{category}/dt={date}/hr={hour}".
// Thread: any once parsed; pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "flow/stream.h"
#include "sinks/timezone.h"

namespace tailrace {

class Layout {
 public:
  // Fields: {category}, alone as the first directory (its files are staged beside their goal, in
  // <category>/_stage); {date} 2026-11-24, {year}, {month}, {day}, {hour} 00 to 23, {minute} the
  // quarter: 00, 15, 30, 45. All in the sink's time zone. rejected, with the place: anything else.
  [[nodiscard]] static Result<Layout> parse(std::string_view text);

  // Relative to the store's root. `category` must be valid.
  [[nodiscard]] std::string render(std::string_view category, Bucket bucket,
                                   const TimeZone& zone) const;
  // When the directory of `bucket` ends: the first millisecond behind it that goes to another.
  // INT64_MAX: the layout has no time in it.
  [[nodiscard]] int64_t directory_end_ms(Bucket bucket, const TimeZone& zone) const;

 private:
  enum class Field : uint8_t { literal, category, date, year, month, day, hour, minute };
  // How long a directory lasts, by its finest field.
  enum class Span : uint8_t { ever, year, month, day, hour, quarter };
  struct Piece {
    Field field = Field::literal;
    std::string text;  // of a literal
  };
  static bool find_field(std::string_view name, Field& field);
  static Span span_of(Field field);
  Result<void> add_field(std::string_view name);

  std::vector<Piece> pieces_;
  Span span_ = Span::ever;
};

}  // namespace tailrace
