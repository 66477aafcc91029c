#include "tests/sim/center_process.h"

#include <google/protobuf/message_lite.h>

#include <algorithm>

#include "flow/batch.h"
#include "flow/codec.h"
#include "tests/sim/transcript.h"

namespace tailrace::sim {

namespace {
constexpr int64_t kTickMs = 200;
constexpr int64_t kCallMs = 3'000;  // then a call counts as unanswered
constexpr int64_t kLongestPauseMs = 5'000;
constexpr size_t kSinksBytes = 4;        // of DATA, before the batch's head
constexpr int64_t kMostStopMs = 30'000;  // as cli/daemon/daemon.cc

// What a DATA frame brings.
std::string lines_of(const Frame& frame) {
  const auto head = BatchHead::parse(std::string_view(frame.header).substr(kSinksBytes));
  if (!head) return {};
  const BatchFields& f = head->fields();
  if (f.payload_codec == Codec::none) return std::string(frame.payload);
  std::string lines;
  static_cast<void>(make_inflater(f.payload_codec)->inflate(frame.payload, f.raw_len, lines).ok());
  return lines;
}
}  // namespace

CenterProcess::CenterProcess(World& world, const std::string& name, HubOptions options,
                             std::vector<SinkOfSim> sinks, int64_t clock_off_ms)
    : Process(world, name) {
  clock_ms = clock_off_ms;
  for (size_t at = 0; at < sinks.size(); ++at) {
    Shore& shore = shores_.emplace_back();
    shore.sink = std::move(sinks[at]);
    shore.records = shore.sink.store->records();
    shore.files = shore.sink.store->files();
    shore.session = shore.sink.judge->begin();
    options.sinks[at].files = shore.files.get();
  }
  hub_ = std::make_unique<Hub>(std::move(options), Rng(world.rng.next()), now());
}

void CenterProcess::start() {
  for (size_t at = 0; at < shores_.size(); ++at)
    if (!shores_[at].sink.topics) say("starts as " + hub_->me(at).incarnation);
  carry_out();
  tick();
}

uint64_t CenterProcess::fences() const {
  uint64_t fences = 0;
  for (size_t at = 0; at < shores_.size(); ++at) fences += hub_->life(at) - 1;
  return fences;
}

void CenterProcess::tick() {
  std::vector<LinkView> views;
  for (const auto& [id, wire] : wires_)
    views.push_back({id, wire->last_heard_ms(1), false, wire->queued_bytes(1), 0});
  look_around();
  hub_->tick(views, now());
  carry_out();
  if (hub_->stopped()) return end("drained");
  after(kTickMs, [this] { tick(); });
}

// Of those that are announced some are called gone, whether they live or not, some about to leave.
void CenterProcess::look_around() {
  const double often = world_.faults.wrong_view;
  if (often == 0 && std::exchange(looked_, false)) return hub_->presence({}, now());
  if (often == 0 || !world_.rng.chance(often)) return;
  looked_ = true;
  Presence view;
  view.fresh = true;
  view.paused = world_.rng.chance(0.1);
  for (size_t at = 0; at < shores_.size(); ++at) {
    if (shores_[at].sink.topics) continue;
    const StoreNames& names = hub_->me(at).names;
    const auto there = shores_[at].records->list(names.live());
    if (!there) continue;
    for (const std::string& name : *there) {
      if (!parse_incarnation(name)) continue;
      if (world_.rng.chance(0.3)) view.gone.insert(name);
      const auto record = shores_[at].records->read(names.announcement(name));
      if (!record || !*record || !world_.rng.chance(0.1)) continue;
      const auto said = Announcement::decode(**record);
      if (!said) continue;
      Member& member = view.members.emplace_back();
      member.state = Member::State::draining;
      member.state_uuid = said->state_uuid;
    }
  }
  say("is told that " + std::to_string(view.gone.size()) + " have gone");
  hub_->presence(view, now());
}

void CenterProcess::leave(bool everything) {
  if (std::exchange(stopping_, true)) return;
  say("is told to stop");
  hub_->stop(everything);
  carry_out();
}

void CenterProcess::leave_in_time() {
  if (stopping_) return;
  leave(false);
  after(kMostStopMs, [this] { end("is not stopped in order in time"); });
}

void CenterProcess::accept(std::shared_ptr<Wire> wire, const std::string& from) {
  const LinkId id = next_link_++;
  if (!hub_->knock(id, PeerAddress{from, from}, now()).empty()) {
    carry_out();
    return wire->close(1);
  }
  wires_[id] = wire;
  const auto gone = [this, id] {
    wires_.erase(id);
    hub_->gone(id);
    carry_out();
  };
  wire->hook(
      1, {[this, id](Frame& frame) { take(id, frame); }, [gone](const std::string&) { gone(); }});
}

void CenterProcess::take(LinkId id, Frame& frame) {
  const auto known = wires_.find(id);
  if (known == wires_.end()) return;
  const bool told = shores_.front().sink.judge->told_of_batches && frame.type == FrameType::data;
  const std::string lines = told ? lines_of(frame) : std::string();
  const CenterStatus before = told ? hub_->status() : CenterStatus();
  hub_->frame(id, frame, known->second->queued_bytes(1), now());
  const CenterStatus after = told ? hub_->status() : CenterStatus();
  for (size_t at = 0; at < after.sinks.size(); ++at)
    if (after.sinks[at].lines_received > before.sinks[at].lines_received)
      shores_[at].sink.judge->received(session(at), lines);
  carry_out();
}

void CenterProcess::carry_out() {
  for (size_t at = 0; at < shores_.size(); ++at) {
    Shore& shore = shores_[at];
    if (std::exchange(shore.life, hub_->life(at)) == hub_->life(at)) continue;
    shore.sink.judge->over(shore.session);
    shore.session = shore.sink.judge->begin();
  }
  HubActions actions = std::exchange(hub_->actions(), {});
  for (const Saying& saying : actions.sayings) {
    say(saying.text);
    if (!saying.text.starts_with("LOST ") && !saying.text.starts_with("GONE")) continue;
    for (const auto& [key, value] : saying.fields)
      if (key == "path") lost(value);
  }
  for (const FrameOut& out : actions.frames)
    if (const auto wire = wires_.find(out.link); wire != wires_.end())
      wire->second->send(1, out.frame);
  for (const LinkId id : actions.closes) {
    const auto wire = wires_.find(id);
    if (wire == wires_.end()) continue;
    wire->second->close(1);
    // As the reading coroutine does, a moment later.
    after(0, [this, id] {
      if (wires_.erase(id) == 0) return;
      hub_->gone(id);
      carry_out();
    });
  }
  for (HubWork& work : actions.work)
    std::visit([this, &work](auto& what) { start_work(work.sink, std::move(what)); }, work.what);
}

// --- the store -----------------------------------------------------------------------------------

struct CenterProcess::Call {
  Request request;
  Answered then;  // null: it has been answered
  StoreReply reply;
  testing::MemoryStore::Promise promise;

  void answer(StoreReply with) {
    if (const Answered told = std::exchange(then, nullptr)) told(std::move(with));
  }
};

void CenterProcess::call(size_t sink, Request request, Answered then) {
  World& world = world_;
  const Faults& f = world.faults;
  const auto call = std::make_shared<Call>(Call{std::move(request), std::move(then), {}, {}});
  after(kCallMs, [call] {
    StoreReply none;
    none.error = Error{Error::Kind::retry_later, "no answer from the store"};
    call->answer(std::move(none));
  });
  if (cut_off(sink) || world.rng.chance(f.call_lost)) return;
  int64_t there_ms = world.delay();
  if (world.rng.chance(f.call_late)) there_ms += static_cast<int64_t>(world.rng.below(20'000));
  const bool heard = !world.rng.chance(f.answer_lost);
  // What is on its way is carried out whether its caller lives or not.
  world.after(there_ms, [this, alive = weak_from_this(), call, heard, &world, sink, name = name(),
                         shore = shores_[sink], tmp = hub_->tmp_name(sink),
                         cuts = shores_[sink].sink.store->power_cuts()] {
    testing::MemoryStore& store = *shore.sink.store;
    if (cuts != store.power_cuts()) return;
    call->reply = call_store(*call->request, *shore.records, *shore.files, tmp);
    if (!call->reply.error) call->promise = store.take_promise();
    if (world.trace) world.say(name, in_words(*call->request, call->reply));
    if (const auto* publish = std::get_if<PublishRequest>(call->request.get()))
      shore.sink.judge->look(store, publish->final_path);
    const auto self = alive.lock();
    if (!self || !heard || cut_off(sink)) return;
    after(world.delay(), [call, kept = shore.sink.store] {
      kept->durable(call->promise);
      call->answer(std::move(call->reply));
    });
  });
}

void CenterProcess::perform(size_t sink, Request request, uint64_t life, Answered then,
                            int64_t pause_ms) {
  if (const auto* pause = std::get_if<PauseRequest>(request.get()))
    return after(pause->ms, [this, sink, life, then = std::move(then)] {
      if (life == hub_->life(sink)) then({});
    });
  if (const auto* several = std::get_if<ReadsRequest>(request.get()))
    return read_all(sink, several->names, life, std::move(then));
  call(
      sink, request,
      [this, sink, request, life, then = std::move(then), pause_ms](StoreReply reply) {
        if (life != hub_->life(sink)) return;
        if (!reply.error || reply.error->kind != Error::Kind::retry_later || !is_repeated(*request))
          return then(std::move(reply));
        after(pause_ms, [this, sink, request, life, then, pause_ms] {
          if (life == hub_->life(sink))
            perform(sink, request, life, then, std::min(pause_ms * 2, kLongestPauseMs));
        });
      });
}

void CenterProcess::read_all(size_t sink, const std::vector<std::string>& names, uint64_t life,
                             Answered then) {
  const auto all = std::make_shared<StoreReply>();
  const auto left = std::make_shared<size_t>(names.size());
  all->records.resize(names.size());
  for (size_t at = 0; at < names.size(); ++at)
    perform(sink, std::make_shared<const StoreRequest>(ReadRequest{names[at]}), life,
            [all, left, at, then](StoreReply one) {
              if (one.error) all->error = std::move(one.error);
              all->records[at] = std::move(one.record);
              if (--*left == 0) then(std::move(*all));
            });
}

void CenterProcess::drive(size_t sink, std::shared_ptr<StoreProcedure> procedure, uint64_t life) {
  auto request = procedure->next();
  if (!request) {
    hub_->procedure_done(sink, *procedure, now());
    return carry_out();
  }
  perform(sink, std::make_shared<const StoreRequest>(std::move(*request)), life,
          [this, sink, procedure, life](StoreReply reply) {
            procedure->on(reply);
            drive(sink, procedure, life);
          });
}

void CenterProcess::start_work(size_t sink, FinishWork work) {
  after(world_.delay(), [this, sink, work, life = hub_->life(sink)] {
    if (life != hub_->life(sink)) return;
    Finishing& file = *work.finishing;
    const bool cuts = file.cuts();
    Result<void> done;
    if (cuts) done = file.stage(*shores_[sink].files, hub_->stage_name(sink, work.category));
    if (done) done = file.run();
    cuts_ += cuts && !file.cuts();
    if (done) {
      hub_->file_finished(sink, work, now());
    } else if (done.error().kind == Error::Kind::retry_later) {
      hub_->finish_waits(sink, work.category, done.error().text, now());
      start_work(sink, work);
    } else {
      hub_->fail(sink, "a file could not be made durable: " + done.error().text, now());
    }
    carry_out();
  });
}

void CenterProcess::start_work(size_t sink, CommitEntry work) {
  say("commits " + work.name);
  perform(sink, std::make_shared<const StoreRequest>(CasRequest{work.name, work.record}),
          hub_->life(sink), [this, sink](StoreReply reply) {
            hub_->commit_done(
                sink, reply.error ? Result<Cas>(*reply.error) : Result<Cas>(reply.cas), now());
            carry_out();
          });
}

void CenterProcess::start_work(size_t sink, PublishFile work) {
  perform(
      sink,
      std::make_shared<const StoreRequest>(PublishRequest{work.file.stage, work.file.final_path}),
      hub_->life(sink), [this, sink, stage = work.file.stage](StoreReply reply) {
        const auto outcome =
            reply.error ? Result<Published>(*reply.error) : Result<Published>(reply.published);
        hub_->publish_done(sink, stage, outcome, now());
        carry_out();
      });
}

void CenterProcess::start_work(size_t sink, RunProcedure work) {
  after(0, [this, sink, work, life = hub_->life(sink)] {
    if (life == hub_->life(sink)) drive(sink, work.procedure, life);
  });
}

// --- Kafka ---------------------------------------------------------------------------------------

// Each call is answered once: by what came of it, or by nothing for so long.
void CenterProcess::start_work(size_t sink, CallKafka work) {
  World& world = world_;
  const Faults& f = world.faults;
  Shore& shore = shores_[sink];
  const auto call = std::make_shared<const KafkaCall>(std::move(work.call));
  if (std::holds_alternative<KafkaClose>(call->what)) {
    shore.producers.erase(call->category);
    return;
  }
  Topics::Producer& producer = shore.producers[call->category];
  if (const auto* open = std::get_if<KafkaOpen>(&call->what);
      open && producer.number != call->producer)
    producer = {.id = open->transactional_id, .number = call->producer, .transaction = 1};
  const size_t kind = call->what.index();
  const bool again = std::exchange(producer.unanswered, kind) == kind;
  if (std::holds_alternative<KafkaWrite>(call->what) && !again) ++producer.write;
  const auto request = std::make_shared<const Topics::Request>(Topics::Request{*call, producer});
  const auto answered = std::make_shared<bool>(false);
  const auto answer = [this, sink, call, answered](const KafkaReply& with, uint64_t term) {
    if (!std::exchange(*answered, true)) reply(sink, call, with, term);
  };
  after(kCallMs, [answer] {
    KafkaReply none;
    none.outcome = KafkaReply::Outcome::again;
    none.why = "no answer from Kafka";
    answer(none, 0);
  });
  const auto away = shore.sink.away;
  if (cut_off(sink) || away() || world.rng.chance(f.call_lost)) return;
  int64_t there_ms = world.delay();
  if (world.rng.chance(f.call_late)) there_ms += static_cast<int64_t>(world.rng.below(20'000));
  const bool heard = !world.rng.chance(f.answer_lost);
  world.after(there_ms, [this, alive = weak_from_this(), request, heard, &world, sink, away, answer,
                         name = name(), topics = shore.sink.topics] {
    if (away()) return;
    uint64_t term = 0;
    const KafkaReply reply = topics->carry_out(*request, &term);
    if (world.trace) world.say(name, in_words(request->call, reply));
    const auto self = alive.lock();
    if (!self || !heard || cut_off(sink)) return;
    after(world.delay(), [answer, reply, term] { answer(reply, term); });
  });
}

void CenterProcess::reply(size_t sink, const std::shared_ptr<const KafkaCall>& call,
                          KafkaReply with, uint64_t term) {
  const auto found = shores_[sink].producers.find(call->category);
  if (found == shores_[sink].producers.end() || found->second.number != call->producer) return;
  Topics::Producer& producer = found->second;
  if (with.outcome != KafkaReply::Outcome::again) {
    producer.unanswered = std::variant_npos;
    if (term != 0) producer.term = term;
    if (std::holds_alternative<KafkaCommit>(call->what)) {
      ++producer.transaction;
      producer.write = 0;
    }
  }
  hub_->kafka_replied(sink, *call, with, now());
  carry_out();
}

}  // namespace tailrace::sim
