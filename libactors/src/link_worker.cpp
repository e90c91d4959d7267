#include "link_worker.hpp"

#include <utility>

#include <caf/actor_cast.hpp>
#include <caf/actor_system.hpp>
#include <caf/message_id.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

namespace actors {

namespace {

/// As many messages as a turn has on the scheduler: `system_config`.
constexpr std::size_t turn = 300;

} // namespace

link_worker::link_worker(caf::actor_system& system, caf::actor receiver)
    : caf::execution_unit(&system),
      receiver_(std::move(receiver)),
      receivers_job_(
          dynamic_cast<caf::resumable*>(caf::actor_cast<caf::abstract_actor*>(receiver_))) {
  // nop
}

void link_worker::bring(caf::message what) {
  receiver_->enqueue(nullptr, caf::make_message_id(), std::move(what), this);
  if (auto* job = std::exchange(ready_, nullptr))
    run(job);
}

void link_worker::exec_later(caf::resumable* job) {
  if (job == receivers_job_)
    ready_ = job;
  else
    system().scheduler().enqueue(job);
}

// The reference that the job's mailbox took for us is given back or passed on.
void link_worker::run(caf::resumable* job) {
  switch (job->resume(this, turn)) {
  case caf::resumable::resume_later:
    system().scheduler().enqueue(job);
    break;
  case caf::resumable::shutdown_execution_unit:
  case caf::resumable::done:
  case caf::resumable::awaiting_message:
    caf::intrusive_ptr_release(job);
    break;
  }
}

} // namespace actors
