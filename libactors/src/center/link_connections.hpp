#pragma once

#include <array>
#include <optional>
#include <vector>

#include <caf/actor.hpp>
#include <caf/actor_addr.hpp>
#include <caf/event_based_actor.hpp>

#include "center/messages.hpp"
#include "topology/link_set.hpp"

namespace actors {

/// The connections of a supervisor, and the actors that watch its links. It carries out the orders
/// of a `link_set`.
class link_connections {
public:
  link_connections(caf::event_based_actor* self, connection_starter start_connection);

  /// The receiver of news about consumers.
  void dispatcher(caf::actor dispatcher) {
    dispatcher_ = std::move(dispatcher);
  }

  /// The links without a connection.
  std::vector<link_role> missing() const;

  /// Forgets a connection that has ended. Gives back its role; nothing, if it is none of these.
  std::optional<link_role> remove(const caf::actor_addr& ended);

  // -- orders ----------------------------------------------------------------------------

  void carry_out(const log_line& line);
  void carry_out(link_set::connect_link& order);
  void carry_out(const link_set::close_link& order);
  void carry_out(link_set::ask& order);
  void carry_out(link_set::lost_consumers& order);
  void carry_out(consumer_state& order);
  void carry_out(const link_set::wake& order);
  void carry_out(link_set::link_changed& order);

  // -- watchers --------------------------------------------------------------------------

  /// Sends the state of the links to a watcher, now and whenever one changes.
  void watch(const caf::actor& watcher, std::vector<link_status> now);
  void remove_watcher(const caf::actor_addr& ended);

private:
  caf::actor& at(link_role role) noexcept {
    return by_role_[static_cast<std::size_t>(role)];
  }

  caf::event_based_actor* self_;
  connection_starter start_connection_;
  caf::actor dispatcher_;
  std::array<caf::actor, 3> by_role_;
  std::vector<caf::actor> watchers_;
};

} // namespace actors
