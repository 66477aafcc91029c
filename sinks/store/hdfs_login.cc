#include "sinks/store/hdfs_login.h"

namespace tailrace {

namespace {
constexpr size_t kMostCookieBytes = 4'096;
constexpr std::string_view kCookie = "Cookie: ";

// A server takes a cookie back by an empty one.
bool gives(const std::string& cookie) {
  return cookie.size() > std::string_view("hadoop.auth=\"\"").size() &&
         cookie.size() <= kMostCookieBytes;
}
}  // namespace

Result<std::string> HdfsLogin::header_for(const HdfsUrl& server) {
  const std::string kept = cookies_.with([&](Cookies& cookies) {
    const auto found = cookies.find(server.server());
    return found == cookies.end() ? std::string() : found->second;
  });
  if (!kept.empty()) return std::string(kCookie) + kept;
  auto proof = kerberos_.with([&](Kerberos& kerberos) { return kerberos.prove_to(server.host); });
  if (!proof) return proof;
  return "Authorization: Negotiate " + *proof;
}

bool HdfsLogin::heard(const HdfsUrl& server, const std::string& header, const HttpReply& reply) {
  const bool by_cookie = header.starts_with(kCookie);
  const bool refused = reply.status == 401, given = !refused && gives(reply.cookie);
  cookies_.with([&](Cookies& cookies) {
    const std::string at = server.server();
    const auto kept = cookies.find(at);
    // Another client may have been given a new one meanwhile.
    if (refused && by_cookie && kept != cookies.end() &&
        header == std::string(kCookie) + kept->second)
      cookies.erase(kept);
    if (given) cookies[at] = reply.cookie;
  });
  if (!by_cookie && !given && (refused || reply.status == 403))
    kerberos_.with([](Kerberos& kerberos) { kerberos.refused(); });
  return refused && by_cookie;
}

}  // namespace tailrace
