#pragma once

#include <caf/actor.hpp>
#include <caf/execution_unit.hpp>
#include <caf/message.hpp>
#include <caf/resumable.hpp>

namespace actors {

/// Runs the actor that a link's thread brings messages to on that thread, as a
/// worker of CAF's scheduler would, if it is idle: it begins at once, and no
/// other thread has to be woken. Whom it sends to runs elsewhere, so that no
/// strategy can delay a link.
///
/// Belongs to the link's thread; what it runs must not end that thread.
class link_worker : public caf::execution_unit {
public:
  link_worker(caf::actor_system& system, caf::actor receiver);

  /// Delivers a message and lets the receiver handle it, together with what waits
  /// in its mailbox, for one turn at most.
  void bring(caf::message what);

  void exec_later(caf::resumable* job) override;

private:
  void run(caf::resumable* job);

  caf::actor receiver_;
  caf::resumable* receivers_job_;
  /// Set between `exec_later` and its turn.
  caf::resumable* ready_ = nullptr;
};

} // namespace actors
