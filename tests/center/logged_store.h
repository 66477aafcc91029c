// A store in memory with commit logs in it as Centers write them: entries that repeat each other's
// checksums. Cluster 1, sink 2. For procedures, whose requests it carries out. Thread: one.
#pragma once

#include <boost/test/unit_test.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "center/fold.h"
#include "center/store_call.h"
#include "center/take_over.h"
#include "tests/sinks/memory_store.h"

namespace tailrace::testing {

struct LoggedStore {
  static CommitRecord record_of(const std::string& incarnation, uint64_t entry,
                                CommitRecord::Kind kind = CommitRecord::Kind::commit) {
    CommitRecord record;
    record.kind = kind;
    record.cluster = 1;
    record.sink = 2;
    record.incarnation = incarnation;
    record.entry = entry;
    record.uuid = entry + 1;
    return record;
  }
  // `fill` says what each entry commits.
  void make_log(const std::string& incarnation, uint64_t entries,
                const std::function<void(CommitRecord&)>& fill) {
    BOOST_REQUIRE(records->make_directory(names.log(incarnation)).ok());
    uint32_t crc = 0;
    for (uint64_t n = 0; n < entries; ++n) {
      CommitRecord record = record_of(incarnation, n);
      record.prev_crc = crc;
      fill(record);
      const std::string bytes = record.encode();
      crc = record_crc(bytes);
      write(names.entry(incarnation, n), bytes);
    }
  }
  [[nodiscard]] Acquirer acquirer(const std::string& incarnation, const std::string& address,
                                  uint64_t state_uuid) const {
    return {.names = names,
            .cluster = 1,
            .sink = 2,
            .incarnation = incarnation,
            .address = address,
            .state_uuid = state_uuid};
  }
  StoreReply call(const StoreRequest& request) {
    if (const auto* read = std::get_if<ReadRequest>(&request)) reads.push_back(read->name);
    if (const auto* several = std::get_if<ReadsRequest>(&request))
      reads.insert(reads.end(), several->names.begin(), several->names.end());
    return call_store(request, *records, *files, "tmp-" + std::to_string(++tmps));
  }
  void write(const std::string& name, const std::string& bytes) {
    BOOST_REQUIRE(call(CasRequest{name, bytes, Records::Parent::make}).cas == Cas::won);
  }
  template <class Machine>
  void drive(Machine& machine) {
    while (const auto request = machine.next()) machine.on(call(*request));
  }
  void fold(const std::string& incarnation, uint64_t end) {
    Fold fold(names, {incarnation, 1, end}, 5);
    drive(fold);
    BOOST_REQUIRE(!fold.error());
  }

  std::shared_ptr<MemoryStore> store = MemoryStore::make();
  std::unique_ptr<Records> records = store->records();
  std::unique_ptr<Files> files = store->files();
  StoreNames names{kDefaultControl, 2};
  std::vector<std::string> reads;  // of which records
  uint64_t tmps = 0;
};

}  // namespace tailrace::testing
