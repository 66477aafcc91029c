#include "local/center_list.h"

#include <algorithm>

#include "base/address.h"
#include "base/file.h"

namespace tailrace {

namespace {
constexpr size_t kMostBytes = 256u << 10;
constexpr std::string_view kFirstLine =
    "# Centers that tailrace-local has heard of, newest list; it is written by itself\n";
}  // namespace

std::vector<std::string> read_center_list(const std::string& path) {
  std::vector<std::string> out;
  const auto text = read_file(path, kMostBytes);
  if (!text) return out;
  for (std::string_view rest = *text; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    const auto address = parse_host_port(line, 0);
    if (address && address->port != 0) out.push_back(address->show());
  }
  return out;
}

Result<void> keep_center_list(const std::string& path, const std::vector<std::string>& centers) {
  std::string text(kFirstLine);
  for (const std::string& address : centers)
    if (address.find('\n') == std::string::npos) text += address + "\n";
  return replace_file(path, text);
}

}  // namespace tailrace
