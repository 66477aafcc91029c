// Starts a coroutine on the road whose end somebody notices: an exception that escapes it ends
// the process with a message instead of vanishing, as asio::detached would have it.
// Thread: the road.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <exception>

namespace tailrace {

[[noreturn]] void coroutine_failed(const char* name, std::exception_ptr error);

// `name` is a literal; it appears in the message if the coroutine throws.
inline void spawn(asio::io_context& road, const char* name, asio::awaitable<void> task) {
  asio::co_spawn(road, std::move(task), [name](std::exception_ptr error) {
    if (error) coroutine_failed(name, error);
  });
}

}  // namespace tailrace
