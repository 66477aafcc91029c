// Which of a hub's connections are whose, and which have streams of a category: so that what is
// said to a few of thousands of Locals does not look at all of them. Thread: the road. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "center/local_link.h"

namespace tailrace {

class LinkIndex {
 public:
  using Link = uint64_t;
  using Numbers = std::set<uint32_t>;  // of streams, on their connection

  void greeted(uint64_t local_id, Link link) { of_local_[local_id].insert(link); }
  void named(const std::string& category, Link link, uint32_t number) {
    of_category_[category][link].insert(number);
  }
  void gone(const LocalLink& link) {
    if (const auto at = of_local_.find(link.local_id); at != of_local_.end()) {
      at->second.erase(link.id);
      if (at->second.empty()) of_local_.erase(at);
    }
    for (const auto& [category, subs] : link.categories)
      if (const auto at = of_category_.find(category); at != of_category_.end()) {
        at->second.erase(link.id);
        if (at->second.empty()) of_category_.erase(at);
      }
  }

  // Those that have said HELLO with that id: one, or a few while a Local comes back.
  [[nodiscard]] const std::set<Link>& of_local(uint64_t local_id) const {
    static const std::set<Link> none;
    const auto at = of_local_.find(local_id);
    return at == of_local_.end() ? none : at->second;
  }
  [[nodiscard]] const std::map<Link, Numbers>& of_category(const std::string& category) const {
    static const std::map<Link, Numbers> none;
    const auto at = of_category_.find(category);
    return at == of_category_.end() ? none : at->second;
  }

 private:
  std::map<uint64_t, std::set<Link>> of_local_;
  std::map<std::string, std::map<Link, Numbers>> of_category_;
};

}  // namespace tailrace
