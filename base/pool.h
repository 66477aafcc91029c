// Objects that are used again instead of being allocated again: in steady state a batch costs no
// malloc. Thread: get() on the owner's thread; the objects may be released on any thread.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

namespace tailrace {

template <class T>
class Pool {
 public:
  // Keeps at most `most` idle or lent objects; beyond that get() makes plain ones.
  explicit Pool(size_t most) : most_(most) {}

  // An object that nobody else holds; its content is what its last user left (T::reset() is
  // called).
  std::shared_ptr<T> get() {
    for (size_t i = 0; i < held_.size(); ++i) {
      next_ = (next_ + 1) % held_.size();
      if (held_[next_].use_count() != 1) continue;
      std::atomic_thread_fence(std::memory_order_acquire);  // pairs with the last user's release
      held_[next_]->reset();
      return held_[next_];
    }
    auto made = std::make_shared<T>();
    if (held_.size() < most_) held_.push_back(made);
    return made;
  }

 private:
  size_t most_;
  size_t next_ = 0;
  std::vector<std::shared_ptr<T>> held_;
};

}  // namespace tailrace
