// What a call that can fail returns: a value, or an Error whose kind says what to do next.
// Thread: any; plain values.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/check.h"

namespace tailrace {

struct Error {
  // The kind is the next action, not the cause: the cause is in the text.
  enum class Kind {
    retry_later,  // nothing is wrong with the request: the same call may succeed later
    rejected,     // the request itself is refused; repeating it is useless
    corrupt,      // stored or received bytes are not what they claim to be
    closed,       // the peer or the owner has gone
    fatal,        // the process cannot keep its promises any more and must end
  };

  Kind kind = Kind::rejected;
  std::string text;

  // The same error, told from one stop further out: "opening /x: no such file".
  [[nodiscard]] Error within(std::string_view context) const {
    return Error{kind, std::string(context) + ": " + text};
  }
};

// From errno: ENOSPC, EDQUOT, EAGAIN, EMFILE... are retry_later, the rest `kind`.
[[nodiscard]] Error errno_error(int err, std::string_view what,
                                Error::Kind kind = Error::Kind::rejected);

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  [[nodiscard]] bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  [[nodiscard]] T& value() & {
    TAILRACE_CHECK(ok(), error().text);
    return std::get<0>(state_);
  }
  [[nodiscard]] const T& value() const& {
    TAILRACE_CHECK(ok(), error().text);
    return std::get<0>(state_);
  }
  [[nodiscard]] T&& value() && {
    TAILRACE_CHECK(ok(), error().text);
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  [[nodiscard]] const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), ok_(false) {}

  [[nodiscard]] bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }
  [[nodiscard]] const Error& error() const { return error_; }

 private:
  Error error_;
  bool ok_ = true;
};

}  // namespace tailrace
