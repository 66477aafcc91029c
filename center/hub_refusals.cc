// What a Center refuses, and how it says so: to the Local, and once in a while to the operator.
#include <algorithm>
#include <cstdlib>

#include "base/units.h"
#include "center/hub_state.h"

namespace tailrace {

namespace {
constexpr size_t kMostQueuedBytes = 1u << 20;  // answers that a Local does not read
constexpr int64_t kGreetMs = 10'000;
constexpr int64_t kDeadMs = 15'000;
constexpr uint32_t kShedMs = 5'000;
}  // namespace

void Hub::State::say_refused(const std::string& who, const std::string& name,
                             std::string_view why) {
  const std::string text = said.text(who, "refused " + name + ": " + std::string(why), now.mono_ms);
  if (!text.empty()) say(log::Level::warning, text, {{"peer", name}, {"reason", std::string(why)}});
}

void Hub::State::note_clock(const LocalLink& link, const BatchFields& fields) {
  lines_clock_skewed += fields.count;
  const int64_t off_ms = bucket_start_ms(fields.bucket) - now.wall_ms;
  const std::string text =
      skews.text(link.who(),
                 "the clock of " + escape(link.host, 64) + " is " +
                     show_duration(std::abs(off_ms)) + (off_ms > 0 ? " ahead" : " behind") +
                     ": lines of it are filed under this Center's time until it is set",
                 now.mono_ms);
  if (!text.empty()) say(log::Level::warning, text, {{"peer", link.host}});
}

bool Hub::State::reject(LocalLink& link, proto::Reject::Code code, const std::string& text,
                        uint32_t stream) {
  proto::Reject message;
  message.set_code(code);
  message.set_text(text);
  message.set_stream(stream);
  return reject(link, message);
}

bool Hub::State::reject_batch(LocalLink& link, const BatchFields& fields, const std::string& text) {
  proto::Reject message;
  message.set_code(proto::Reject::CORRUPT);
  message.set_text(text + " (category " + link.streams[fields.stream].category + ")");
  message.set_stream(fields.stream);
  message.set_batch(true);
  message.set_first_seq(fields.first_seq);
  return reject(link, message);
}

bool Hub::State::reject(LocalLink& link, const proto::Reject& message) {
  ++refused;
  const std::string host = link.greeted ? " (" + escape(link.host, 64) + ")" : "";
  say_refused(link.who(), link.peer + host, message.text());
  if (message.code() == proto::Reject::PROTOCOL || message.code() == proto::Reject::CORRUPT)
    box.offend(link.who(), now.mono_ms);
  send(link, FrameType::reject, message);
  return false;
}

// Whoever does not say who he is, or says nothing any more: a Local pings every 5 s.
void Hub::State::drop_silent(LocalLink& link, const LinkView& view) {
  if (!link.greeted && now.mono_ms - link.since_ms >= kGreetMs) {
    reject(link, proto::Reject::PROTOCOL, "no HELLO within " + show_duration(kGreetMs));
  } else if (link.greeted && now.mono_ms - view.last_heard_ms >= kDeadMs) {
    say(log::Level::warning,
        "the Local on " + escape(link.host, 64) + " has said nothing for " +
            show_duration(kDeadMs) + ": its connection is closed",
        {{"peer", link.host}});
  } else if (view.too_slow) {
    reject(link, proto::Reject::PROTOCOL, "a frame comes too slowly");
  } else if (drains(link, view.queued_bytes)) {
    return;
  }
  close(link);
}

void Hub::State::shed(std::span<const LinkView> views) {
  uint64_t held = 0;
  for (const LinkView& view : views) held += view.held_bytes + view.queued_bytes;
  if (held <= settings.limits.memory_bytes) return;
  std::vector<std::pair<uint64_t, LinkId>> holders;
  for (const LinkView& view : views)
    holders.emplace_back(view.held_bytes + view.queued_bytes, view.link);
  std::sort(holders.rbegin(), holders.rend());
  for (const auto& [bytes, id] : holders) {
    if (held <= settings.limits.memory_bytes) break;
    held -= bytes;
    LocalLink& link = links.at(id);
    if (link.closing) continue;
    ++refused;
    say_refused("memory", link.peer,
                "all Locals together hold more than limits.memory (" +
                    show_size(settings.limits.memory_bytes) + "); it may come again in " +
                    show_duration(kShedMs));
    busy(link, kShedMs);
    close(link);
  }
}

// False: it has done so too often within a minute.
bool Hub::State::strike(LocalLink& link) {
  return !link.strikes.add(now.mono_ms) ||
         reject(link, proto::Reject::PROTOCOL,
                "its batches did not go on where the last one ended, ten times in a minute");
}

// False: whoever does not read what he is told would fill our memory.
bool Hub::State::drains(LocalLink& link, uint64_t queued_bytes) {
  if (queued_bytes <= kMostQueuedBytes) return true;
  ++refused;
  say_refused(link.who(), link.peer, "it does not read its answers");
  box.offend(link.who(), now.mono_ms);
  return false;
}

// True, and it is told how long, if it broke the protocol lately.
bool Hub::State::must_wait(LocalLink& link, uint64_t local_id) {
  const int64_t wait_ms = box.left_ms(hex16(local_id) + "@" + link.address, now.mono_ms);
  if (wait_ms == 0) return false;
  ++refused;
  return !busy(link, wait_ms);
}

bool Hub::State::busy(LocalLink& link, int64_t retry_ms) {
  proto::Busy message;
  message.set_retry_ms(static_cast<uint32_t>(retry_ms));
  send(link, FrameType::busy, message);
  return false;
}

}  // namespace tailrace
