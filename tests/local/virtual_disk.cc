#include "tests/local/virtual_disk.h"

#include <algorithm>
#include <set>

#include "base/hash.h"

namespace tailrace::test {

Result<std::vector<SpoolFile>> SpoolImage::files() {
  std::vector<SpoolFile> files;
  for (const auto& [name, bytes] : content) files.push_back({name, bytes.size()});
  return files;
}

Result<void> SpoolImage::read(const std::string& name, uint64_t offset, size_t n,
                              std::string& out) {
  const std::string& bytes = content.at(name);
  out = offset >= bytes.size() ? std::string() : bytes.substr(offset, n);
  return {};
}

uint64_t SpoolImage::hash() const {
  Xxh3 h;
  for (const auto& [name, bytes] : content) {
    h.update(name);
    h.update(std::to_string(bytes.size()));
    h.update(bytes);
  }
  return h.digest();
}

VirtualDisk::VirtualDisk(const SpoolImage& image) {
  for (const auto& [name, bytes] : image.content) {
    auto inode = std::make_shared<Inode>();
    inode->durable = inode->cached = bytes;
    names_[name] = inode;
  }
  durable_names_ = names_;
}

// --- operations -------------------------------------------------------------------------------

Result<void> VirtualDisk::apply(const SpoolGroup& group, const std::function<void()>& after) {
  for (const SpoolOp& op : group.ops) {
    const bool fails = ++ops_ == fault_.at_op;
    const bool forgotten = forgets && forgets(op);
    Result<void> done;
    if (!forgotten) done = fails ? fail(op, group) : carry_out(op, group);
    if (after) after();
    if (!done) return done;
  }
  return {};
}

void VirtualDisk::apply_name(const NameOp& op, Names& names) {
  switch (op.kind) {
    case SpoolOp::Kind::create: names[op.name] = op.inode; break;
    case SpoolOp::Kind::remove: names.erase(op.name); break;
    case SpoolOp::Kind::rename: {
      const auto it = names.find(op.name);
      if (it == names.end()) break;  // it was itself lost
      const InodePtr inode = it->second;
      names.erase(it);
      names[op.to] = inode;
      break;
    }
    default: break;
  }
}

void VirtualDisk::write(Inode& inode, uint64_t offset, std::string bytes) {
  TAILRACE_CHECK(offset + bytes.size() <= inode.cached.size(), "a write beyond what is allocated");
  inode.cached.replace(offset, bytes.size(), bytes);
  inode.unsynced.push_back({offset, std::move(bytes)});
}

Result<void> VirtualDisk::carry_out(const SpoolOp& op, const SpoolGroup& group) {
  NameOp name{op.kind, op.name, op.to, nullptr};
  switch (op.kind) {
    case SpoolOp::Kind::create:
      name.inode = std::make_shared<Inode>();
      name.inode->cached.assign(op.bytes, '\0');
      name.inode->size_unsynced = true;
      [[fallthrough]];
    case SpoolOp::Kind::rename:
    case SpoolOp::Kind::remove:
      TAILRACE_CHECK(op.kind == SpoolOp::Kind::create || names_.contains(op.name),
                     "no file of that name: " + op.name);
      apply_name(name, names_);
      unsynced_names_.push_back(std::move(name));
      return {};
    case SpoolOp::Kind::write: {
      std::string bytes;
      for (size_t i = 0; i < op.pieces; ++i) bytes += group.pieces[op.first_piece + i];
      write(*names_.at(op.name), op.offset, std::move(bytes));
      return {};
    }
    case SpoolOp::Kind::sync: {
      Inode& inode = *names_.at(op.name);
      inode.durable.resize(inode.cached.size());
      for (const Write& w : inode.unsynced)
        inode.durable.replace(w.offset, w.bytes.size(), w.bytes);
      inode.unsynced.clear();
      inode.size_unsynced = false;
      return {};
    }
    case SpoolOp::Kind::sync_names:
      durable_names_ = names_;
      unsynced_names_.clear();
      return {};
  }
  return {};
}

Result<void> VirtualDisk::fail(const SpoolOp& op, const SpoolGroup& group) {
  if (op.kind == SpoolOp::Kind::create && fault_.kind == Fault::Kind::no_space)
    return Error{Error::Kind::retry_later, "no space left on the device"};
  if (op.kind == SpoolOp::Kind::write && fault_.kind == Fault::Kind::short_write) {
    std::string bytes;
    for (size_t i = 0; i < op.pieces; ++i) bytes += group.pieces[op.first_piece + i];
    write(*names_.at(op.name), op.offset, bytes.substr(0, bytes.size() / 2));
  }
  if (op.kind == SpoolOp::Kind::sync) {
    // As Linux does: the pages count as clean now, so a second sync "succeeds" without them.
    names_.at(op.name)->unsynced.clear();
  }
  return Error{Error::Kind::fatal, "input/output error"};
}

// --- states -----------------------------------------------------------------------------------

SpoolImage VirtualDisk::cached() const {
  SpoolImage image;
  for (const auto& [name, inode] : names_) image.content[name] = inode->cached;
  return image;
}

Result<std::string> VirtualDisk::read(const std::string& name, uint64_t offset, size_t n) const {
  const auto file = names_.find(name);
  if (file == names_.end()) return Error{Error::Kind::corrupt, name + " does not exist"};
  const std::string& bytes = file->second->cached;
  if (offset > bytes.size() || n > bytes.size() - offset)
    return Error{Error::Kind::corrupt, name + " is too short"};
  return bytes.substr(offset, n);
}

SpoolImage VirtualDisk::durable() const { return image(0, {}, {}, 0, false); }

std::vector<VirtualDisk::Piece> VirtualDisk::pieces(size_t sector_bytes) const {
  std::set<InodePtr> seen;
  std::vector<Piece> pieces;
  // In the order of names: the order of addresses is another one in every process.
  for (const Names* names : {&names_, &durable_names_})
    for (const auto& [name, inode] : *names) {
      if (!seen.insert(inode).second) continue;
      for (const Write& w : inode->unsynced)
        for (uint64_t at = 0; at < w.bytes.size();) {
          const uint64_t offset = w.offset + at;
          const uint64_t n = std::min(sector_bytes - offset % sector_bytes, w.bytes.size() - at);
          pieces.push_back({inode, offset, std::string_view(w.bytes).substr(at, n)});
          at += n;
        }
    }
  return pieces;
}

// The names that `names_mask` keeps, the pieces that are kept; of the first one that is not, its
// first `cut_bytes`.
SpoolImage VirtualDisk::image(uint64_t names_mask, const std::vector<Piece>& pieces,
                              const std::vector<bool>& kept, size_t cut_bytes,
                              bool sizes_lost) const {
  Names names = durable_names_;
  for (size_t i = 0; i < unsynced_names_.size(); ++i)
    if (names_mask >> std::min<size_t>(i, 63) & 1) apply_name(unsynced_names_[i], names);
  std::map<const Inode*, std::string> contents;
  for (const auto& [name, inode] : names) {
    std::string bytes = inode->durable;
    if (inode->size_unsynced && !sizes_lost) bytes.resize(inode->cached.size());
    contents[inode.get()] = std::move(bytes);
  }
  bool cut = false;
  for (size_t i = 0; i < pieces.size(); ++i) {
    const auto it = contents.find(pieces[i].inode.get());
    size_t n = kept[i] ? pieces[i].bytes.size() : 0;
    if (!kept[i] && !cut) {
      cut = true;
      n = std::min(cut_bytes, pieces[i].bytes.size());
    }
    if (it == contents.end() || n == 0) continue;
    if (it->second.size() < pieces[i].offset + n) it->second.resize(pieces[i].offset + n);
    it->second.replace(pieces[i].offset, n, pieces[i].bytes.substr(0, n));
  }
  SpoolImage image;
  for (const auto& [name, inode] : names) image.content[name] = contents[inode.get()];
  return image;
}

void VirtualDisk::after_power_cut(size_t sector_bytes, size_t most, Rng& rng,
                                  const std::function<void(const SpoolImage&)>& state) const {
  const std::vector<Piece> unsynced = pieces(sector_bytes);
  const size_t n = unsynced.size();
  struct Choice {
    std::vector<bool> kept;
    size_t cut_bytes = 0;
  };
  std::vector<Choice> choices;
  if (n <= 6) {
    for (uint64_t mask = 0; mask < uint64_t{1} << n; ++mask) {
      Choice c{std::vector<bool>(n), 0};
      for (size_t i = 0; i < n; ++i) c.kept[i] = mask >> i & 1;
      choices.push_back(std::move(c));
    }
  } else {
    for (size_t i = 0; i <= n; ++i) {
      Choice prefix{std::vector<bool>(n), 0}, suffix = prefix, but_one = prefix, one = prefix;
      for (size_t k = 0; k < n; ++k) {
        prefix.kept[k] = k < i;
        suffix.kept[k] = k >= i;
        but_one.kept[k] = k != i;
        one.kept[k] = k == i;
      }
      for (Choice* c : {&prefix, &suffix, &but_one, &one}) choices.push_back(std::move(*c));
    }
    for (int k = 0; k < 32; ++k) {
      Choice random{std::vector<bool>(n), 0};
      for (size_t i = 0; i < n; ++i) random.kept[i] = rng.chance(0.5);
      choices.push_back(std::move(random));
    }
  }
  // Prefixes that end inside a sector.
  for (size_t i = 0; i < n; ++i) {
    for (int k = 0; k < 3; ++k) {
      Choice c{std::vector<bool>(n), 1 + rng.below(unsynced[i].bytes.size())};
      for (size_t j = 0; j < i; ++j) c.kept[j] = true;
      choices.push_back(std::move(c));
    }
  }
  const size_t m = std::min<size_t>(unsynced_names_.size(), 5);
  const bool sizes = std::any_of(names_.begin(), names_.end(),
                                 [](const auto& f) { return f.second->size_unsynced; });
  for (size_t i = choices.size(); i > 1; --i) std::swap(choices[i - 1], choices[rng.below(i)]);
  size_t made = 0;
  for (const Choice& c : choices)
    for (uint64_t mask = 0; mask < uint64_t{1} << m; ++mask)
      for (int lost = 0; lost <= (sizes ? 1 : 0); ++lost) {
        if (made++ >= most) return;
        // Beyond the first five names: all or nothing.
        const bool all = mask + 1 == uint64_t{1} << m;
        state(image(all ? UINT64_MAX : mask, unsynced, c.kept, c.cut_bytes, lost != 0));
      }
}

}  // namespace tailrace::test
