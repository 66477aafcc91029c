#include "center/store_driver.h"

#include <algorithm>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <chrono>

namespace tailrace {

namespace {
constexpr int64_t kFirstPauseMs = 50;
constexpr int64_t kLongestPauseMs = 5'000;

template <class T, class Use>
StoreReply answer(Result<T> result, Use use) {
  StoreReply reply;
  if (!result)
    reply.error = result.error();
  else
    use(reply, std::move(*result));
  return reply;
}
StoreReply answer(Result<void> result) {
  StoreReply reply;
  if (!result) reply.error = result.error();
  return reply;
}
}  // namespace

StoreDriver::StoreDriver(asio::io_context& road, Worker& worker, Records& records, Files& files,
                         std::function<std::string()> tmp_name)
    : road_(road),
      worker_(worker),
      records_(records),
      files_(files),
      tmp_name_(std::move(tmp_name)) {}

StoreReply StoreDriver::call(const StoreRequest& request, const std::string& tmp) {
  if (const auto* r = std::get_if<CasRequest>(&request))
    return answer(records_.cas(r->name, r->record, r->parent, tmp),
                  [](StoreReply& reply, Cas cas) { reply.cas = cas; });
  if (const auto* r = std::get_if<ReadRequest>(&request))
    return answer(records_.read(r->name), [](StoreReply& reply, std::optional<std::string> record) {
      reply.record = std::move(record);
    });
  const auto names = [](StoreReply& reply, std::vector<std::string> list) {
    reply.names = std::move(list);
  };
  if (const auto* r = std::get_if<ListRequest>(&request))
    return answer(records_.list(r->directory), names);
  if (const auto* r = std::get_if<ListFilesRequest>(&request))
    return answer(files_.list(r->directory), names);
  if (const auto* r = std::get_if<RemoveRequest>(&request)) return answer(records_.remove(r->name));
  if (const auto* r = std::get_if<MakeDirectoryRequest>(&request))
    return answer(records_.make_directory(r->directory));
  if (const auto* r = std::get_if<RemoveFileRequest>(&request))
    return answer(files_.remove(r->staged));
  if (const auto* r = std::get_if<PublishRequest>(&request))
    return answer(files_.publish(r->staged, r->final_path),
                  [](StoreReply& reply, Published p) { reply.published = p; });
  return {};  // a pause: perform() waits for it
}

asio::awaitable<void> StoreDriver::pause(int64_t ms) {
  asio::steady_timer timer(road_, std::chrono::milliseconds(ms));
  co_await timer.async_wait(asio::use_awaitable);
}

asio::awaitable<StoreReply> StoreDriver::perform(StoreRequest request,
                                                 std::function<bool()> current) {
  if (const auto* r = std::get_if<PauseRequest>(&request)) {
    co_await pause(r->ms);
    co_return StoreReply{};
  }
  const bool again = !std::holds_alternative<PublishRequest>(request);
  int64_t pause_ms = kFirstPauseMs;
  for (;;) {
    // What the worker touches is owned by it: this frame may be gone before it is done.
    auto reply = std::make_shared<StoreReply>();
    std::function<void()> work = [this, reply, request, tmp = tmp_name_()] {
      *reply = call(request, tmp);
    };
    co_await worker_.run(std::move(work));
    if (!reply->error || reply->error->kind != Error::Kind::retry_later || !again || !current()) {
      trouble_.clear();
      co_return std::move(*reply);
    }
    trouble_ = reply->error->text;
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
