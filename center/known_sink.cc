#include "center/known_sink.h"

#include <algorithm>
#include <optional>

#include "base/file.h"
#include "base/hash.h"
#include "base/random.h"
#include "center/names.h"

namespace tailrace {

namespace {
constexpr int kFirstTries = 10;
constexpr std::string_view kFirstTmp = "tmp-";  // of the sink's identity, while it has no name yet
constexpr size_t kMostIdentityBytes = 64u << 10;

Error wrong(std::string text) { return Error{Error::Kind::rejected, std::move(text)}; }

// --- what is remembered

std::string memory_of(const SinkSettings& of, const std::string& state_dir) {
  return state_dir + "/sinks/" + hex16(xxh3(of.where() + "\n" + of.control));
}

std::optional<SinkIdentity> remembered(const std::string& path) {
  const auto bytes = read_file(path, kMostIdentityBytes);
  if (!bytes) return std::nullopt;
  auto identity = SinkIdentity::decode(*bytes);
  return identity ? std::optional(*std::move(identity)) : std::nullopt;
}

Result<void> remember(const SinkIdentity& identity, const std::string& path) {
  if (remembered(path) == identity) return {};
  if (auto made = make_directories(parent_path(path)); !made) return made;
  return replace_file(path, identity.encode());
}

// --- what stands there

Result<void> check_identity(const SinkIdentity& identity, const SinkSettings& of,
                            uint64_t cluster) {
  if (identity.control != of.control)
    return wrong("this output's control directory is " + identity.control + ", not " + of.control +
                 ": name the one it was made with");
  if (cluster != 0 && identity.cluster != cluster)
    return wrong("this output belongs to another cluster: " + std::string(kSinkIdentityName) +
                 " says " + hex16(identity.cluster) + ", this Center is of " + hex16(cluster));
  return {};
}

// The sink's first start: its directory first, then its name, by which alone it exists.
Result<void> make_sink(Records& records, const std::string& control, uint64_t cluster) {
  auto names = records.list(control);
  if (!names) return names.error();
  for (const std::string& name : *names) {
    // A start that died before the sink had its name left a tmp, or an empty directory.
    if (name.starts_with(kFirstTmp)) {
      if (auto r = records.remove(control + "/" + name); !r) return r;
      continue;
    }
    const auto inside = records.list(control + "/" + name);
    if (!inside) return inside.error();
    if (!inside->empty())
      return wrong("the control directory " + control + " stands, but " +
                   std::string(kSinkIdentityName) +
                   " in the output directory is gone: restore it, or remove both to start afresh");
  }
  const SinkIdentity fresh{os_random(), cluster != 0 ? cluster : os_random(), control};
  if (auto r = records.make_directory(control + "/" + hex16(fresh.sink)); !r) return r;
  const auto won =
      records.cas(std::string(kSinkIdentityName), fresh.encode(), Records::Parent::make,
                  control + "/" + std::string(kFirstTmp) + hex16(os_random()));
  return won ? Result<void>() : won.error();
}

// What names the sink. Several Centers may start at once at a store that is new: who comes too late
// finds the work of another in his way, and then the name that it gave.
Result<std::string> find_or_make_sink(Records& records, const std::string& control,
                                      uint64_t cluster) {
  const std::string name(kSinkIdentityName);
  Result<void> made;
  for (int tries = 0; tries < kFirstTries; ++tries) {
    auto found = records.read(name);
    if (!found) return found.error();
    if (*found) return std::move(**found);
    if (!made && made.error().kind != Error::Kind::retry_later) break;
    made = make_sink(records, control, cluster);
  }
  if (!made) return made.error();
  return Error{Error::Kind::corrupt, name + " was written and is not there"};
}

Error nothing_there(const SinkSettings& of, const std::string& memory) {
  return Error{Error::Kind::retry_later,
               of.where() +
                   " was published into before and holds nothing of that now: is its "
                   "file system mounted? To begin anew there, stop this Center and "
                   "remove " +
                   memory};
}

Result<void> has_records(Records& records, const SinkIdentity& identity) {
  const auto sinks = records.list(identity.control);
  if (!sinks) return sinks.error();
  if (std::find(sinks->begin(), sinks->end(), hex16(identity.sink)) != sinks->end()) return {};
  return wrong(std::string(kSinkIdentityName) +
               " stands in the output directory, but its records in " + identity.control +
               " are gone. What was published is not known without them, and would be "
               "published again: restore them, or choose another output");
}

}  // namespace

Result<KnownSink> know_sink(Records& records, const SinkSettings& of, uint64_t cluster,
                            const std::string& state_dir) {
  const std::string memory = memory_of(of, state_dir);
  if (const auto known = remembered(memory)) {
    const auto found = records.read(std::string(kSinkIdentityName));
    const auto rest =
        found ? records.list(of.control) : Result<std::vector<std::string>>(found.error());
    if (!found || (!*found && rest && rest->empty())) {
      if (auto good = check_identity(*known, of, cluster); !good) return good.error();
      const Error why = found ? nothing_there(of, memory) : found.error();
      return KnownSink{*known, why.text, found.ok()};
    }
  }
  const auto found = find_or_make_sink(records, of.control, cluster);
  if (!found) return found.error();
  auto identity = SinkIdentity::decode(*found);
  if (!identity) return identity.error().within(kSinkIdentityName);
  if (auto good = check_identity(*identity, of, cluster); !good) return good.error();
  if (auto whole = has_records(records, *identity); !whole) return whole.error();
  if (auto kept = remember(*identity, memory); !kept) return kept.error();
  return KnownSink{*std::move(identity), {}, false};
}

Result<KnownSink> know_kafka(Kafka& kafka, const SinkSettings& of, uint64_t cluster,
                             const std::string& state_dir) {
  const std::string memory = memory_of(of, state_dir);
  const auto known = remembered(memory);
  const auto found = kafka.identity(cluster, known ? known->sink : 0);
  const std::string anew = "; to begin anew there, stop this Center and remove " + memory;
  if (!found && found.error().kind == Error::Kind::retry_later && known)
    return KnownSink{*known, found.error().text, false};
  if (!found && found.error().kind == Error::Kind::corrupt && known)
    return KnownSink{*known, found.error().text + anew, true};
  if (!found) return found.error();
  if (cluster != 0 && found->cluster != cluster)
    return wrong(of.where() + " belongs to another cluster, " + hex16(found->cluster) +
                 "; this Center is of " + hex16(cluster) +
                 ": give it a positions_topic of its own");
  if (known && known->sink != found->sink)
    return KnownSink{
        *known,
        of.where() + " is another sink's than before: was it made anew? Nothing is written" + anew,
        true};
  const SinkIdentity identity{found->sink, found->cluster, of.kafka.positions_topic};
  if (auto kept = remember(identity, memory); !kept) return kept.error();
  return KnownSink{identity, {}, false};
}

Result<void> is_sink(Records& records, const SinkSettings& of, const SinkIdentity& identity) {
  const auto found = records.read(std::string(kSinkIdentityName));
  if (!found) return found.error();
  if (!*found)
    return Error{Error::Kind::retry_later,
                 of.where() + " holds nothing of what was published there: is it mounted?"};
  const auto stands = SinkIdentity::decode(**found);
  if (!stands) return stands.error().within(kSinkIdentityName);
  if (*stands != identity)
    return wrong(of.where() + " is another output now (" + hex16(stands->sink) + ") than the one " +
                 "this Center knows (" + hex16(identity.sink) +
                 "): start it anew if that is meant");
  return has_records(records, identity);
}

}  // namespace tailrace
