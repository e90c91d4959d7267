#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>

#include "actors/event_center.hpp"
#include "center/connection.hpp"
#include "simulation/faulty_transport.hpp"

namespace actors::simulation {

struct process_settings {
  actors::config config;
  connection_starter start_connection;
  simulation::defect defect = simulation::defect::none;
};

/// A process with an event center that can be stopped, killed and started again, with the
/// file of what it could not send (`config::shutdown`).
class process {
public:
  process(caf::actor_system& system, process_settings settings);

  /// Epochs grow with each start.
  void start(std::uint64_t epoch);

  /// As in good order: what cannot be sent within the limit is kept in the file.
  void stop(std::chrono::milliseconds limit);

  bool is_stopping() const noexcept {
    return stopping_;
  }

  /// As by SIGKILL, or the end of a stop.
  void kill();

  /// Whether there is an event center.
  bool is_running() const;

  event_center center() const {
    return {dispatcher_, supervisor_};
  }

  const caf::actor& supervisor() const noexcept {
    return supervisor_;
  }

  const caf::actor& dispatcher() const noexcept {
    return dispatcher_;
  }

private:
  void take_unsent(supervisor_settings& to) const;

  caf::actor_system& system_;
  process_settings settings_;
  caf::actor supervisor_;
  caf::actor dispatcher_;
  bool stopping_ = false;
};

/// Whether an actor has not ended.
bool is_alive(const caf::actor& x);

} // namespace actors::simulation
