// Who is at the other end of a socket, as the kernel knows it.
// Thread: any; pure but for asking the kernel.
#pragma once

#include <string>

namespace tailrace {

struct PeerAddress {
  std::string name;  // for people: "10.0.0.7:4711", "process 812 of user 0"
  std::string host;  // "10.0.0.7"; empty: on this machine (loopback, a Unix socket)
};
// `socket` is connected; one that is not any more has the name "a peer that has gone".
[[nodiscard]] PeerAddress peer_address(int socket);

}  // namespace tailrace
