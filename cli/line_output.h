// Lines on stdout, for somebody who may have read enough at any time. Thread: main.
#pragma once

#include <string>
#include <string_view>

namespace tailrace {

class LineOutput {
 public:
  // false: nobody reads any more, or stdout is full (trouble()).
  bool write(std::string_view bytes);
  // Whether nobody reads any more, without writing.
  [[nodiscard]] static bool unread();
  [[nodiscard]] const std::string& trouble() const { return trouble_; }

 private:
  std::string trouble_;
};

}  // namespace tailrace
