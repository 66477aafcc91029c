// Between the session's plain values and the control messages of the wire.
// Thread: any; pure functions. Messages: proto/control.proto.
#pragma once

#include <optional>
#include <string>

#include "agent/session.h"
#include "base/result.h"
#include "flow/frame_reader.h"
#include "flow/outgoing.h"

namespace tailrace {

[[nodiscard]] Outgoing hello_frame(const Checkpoint& state);
// What it needs to say of streams and files is looked up in the checkpoint; nothing if it is gone
// from there.
[[nodiscard]] std::optional<Outgoing> frame_of(const SessionAction& action,
                                               const Checkpoint& state);

// Hands a frame of the Local's to the session. closed: the Local says goodbye, or refuses the
// connection (the text says why); corrupt: the frame is not what its type says.
[[nodiscard]] Result<void> take_frame(const Frame& frame, Session& session, int64_t now_ms);

}  // namespace tailrace
