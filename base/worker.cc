#include "base/worker.h"

#include <pthread.h>

#include <asio/async_result.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace tailrace {

namespace {
// Work that will come back to a road. A caller may be all that keeps its worker alive: then a road
// that dies waits for the work, so that the caller is among what dies with it, and on its thread.
class Outstanding final : public asio::execution_context::service {
 public:
  using key_type = Outstanding;
  static inline asio::execution_context::id id;
  explicit Outstanding(asio::execution_context& road) : service(road) {}

  void begins() {
    const std::lock_guard lock(mutex_);
    ++jobs_;
  }
  void ended() {
    const std::lock_guard lock(mutex_);
    if (--jobs_ == 0) none_.notify_all();
  }

 private:
  void shutdown() override {
    std::unique_lock lock(mutex_);
    none_.wait(lock, [this] { return jobs_ == 0; });
  }
  std::mutex mutex_;
  std::condition_variable none_;
  size_t jobs_ = 0;  // guarded by mutex_
};
}  // namespace

class Worker::Thread {
 public:
  explicit Thread(const std::string& name) : thread_([this] { loop(); }) {
    ::pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
  }
  ~Thread() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }
  void push(std::function<void()> job) {
    {
      const std::lock_guard lock(mutex_);
      jobs_.push_back(std::move(job));
    }
    wake_.notify_one();
  }

 private:
  void loop() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return ending_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      std::function<void()> job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      job();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;  // guarded by mutex_
  bool ending_ = false;                     // guarded by mutex_
  std::thread thread_;                      // last: it starts when all else is there
};

Worker::Worker(asio::io_context& road, std::string name)
    : thread_(std::make_unique<Thread>(name)), road_(road) {}

Worker::~Worker() = default;

void Worker::post(std::function<void()> work) { thread_->push(std::move(work)); }

asio::awaitable<void> Worker::run(std::function<void()> work) {
  auto start = [this, work = std::move(work)](auto handler) mutable {
    // The handler may be move-only, a std::function's target must be copyable: hold it by pointer.
    auto held = std::make_shared<decltype(handler)>(std::move(handler));
    auto guard = asio::make_work_guard(road_);
    auto& outstanding = asio::use_service<Outstanding>(road_);
    outstanding.begins();
    thread_->push([work = std::move(work), held, guard, &road = road_, &outstanding]() mutable {
      work();
      work = nullptr;  // what it held is released here, before the road goes on
      asio::post(road, [held = std::move(held)] { (*held)(); });
      guard.reset();
      outstanding.ended();  // the road may be gone from here on
    });
  };
  return asio::async_initiate<const asio::use_awaitable_t<>, void()>(std::move(start),
                                                                     asio::use_awaitable);
}

}  // namespace tailrace
