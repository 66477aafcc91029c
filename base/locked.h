// A value that threads share: nobody gets at it but by with(), one at a time. What is done there
// never asks for another Locked, so that there is no order of locks to keep. Thread: any.
#pragma once

#include <mutex>
#include <utility>

namespace tailrace {

template <class Value>
class Locked {
 public:
  template <class... Arguments>
  explicit Locked(Arguments&&... arguments) : value_(std::forward<Arguments>(arguments)...) {}

  // Calls work(value); what it returns must not refer to the value.
  template <class Work>
  auto with(Work&& work) {
    const std::lock_guard lock(mutex_);
    return work(value_);
  }

 private:
  std::mutex mutex_;
  Value value_;
};

}  // namespace tailrace
