#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <caf/allowed_unsafe_message_type.hpp>

#include "actors/ec.hpp"
#include "actors/export.hpp"
#include "actors/subscription_id.hpp"

/// The answer of `event_center::status`, and its parts.
namespace actors {

class json;

/// The links of an event center. Consuming and publishing have separate links because RabbitMQ
/// throttles publishers by connection. The link `quarantine` exists only while there are consumers
/// or publications that made the broker end a connection.
enum class link_role : std::uint8_t { consuming, publishing, quarantine };

ACTORS_EXPORT std::string_view to_string(link_role x) noexcept;

/// The state of a link. A blocked link is connected, but its broker takes no publications.
enum class link_state : std::uint8_t { down, connecting, up, blocked };

ACTORS_EXPORT std::string_view to_string(link_state x) noexcept;

/// The status of one link. `event_center::on_link` sends a `link_status` as a message;
/// `event_center::status` answers with those of all links.
struct link_status {
  link_role role = link_role::consuming;
  link_state state = link_state::down;
  /// The endpoint's URL without credentials.
  std::string endpoint;
  std::string broker;
  std::uint64_t connects = 0;
  std::uint64_t losses = 0;
  /// The reason for the last loss or failed attempt to connect; `ec::none` if there was none.
  ec last_code = ec::none;
  std::string last_error;
};

struct outbox_status {
  std::uint64_t waiting = 0;
  /// Messages that the policy `block` holds until there is room.
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
  /// The entities that the broker refused, each with its reason; retried at reconnect.
  std::vector<std::string> refused;
};

/// How many messages the delivery policy kept from a handler.
struct delivery_drops {
  std::uint64_t oldest = 0;
  std::uint64_t newest = 0;
  /// Messages that a newer one of the same key replaced.
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
  /// The id and the name of the strategy's actor.
  std::uint64_t subscriber = 0;
  std::string strategy;
  std::uint64_t delivered = 0;
  std::uint64_t succeeded = 0;
  std::uint64_t failed = 0;
  std::uint64_t in_flight = 0;
  /// Events that wait for a slow strategy, bounded by the subscription's window.
  std::uint64_t waiting = 0;
  /// Events that the window's policy dropped.
  delivery_drops dropped;
  /// Deliveries that the handler did not answer in time; `failed` includes them.
  std::uint64_t timed_out = 0;
  /// Dropped copies of messages that were handled before.
  std::uint64_t duplicates = 0;
  /// Ranges of handled message numbers that were forgotten because there were too many
  /// (`stream_limits`). Copies of such messages would be handled again.
  std::uint64_t forgotten = 0;
};

struct dispatcher_status {
  std::vector<handler_status> handlers;
  std::uint64_t received = 0;
  std::uint64_t malformed = 0;
  /// Deliveries that the link rejected as malformed or beyond its limits.
  std::uint64_t unreadable = 0;
  /// Messages that no handler wanted (a stale binding, a fanout exchange). A message of a kept
  /// queue goes back to the queue and counts each time.
  std::uint64_t unmatched = 0;
  std::uint64_t requeued = 0;
  /// Messages that were sent back with a delay.
  std::uint64_t retried = 0;
  std::uint64_t dead_lettered = 0;
};

/// The answer of `event_center::status`.
struct center_status {
  supervisor_status supervisor;
  dispatcher_status dispatcher;
};

/// Text for people: a line for each link, the outbox, each subscription and each refused entity.
ACTORS_EXPORT std::string to_string(const center_status& x);

/// JSON for programs: an object with `links`, `outbox`, `refused`, `handlers` and `deliveries`,
/// whose members are named like those of the structs here. Callers include `actors/json.hpp`.
ACTORS_EXPORT json to_json(const center_status& x);

} // namespace actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::link_status)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::supervisor_status)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::dispatcher_status)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::center_status)
