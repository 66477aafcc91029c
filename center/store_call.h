// One request of a procedure, carried out at a store. Blocks.
// Thread: any, as the store allows.
#pragma once

#include <string>

#include "base/mutant.h"
#include "center/store_procedure.h"

namespace tailrace {

// `tmp`: a path for a record being written that was never used before.
[[nodiscard]] StoreReply call_store(const StoreRequest& request, Records& records, Files& files,
                                    const std::string& tmp);
// Whether its caller repeats the request until the store has an answer: nobody but the caller of
// PUBLISH knows what else may have become of the file, and who clears up goes on elsewhere.
[[nodiscard]] inline bool is_repeated(const StoreRequest& request) {
  if ((mutant(Mutant::timeout_is_success) || mutant(Mutant::timeout_is_failure)) &&
      std::holds_alternative<CasRequest>(request))
    return false;
  if (const auto* remove = std::get_if<RemoveFileRequest>(&request)) return !remove->once;
  return !std::holds_alternative<PublishRequest>(request) &&
         !std::holds_alternative<ListFilesRequest>(request);
}

}  // namespace tailrace
