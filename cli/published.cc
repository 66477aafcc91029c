#include "cli/published.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "base/units.h"
#include "sinks/format/file_format.h"

namespace tailrace {

namespace {

bool digit(char c) { return c >= '0' && c <= '9'; }

std::string_view name_of(std::string_view path) { return path.substr(path.rfind('/') + 1); }

bool selected(const Selection& selection, std::string_view below_root) {
  if (!selection.category.empty()) {
    std::string_view category = category_of_name(name_of(below_root));
    if (category.empty()) category = below_root.substr(0, below_root.find('/'));
    if (category != selection.category) return false;
  }
  if (selection.time.everything()) return true;
  const auto time = time_of_path(below_root);
  return time && selection.time.overlaps(*time);
}

struct Walk {
  const Selection& selection;
  std::vector<std::string>& trouble;
  std::vector<PublishedFile>& found;
};

struct Name {
  std::string text;
  bool directory = false;
  uint64_t bytes = 0;
};

// The names in `path` that readers may see, in order.
std::vector<Name> list(const std::string& path, std::vector<std::string>& trouble) {
  std::vector<Name> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(path.c_str()), closedir);
  if (!directory) {
    trouble.push_back(errno_error(errno, "reading " + escape(path)).text);
    return names;
  }
  while (const dirent* entry = readdir(directory.get())) {
    if (entry->d_name[0] == '_' || entry->d_name[0] == '.') continue;
    struct stat facts {};
    const std::string whole = path + "/" + entry->d_name;
    if (lstat(whole.c_str(), &facts) != 0) continue;  // gone since: somebody's retention
    const bool is_directory = S_ISDIR(facts.st_mode);
    if (!is_directory && stat(whole.c_str(), &facts) != 0) continue;
    if (is_directory || S_ISREG(facts.st_mode))
      names.push_back({entry->d_name, is_directory, static_cast<uint64_t>(facts.st_size)});
  }
  std::sort(names.begin(), names.end(),
            [](const Name& a, const Name& b) { return name_before(a.text, b.text); });
  return names;
}

void walk(const Walk& to, const std::string& path, const std::string& below_root) {
  for (const Name& name : list(path, to.trouble)) {
    const std::string below = below_root + name.text;
    if (name.directory) {
      walk(to, path + "/" + name.text, below + "/");
    } else if (const auto codec = codec_of_name(name.text);
               codec && selected(to.selection, below)) {
      to.found.push_back({path + "/" + name.text, *codec, name.bytes});
    }
  }
}

}  // namespace

std::optional<Codec> codec_of_name(std::string_view name) {
  if (name.ends_with(".log")) return Codec::none;
  if (name.ends_with(".log.gz")) return Codec::gzip;
  if (name.ends_with(".log.zst")) return Codec::zstd;
  if (name.ends_with(".log.snappy")) return Codec::snappy;
  if (name.ends_with(kSequenceSuffix)) return Codec::none;  // its codec stands in it
  return std::nullopt;
}

bool name_before(std::string_view a, std::string_view b) {
  const std::string_view whole_a = a, whole_b = b;
  while (!a.empty() && !b.empty()) {
    if (digit(a[0]) && digit(b[0])) {
      const auto run = [](std::string_view text) {
        return text.substr(0, std::min(text.find_first_not_of("0123456789"), text.size()));
      };
      const auto value = [](std::string_view digits) {
        return digits.substr(std::min(digits.find_first_not_of('0'), digits.size()));
      };
      const std::string_view na = run(a), nb = run(b), va = value(na), vb = value(nb);
      if (va.size() != vb.size()) return va.size() < vb.size();
      if (va != vb) return va < vb;
      a.remove_prefix(na.size());
      b.remove_prefix(nb.size());
    } else {
      if (a[0] != b[0]) return static_cast<unsigned char>(a[0]) < static_cast<unsigned char>(b[0]);
      a.remove_prefix(1);
      b.remove_prefix(1);
    }
  }
  if (a.empty() && b.empty()) return whole_a < whole_b;  // "01" and "1"
  return a.empty();
}

std::vector<PublishedFile> find_published(const std::string& operand, const Selection& selection,
                                          std::vector<std::string>& trouble) {
  std::vector<PublishedFile> found;
  struct stat facts {};
  if (stat(operand.c_str(), &facts) != 0) {
    trouble.push_back(errno_error(errno, "reading " + escape(operand)).text);
  } else if (S_ISDIR(facts.st_mode)) {
    std::string root = operand;
    while (root.size() > 1 && root.back() == '/') root.pop_back();
    walk({selection, trouble, found}, root, "");
  } else if (selected(selection, operand)) {
    Codec codec = Codec::none;
    if (operand.ends_with(".gz")) codec = Codec::gzip;
    if (operand.ends_with(".zst")) codec = Codec::zstd;
    if (operand.ends_with(".snappy")) codec = Codec::snappy;
    found.push_back({operand, codec, static_cast<uint64_t>(facts.st_size)});
  }
  return found;
}

}  // namespace tailrace
