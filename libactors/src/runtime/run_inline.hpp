#pragma once

#include <caf/actor_system.hpp>
#include <caf/execution_unit.hpp>
#include <caf/resumable.hpp>

namespace actors {

/// Runs an idle receiver of one message in the sender's thread, when the scope ends. Waking
/// another thread would cost more than our actors' work on a message. Actors that the receiver
/// wakes are scheduled as usual, or by `others`.
///
///     run_inline here{system};
///     receiver->enqueue(nullptr, caf::make_message_id(), std::move(content), &here);
///
/// Receivers must never block, nor run foreign code for long.
class run_inline : public caf::execution_unit {
public:
  explicit run_inline(caf::actor_system& system);

  run_inline(caf::actor_system& system, caf::execution_unit& others);

  /// Gives the receiver one turn; the scheduler continues if one turn is not enough.
  ~run_inline() override;

  run_inline(const run_inline&) = delete;
  run_inline& operator=(const run_inline&) = delete;

  void exec_later(caf::resumable* job) override;

private:
  caf::execution_unit* others_ = nullptr;
  caf::resumable* ready_ = nullptr;
  bool running_ = false;
};

} // namespace actors
