#include "cli/admin_client.h"

#include <asio/connect.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>

#include "base/units.h"

namespace tailrace {

Result<std::string> ask_admin(const HostPort& at, std::string_view method, std::string_view path) {
  using Tcp = asio::ip::tcp;
  asio::io_context context(1);
  Tcp::resolver resolver(context);
  asio::error_code error;
  const auto found = resolver.resolve(at.host, std::to_string(at.port), error);
  Tcp::socket socket(context);
  if (!error) asio::connect(socket, found, error);
  if (error) return Error{Error::Kind::retry_later, error.message()};
  const std::string request = std::string(method) + " " + std::string(path) +
                              " HTTP/1.1\r\nHost: " + at.show() + "\r\n\r\n";
  asio::write(socket, asio::buffer(request), error);
  std::string answer;
  if (!error) asio::read(socket, asio::dynamic_buffer(answer), error);
  const size_t body = answer.find("\r\n\r\n");
  if (!answer.starts_with("HTTP/1.1 ") || body == std::string::npos)
    return Error{Error::Kind::rejected, "what answers there is no program of Tailrace"};
  if (!answer.starts_with("HTTP/1.1 200 "))
    return Error{Error::Kind::rejected,
                 "it refuses " + std::string(path) + ": " + escape(answer.substr(body + 4), 200)};
  return answer.substr(body + 4);
}

}  // namespace tailrace
