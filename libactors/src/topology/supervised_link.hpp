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

  /// Begins a connection, with the limits that are known so far.
  void begin(const amqp::broker_limits& assumed);

  /// The link could not be connected.
  void cancel() noexcept;

  void come_up(std::string broker_of_link, amqp::link_sender_ptr link_sender, time_point now);

  /// Marks the connection as closing. Returns false if there is none, or it is closing already.
  bool close() noexcept;

  void block(std::string_view reason);
  void unblock() noexcept;

  /// The broker was found to have stricter limits. Returns whether they are new. A limit of
  /// messages costs a channel, and does not explain the end of the link.
  bool learn(const amqp::broker_limits& found);

  /// The state that was lost with a connection.
  struct loss {
    bool was_up = false;
    /// The link was closed because nobody needed it.
    bool was_idle = false;
  };

  /// The connection has ended. A connection that was up for `settled` counts as a success.
  loss end(const failure& reason, std::chrono::milliseconds settled, time_point now);

  /// Whether the next connection may be made at once, because it begins otherwise: the end is
  /// explained, or the link has learned a limit, once between two successes.
  bool skips_pause(bool is_explained) noexcept;

  // -- how it is --------------------------------------------------------------------------

  /// Whether messages may be sent by this link.
  bool is_open() const noexcept {
    return up && !closing && blocked.empty();
  }

  link_state state() const noexcept;

  /// Returns the level of a line about recovery: a reader of warnings alone must see the end of
  /// each warned-of trouble.
  log_level level_of_recovery() noexcept;

  link_role role;
  /// Whether there is a connection, up or not.
  bool connected = false;
  bool up = false;
  bool closing = false;
  bool connect_scheduled = false;
  /// The link is being closed because nobody needs it.
  bool is_idle = false;
  /// The way for publications, once the link is up; `generation` is that of their channel.
  amqp::link_sender_ptr out;
  std::uint32_t generation = 1;
  endpoint_rotation endpoints{{}, 1, 0};
  time_point since;
  /// Empty: not blocked.
  std::string blocked;
  std::string broker;
  failure last_failure;
  /// Requests that may have ended the link, as the link itself says.
  std::vector<amqp::request_id> suspects;
  /// The limits heeded on this connection.
  amqp::broker_limits limits;
  /// The broker has ended the link for a limit that the next connection heeds.
  bool has_learned = false;
  std::uint64_t connects = 0;
  std::uint64_t losses = 0;
  /// Failed attempts since the link was last up.
  std::size_t failures = 0;

private:
  bool has_warned_ = false;
  bool may_skip_pause_ = true;
};

/// A link with the topology wanted by it. Requests that this link may not carry go by the link
/// apart.
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
