// A named thread for calls that block (a group's fsync, a cold read, a roll), fed from the road.
// Thread: construct, run(), post() and destroy on the road; the work itself runs on the worker's
// thread and must touch only what it was given. Work runs in the order in which it was asked for.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

namespace tailrace {

class Worker {
 public:
  // `road` is where callers resume; it must outlive the worker, unless only a caller keeps that.
  Worker(asio::io_context& road, std::string name);
  // Finishes what was asked for, then joins; callers that have gone are not resumed.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Runs `work` on the worker's thread; the caller resumes on the road when it is done.
  // `work` must own or outlive all it touches: if the caller is destroyed while it runs, it still
  // runs to its end. An exception out of it ends the process.
  asio::awaitable<void> run(std::function<void()> work);
  // The same, and nobody waits for it.
  void post(std::function<void()> work);

 private:
  class Thread;
  std::unique_ptr<Thread> thread_;
  asio::io_context& road_;
};

}  // namespace tailrace
