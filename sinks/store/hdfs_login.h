// What the calls to one HDFS carry to show who asks where it uses Kerberos: the cookie that a
// server gave, for as long as that takes it, else a proof. One for all clients of a sink, so that
// what one of them was given serves the others, also while no KDC answers. Nothing of it is ever
// shown. Thread: any; negotiating waits for the KDC, the others with it.
#pragma once

#include <map>
#include <string>

#include "base/locked.h"
#include "base/result.h"
#include "sinks/store/kerberos.h"
#include "sinks/store/webhdfs.h"

namespace tailrace {

class HdfsLogin {
 public:
  explicit HdfsLogin(const KerberosSettings& settings) : kerberos_(settings) {}

  // A whole header. retry_later: there is none now, and why.
  [[nodiscard]] Result<std::string> header_for(const HdfsUrl& server);
  // What that server answered to a call with `header`. true: it did not take the cookie in there;
  // ask again, with a new header.
  [[nodiscard]] bool heard(const HdfsUrl& server, const std::string& header,
                           const HttpReply& reply);

 private:
  using Cookies = std::map<std::string, std::string>;  // by server
  Locked<Cookies> cookies_;
  Locked<Kerberos> kerberos_;
};

}  // namespace tailrace
