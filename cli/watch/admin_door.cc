#include "cli/watch/admin_door.h"

#include "base/bell.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/spawn.h"
#include "cli/watch/figures.h"

namespace tailrace {

namespace {
constexpr int64_t kLookMs = 5'000;  // so that "since" is true
constexpr const char* kJson = "application/json";
constexpr const char* kPrometheus = "text/plain; version=0.0.4; charset=utf-8";
}  // namespace

struct AdminDoor::State {
  State(asio::io_context& r, std::function<void(Snapshot&)> l)
      : road(r), server(r), bell(r), look(std::move(l)) {}

  const Snapshot& now() {
    snapshot.now_ms = wall_ms();
    look(snapshot);
    readiness.look(snapshot);
    return snapshot;
  }

  static asio::awaitable<void> look_often(std::shared_ptr<State> self) {
    while (!self->closed) {
      (void)self->now();
      co_await self->bell.wait(kLookMs);
    }
  }

  asio::io_context& road;
  AdminServer server;
  Bell bell;
  std::function<void(Snapshot&)> look;
  Snapshot snapshot;
  Readiness readiness;
  bool closed = false;
};

AdminDoor::AdminDoor(asio::io_context& road, std::string role, std::string cluster,
                     std::function<void(Snapshot&)> look)
    : state_(std::make_shared<State>(road, std::move(look))) {
  state_->snapshot.role = std::move(role);
  state_->snapshot.cluster = std::move(cluster);
  state_->snapshot.started_ms = wall_ms();
  State* const state = state_.get();  // the server is a part of it
  state->server.route("/metrics", [state](const std::string&) {
    const Snapshot& now = state->now();
    return HttpAnswer{200, kPrometheus, metrics_text(now, state->readiness.ready())};
  });
  state->server.route("/livez", [](const std::string&) {
    return HttpAnswer{200, "text/plain; charset=utf-8", "alive\n"};
  });
  state->server.route("/readyz", [state](const std::string&) {
    (void)state->now();
    const int status = state->readiness.ready() ? 200 : 503;
    return HttpAnswer{status, kJson, readiness_json(state->readiness)};
  });
  state->server.route("/api/v1/status", [state](const std::string&) {
    const Snapshot& now = state->now();
    return HttpAnswer{200, kJson, status_json(now, state->readiness)};
  });
}

AdminDoor::~AdminDoor() { close(); }

void AdminDoor::on_drain(std::function<void()> drain) {
  state_->server.command("/api/v1/drain", [drain = std::move(drain)] {
    drain();
    return HttpAnswer{200, "text/plain; charset=utf-8", "draining\n"};
  });
}

Result<void> AdminDoor::open(const AdminConfig& admin) {
  if (auto opened = state_->server.open(admin.at, !admin.chosen); !opened) return opened;
  const HostPort at = state_->server.address();
  const bool another = admin.at.port != 0 && at.port != admin.at.port;
  log::info("admin port: http://" + at.show() + "/metrics, /readyz, /api/v1/status" +
            (another ? " (" + admin.at.show() + " is taken)" : ""));
  spawn(state_->road, "readiness", State::look_often(state_));
  return {};
}

void AdminDoor::close() {
  state_->closed = true;
  state_->server.close();
  state_->bell.ring();
}

}  // namespace tailrace
