#include "center/store_driver.h"

#include <algorithm>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <chrono>

#include "base/spawn.h"
#include "center/store_call.h"

namespace tailrace {

namespace {
constexpr int64_t kFirstPauseMs = 50;
constexpr int64_t kLongestPauseMs = 5'000;
}  // namespace

StoreDriver::StoreDriver(asio::io_context& road, Workers& workers, Records& records, Files& files,
                         std::function<std::string()> tmp_name)
    : road_(road),
      workers_(workers),
      records_(records),
      files_(files),
      tmp_name_(std::move(tmp_name)) {}

asio::awaitable<void> StoreDriver::pause(int64_t ms) {
  asio::steady_timer timer(road_, std::chrono::milliseconds(ms));
  co_await timer.async_wait(asio::use_awaitable);
}

// Reads that are under way together: who asked waits for the last one.
struct StoreDriver::Several {
  explicit Several(asio::io_context& road) : last(road, asio::steady_timer::time_point::max()) {}
  StoreReply reply;
  size_t left = 0;
  asio::steady_timer last;
};

asio::awaitable<void> StoreDriver::read_one(std::shared_ptr<Several> several, size_t at,
                                            std::string name, std::function<bool()> current) {
  StoreRequest request = ReadRequest{std::move(name)};
  StoreReply one = co_await perform(std::move(request), std::move(current));
  if (one.error) several->reply.error = std::move(one.error);
  several->reply.records[at] = std::move(one.record);
  if (--several->left == 0) several->last.cancel();
}

asio::awaitable<StoreReply> StoreDriver::read_all(std::vector<std::string> names,
                                                  std::function<bool()> current) {
  const auto several = std::make_shared<Several>(road_);
  several->left = names.size();
  several->reply.records.resize(names.size());
  for (size_t at = 0; at < names.size(); ++at)
    spawn(road_, "a read of several", read_one(several, at, std::move(names[at]), current));
  while (several->left > 0) {
    asio::error_code cancelled;
    co_await several->last.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  }
  co_return std::move(several->reply);
}

asio::awaitable<StoreReply> StoreDriver::perform(StoreRequest request,
                                                 std::function<bool()> current) {
  if (const auto* r = std::get_if<PauseRequest>(&request)) {
    co_await pause(r->ms);
    co_return StoreReply{};
  }
  if (auto* r = std::get_if<ReadsRequest>(&request))
    co_return co_await read_all(std::move(r->names), std::move(current));
  const bool again = is_repeated(request);
  const uint64_t call = ++calls_;
  int64_t pause_ms = kFirstPauseMs;
  for (;;) {
    // What the worker touches is owned by it, or outlives it: this frame, and the driver, may be
    // gone before it is done.
    auto reply = std::make_shared<StoreReply>();
    std::function<void()> work = [&records = records_, &files = files_, reply, request,
                                  tmp = tmp_name_()] {
      *reply = call_store(request, records, files, tmp);
    };
    co_await workers_.run(std::move(work));
    if (!reply->error || reply->error->kind != Error::Kind::retry_later || !again || !current()) {
      troubles_.erase(call);
      co_return std::move(*reply);
    }
    troubles_[call] = reply->error->text;
    co_await pause(pause_ms);
    pause_ms = std::min(pause_ms * 2, kLongestPauseMs);
  }
}

asio::awaitable<bool> StoreDriver::drive(std::shared_ptr<StoreProcedure> procedure,
                                         std::function<bool()> current) {
  while (current()) {
    auto request = procedure->next();
    if (!request) co_return true;
    StoreReply reply = co_await perform(std::move(*request), current);
    if (current()) procedure->on(reply);
  }
  co_return false;
}

}  // namespace tailrace
