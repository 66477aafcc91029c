// Metrics as one table, from which /metrics (Prometheus text format 0.0.4) and docs/metrics.md
// come. Thread: any; plain values.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tailrace {

struct Metric {
  std::string_view name;  // in base units; a counter's ends in _total
  enum class Type { counter, gauge } type;
  // Names of its labels, '|' between them; empty: none. Never a file, a peer or a host.
  std::string_view label;
  std::string_view help;
};

// The values of one scrape, in any order.
class MetricValues {
 public:
  explicit MetricValues(std::span<const Metric> table);

  // `name` stands in the table: programmer's error if it does not. Several labels' values have a
  // '|' between them.
  void set(std::string_view name, double value, std::string label_value = {});
  // In the table's order, each name once with HELP and TYPE.
  [[nodiscard]] std::string text() const;

 private:
  struct Value {
    std::string label;
    double value = 0;
  };
  std::span<const Metric> table_;
  std::vector<std::vector<Value>> values_;  // by place in the table
};

// The table as rows of Markdown: name, type, label, meaning.
[[nodiscard]] std::string metrics_as_rows(std::span<const Metric> table);

}  // namespace tailrace
