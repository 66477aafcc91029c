// A disk in memory that remembers what a power cut may take away: writes since a file's last sync,
// by sector; names since the directory's last sync. For the spool's crash tests.
// Thread: one owner.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "local/spool.h"
#include "local/spool_scan.h"

namespace tailrace::test {

// A directory's content: what recovery reads.
class SpoolImage final : public SpoolImages {
 public:
  std::map<std::string, std::string> content;

  Result<std::vector<SpoolFile>> files() override;
  Result<void> read(const std::string& name, uint64_t offset, size_t n, std::string& out) override;
  [[nodiscard]] uint64_t hash() const;  // of names and bytes
};

class VirtualDisk {
 public:
  VirtualDisk() = default;
  // Everything in `image` is durable.
  explicit VirtualDisk(const SpoolImage& image);

  struct Fault {
    enum class Kind { error, short_write, no_space } kind = Kind::error;
    uint64_t at_op = 0;  // counted from 1 over the disk's life; 0: none
  };
  void set_fault(Fault fault) { fault_ = fault; }
  [[nodiscard]] uint64_t ops_done() const { return ops_; }
  // A disk whose driver forgets: operations for which this is true are not carried out.
  std::function<bool(const SpoolOp&)> forgets;

  // Op by op; `after` is called between any two (also behind the last).
  Result<void> apply(const SpoolGroup& group, const std::function<void()>& after = {});

  // What a process that starts now would read: everything, synced or not.
  [[nodiscard]] SpoolImage cached() const;
  // Of what such a process would read of one file.
  [[nodiscard]] Result<std::string> read(const std::string& name, uint64_t offset, size_t n) const;
  // What is on the disk for certain.
  [[nodiscard]] SpoolImage durable() const;
  // What a power cut now may leave, at most about `most` states: subsets of the unsynced sectors,
  // prefixes cut at any byte, with subsets of the unsynced names.
  void after_power_cut(size_t sector_bytes, size_t most, Rng& rng,
                       const std::function<void(const SpoolImage&)>& state) const;

 private:
  struct Write {
    uint64_t offset = 0;
    std::string bytes;
  };
  struct Inode {
    std::string durable;
    std::string cached;
    std::vector<Write> unsynced;
    bool size_unsynced = false;
  };
  using InodePtr = std::shared_ptr<Inode>;
  using Names = std::map<std::string, InodePtr>;
  struct NameOp {
    SpoolOp::Kind kind{};
    std::string name;
    std::string to;
    InodePtr inode;
  };
  // One sector's part of an unsynced write.
  struct Piece {
    InodePtr inode;
    uint64_t offset = 0;
    std::string_view bytes;
  };
  static void apply_name(const NameOp& op, Names& names);
  Result<void> carry_out(const SpoolOp& op, const SpoolGroup& group);
  Result<void> fail(const SpoolOp& op, const SpoolGroup& group);
  void write(Inode& inode, uint64_t offset, std::string bytes);
  [[nodiscard]] std::vector<Piece> pieces(size_t sector_bytes) const;
  [[nodiscard]] SpoolImage image(uint64_t names_mask, const std::vector<Piece>& pieces,
                                 const std::vector<bool>& kept, size_t cut_bytes,
                                 bool sizes_lost) const;

  Names names_;  // as a process sees them
  Names durable_names_;
  std::vector<NameOp> unsynced_names_;
  uint64_t ops_ = 0;
  Fault fault_;
};

}  // namespace tailrace::test
