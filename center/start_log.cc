#include "center/start_log.h"

namespace tailrace {

std::optional<StoreRequest> StartLog::next() {
  switch (step_) {
    case Step::make_log: return MakeDirectoryRequest{me_.names.log(me_.incarnation)};
    case Step::claim_log: {
      LaneClaim own = me_.claim(LaneClaim::Kind::own, 1, uuid_);
      return CasRequest{me_.names.own_claim(me_.incarnation, 1), own.encode(),
                        Records::Parent::must_exist};
    }
    case Step::announce:
      return CasRequest{me_.names.announcement(me_.incarnation), announcement_.encode(),
                        Records::Parent::make};
    case Step::ended: break;
  }
  return std::nullopt;
}

void StartLog::on(const StoreReply& reply) {
  if (reply.error) {
    error_ = reply.error;
    step_ = Step::ended;
    return;
  }
  switch (step_) {
    case Step::make_log: step_ = Step::claim_log; return;
    case Step::claim_log:
    case Step::announce:
      started_ = reply.cas == Cas::won && step_ == Step::announce;
      step_ = reply.cas == Cas::won && step_ == Step::claim_log ? Step::announce : Step::ended;
      return;
    case Step::ended: return;
  }
}

}  // namespace tailrace
