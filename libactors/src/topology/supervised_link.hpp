#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "actors/logging.hpp"
#include "actors/status.hpp"
#include "amqp/transport.hpp"
#include "topology/endpoint_rotation.hpp"
#include "topology/topology_state.hpp"

namespace actors {

/// One of the links, over all its connections; a plain value:
///
///               begin                 come_up
///     down ---------------> connecting ------> up
///       ^                       |              |
///       +--------- end ---------+--------------+
class supervised_link {
public:
  using time_point = std::chrono::steady_clock::time_point;

  explicit supervised_link(link_role role) : role(role) {
    // nop
  }

  // -- what happens to it ---------------------------------------------------------------

  /// It is connected from now on, as far as these limits are known.
  void begin(const amqp::broker_limits& assumed);

  /// There was no way to connect it.
  void cancel() noexcept;

  void come_up(std::string broker_of_link, amqp::link_sender_ptr link_sender, time_point now);

  /// Its connection is to end. Gives back whether that is new.
  bool close() noexcept;

  void block(std::string_view reason);
  void unblock() noexcept;

  /// The broker was found to allow less: gives back whether it was told anything new. A limit
  /// of messages costs a channel, and says nothing about the end of the link.
  bool learn(const amqp::broker_limits& found);

  /// What was lost with a connection.
  struct loss {
    bool was_up = false;
    /// It was closed as nobody needed it.
    bool was_idle = false;
  };

  /// The connection has ended. One that was up for `settled` counts as a success.
  loss end(const failure& reason, std::chrono::milliseconds settled, time_point now);

  /// Whether the next connection may be made at once, as it begins otherwise: if the end is
  /// explained, or if the link has learned, once between two successes.
  bool skips_pause(bool is_explained) noexcept;

  // -- how it is --------------------------------------------------------------------------

  /// Whether messages may leave by it.
  bool is_open() const noexcept {
    return up && !closing && blocked.empty();
  }

  link_state state() const noexcept;

  /// The level of a line that it is well again: whoever reads warnings alone is to read the end
  /// of what was warned of.
  log_level level_of_recovery() noexcept;

  link_role role;
  /// Whether there is a connection, up or not.
  bool connected = false;
  bool up = false;
  bool closing = false;
  bool connect_scheduled = false;
  /// It is closed as nobody needs it.
  bool is_idle = false;
  /// Where publications go, once it is up; and the present life of the channel for them.
  amqp::link_sender_ptr out;
  std::uint32_t generation = 1;
  endpoint_rotation endpoints{{}, 1, 0};
  time_point since;
  /// Empty: not blocked.
  std::string blocked;
  std::string broker;
  failure last_failure;
  /// What may have ended it, by its own word.
  std::vector<amqp::request_id> suspects;
  /// What is heeded on the connection.
  amqp::broker_limits limits;
  /// The broker has ended it for a limit that the next one heeds.
  bool has_learned = false;
  std::uint64_t connects = 0;
  std::uint64_t losses = 0;
  /// How often it was not connected since it was up.
  std::size_t failures = 0;

private:
  bool has_warned_ = false;
  bool may_skip_pause_ = true;
};

/// A link with what is wanted by it. What may not be asked for by it goes by the link apart.
class asking_link : public supervised_link {
public:
  asking_link(link_role role, amqp::request_id first) : supervised_link(role), topology(first) {
    // nop
  }

  bool retry_scheduled = false;
  bool release_scheduled = false;
  topology_state topology;
};

} // namespace actors
