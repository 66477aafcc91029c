// What a Center refuses, and how it says so: to the Local, and once in a while to the operator.
#include <algorithm>
#include <cstdlib>

#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"
#include "center/center_state.h"

namespace tailrace {

namespace {
constexpr size_t kMostQueuedBytes = 1u << 20;  // answers that a Local does not read
constexpr int64_t kQuietMs = 1'000;            // then what a link's last frame took is given back
constexpr uint32_t kShedMs = 5'000;
}  // namespace

void Center::State::say_refused(const std::string& who, const std::string& name,
                                std::string_view why) {
  const std::string text = said.text(who, "refused " + name + ": " + std::string(why), mono_ms());
  if (!text.empty()) log::warning(text, {{"peer", name}, {"reason", why}});
}

void Center::State::note_clock(const LocalLink& link, const BatchFields& fields) {
  lines_clock_skewed += fields.count;
  const int64_t off_ms = bucket_start_ms(fields.bucket) - wall_ms();
  const std::string text =
      skews.text(link.who(),
                 "the clock of " + escape(link.host, 64) + " is " +
                     show_duration(std::abs(off_ms)) + (off_ms > 0 ? " ahead" : " behind") +
                     ": lines of it are filed under this Center's time until it is set",
                 mono_ms());
  if (!text.empty()) log::warning(text, {{"peer", link.host}});
}

bool Center::State::reject(LocalLink& link, proto::Reject::Code code, const std::string& text,
                           uint32_t stream) {
  proto::Reject message;
  message.set_code(code);
  message.set_text(text);
  message.set_stream(stream);
  return reject(link, message);
}

bool Center::State::reject_batch(LocalLink& link, const BatchFields& fields,
                                 const std::string& text) {
  proto::Reject message;
  message.set_code(proto::Reject::CORRUPT);
  message.set_text(text + " (category " + link.streams[fields.stream].category + ")");
  message.set_stream(fields.stream);
  message.set_batch(true);
  message.set_first_seq(fields.first_seq);
  return reject(link, message);
}

bool Center::State::reject(LocalLink& link, const proto::Reject& message) {
  ++refused;
  const std::string host = link.greeted ? " (" + escape(link.host, 64) + ")" : "";
  say_refused(link.who(), link.connection.peer() + host, message.text());
  if (message.code() == proto::Reject::PROTOCOL || message.code() == proto::Reject::CORRUPT)
    box.offend(link.who(), mono_ms());
  link.connection.send(FrameType::reject, message);
  return false;
}

bool Center::State::refuse_stream(LocalLink& link, uint32_t number, proto::Reject::Code code,
                                  const std::string& text) {
  reject(link, code, text, number);
  const auto known = link.streams.find(number);
  if (known != link.streams.end()) known->second.refused = true;
  return true;
}

void Center::State::shed_links() {
  const int64_t now = mono_ms();
  uint64_t held = 0;
  std::vector<std::pair<uint64_t, LocalLink*>> holders;
  for (const auto& link : links) {
    if (link->connection.closed()) continue;
    if (now - link->connection.last_heard_ms() >= kQuietMs && link->connection.between_frames())
      link->frame = {};
    const uint64_t bytes = link->frame.header.capacity() + link->frame.payload.capacity() +
                           link->connection.queued_bytes();
    held += bytes;
    holders.emplace_back(bytes, link.get());
  }
  if (held <= settings.limits.memory_bytes) return;
  std::sort(holders.rbegin(), holders.rend());
  for (const auto& [bytes, link] : holders) {
    if (held <= settings.limits.memory_bytes) break;
    held -= bytes;
    ++refused;
    say_refused("memory", link->connection.peer(),
                "all Locals together hold more than limits.memory (" +
                    show_size(settings.limits.memory_bytes) + "); it may come again in " +
                    show_duration(kShedMs));
    proto::Busy busy;
    busy.set_retry_ms(kShedMs);
    link->connection.send(FrameType::busy, busy);
    link->connection.close();
  }
}

// False: it has done so too often within a minute.
bool Center::State::strike(LocalLink& link) {
  return !link.strikes.add(mono_ms()) ||
         reject(link, proto::Reject::PROTOCOL,
                "its batches did not go on where the last one ended, ten times in a minute");
}

// False: whoever does not read what he is told would fill our memory.
bool Center::State::drains(LocalLink& link) {
  if (link.connection.queued_bytes() <= kMostQueuedBytes) return true;
  ++refused;
  say_refused(link.who(), link.connection.peer(), "it does not read its answers");
  box.offend(link.who(), mono_ms());
  return false;
}

// True, and it is told how long, if it broke the protocol lately.
bool Center::State::must_wait(LocalLink& link, uint64_t local_id) {
  const int64_t wait_ms = box.left_ms(hex16(local_id) + "@" + link.address, mono_ms());
  if (wait_ms == 0) return false;
  proto::Busy busy;
  busy.set_retry_ms(static_cast<uint32_t>(wait_ms));
  link.connection.send(FrameType::busy, busy);
  ++refused;
  return true;
}

}  // namespace tailrace
