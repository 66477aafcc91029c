#include "admin/metrics.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/check.h"

namespace tailrace {

namespace {
std::string_view type_of(const Metric& metric) {
  return metric.type == Metric::Type::counter ? "counter" : "gauge";
}

std::string escape_label(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out;
}

// "a|b" and "x|y": {a="x",b="y"}.
std::string labels_of(std::string_view names, std::string_view values) {
  std::string out;
  while (!names.empty()) {
    const size_t name_end = std::min(names.find('|'), names.size());
    const bool last = name_end == names.size();
    const size_t end = last ? values.size() : std::min(values.find('|'), values.size());
    out += (out.empty() ? "{" : ",") + std::string(names.substr(0, name_end)) + "=\"" +
           escape_label(values.substr(0, end)) + "\"";
    names.remove_prefix(std::min(name_end + 1, names.size()));
    values.remove_prefix(std::min(end + 1, values.size()));
  }
  return out + "}";
}

std::string show(double value) {
  char text[40];
  const bool whole = std::floor(value) == value && std::fabs(value) < 9e15;
  std::snprintf(text, sizeof text, whole ? "%.0f" : "%.6g", value);
  return text;
}
}  // namespace

MetricValues::MetricValues(std::span<const Metric> table) : table_(table), values_(table.size()) {}

void MetricValues::set(std::string_view name, double value, std::string label_value) {
  for (size_t i = 0; i < table_.size(); ++i) {
    if (table_[i].name != name) continue;
    TAILRACE_CHECK(table_[i].label.empty() == label_value.empty(), name);
    return values_[i].push_back({std::move(label_value), value});
  }
  TAILRACE_CHECK(false, name);
}

std::string MetricValues::text() const {
  std::string out;
  for (size_t i = 0; i < table_.size(); ++i) {
    if (values_[i].empty()) continue;
    const Metric& metric = table_[i];
    const std::string name(metric.name);
    out += "# HELP " + name + " " + std::string(metric.help) + "\n# TYPE " + name + " ";
    out += std::string(type_of(metric)) + "\n";
    for (const Value& value : values_[i]) {
      out += name;
      if (!metric.label.empty()) out += labels_of(metric.label, value.label);
      out += " " + show(value.value) + "\n";
    }
  }
  return out;
}

std::string metrics_as_rows(std::span<const Metric> table) {
  std::string out;
  for (const Metric& metric : table)
    out += "| `" + std::string(metric.name) + "` | " + std::string(type_of(metric)) + " | " +
           std::string(metric.label) + " | " + std::string(metric.help) + " |\n";
  return out;
}

}  // namespace tailrace
