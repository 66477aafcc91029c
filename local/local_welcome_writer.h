// A LocalWelcome cut into frames: what the spool knows of streams, cursors and files, which with a
// hundred thousand files is more than one frame may hold, or memory should.
// Thread: the road. The tables must not lose the entries it has reached; an agent that waits
// changes none.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "control.pb.h"
#include "local/spool.h"

namespace tailrace {

class LocalWelcomeWriter {
 public:
  LocalWelcomeWriter(const Spool& spool, std::string version, std::vector<uint64_t> replaces)
      : spool_(spool), version_(std::move(version)), replaces_(std::move(replaces)) {}

  // Fills the next frame, at most about 256 KiB; `last` is set in the last one.
  void next(proto::LocalWelcome& into);

 private:
  size_t tell_streams(proto::LocalWelcome& into, size_t used);
  size_t tell_cursors(proto::LocalWelcome& into, size_t used);
  void tell_files(proto::LocalWelcome& into, size_t used);

  const Spool& spool_;
  std::string version_;
  std::vector<uint64_t> replaces_;  // said in the first frame
  // The first of each table that was not told yet.
  StreamId stream_ = 0;
  std::pair<uint64_t, StreamId> cursor_{};
  FileId file_ = 0;
  bool streams_told_ = false;
  bool cursors_told_ = false;
};

}  // namespace tailrace
