#include "sinks/store/kerberos.h"

#include <fcntl.h>
#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <krb5.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <vector>

#include "base/base64.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/units.h"
#include "sinks/store/ticket_life.h"

namespace tailrace {

namespace {

constexpr size_t kMostShown = 5;  // principals of a keytab
// SPNEGO, 1.3.6.1.5.5.2
gss_OID_desc kSpnego = {6, const_cast<char*>("\x2b\x06\x01\x05\x05\x02")};

Error trouble(std::string text) { return Error{Error::Kind::retry_later, std::move(text)}; }

// What is freed when its owner goes.
class Freed {
 public:
  explicit Freed(std::function<void()> free) : free_(std::move(free)) {}
  ~Freed() { free_(); }
  Freed(const Freed&) = delete;
  Freed& operator=(const Freed&) = delete;

 private:
  std::function<void()> free_;
};

std::string said_of(krb5_context context, krb5_error_code code) {
  const char* const said = krb5_get_error_message(context, code);
  std::string out = escape(said, 300);
  krb5_free_error_message(context, said);
  return out;
}

std::string name_of(krb5_context context, krb5_const_principal principal) {
  char* name = nullptr;
  if (krb5_unparse_name(context, principal, &name) != 0) return "?";
  std::string out = escape(name, 200);
  krb5_free_unparsed_name(context, name);
  return out;
}

// What a person does about it; empty: what is said tells.
std::string mended_by(krb5_error_code code) {
  switch (code) {
    case KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN:
    case KRB5KDC_ERR_CLIENT_REVOKED: return "; ask the realm's administrator for this principal";
    case KRB5KDC_ERR_PREAUTH_FAILED:
    case KRB5KRB_AP_ERR_BAD_INTEGRITY:
      return "; the keytab's key is not the KDC's any more: have it written anew";
    case KRB5KRB_AP_ERR_SKEW:
    case KRB5KDC_ERR_NEVER_VALID:
    case KRB5KRB_AP_ERR_TKT_NYV:
      return "; set the clocks: this host's and the KDC's differ by more than 5 minutes";
    case KRB5_KDC_UNREACH:
    case KRB5_REALM_UNKNOWN:
    case KRB5_REALM_CANT_RESOLVE:
      return "; the realm's KDCs stand in /etc/krb5.conf or in DNS, and must be reachable on port "
             "88";
    case KRB5_CONFIG_NODEFREALM: return "; write the realm too, as in tailrace/_HOST@REALM";
    case KRB5KDC_ERR_S_PRINCIPAL_UNKNOWN:
      return "; `url` must name the server as its principal HTTP/... does";
    default: return "";
  }
}

// This host's full name, as krb5.conf wants it made.
std::string own_host(krb5_context context) {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  char* full = nullptr;
  std::string out = name;
  if (krb5_expand_hostname(context, name, &full) == 0) {
    out = full;
    krb5_free_string(context, full);
  }
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::string with_host(std::string principal, const std::string& host) {
  const size_t at = principal.find("/_HOST");
  if (at != std::string::npos) principal.replace(at + 1, 5, host);
  return principal;
}

// Whom the keytab has keys of, for people.
std::string names_in(krb5_context context, krb5_keytab keytab) {
  std::vector<std::string> names;
  krb5_kt_cursor cursor{};
  if (krb5_kt_start_seq_get(context, keytab, &cursor) != 0) return "nothing that can be read";
  krb5_keytab_entry entry{};
  while (krb5_kt_next_entry(context, keytab, &entry, &cursor) == 0) {
    std::string name = name_of(context, entry.principal);
    krb5_free_keytab_entry_contents(context, &entry);
    if (std::find(names.begin(), names.end(), name) == names.end())
      names.push_back(std::move(name));
  }
  krb5_kt_end_seq_get(context, keytab, &cursor);
  std::string out;
  for (size_t i = 0; i < std::min(names.size(), kMostShown); ++i)
    out += (i > 0 ? ", " : "") + names[i];
  if (names.size() > kMostShown) out += ", ...";
  return out.empty() ? "nothing" : out;
}

// Tickets of one login, in a cache of their own.
class Login {
 public:
  Login() = default;
  ~Login() {
    if (principal_) krb5_free_principal(context_, principal_);
    if (cache_) krb5_cc_destroy(context_, cache_);
    if (context_) krb5_free_context(context_);
  }
  Login(const Login&) = delete;
  Login& operator=(const Login&) = delete;

  Result<void> begin(const KerberosSettings& settings);
  [[nodiscard]] int64_t life_ms() const { return life_ms_; }
  // The ticket for HTTP/host is in the cache. `cached`: no KDC is asked.
  Result<void> ticket_for(const std::string& host, bool cached);
  Result<std::string> proof_for(const std::string& host);

 private:
  Result<void> find_key(krb5_keytab keytab, const std::string& file) const;
  Result<void> log_in(krb5_keytab keytab);
  [[nodiscard]] Error failed(const std::string& doing, krb5_error_code code) const {
    return trouble(doing + ": " + said_of(context_, code) + mended_by(code));
  }

  krb5_context context_ = nullptr;
  krb5_ccache cache_ = nullptr;
  krb5_principal principal_ = nullptr;
  std::string name_;  // the principal's
  int64_t life_ms_ = 0;
};

Result<void> Login::begin(const KerberosSettings& settings) {
  if (const krb5_error_code code = krb5_init_context(&context_); code != 0)
    return trouble("krb5.conf: " + said_of(nullptr, code));
  name_ = with_host(settings.principal, own_host(context_));
  krb5_error_code code = krb5_parse_name(context_, name_.c_str(), &principal_);
  if (code != 0) return failed("the principal " + escape(name_, 200), code);
  name_ = name_of(context_, principal_);

  const std::string file = escape(settings.keytab, 300);
  if (auto readable = open_file(settings.keytab, O_RDONLY, 0); !readable)
    return trouble("the keytab " + file + ": " + readable.error().text +
                   "; this program's user must be able to read it");
  krb5_keytab keytab = nullptr;
  code = krb5_kt_resolve(context_, ("FILE:" + settings.keytab).c_str(), &keytab);
  if (code != 0) return failed("the keytab " + file, code);
  const Freed freed([&] { krb5_kt_close(context_, keytab); });
  if (auto found = find_key(keytab, file); !found) return found;
  return log_in(keytab);
}

Result<void> Login::find_key(krb5_keytab keytab, const std::string& file) const {
  krb5_keytab_entry entry{};
  const krb5_error_code code = krb5_kt_get_entry(context_, keytab, principal_, 0, 0, &entry);
  if (code == 0) {
    krb5_free_keytab_entry_contents(context_, &entry);
    return {};
  }
  if (code != KRB5_KT_NOTFOUND && code != KRB5_KT_KVNONOTFOUND)
    return failed("the keytab " + file, code);
  return trouble("the keytab " + file + " has no key of " + name_ + "; it has those of " +
                 names_in(context_, keytab));
}

Result<void> Login::log_in(krb5_keytab keytab) {
  krb5_get_init_creds_opt* options = nullptr;
  krb5_error_code code = krb5_get_init_creds_opt_alloc(context_, &options);
  if (code != 0) return failed("a ticket for " + name_, code);
  const Freed free_options([&] { krb5_get_init_creds_opt_free(context_, options); });
  krb5_creds creds{};
  code = krb5_get_init_creds_keytab(context_, &creds, principal_, keytab, 0, nullptr, options);
  if (code != 0) return failed("a ticket for " + name_, code);
  const Freed free_creds([&] { krb5_free_cred_contents(context_, &creds); });
  krb5_timestamp now = 0;
  code = krb5_timeofday(context_, &now);
  if (code == 0) code = krb5_cc_new_unique(context_, "MEMORY", nullptr, &cache_);
  if (code == 0) code = krb5_cc_initialize(context_, cache_, principal_);
  if (code == 0) code = krb5_cc_store_cred(context_, cache_, &creds);
  if (code != 0) return failed("keeping the ticket of " + name_, code);
  // Seconds of 32 bits that wrap, as krb5 counts them.
  life_ms_ = static_cast<int64_t>(static_cast<uint32_t>(creds.times.endtime) -
                                  static_cast<uint32_t>(now)) *
             1'000;
  return {};
}

Result<void> Login::ticket_for(const std::string& host, bool cached) {
  const std::string doing = "a ticket of " + name_ + " for HTTP/" + escape(host, 200);
  krb5_creds wanted{};
  krb5_error_code code =
      krb5_sname_to_principal(context_, host.c_str(), "HTTP", KRB5_NT_SRV_HST, &wanted.server);
  if (code != 0) return failed(doing, code);
  const Freed free_server([&] { krb5_free_principal(context_, wanted.server); });
  wanted.client = principal_;
  krb5_creds* got = nullptr;
  code = krb5_get_credentials(context_, cached ? KRB5_GC_CACHED : 0, cache_, &wanted, &got);
  if (code != 0) return failed(doing, code);
  krb5_free_creds(context_, got);
  return {};
}

Result<std::string> Login::proof_for(const std::string& host) {
  const std::string cache =
      std::string(krb5_cc_get_type(context_, cache_)) + ":" + krb5_cc_get_name(context_, cache_);
  OM_uint32 minor = 0;
  const auto failed = [&](OM_uint32 major) {
    OM_uint32 more = 0, ignored = 0;
    gss_buffer_desc text{};
    gss_display_status(&ignored, major, GSS_C_GSS_CODE, GSS_C_NO_OID, &more, &text);
    std::string said(static_cast<const char*>(text.value), text.length);
    gss_release_buffer(&ignored, &text);
    gss_display_status(&ignored, minor, GSS_C_MECH_CODE, GSS_C_NO_OID, &more, &text);
    said += ": " + std::string(static_cast<const char*>(text.value), text.length);
    gss_release_buffer(&ignored, &text);
    return trouble("a proof of " + name_ + " for HTTP/" + escape(host, 200) + ": " +
                   escape(said, 300));
  };
  OM_uint32 ignored = 0;
  gss_name_t target = GSS_C_NO_NAME;
  gss_cred_id_t ours = GSS_C_NO_CREDENTIAL;
  gss_ctx_id_t talk = GSS_C_NO_CONTEXT;
  gss_buffer_desc token{};
  const Freed freed([&] {
    gss_release_buffer(&ignored, &token);
    if (talk != GSS_C_NO_CONTEXT) gss_delete_sec_context(&ignored, &talk, GSS_C_NO_BUFFER);
    if (ours != GSS_C_NO_CREDENTIAL) gss_release_cred(&ignored, &ours);
    if (target != GSS_C_NO_NAME) gss_release_name(&ignored, &target);
  });
  std::string service = "HTTP@" + host;
  gss_buffer_desc name{service.size(), service.data()};
  OM_uint32 major = gss_import_name(&minor, &name, GSS_C_NT_HOSTBASED_SERVICE, &target);
  if (GSS_ERROR(major)) return failed(major);
  gss_key_value_element_desc place{"ccache", cache.c_str()};
  const gss_key_value_set_desc places{1, &place};
  major = gss_acquire_cred_from(&minor, GSS_C_NO_NAME, GSS_C_INDEFINITE, GSS_C_NO_OID_SET,
                                GSS_C_INITIATE, &places, &ours, nullptr, nullptr);
  if (GSS_ERROR(major)) return failed(major);
  major = gss_init_sec_context(&minor, ours, &talk, target, &kSpnego, GSS_C_MUTUAL_FLAG, 0,
                               GSS_C_NO_CHANNEL_BINDINGS, GSS_C_NO_BUFFER, nullptr, &token, nullptr,
                               nullptr);
  if (GSS_ERROR(major)) return failed(major);
  return base64({static_cast<const char*>(token.value), token.length});
}

}  // namespace

class Kerberos::Session {
 public:
  explicit Session(KerberosSettings settings) : settings_(std::move(settings)) {}

  Result<std::string> prove_to(const std::string& host) {
    if (life_.due(mono_ms())) log_in();
    if (!login_ || !life_.usable(mono_ms())) return why_not_;
    const bool pausing = !life_.may_ask(mono_ms());
    if (auto ticket = login_->ticket_for(host, pausing); !ticket) {
      if (pausing) return why_not_;
      return give_up(ticket.error());
    }
    return login_->proof_for(host);
  }

  void refused() { life_.refused(mono_ms()); }

 private:
  void log_in() {
    auto login = std::make_unique<Login>();
    if (auto begun = login->begin(settings_); !begun) {
      give_up(begun.error());
      return;
    }
    life_.got(mono_ms(), login->life_ms());
    login_ = std::move(login);
  }

  Error give_up(const Error& why) {
    why_not_ = why.within("Kerberos");
    life_.failed(mono_ms());
    return why_not_;
  }

  KerberosSettings settings_;
  TicketLife life_;
  std::unique_ptr<Login> login_;  // the last that was had
  Error why_not_{Error::Kind::retry_later, "Kerberos: no ticket yet"};
};

Kerberos::Kerberos(KerberosSettings settings)
    : session_(std::make_unique<Session>(std::move(settings))) {}
Kerberos::~Kerberos() = default;

Result<std::string> Kerberos::prove_to(const std::string& host) { return session_->prove_to(host); }
void Kerberos::refused() { session_->refused(); }

}  // namespace tailrace
