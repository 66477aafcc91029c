// A program's admin port and what stands behind it: /metrics, /livez, /readyz, /api/v1/status.
// Thread: the road.
#pragma once

#include <asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

#include "admin/admin_server.h"
#include "cli/config/role_config.h"
#include "cli/watch/snapshot.h"

namespace tailrace {

class AdminDoor {
 public:
  // `look` fills in the roles' states; it must outlive the door.
  AdminDoor(asio::io_context& road, std::string role, std::string cluster,
            std::function<void(Snapshot&)> look);
  ~AdminDoor();

  // `tailrace drain` may ask for it: POST /api/v1/drain. It must outlive the door.
  void on_drain(std::function<void()> drain);

  // Listens, and says where. A port that the operator chose must be free; of the default another
  // one is taken if it is not. rejected: the text says what to do.
  Result<void> open(const AdminConfig& admin);
  void close();

 private:
  struct State;
  std::shared_ptr<State> state_;  // its coroutine holds it too
};

}  // namespace tailrace
