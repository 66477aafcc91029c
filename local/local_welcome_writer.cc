#include "local/local_welcome_writer.h"

#include "base/buggify.h"
#include "base/random.h"

namespace tailrace {

namespace {
constexpr size_t kFrameBytes = 256u << 10;  // about 1,000 files

bool room(size_t used) {
  return used < kFrameBytes && !(used > 0 && buggify(Rare::welcome_in_parts));
}
}  // namespace

void LocalWelcomeWriter::next(proto::LocalWelcome& into) {
  into.set_local_id(spool_.local_id());
  into.set_version(version_);
  for (const uint64_t former : std::exchange(replaces_, {})) into.add_replaces(former);
  size_t used = 0;
  if (!streams_told_) used = tell_streams(into, used);
  if (streams_told_ && !cursors_told_) used = tell_cursors(into, used);
  if (streams_told_ && cursors_told_) tell_files(into, used);
}

size_t LocalWelcomeWriter::tell_streams(proto::LocalWelcome& into, size_t used) {
  const auto& streams = spool_.tables().streams;
  auto it = streams.lower_bound(stream_);
  for (; it != streams.end() && room(used); ++it) {
    const StreamInfo& info = it->second;
    proto::StreamState& s = *into.add_streams();
    s.set_stream(info.stream);
    s.set_category(info.category);
    s.set_sub(info.sub);
    s.set_first_seq(info.oldest.seq);
    s.set_next_seq(info.next.seq);
    for (const auto& [sink, stream] : spool_.tables().waits)
      if (stream == info.stream) s.add_waits(hex16(sink));
    used += 32 + info.category.size() + 20 * static_cast<size_t>(s.waits_size());
  }
  streams_told_ = it == streams.end();
  if (!streams_told_) stream_ = it->first;
  return used;
}

size_t LocalWelcomeWriter::tell_cursors(proto::LocalWelcome& into, size_t used) {
  const auto& cursors = spool_.tables().cursors;
  auto it = cursors.lower_bound(cursor_);
  for (; it != cursors.end() && room(used); ++it) {
    if (!sinks_known(spool_.tables(), it->first.second)) continue;
    proto::SinkStreamPosition& p = *into.add_committed();
    const Position settled = spool_.settled(it->first.first, it->first.second);
    p.set_sink(hex16(it->first.first));
    p.set_stream(it->first.second);
    p.set_seq(settled.seq);
    p.set_chain(settled.chain);
    p.set_given_up(settled.seq > it->second.seq);
    used += 48;
  }
  cursors_told_ = it == cursors.end();
  if (!cursors_told_) cursor_ = it->first;
  return used;
}

void LocalWelcomeWriter::tell_files(proto::LocalWelcome& into, size_t used) {
  const auto& files = spool_.tables().files;
  auto it = files.lower_bound(file_);
  for (; it != files.end() && room(used); ++it) {
    const FileInfo& info = it->second;
    proto::FileState& f = *into.add_files();
    f.set_file(info.file);
    if (!f.mutable_identity()->ParseFromString(info.identity)) f.clear_identity();
    f.set_path(info.path);
    f.set_generation(info.generation);
    f.set_next(info.next);
    f.set_head_hash(info.head_hash);
    f.set_tail_hash(info.tail_hash);
    used += 48 + info.identity.size() + info.path.size();
  }
  into.set_last(it == files.end());
  if (!into.last()) file_ = it->first;
}

}  // namespace tailrace
