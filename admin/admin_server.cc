#include "admin/admin_server.h"

#include <asio/awaitable.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>
#include <chrono>
#include <map>
#include <set>
#include <utility>

#include "base/spawn.h"

namespace tailrace {

namespace {
using Tcp = asio::ip::tcp;
constexpr size_t kMostConnections = 16;
constexpr size_t kMostIgnored = 256u << 10;
constexpr std::chrono::seconds kMostTime(10);
constexpr std::chrono::milliseconds kPause(100);
}  // namespace

struct AdminServer::State {
  explicit State(asio::io_context& r) : road(r), door(r) {}

  static asio::awaitable<void> accept(std::shared_ptr<State> self);
  static asio::awaitable<void> serve(std::shared_ptr<State> self, std::shared_ptr<Tcp::socket> to);
  static asio::awaitable<void> read_away(std::shared_ptr<Tcp::socket> socket);
  static asio::awaitable<void> end_after(std::shared_ptr<asio::steady_timer> timer,
                                         std::shared_ptr<Tcp::socket> socket);
  [[nodiscard]] HttpAnswer answer(const HttpRequest& request) const;

  asio::io_context& road;
  Tcp::acceptor door;
  std::map<std::string, std::function<HttpAnswer(const std::string&)>> routes;
  std::map<std::string, std::function<HttpAnswer()>> commands;
  std::set<std::shared_ptr<Tcp::socket>> connections;
};

asio::awaitable<void> AdminServer::State::accept(std::shared_ptr<State> self) {
  while (self->door.is_open()) {
    asio::error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    Tcp::socket socket = co_await self->door.async_accept(token);
    if (!self->door.is_open()) break;
    if (error) {  // out of descriptors, or the client has gone already
      asio::steady_timer timer(self->road, kPause);
      co_await timer.async_wait(asio::use_awaitable);
      continue;
    }
    if (self->connections.size() >= kMostConnections) continue;  // closes it
    auto shared = std::make_shared<Tcp::socket>(std::move(socket));
    spawn(self->road, "an admin client", serve(self, std::move(shared)));
  }
}

asio::awaitable<void> AdminServer::State::end_after(std::shared_ptr<asio::steady_timer> timer,
                                                    std::shared_ptr<Tcp::socket> socket) {
  asio::error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  co_await timer->async_wait(token);
  if (!error) socket->close(error);
}

// What a client still sends behind its request: a close on unread bytes would take the answer back.
asio::awaitable<void> AdminServer::State::read_away(std::shared_ptr<Tcp::socket> socket) {
  asio::error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  std::string piece(2048, '\0');
  for (size_t more = 0; !error && more < kMostIgnored;) {
    const auto room = asio::buffer(piece);
    more += co_await socket->async_read_some(room, token);
  }
}

asio::awaitable<void> AdminServer::State::serve(std::shared_ptr<State> self,
                                                std::shared_ptr<Tcp::socket> socket) {
  self->connections.insert(socket);
  auto timer = std::make_shared<asio::steady_timer>(self->road, kMostTime);
  spawn(self->road, "an admin client's time", end_after(timer, socket));
  asio::error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  std::string bytes;
  HttpRequest request;
  while (!error && request.outcome == HttpRequest::Outcome::incomplete) {
    char piece[2048];
    const auto room = asio::buffer(piece);
    const size_t n = co_await socket->async_read_some(room, token);
    bytes.append(piece, n);
    if (n > 0) request = parse_http_request(bytes);
  }
  if (!error) {
    const std::string out = write_http_answer(self->answer(request), request.head);
    const auto whole = asio::buffer(out);
    co_await asio::async_write(*socket, whole, token);
    socket->shutdown(Tcp::socket::shutdown_send, error);
    co_await read_away(socket);
  }
  timer->cancel();
  socket->close(error);
  self->connections.erase(socket);
}

HttpAnswer AdminServer::State::answer(const HttpRequest& request) const {
  HttpAnswer out;
  if (request.outcome == HttpRequest::Outcome::bad) {
    out.status = request.status;
    out.body = request.why + "\n";
    return out;
  }
  const auto command = commands.find(request.path);
  const auto found = routes.find(request.path);
  if (request.post && command != commands.end()) return command->second();
  if (!request.post && found != routes.end()) return found->second(request.query);
  if (command != commands.end() || found != routes.end()) {
    out.status = 405;
    out.body = request.path + (request.post ? " takes no POST\n" : " takes a POST only\n");
    return out;
  }
  out.status = 404;
  out.body = "there is no such path here; there are:\n";
  for (const auto& [path, ignored] : routes) out.body += path + "\n";
  return out;
}

AdminServer::AdminServer(asio::io_context& road) : state_(std::make_shared<State>(road)) {}

AdminServer::~AdminServer() { close(); }

void AdminServer::route(std::string path,
                        std::function<HttpAnswer(const std::string& query)> answer) {
  state_->routes[std::move(path)] = std::move(answer);
}

void AdminServer::command(std::string path, std::function<HttpAnswer()> carry_out) {
  state_->commands[std::move(path)] = std::move(carry_out);
}

Result<void> AdminServer::open(const HostPort& at, bool or_another) {
  asio::error_code error;
  const auto address =
      asio::ip::make_address(at.host == "localhost" ? "127.0.0.1" : at.host, error);
  Tcp::endpoint endpoint(address, at.port);
  Tcp::acceptor& door = state_->door;
  if (!error) door.open(endpoint.protocol(), error);
  if (!error) door.set_option(Tcp::acceptor::reuse_address(true), error);
  if (!error) door.bind(endpoint, error);
  if (error == asio::error::address_in_use && or_another) {
    endpoint.port(0);
    door.bind(endpoint, error);
  }
  if (!error) door.listen(kMostConnections, error);
  if (error)
    return Error{Error::Kind::rejected, "the admin port " + at.show() + ": " + error.message() +
                                            "; --admin or the key 'admin' names another"};
  spawn(state_->road, "the admin port", State::accept(state_));
  return {};
}

HostPort AdminServer::address() const {
  asio::error_code error;
  const Tcp::endpoint at = state_->door.local_endpoint(error);
  return {at.address().to_string(), at.port()};
}

void AdminServer::close() {
  asio::error_code ignored;
  state_->door.close(ignored);
  state_->commands.clear();
  state_->routes.clear();  // what they answer from may be gone soon
  for (const auto& socket : state_->connections) socket->close(ignored);
}

}  // namespace tailrace
