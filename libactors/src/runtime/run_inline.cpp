#include "runtime/run_inline.hpp"

#include <caf/intrusive_ptr.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

#include "runtime/work_sharing.hpp"

namespace actors {

run_inline::run_inline(caf::actor_system& system) : caf::execution_unit(&system) {
  // nop
}

run_inline::run_inline(caf::actor_system& system, caf::execution_unit& others)
    : caf::execution_unit(&system), others_(&others) {
  // nop
}

run_inline::~run_inline() {
  if (ready_ == nullptr)
    return;
  running_ = true;
  // The mailbox took a reference for us, which is passed on or released here.
  if (ready_->resume(this, work_sharing::turn) == caf::resumable::resume_later)
    system().scheduler().enqueue(ready_);
  else
    caf::intrusive_ptr_release(ready_);
}

void run_inline::exec_later(caf::resumable* job) {
  if (!running_ && ready_ == nullptr)
    ready_ = job;
  else if (others_ != nullptr)
    others_->exec_later(job);
  else
    system().scheduler().enqueue(job);
}

} // namespace actors
