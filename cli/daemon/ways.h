// Ways in and out of a daemon: sockets on which it listens, connections that it makes. Thread: the
// road.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/local/stream_protocol.hpp>
#include <functional>
#include <string>

#include "base/address.h"
#include "base/result.h"
#include "flow/connection.h"

namespace tailrace {

using UnixDoor = asio::local::stream_protocol::acceptor;
using TcpDoor = asio::ip::tcp::acceptor;

// retry_later: nobody answers; the text says where.
[[nodiscard]] Result<StreamSocket> connect_unix(asio::io_context& road, const std::string& path);
asio::awaitable<Result<StreamSocket>> connect_tcp(asio::io_context& road, std::string name);

// rejected: it cannot listen there.
[[nodiscard]] Result<void> listen_unix(UnixDoor& door, const std::string& path);
[[nodiscard]] Result<void> listen_tcp(TcpDoor& door, const HostPort& where);

// Until the door is closed; it must outlive them.
asio::awaitable<void> accept_all(UnixDoor& door, std::function<void(StreamSocket)> take);
asio::awaitable<void> accept_all(TcpDoor& door, std::function<void(StreamSocket)> take);

}  // namespace tailrace
