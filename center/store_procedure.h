// A conversation with the store as a machine: it says what it wants done next, is told what came of
// it, and ends. Sealing, acquiring, reclaiming, the janitor's work are such procedures; one driver
// carries all of them out (center/store_driver.h), and so does a simulation.
// Thread: the road. Pure: no clock, no randomness, no store inside.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "sinks/store/files.h"
#include "sinks/store/records.h"

namespace tailrace {

struct CasRequest {
  std::string name;
  std::string record;
  Records::Parent parent = Records::Parent::must_exist;
};
struct ReadRequest {
  std::string name;
};
// Several at the same time, in no order: what one of them shows may be newer than what the next one
// does.
struct ReadsRequest {
  std::vector<std::string> names;
};
struct ListRequest {
  std::string directory;
};
struct RemoveRequest {
  std::string name;
};
struct MakeDirectoryRequest {
  std::string directory;
};
struct PublishRequest {
  std::string staged;
  std::string final_path;
};
struct ListFilesRequest {
  std::string directory;
};
struct RemoveFileRequest {
  std::string staged;
  bool once = false;  // answered with retry_later too
};
struct PauseRequest {
  int64_t ms = 0;
};
using StoreRequest = std::variant<CasRequest, ReadRequest, ReadsRequest, ListRequest, RemoveRequest,
                                  MakeDirectoryRequest, PublishRequest, ListFilesRequest,
                                  RemoveFileRequest, PauseRequest>;

// What came of a request: the fields that belong to its kind. A request that may succeed later is
// repeated by the driver and never answered with retry_later, but for PublishRequest and
// ListFilesRequest: a category that cannot be looked into holds up no other.
struct StoreReply {
  std::optional<Error> error;
  Cas cas = Cas::lost;                              // CasRequest
  std::optional<std::string> record;                // ReadRequest
  std::vector<std::optional<std::string>> records;  // ReadsRequest: of each name
  std::vector<std::string> names;                   // ListRequest, ListFilesRequest
  Published published = Published::now;
};

class StoreProcedure {
 public:
  virtual ~StoreProcedure() = default;
  // What to do next; nullopt once it has ended. The same until on() was called.
  [[nodiscard]] virtual std::optional<StoreRequest> next() = 0;
  virtual void on(const StoreReply& reply) = 0;
};

}  // namespace tailrace
