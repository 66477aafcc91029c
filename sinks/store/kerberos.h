// Kerberos by a keytab, without kinit: tickets of our own, in memory, which no environment variable
// and no other sink shares. krb5 and GSSAPI are included from kerberos.cc alone.
// Thread: one call at a time per object; a call may block for a minute while no KDC answers.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "sinks/store/hdfs_access.h"

namespace tailrace {

class Kerberos {
 public:
  explicit Kerberos(KerberosSettings settings);
  ~Kerberos();
  Kerberos(const Kerberos&) = delete;
  Kerberos& operator=(const Kerberos&) = delete;

  // A proof for the web server HTTP/host, good once: SPNEGO, as base64. Logs in where it must, and
  // anew before the tickets end; while no KDC answers the old ones do. retry_later: why there is
  // none, and what to do about it. The text holds no secret.
  [[nodiscard]] Result<std::string> prove_to(const std::string& host);
  // A server did not take the last proof: new tickets in a few seconds.
  void refused();

 private:
  class Session;
  std::unique_ptr<Session> session_;
};

}  // namespace tailrace
