#include "discovery/zookeeper.h"

#include <zookeeper/zookeeper.h>

#include <asio/post.hpp>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/units.h"

namespace tailrace {

struct ZooKeeper::Inbox {
  std::function<void(ZooEvent)> take;
};

// A session. The worker's, but for what never changes.
struct ZooKeeper::Handle {
  Handle(asio::io_context& road_in, std::weak_ptr<Inbox> inbox_in, uint64_t session_in)
      : road(road_in), inbox(std::move(inbox_in)), session(session_in) {}

  // From any thread.
  void tell(ZooEvent event) const {
    if (inbox.expired()) return;  // nobody listens, and the road may be at its end
    asio::post(road, [inbox = inbox, event = std::move(event)]() mutable {
      if (const auto here = inbox.lock()) here->take(std::move(event));
    });
  }

  asio::io_context& road;
  const std::weak_ptr<Inbox> inbox;
  const uint64_t session;
  zhandle_t* zh = nullptr;
};

namespace {
using Outcome = ZooReply::Outcome;
using Kind = ZooRequest::Kind;

// What a completion knows of its request; it deletes it.
struct Call {
  std::function<void(ZooReply)> answer;
  uint64_t session = 0;
  uint64_t number = 0;

  ZooReply reply(int rc) const {
    ZooReply out;
    out.session = session;
    out.number = number;
    out.text = zerror(rc);
    switch (rc) {
      case ZOK: out.outcome = Outcome::ok; break;
      case ZNONODE: out.outcome = Outcome::no_node; break;
      case ZNODEEXISTS: out.outcome = Outcome::exists; break;
      case ZBADVERSION: out.outcome = Outcome::bad_version; break;
      case ZNOAUTH:
      case ZAUTHFAILED:
      case ZINVALIDACL: out.outcome = Outcome::no_auth; break;
      case ZCONNECTIONLOSS:
      case ZOPERATIONTIMEOUT:
      case ZSESSIONEXPIRED:
      case ZSESSIONMOVED:
      case ZINVALIDSTATE:
      case ZCLOSING: out.outcome = Outcome::lost; break;
      default: out.outcome = Outcome::refused; break;
    }
    return out;
  }
};

std::unique_ptr<const Call> call_of(const void* data) {
  return std::unique_ptr<const Call>(static_cast<const Call*>(data));
}

void take_stat(ZooReply& reply, const Stat* stat) {
  if (stat == nullptr) return;
  reply.version = stat->version;
  reply.owner = stat->ephemeralOwner;
}

// --- completions: on the client's threads -------------------------------------------------------

void on_created(int rc, const char*, const void* data) {
  const auto call = call_of(data);
  call->answer(call->reply(rc));
}

void on_removed(int rc, const void* data) {
  const auto call = call_of(data);
  call->answer(call->reply(rc));
}

void on_read(int rc, const char* value, int length, const Stat* stat, const void* data) {
  const auto call = call_of(data);
  ZooReply reply = call->reply(rc);
  if (rc == ZOK && value != nullptr && length > 0)
    reply.value.assign(value, static_cast<size_t>(length));
  if (rc == ZOK) take_stat(reply, stat);
  call->answer(std::move(reply));
}

void on_looked(int rc, const Stat* stat, const void* data) {
  const auto call = call_of(data);
  ZooReply reply = call->reply(rc);
  if (rc == ZOK) take_stat(reply, stat);
  call->answer(std::move(reply));
}

void on_listed(int rc, const String_vector* names, const void* data) {
  const auto call = call_of(data);
  ZooReply reply = call->reply(rc);
  if (rc == ZOK && names != nullptr)
    for (int i = 0; i < names->count; ++i) reply.names.emplace_back(names->data[i]);
  call->answer(std::move(reply));
}

// Its own words: each failed connection is a line, so they are for those who look for them.
void on_log(const char* message) { log::debug(std::string("ZooKeeper's client: ") + message); }

// Ours for those who know the password, to be read by all.
struct NodeRights {
  explicit NodeRights(bool has_auth) {
    acls[0] = {ZOO_PERM_ALL, has_auth ? ZOO_AUTH_IDS : ZOO_ANYONE_ID_UNSAFE};
    acls[1] = {ZOO_PERM_READ, ZOO_ANYONE_ID_UNSAFE};
    vector = {has_auth ? 2 : 1, acls};
  }
  NodeRights(const NodeRights&) = delete;
  NodeRights& operator=(const NodeRights&) = delete;
  ACL acls[2];
  ACL_vector vector;
};

// ZOK: a completion follows and deletes the call.
int send(zhandle_t* zh, const ZooRequest& r, bool has_auth, const Call* call) {
  const char* const path = r.path.c_str();
  const NodeRights rights(has_auth);
  switch (r.kind) {
    case Kind::create:
    case Kind::create_ephemeral:
      return zoo_acreate(zh, path, r.value.data(), static_cast<int>(r.value.size()), &rights.vector,
                         r.kind == Kind::create ? 0 : ZOO_EPHEMERAL, on_created, call);
    case Kind::read: return zoo_aget(zh, path, 0, on_read, call);
    case Kind::exists: return zoo_aexists(zh, path, r.watch ? 1 : 0, on_looked, call);
    case Kind::list: return zoo_aget_children(zh, path, r.watch ? 1 : 0, on_listed, call);
    case Kind::remove: return zoo_adelete(zh, path, r.version, on_removed, call);
  }
  return ZBADARGUMENTS;
}

// On the client's threads; `zh` is the handle also while zookeeper_init has not returned.
ZooEvent session_event(zhandle_t* zh, int state, uint64_t session) {
  using What = ZooSession::What;
  if (state == ZOO_CONNECTED_STATE)
    return ZooSession{session, What::connected, zoo_client_id(zh)->client_id, zoo_recv_timeout(zh)};
  if (state == ZOO_EXPIRED_SESSION_STATE)
    return ZooSession{.session = session, .what = What::expired};
  if (state == ZOO_AUTH_FAILED_STATE)
    return ZooSession{session, What::refused, 0, 0,
                      "ZooKeeper does not take the user and password"};
  return ZooSession{.session = session, .what = What::lost};
}
}  // namespace

ZooKeeper::ZooKeeper(asio::io_context& road, const ZooKeeperSettings& settings,
                     std::function<void(ZooEvent)> on_event)
    : servers_(settings.servers),
      auth_(settings.auth),
      session_ms_(settings.session_ms),
      road_(road),
      inbox_(std::make_shared<Inbox>(Inbox{std::move(on_event)})),
      worker_(road, "zookeeper") {
  zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
}

ZooKeeper::~ZooKeeper() {
  inbox_.reset();
  close();
}

void ZooKeeper::open(uint64_t session) {
  TAILRACE_CHECK(!handle_, "a session of ZooKeeper's is opened twice");
  handle_ = std::make_shared<Handle>(road_, inbox_, session);
  worker_.post([handle = handle_, hosts = servers_.hosts, auth = auth_, ms = session_ms_] {
    const watcher_fn watch = [](zhandle_t* zh, int type, int state, const char* path,
                                void* context) {
      const auto* const of = static_cast<const Handle*>(context);
      if (type == ZOO_SESSION_EVENT) return of->tell(session_event(zh, state, of->session));
      if (type != ZOO_NOTWATCHING_EVENT) of->tell(ZooChange{of->session, path});
    };
    // It resolves names, which blocks.
    handle->zh = zookeeper_init2(hosts.c_str(), watch, static_cast<int>(ms), nullptr, handle.get(),
                                 0, on_log);
    if (handle->zh == nullptr)
      return handle->tell(ZooSession{handle->session, ZooSession::What::refused, 0, 0,
                                     "no session with " + hosts + ": " + std::strerror(errno)});
    if (!auth.empty())
      zoo_add_auth(
          handle->zh, "digest", auth.data(), static_cast<int>(auth.size()), [](int, const void*) {},
          nullptr);
  });
}

void ZooKeeper::close() {
  if (!handle_) return;
  // Never on one of its own threads: it waits for them.
  worker_.post([handle = std::exchange(handle_, nullptr)] {
    if (handle->zh != nullptr) zookeeper_close(std::exchange(handle->zh, nullptr));
  });
}

asio::awaitable<void> ZooKeeper::end() {
  close();
  std::function<void()> nothing = [] {};
  co_await worker_.run(std::move(nothing));
}

void ZooKeeper::request(ZooRequest request) {
  TAILRACE_CHECK(handle_ != nullptr, "ZooKeeper is asked without a session");
  auto call = std::make_unique<Call>();
  call->answer = [handle = handle_.get()](ZooReply reply) { handle->tell(std::move(reply)); };
  call->session = handle_->session;
  call->number = request.number;
  if (request.value.size() > kMostNodeBytes) {
    ZooReply reply = call->reply(ZBADARGUMENTS);
    reply.text = request.path + " would hold " + show_count(request.value.size()) +
                 " bytes, more than the " + show_count(kMostNodeBytes) +
                 " that this program writes into a node";
    return handle_->tell(std::move(reply));
  }
  worker_.post([handle = handle_, request = std::move(request), has_auth = !auth_.empty(),
                call = std::shared_ptr<Call>(std::move(call))] {
    // The completion gets one of its own; it runs before the handle ends.
    auto own = std::make_unique<Call>(*call);
    const int rc = handle->zh == nullptr ? static_cast<int>(ZINVALIDSTATE)
                                         : send(handle->zh, request, has_auth, own.get());
    if (rc == ZOK)
      static_cast<void>(own.release());
    else
      handle->tell(call->reply(rc));
  });
}

}  // namespace tailrace
