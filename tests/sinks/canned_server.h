// An HTTP server that says what it is told to. Thread: it has one of its own.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <mutex>
#include <string>
#include <thread>

#include "base/file.h"

namespace tailrace::testing {

// Answers each connection with the same bytes, after it has read a head and `body` more, then
// closes it.
class CannedServer {
 public:
  explicit CannedServer(std::string answer, size_t repeats = 1)
      : listener_(::socket(AF_INET, SOCK_STREAM, 0)),
        answer_(std::move(answer)),
        repeats_(repeats) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    BOOST_REQUIRE(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
    BOOST_REQUIRE(::listen(listener_.get(), 8) == 0);
    socklen_t length = sizeof at;
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&at), &length);
    port_ = ntohs(at.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~CannedServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  [[nodiscard]] uint16_t port() const { return port_; }
  [[nodiscard]] std::string address() const {
    return "http://127.0.0.1:" + std::to_string(port_) + "/webhdfs/v1/a?op=X&delegation=secret";
  }
  // Those that were heard.
  [[nodiscard]] size_t calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
  }
  // By the newest connection, whose call has returned.
  [[nodiscard]] std::string heard() const {
    const std::lock_guard lock(mutex_);
    return heard_;
  }

 private:
  void serve() {
    for (;;) {
      Fd peer(::accept(listener_.get(), nullptr, nullptr));
      if (!peer.valid()) return;
      char buffer[4096];
      std::string heard;
      while (heard.find("\r\n\r\n") == std::string::npos || heard.size() < wanted(heard)) {
        const ssize_t n = ::recv(peer.get(), buffer, sizeof buffer, 0);
        if (n <= 0) break;
        heard.append(buffer, static_cast<size_t>(n));
      }
      {
        const std::lock_guard lock(mutex_);
        heard_ = std::move(heard);
        ++calls_;
      }
      for (size_t i = 0; i < repeats_; ++i)
        if (::send(peer.get(), answer_.data(), answer_.size(), MSG_NOSIGNAL) <= 0) break;
    }
  }
  static size_t wanted(const std::string& heard) {
    const size_t at = heard.find("Content-Length: ");
    if (at == std::string::npos) return 0;
    return heard.find("\r\n\r\n") + 4 + std::stoul(heard.substr(at + 16));
  }

  Fd listener_;
  std::string answer_;
  size_t repeats_;
  uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::string heard_;  // guarded by mutex_
  size_t calls_ = 0;   // the same
  std::thread thread_;
};

}  // namespace tailrace::testing
