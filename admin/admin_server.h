// A role's admin port: fixed paths, each answered from the state at that moment. It lives on the
// road: when the road stands still, so does /livez, which is what /livez is for. Whatever a client
// does costs at most 16 connections of 8 KiB for 10 s each. docs/decisions tells why it is no
// library. Thread: the road.
#pragma once

#include <asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

#include "admin/http.h"
#include "base/address.h"
#include "base/result.h"

namespace tailrace {

class AdminServer {
 public:
  explicit AdminServer(asio::io_context& road);
  ~AdminServer();

  // `answer` is called on the road with the query; it must outlive the server.
  void route(std::string path, std::function<HttpAnswer(const std::string& query)> answer);
  // The same for what changes something: only a POST does it.
  void command(std::string path, std::function<HttpAnswer()> carry_out);
  // Listens. A port that is taken: rejected, or, with `or_another`, another one. Port 0 picks one.
  Result<void> open(const HostPort& at, bool or_another);
  [[nodiscard]] HostPort address() const;  // after open()
  void close();

 private:
  struct State;
  std::shared_ptr<State> state_;  // its coroutines hold it too
};

}  // namespace tailrace
