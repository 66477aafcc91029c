// Kafka of the simulation, as far as lanes can tell: logs with transactions, what a read_committed
// reader sees of them, and the coordinator's terms (which Kafka calls producer epochs). Requests
// reach it when they do, whoever still waits for the answer. Thread: one.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sinks/kafka/kafka_call.h"
#include "tests/audit/store_audit.h"
#include "tests/sim/judge.h"
#include "tests/sim/world.h"

namespace tailrace::sim {

class Topics {
 public:
  // What a client library knows of one producer.
  struct Producer {
    std::string id;
    uint64_t number = 0;  // as KafkaCall's
    uint64_t term = 0;
    uint64_t transaction = 0;
    uint64_t write = 0;                     // of that transaction
    size_t unanswered = std::variant_npos;  // kind of the last call: made again, it is the same
  };
  // A call as it is on its way.
  struct Request {
    KafkaCall call;
    Producer from;
  };
  Topics(World& world, Judge& judge) : world_(world), judge_(judge) {}

  KafkaReply carry_out(const Request& request, uint64_t* term);
  // Transactions whose producers are silent end; readers go on.
  void look();
  // I10: what the positions say is what readers see. And the lines that were said to be lost.
  [[nodiscard]] testing::StoreFindings audit() const;

 private:
  enum class State : uint8_t { open, committed, aborted };
  struct Transaction {
    State state = State::open;
    int64_t began_ms = 0;
    uint64_t number = 0;
    uint64_t writes = 0;
  };
  using TransactionPtr = std::shared_ptr<Transaction>;
  struct Lines {
    StreamKey key;
    std::string lines;
    uint64_t count = 0;
    TransactionPtr of;
  };
  struct Said {
    std::string category;
    KafkaPosition position;
    TransactionPtr of;
  };
  struct Log {  // of one partition
    std::vector<Lines> records;
    size_t read = 0;  // by our reader
  };
  struct Coordinated {  // by transactional id
    uint64_t term = 0;
    TransactionPtr open;
    uint64_t committed = 0;  // number of the last one
  };
  KafkaReply write(Coordinated& id, const Request& request, const KafkaWrite& what);
  KafkaReply commit(Coordinated& id, const Request& request);
  KafkaReply positions(const std::string& category) const;
  void time_out();

  World& world_;
  Judge& judge_;
  std::map<std::string, Coordinated> ids_;
  std::map<std::pair<std::string, uint64_t>, Log> logs_;  // by category and partition
  std::vector<Said> positions_;
};

}  // namespace tailrace::sim
