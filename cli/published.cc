#include "cli/published.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "base/file.h"
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

struct Name {
  std::string text;
  bool directory = false;
  uint64_t bytes = 0;
};

struct Walk {
  const Selection& selection;
  std::vector<std::string>& trouble;
  std::vector<PublishedFile>& found;
  std::shared_ptr<HdfsClient> hdfs = {};
};

bool for_readers(std::string_view name) { return !name.starts_with('_') && !name.starts_with('.'); }

std::vector<Name> list_here(const std::string& path, std::vector<std::string>& trouble) {
  std::vector<Name> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(path.c_str()), closedir);
  if (!directory) {
    trouble.push_back(errno_error(errno, "reading " + escape(path)).text);
    return names;
  }
  while (const dirent* entry = readdir(directory.get())) {
    if (!for_readers(entry->d_name)) continue;
    struct stat facts {};
    const std::string whole = path + "/" + entry->d_name;
    if (lstat(whole.c_str(), &facts) != 0) continue;  // gone since: somebody's retention
    const bool is_directory = S_ISDIR(facts.st_mode);
    if (!is_directory && stat(whole.c_str(), &facts) != 0) continue;
    if (is_directory || S_ISREG(facts.st_mode))
      names.push_back({entry->d_name, is_directory, static_cast<uint64_t>(facts.st_size)});
  }
  return names;
}

std::vector<Name> list_in(HdfsClient& hdfs, const std::string& path,
                          std::vector<std::string>& trouble) {
  std::vector<Name> names;
  std::string after;
  for (;;) {
    HdfsAnswer page = hdfs.list(path, after);
    if (page.outcome == HdfsOutcome::absent) return names;  // gone since
    if (page.outcome != HdfsOutcome::done) {
      trouble.push_back(hdfs_error(page, "reading " + escape(path)).text);
      return names;
    }
    for (HdfsEntry& entry : page.entries)
      if (for_readers(entry.name)) names.push_back({entry.name, entry.directory, entry.length});
    if (page.more == 0 || page.entries.empty() || page.entries.back().name <= after) return names;
    after = page.entries.back().name;
  }
}

// The names in `path` that readers may see, in order.
std::vector<Name> list(const Walk& to, const std::string& path) {
  std::vector<Name> names =
      to.hdfs ? list_in(*to.hdfs, path, to.trouble) : list_here(path, to.trouble);
  std::sort(names.begin(), names.end(),
            [](const Name& a, const Name& b) { return name_before(a.text, b.text); });
  return names;
}

void walk(const Walk& to, const std::string& path, const std::string& below_root) {
  for (const Name& name : list(to, path)) {
    const std::string below = below_root + name.text;
    if (name.directory) {
      walk(to, path + "/" + name.text, below + "/");
    } else if (const auto codec = codec_of_name(name.text);
               codec && selected(to.selection, below)) {
      to.found.push_back({path + "/" + name.text, *codec, name.bytes, to.hdfs});
    }
  }
}

Codec codec_of_ending(std::string_view name) {
  if (name.ends_with(".gz")) return Codec::gzip;
  if (name.ends_with(".zst")) return Codec::zstd;
  if (name.ends_with(".snappy")) return Codec::snappy;
  return Codec::none;
}

class FileHere final : public PublishedReader {
 public:
  explicit FileHere(Fd fd) : fd_(std::move(fd)) {
    (void)posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  }
  Result<std::string_view> next() override {
    auto n = read_at(fd_.get(), piece_, sizeof piece_, offset_);
    if (!n) return n.error();
    offset_ += *n;
    return std::string_view(piece_, *n);
  }

 private:
  Fd fd_;
  uint64_t offset_ = 0;
  char piece_[64 << 10];
};

// A call for each piece, so that its memory is bounded: large pieces, asked for again if one fails.
class FileInHdfs final : public PublishedReader {
 public:
  explicit FileInHdfs(PublishedFile file) : file_(std::move(file)) {}
  Result<std::string_view> next() override {
    constexpr size_t kPieceBytes = 8u << 20;
    constexpr int kTries = 3;
    const auto n = static_cast<size_t>(std::min<uint64_t>(kPieceBytes, file_.bytes - offset_));
    if (n == 0) return std::string_view();
    HdfsAnswer answer;
    for (int tries = 0; tries < kTries; ++tries) {
      answer = file_.hdfs->open_at(file_.path, offset_, n, piece_);
      if (answer.outcome == HdfsOutcome::done && piece_.size() == n) {
        offset_ += n;
        return std::string_view(piece_);
      }
      if (answer.outcome == HdfsOutcome::absent || answer.outcome == HdfsOutcome::denied ||
          answer.outcome == HdfsOutcome::stranger)
        break;
    }
    if (answer.outcome == HdfsOutcome::done) answer.text = "fewer bytes came than it has";
    return hdfs_error(answer, "reading");
  }

 private:
  PublishedFile file_;
  uint64_t offset_ = 0;
  std::string piece_;
};

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

std::string PublishedFile::shown() const {
  return (hdfs ? hdfs->settings().servers.front().server() : "") + escape(path, 1024);
}

Result<std::unique_ptr<PublishedReader>> open_published(const PublishedFile& file) {
  if (file.hdfs) return std::unique_ptr<PublishedReader>(std::make_unique<FileInHdfs>(file));
  auto fd = open_file(file.path, O_RDONLY);
  if (!fd) return fd.error();
  return std::unique_ptr<PublishedReader>(std::make_unique<FileHere>(*std::move(fd)));
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
    found.push_back({operand, codec_of_ending(operand), static_cast<uint64_t>(facts.st_size)});
  }
  return found;
}

std::vector<PublishedFile> find_published(const std::shared_ptr<HdfsClient>& hdfs,
                                          const std::string& path, const Selection& selection,
                                          std::vector<std::string>& trouble) {
  std::vector<PublishedFile> found;
  const HdfsAnswer stands = hdfs->status(path);
  if (stands.outcome != HdfsOutcome::done) {
    trouble.push_back(hdfs_error(stands, "reading " + escape(path)).text);
  } else if (stands.entries.front().directory) {
    walk({selection, trouble, found, hdfs}, path, "");
  } else if (selected(selection, path)) {
    found.push_back({path, codec_of_ending(path), stands.entries.front().length, hdfs});
  }
  return found;
}

}  // namespace tailrace
