#include "sinks/store/spill.h"

namespace tailrace {

Result<void> Spill::append(const std::vector<std::string_view>& pieces) {
  uint64_t bytes = 0;
  pieces_.clear();
  for (const std::string_view piece : pieces) {
    if (piece.empty()) continue;
    pieces_.push_back({const_cast<char*>(piece.data()), piece.size()});
    bytes += piece.size();
  }
  if (auto r = write_at(fd_.get(), pieces_, size_); !r)
    return Error{Error::Kind::retry_later, r.error().within(shown_).text};
  size_ += bytes;
  return {};
}

Result<std::string> Spill::read(uint64_t offset, size_t n) const {
  std::string bytes(n, '\0');
  auto got = read_at(fd_.get(), bytes.data(), n, offset);
  if (!got) return got.error().within(shown_);
  if (*got != n) return shorter_than_written();
  return bytes;
}

Error Spill::shorter_than_written() const {
  return Error{Error::Kind::corrupt, shown_ + " is shorter than what was written to it"};
}

}  // namespace tailrace
