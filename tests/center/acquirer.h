// A Center of sink 7 in cluster 5, for machines that only ask who they work for.
#pragma once

#include "center/take_over.h"

namespace tailrace::testing {

inline Acquirer acquirer() {
  return {.names = StoreNames("_tailrace", 7),
          .cluster = 5,
          .sink = 7,
          .incarnation = "1764000000000-0000000000000001",
          .address = "me:1",
          .state_uuid = 1,
          .takeover_after_ms = 15'000};
}

}  // namespace tailrace::testing
