// A directory that lives as long as a test, and what tests do to files in it.
// Thread: one.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/file.h"

namespace tailrace {

class TempDir {
 public:
  explicit TempDir(const std::filesystem::path& below = std::filesystem::temp_directory_path()) {
    std::string name = (below / "tailrace-agent-XXXXXX").string();
    BOOST_REQUIRE(::mkdtemp(name.data()));
    path_ = std::filesystem::canonical(name).string();
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(std::string_view name) const {
    return path_ + "/" + std::string(name);
  }
  std::string write(std::string_view name, std::string_view bytes) const {
    return put(name, bytes, O_WRONLY | O_CREAT | O_TRUNC);
  }
  std::string append(std::string_view name, std::string_view bytes) const {
    return put(name, bytes, O_WRONLY | O_CREAT | O_APPEND);
  }
  void rename(std::string_view from, std::string_view to) const {
    std::filesystem::rename(*this / from, *this / to);
  }
  void remove(std::string_view name) const { std::filesystem::remove_all(*this / name); }
  void make(std::string_view name) const { std::filesystem::create_directories(*this / name); }

 private:
  std::string put(std::string_view name, std::string_view bytes, int flags) const {
    const std::string path = *this / name;
    auto fd = open_file(path, flags, 0644);
    BOOST_REQUIRE_MESSAGE(fd.ok(), path);
    BOOST_REQUIRE(write_all(fd->get(), bytes).ok());
    return path;
  }
  std::string path_;
};

}  // namespace tailrace
