#include "cli/daemon/ways.h"

#include <sys/stat.h>
#include <unistd.h>

#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <memory>

#include "base/file.h"
#include "cli/config/role_config.h"

namespace tailrace {

namespace {
constexpr int64_t kMostConnectMs = 5'000;

using Unix = asio::local::stream_protocol;
using Tcp = asio::ip::tcp;
}  // namespace

Result<StreamSocket> connect_unix(asio::io_context& road, const std::string& path) {
  asio::error_code error;
  Unix::socket socket(road);
  socket.open(Unix(), error);
  if (!error) socket.non_blocking(true, error);
  if (!error) socket.connect(Unix::endpoint(path), error);
  if (error)
    return Error{Error::Kind::retry_later,
                 "no Local answers on " + path + " (" + error.message() + ")"};
  return StreamSocket(std::move(socket));
}

namespace {
Error no_center(const std::string& name, const std::string& why) {
  return Error{Error::Kind::retry_later,
               "no Center answers on " + name + " (" + why + "); it is tried again"};
}

}  // namespace

asio::awaitable<Result<StreamSocket>> connect_tcp(asio::io_context& road, std::string name) {
  const auto to = parse_host_port(name, kCenterPort);
  if (!to) co_return no_center(name, to.error().text);
  asio::error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  Tcp::resolver resolver(road);
  const Tcp::resolver::results_type found =
      co_await resolver.async_resolve(to->host, std::to_string(to->port), token);
  if (error) co_return no_center(name, error.message());
  const auto socket = std::make_shared<Tcp::socket>(road);
  for (const auto& entry : found) {
    asio::error_code ignored;
    socket->close(ignored);
    socket->open(entry.endpoint().protocol(), ignored);
    // A host that is gone does not even refuse: the kernel would try for two minutes.
    asio::steady_timer patience(road, std::chrono::milliseconds(kMostConnectMs));
    patience.async_wait([socket](const asio::error_code& cancelled) {
      asio::error_code closed;
      if (!cancelled) socket->close(closed);
    });
    const Tcp::endpoint at = entry.endpoint();
    co_await socket->async_connect(at, token);
    if (!error && socket->is_open()) {
      socket->set_option(Tcp::no_delay(true), ignored);
      co_return StreamSocket(std::move(*socket));
    }
  }
  co_return no_center(name, error ? error.message() : "no address");
}

namespace {
template <class Protocol>
asio::awaitable<void> accept_from(typename Protocol::acceptor& door,
                                  std::function<void(StreamSocket)> take) {
  for (;;) {
    asio::error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    typename Protocol::socket socket = co_await door.async_accept(token);
    if (error == asio::error::operation_aborted || !door.is_open()) co_return;
    if (error) {  // out of descriptors, or the peer has gone already
      asio::steady_timer timer(door.get_executor(), std::chrono::milliseconds(100));
      co_await timer.async_wait(asio::use_awaitable);
      continue;
    }
    if constexpr (std::is_same_v<Protocol, Tcp>) {
      asio::error_code ignored;
      socket.set_option(Tcp::no_delay(true), ignored);
    }
    take(StreamSocket(std::move(socket)));
  }
}
}  // namespace

asio::awaitable<void> accept_all(UnixDoor& door, std::function<void(StreamSocket)> take) {
  return accept_from<Unix>(door, std::move(take));
}

asio::awaitable<void> accept_all(TcpDoor& door, std::function<void(StreamSocket)> take) {
  return accept_from<Tcp>(door, std::move(take));
}

Result<void> listen_unix(UnixDoor& door, const std::string& path) {
  if (auto made = make_directories(parent_path(path)); !made) return made;
  (void)::unlink(path.c_str());  // the state's lock is held: nobody listens there any more
  asio::error_code error;
  door.open(Unix(), error);
  if (!error) door.bind(Unix::endpoint(path), error);
  if (!error && ::chmod(path.c_str(), 0660) != 0)
    error = asio::error_code(errno, asio::error::get_system_category());
  if (!error) door.listen(16, error);
  if (error) return Error{Error::Kind::rejected, "listening on " + path + ": " + error.message()};
  return {};
}

Result<void> listen_tcp(TcpDoor& door, const HostPort& where) {
  asio::error_code error;
  const auto address = asio::ip::make_address(where.host, error);
  const Tcp::endpoint at(address, where.port);
  if (!error) door.open(at.protocol(), error);
  if (!error) door.set_option(Tcp::acceptor::reuse_address(true), error);
  if (!error) door.bind(at, error);
  if (!error) door.listen(4096, error);
  if (error)
    return Error{Error::Kind::rejected, "listening on " + where.show() + ": " + error.message()};
  return {};
}

}  // namespace tailrace
