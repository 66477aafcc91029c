#include "sinks/store/http_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <cstdio>
#include <optional>

#include "base/check.h"
#include "base/units.h"

namespace tailrace {

namespace {

constexpr long kConnectMs = 5'000;
constexpr long kStalledSeconds = 60;  // with less than that many bytes a second, either way:
constexpr long kStalledBytes = 1'000;
constexpr size_t kMostHeaderBytes = 64u << 10;
constexpr long kUploadBytes = 256 << 10;
constexpr long kAuthoritiesSeconds = 10;  // a file of authorities is read again after that

// One call under way.
struct Exchange {
  const HttpCall& call;
  HttpReply reply{};
  uint64_t sent = 0;
  size_t header_bytes = 0;
  std::optional<Error> broken{};  // why we ended it ourselves
};

size_t take_body(char* bytes, size_t size, size_t n, void* to) {
  auto& exchange = *static_cast<Exchange*>(to);
  if (exchange.reply.body.size() + size * n > exchange.call.most_bytes) {
    exchange.broken = Error{Error::Kind::retry_later,
                            "an answer of more than " + show_size(exchange.call.most_bytes)};
    return 0;
  }
  exchange.reply.body.append(bytes, size * n);
  return size * n;
}

// What stands behind "Name:" in a line of a head, in any case; nullopt: it is another header's.
std::optional<std::string_view> value_of(std::string_view line, std::string_view name) {
  if (line.size() <= name.size() || line[name.size()] != ':') return std::nullopt;
  for (size_t i = 0; i < name.size(); ++i)
    if ((line[i] | 0x20) != name[i]) return std::nullopt;
  line.remove_prefix(name.size() + 1);
  while (line.starts_with(' ') || line.starts_with('\t')) line.remove_prefix(1);
  while (!line.empty() && static_cast<unsigned char>(line.back()) <= ' ') line.remove_suffix(1);
  return line;
}

void take_proofs(std::string_view line, HttpReply& reply) {
  if (const auto cookie = value_of(line, "set-cookie");
      cookie && cookie->starts_with("hadoop.auth="))
    reply.cookie = cookie->substr(0, cookie->find(';'));
  if (const auto challenge = value_of(line, "www-authenticate")) reply.challenge = *challenge;
}

size_t take_header(char* bytes, size_t size, size_t n, void* to) {
  auto& exchange = *static_cast<Exchange*>(to);
  take_proofs({bytes, size * n}, exchange.reply);
  exchange.header_bytes += size * n;
  if (exchange.header_bytes <= kMostHeaderBytes) return size * n;
  exchange.broken = Error{Error::Kind::retry_later, "an answer with endless headers"};
  return 0;
}

size_t give_body(char* into, size_t size, size_t n, void* to) {
  auto& exchange = *static_cast<Exchange*>(to);
  const HttpBody* const body = exchange.call.body;
  if (body == nullptr || exchange.sent >= body->length) return 0;
  const size_t most = std::min<uint64_t>(size * n, body->length - exchange.sent);
  auto got = body->read(exchange.sent, into, most);
  if (!got || *got == 0) {
    exchange.broken =
        got ? Error{Error::Kind::corrupt, "what is to be sent became shorter"} : got.error();
    return CURL_READFUNC_ABORT;
  }
  exchange.sent += *got;
  return *got;
}

// A connection that had been kept turns out to be dead: from the beginning.
int seek_body(void* to, curl_off_t offset, int origin) {
  if (origin != SEEK_SET || offset < 0) return CURL_SEEKFUNC_CANTSEEK;
  static_cast<Exchange*>(to)->sent = static_cast<uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

// "host:port" of an address, for people.
std::string server_of(const std::string& address) {
  const size_t begin = address.find("://");
  if (begin == std::string::npos) return "?";
  return escape(address.substr(begin + 3, address.find_first_of("/?", begin + 3) - begin - 3), 300);
}

// What to do about it, where libcurl's own words do not tell.
std::string mended_by(CURLcode code, std::string_view said, const std::string& ca_file) {
  const bool name = said.find("subject name") != std::string_view::npos;
  if (code == CURLE_PEER_FAILED_VERIFICATION && name)
    return "; write in `url` a name that stands in its certificate";
  const std::string now = ca_file.empty() ? "the system's are believed" : "now " + ca_file;
  if (code == CURLE_PEER_FAILED_VERIFICATION)
    return "; name in `ca_file` the authority that signed its certificate (" + now + ")";
  if (code == CURLE_SSL_CACERT_BADFILE)
    return "; `ca_file` must be readable and hold certificates as PEM";
  if (code == CURLE_SSL_CONNECT_ERROR) return "; does this port speak TLS?";
  if (code == CURLE_UNSUPPORTED_PROTOCOL) return "; does this port want TLS (swebhdfs://)?";
  return "";
}

}  // namespace

struct HttpClient::State {
  explicit State(std::string authorities) : ca_file(std::move(authorities)) {
    static const CURLcode kBegun = curl_global_init(CURL_GLOBAL_DEFAULT);
    TAILRACE_CHECK(kBegun == CURLE_OK, "libcurl does not begin");
    curl = curl_easy_init();
    TAILRACE_CHECK(curl != nullptr, "libcurl gives no handle");
  }
  ~State() {
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  template <class Value>
  void set(CURLoption option, Value value) {
    const CURLcode code = curl_easy_setopt(curl, option, value);
    TAILRACE_CHECK(code == CURLE_OK, curl_easy_strerror(code));
  }
  void prepare(Exchange& exchange);
  void take_headers(const HttpCall& call);

  const std::string ca_file;
  CURL* curl = nullptr;
  curl_slist* headers = nullptr;
  char said[CURL_ERROR_SIZE] = {};
};

void HttpClient::State::take_headers(const HttpCall& call) {
  curl_slist_free_all(headers);
  headers = nullptr;
  for (const char* header : {"Expect:", "Content-Type: application/octet-stream"})
    headers = curl_slist_append(headers, header);
  if (!call.header.empty()) headers = curl_slist_append(headers, call.header.c_str());
  set(CURLOPT_HTTPHEADER, headers);
}

void HttpClient::State::prepare(Exchange& exchange) {
  const HttpCall& call = exchange.call;
  curl_easy_reset(curl);
  set(CURLOPT_ERRORBUFFER, said);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_NOPROXY, "*");
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_USERAGENT, "tailrace/" TAILRACE_VERSION);
  take_headers(call);
  set(CURLOPT_URL, call.address.c_str());
  set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  set(CURLOPT_CA_CACHE_TIMEOUT, kAuthoritiesSeconds);
  if (!ca_file.empty()) {
    set(CURLOPT_CAINFO, ca_file.c_str());
    set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));  // the system's are not believed too
  }
  set(CURLOPT_CONNECTTIMEOUT_MS, kConnectMs);
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(call.timeout_ms));
  set(CURLOPT_LOW_SPEED_LIMIT, kStalledBytes);
  set(CURLOPT_LOW_SPEED_TIME, kStalledSeconds);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_WRITEFUNCTION, take_body);
  set(CURLOPT_WRITEDATA, &exchange);
  set(CURLOPT_HEADERFUNCTION, take_header);
  set(CURLOPT_HEADERDATA, &exchange);
  if (call.method == "PUT") {
    set(CURLOPT_UPLOAD, 1L);
    set(CURLOPT_UPLOAD_BUFFERSIZE, kUploadBytes);
    set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(call.body ? call.body->length : 0));
    set(CURLOPT_READFUNCTION, give_body);
    set(CURLOPT_READDATA, &exchange);
    set(CURLOPT_SEEKFUNCTION, seek_body);
    set(CURLOPT_SEEKDATA, &exchange);
  } else if (call.method != "GET") {
    set(CURLOPT_CUSTOMREQUEST, call.method.c_str());
  }
}

HttpClient::HttpClient(std::string ca_file) : state_(std::make_unique<State>(std::move(ca_file))) {}
HttpClient::~HttpClient() = default;

Result<HttpReply> HttpClient::call(const HttpCall& call) {
  Exchange exchange{.call = call};
  state_->prepare(exchange);
  state_->said[0] = '\0';
  const CURLcode code = curl_easy_perform(state_->curl);
  if (exchange.broken) return exchange.broken->within(server_of(call.address));
  if (code != CURLE_OK) {
    const char* const said = state_->said[0] ? state_->said : curl_easy_strerror(code);
    return Error{Error::Kind::retry_later, server_of(call.address) + ": " + escape(said, 300) +
                                               mended_by(code, said, state_->ca_file)};
  }
  long status = 0;
  const char* type = nullptr;
  const char* location = nullptr;
  curl_easy_getinfo(state_->curl, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(state_->curl, CURLINFO_CONTENT_TYPE, &type);
  curl_easy_getinfo(state_->curl, CURLINFO_REDIRECT_URL, &location);
  exchange.reply.status = static_cast<int>(status);
  if (type) exchange.reply.type = type;
  if (location) exchange.reply.location = location;
  curl_header* date = nullptr;
  if (curl_easy_header(state_->curl, "Date", 0, CURLH_HEADER, -1, &date) == CURLHE_OK)
    exchange.reply.server_s = std::max<int64_t>(0, curl_getdate(date->value, nullptr));
  return std::move(exchange.reply);
}

}  // namespace tailrace
