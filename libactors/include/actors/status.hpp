#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <caf/allowed_unsafe_message_type.hpp>

#include "actors/ec.hpp"
#include "actors/export.hpp"
#include "actors/subscription_id.hpp"

/// What `event_center::status` answers.
namespace actors {

class json;

/// The links of an event center: RabbitMQ throttles publishers by connection, so
/// consuming has its own. Consumers and publications for which the broker has ended a connection
/// have one apart, while there are any.
enum class link_role : std::uint8_t { consuming, publishing, quarantine };

ACTORS_EXPORT std::string_view to_string(link_role x) noexcept;

/// What a link can do now. A blocked one is connected, but its broker takes no publications.
enum class link_state : std::uint8_t { down, connecting, up, blocked };

ACTORS_EXPORT std::string_view to_string(link_state x) noexcept;

/// How a link is. `event_center::on_link` sends it as a message, `status` has all of them.
struct link_status {
  link_role role = link_role::consuming;
  link_state state = link_state::down;
  /// Without credentials.
  std::string endpoint;
  std::string broker;
  std::uint64_t connects = 0;
  std::uint64_t losses = 0;
  /// Why the link was last lost or not made: `ec::none` if it never was.
  ec last_code = ec::none;
  std::string last_error;
};

struct outbox_status {
  std::uint64_t waiting = 0;
  /// Kept aside by the policy `block`.
  std::uint64_t blocked = 0;
  std::uint64_t unconfirmed = 0;
  std::uint64_t bytes = 0;
  std::uint64_t published = 0;
  std::uint64_t confirmed = 0;
  std::uint64_t returned = 0;
  std::uint64_t rejected = 0;
  std::uint64_t dropped = 0;
};

struct supervisor_status {
  std::vector<link_status> links;
  outbox_status outbox;
  /// Entities the broker refused, each with its reason; retried at reconnect.
  std::vector<std::string> refused;
};

/// How many messages a handler did not get, and why.
struct delivery_drops {
  std::uint64_t oldest = 0;
  std::uint64_t newest = 0;
  /// By a newer one of the same key.
  std::uint64_t replaced = 0;

  bool operator==(const delivery_drops&) const = default;

  std::uint64_t total() const noexcept {
    return oldest + newest + replaced;
  }
};

/// One row of the handler table.
struct handler_status {
  subscription_id id = 0;
  std::string exchange;
  std::string routing_key;
  std::string queue;
  /// Whether the broker has confirmed the consumer.
  bool consuming = false;
  /// The strategy's actor: its id and its name.
  std::uint64_t subscriber = 0;
  std::string strategy;
  std::uint64_t delivered = 0;
  std::uint64_t succeeded = 0;
  std::uint64_t failed = 0;
  std::uint64_t in_flight = 0;
  /// For a slow strategy, bounded by the subscription's window.
  std::uint64_t waiting = 0;
  /// Not handed over, by the window's policy.
  delivery_drops dropped;
  /// Handlers that did not answer in time; they count as failed as well.
  std::uint64_t timed_out = 0;
  /// Copies of messages that were handled before.
  std::uint64_t duplicates = 0;
  /// Ranges of numbers of handled messages that are not remembered any more, as there were
  /// too many: copies of these would be handled again (`stream_limits`).
  std::uint64_t forgotten = 0;
};

struct dispatcher_status {
  std::vector<handler_status> handlers;
  std::uint64_t received = 0;
  std::uint64_t malformed = 0;
  /// Rejected, as the link could not take them: beyond its limits, or malformed.
  std::uint64_t unreadable = 0;
  /// Messages that no handler wanted (a stale binding, a fanout exchange); those of a
  /// queue that is kept go back, and count each time.
  std::uint64_t unmatched = 0;
  std::uint64_t requeued = 0;
  /// Sent back after a delay.
  std::uint64_t retried = 0;
  std::uint64_t dead_lettered = 0;
};

/// What `event_center::status` answers.
struct center_status {
  supervisor_status supervisor;
  dispatcher_status dispatcher;
};

/// For people: a line for each link, the outbox, each subscription, and what was refused.
ACTORS_EXPORT std::string to_string(const center_status& x);

/// For programs: an object with `links`, `outbox`, `refused`, `handlers` and `deliveries`, whose
/// members are named as those of the structures here. Include `actors/json.hpp` to read it.
ACTORS_EXPORT json to_json(const center_status& x);

} // namespace actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::link_status)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::supervisor_status)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::dispatcher_status)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::center_status)
