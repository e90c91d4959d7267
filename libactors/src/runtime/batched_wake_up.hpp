#pragma once

#include <utility>
#include <vector>

#include <caf/event_based_actor.hpp>
#include <caf/execution_unit.hpp>

namespace actors {

/// Defers the wake-ups of all receivers of an actor's messages to the end of a scope. An idle
/// receiver would otherwise wake for its first message, handle it, and be idle again before the
/// next one comes: each wake-up costs more than a message.
class batched_wake_up : public caf::execution_unit {
public:
  explicit batched_wake_up(caf::event_based_actor& self)
      : caf::execution_unit(&self.system()), self_(self), unit_(self.context()) {
    self_.context(this);
  }

  ~batched_wake_up() override {
    self_.context(unit_);
    for (auto* job : jobs_)
      unit_->exec_later(job);
  }

  batched_wake_up(const batched_wake_up&) = delete;
  batched_wake_up& operator=(const batched_wake_up&) = delete;

  void exec_later(caf::resumable* job) override {
    jobs_.push_back(job);
  }

private:
  caf::event_based_actor& self_;
  caf::execution_unit* unit_;
  std::vector<caf::resumable*> jobs_;
};

} // namespace actors
