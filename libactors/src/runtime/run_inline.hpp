#pragma once

#include <caf/actor_system.hpp>
#include <caf/execution_unit.hpp>
#include <caf/resumable.hpp>

namespace actors {

/// Lets the receiver of one message handle it in the thread that sent it, at the
/// end of a scope, if it was idle: no other thread has to be woken, which costs
/// more than what our actors do with a message. Whom the receiver sends to runs
/// elsewhere, as usual, or where `others` have it run.
///
///     run_inline here{system};
///     receiver->enqueue(nullptr, caf::make_message_id(), std::move(what), &here);
///
/// For receivers that never block nor run foreign code for long.
class run_inline : public caf::execution_unit {
public:
  explicit run_inline(caf::actor_system& system);

  run_inline(caf::actor_system& system, caf::execution_unit& others);

  /// Gives the receiver one turn; if that is not enough it goes on elsewhere.
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
