#include "flow/peer_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

namespace tailrace {

namespace {
PeerAddress on_this_machine(int socket) {
  struct ucred who {};
  socklen_t size = sizeof who;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) return {"a process", ""};
  return {"process " + std::to_string(who.pid) + " of user " + std::to_string(who.uid), ""};
}

PeerAddress ipv4(const sockaddr_in& at) {
  char text[INET_ADDRSTRLEN] = "";
  (void)::inet_ntop(AF_INET, &at.sin_addr, text, sizeof text);
  const bool loopback = ntohl(at.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
  return {std::string(text) + ":" + std::to_string(ntohs(at.sin_port)), loopback ? "" : text};
}

PeerAddress ipv6(const sockaddr_in6& at) {
  if (IN6_IS_ADDR_V4MAPPED(&at.sin6_addr)) {
    sockaddr_in plain{};
    plain.sin_port = at.sin6_port;
    std::copy_n(at.sin6_addr.s6_addr + 12, 4, reinterpret_cast<unsigned char*>(&plain.sin_addr));
    return ipv4(plain);
  }
  char text[INET6_ADDRSTRLEN] = "";
  (void)::inet_ntop(AF_INET6, &at.sin6_addr, text, sizeof text);
  const bool loopback = IN6_IS_ADDR_LOOPBACK(&at.sin6_addr);
  return {"[" + std::string(text) + "]:" + std::to_string(ntohs(at.sin6_port)),
          loopback ? "" : text};
}
}  // namespace

PeerAddress peer_address(int socket) {
  sockaddr_storage at{};
  socklen_t size = sizeof at;
  if (::getpeername(socket, reinterpret_cast<sockaddr*>(&at), &size) != 0)
    return {"a peer that has gone", ""};
  if (at.ss_family == AF_INET) return ipv4(reinterpret_cast<const sockaddr_in&>(at));
  if (at.ss_family == AF_INET6) return ipv6(reinterpret_cast<const sockaddr_in6&>(at));
  return on_this_machine(socket);
}

}  // namespace tailrace
