#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/atom.hpp>
#include <caf/type_id.hpp>

#include "actors/amqp/transport.hpp"
#include "actors/delivery_queue.hpp"
#include "actors/ec.hpp"
#include "actors/ledger.hpp"
#include "actors/stream_tracker.hpp"
#include "actors/subscription.hpp"

/// Every value that travels between the actors. The actors meet only here.
/// `docs/messages.md` lists who sends what to whom.
namespace actors {

// -- from a link, by its connection actor ------------------------------------------

/// The links of an event center: RabbitMQ throttles publishers by connection, so
/// consuming has its own. Consumers for which the broker has ended a connection have one
/// apart, while there are any.
enum class link_role : std::uint8_t { consuming, publishing, quarantine };

std::string_view to_string(link_role x) noexcept;

/// Starts a connection actor: how a supervisor gets one without knowing it.
using connection_starter =
    std::function<caf::actor(caf::actor_system&, link_role, const amqp::endpoint&,
                             const caf::actor& owner, const caf::actor& dispatcher)>;

/// The link is logged in.
struct link_up {
  link_role role = link_role::consuming;
  std::string broker;
  /// Where publications go.
  amqp::outlet_ptr out;
};

struct link_blocked {
  link_role role = link_role::consuming;
  std::string reason;
};

struct link_unblocked {
  link_role role = link_role::consuming;
};

struct link_reply {
  link_role role = link_role::consuming;
  amqp::reply reply;
};

struct channel_lost {
  link_role role = link_role::consuming;
  amqp::closed_channel what;
};

/// The link is about to end, and one of these requests may be why.
struct link_suspects {
  link_role role = link_role::consuming;
  std::vector<amqp::request_id> requests;
};

/// What a link found its broker to allow.
struct link_learned {
  link_role role = link_role::consuming;
  amqp::broker_limits limits;
};

/// A publication that cannot be sent.
struct publication_refused {
  std::uint64_t id = 0;
  failure reason;
};

/// The broker ended a consumer.
struct consumer_gone {
  amqp::consumer_id id = 0;
};

struct confirmations {
  std::vector<amqp::confirmation> items;
};

/// Deliveries of one life of a link's consuming channel. They are settled by the
/// outlet of their link.
struct delivery_batch {
  amqp::outlet_ptr out;
  std::uint32_t incarnation = 0;
  std::vector<amqp::delivery> items;
};

/// A request for a connection.
struct link_request {
  amqp::request_id id = 0;
  amqp::operation what;
};

/// The link has ended; from a link to its connection actor.
struct link_down {
  failure reason;
};

// -- between dispatcher and supervisor -----------------------------------------------

// `wanted_consumer` and `consumer_state` are the ledger's.

/// These consumers have stopped: their channel or link is gone. They come back by
/// themselves, each with a `consumer_state`.
struct consumers_lost {
  failure reason;
  std::vector<amqp::consumer_id> consumers;
};

// -- to strategies that follow their streams --------------------------------------------

/// Nothing comes any more from this subscription's consumer: the link is lost, or its
/// channel. What is missed in the meantime comes later, or shows as a gap.
struct link_lost {
  std::string exchange;
  std::string routing_key;
  std::string reason;

  bool operator==(const link_lost&) const = default;
};

/// The consumer runs again.
struct link_restored {
  std::string exchange;
  std::string routing_key;

  bool operator==(const link_restored&) const = default;
};

// -- answers ---------------------------------------------------------------------------

/// The broker took a publication.
struct published {
  /// The message id that it was sent with.
  std::string message_id;

  bool operator==(const published&) const = default;
};

// -- status ----------------------------------------------------------------------------

struct link_status {
  link_role role = link_role::consuming;
  /// "down", "connecting", "up", "blocked".
  std::string state;
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

/// One row of the handler table.
struct handler_status {
  subscription_id id = 0;
  std::string exchange;
  std::string routing_key;
  std::string queue;
  /// Whether the broker has confirmed the consumer.
  bool consuming = false;
  std::uint64_t subscriber = 0;
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

/// What `drain` is answered with.
struct drained {
  /// Events that strategies were handed, or were about to be, and did not answer
  /// in time. Those that are acknowledged on success come again.
  std::uint64_t unhandled = 0;
};

/// What `stop` is answered with.
struct stopped {
  /// The messages that could not be sent, in order.
  std::vector<amqp::publication> unsent;
};

/// What `event_center::status` answers.
struct center_status {
  supervisor_status supervisor;
  dispatcher_status dispatcher;
};

} // namespace actors

// -- type ids and atoms -------------------------------------------------------------------

CAF_BEGIN_TYPE_ID_BLOCK(actors, first_custom_type_id)

CAF_ADD_ATOM(actors, actors, subscribe_atom, "subscribe")
CAF_ADD_ATOM(actors, actors, unsubscribe_atom, "unsubscr")
CAF_ADD_ATOM(actors, actors, publish_atom, "publish")
CAF_ADD_ATOM(actors, actors, status_atom, "status")
CAF_ADD_ATOM(actors, actors, unwant_atom, "unwant")
CAF_ADD_ATOM(actors, actors, start_atom, "start")
CAF_ADD_ATOM(actors, actors, connect_atom, "connect")
CAF_ADD_ATOM(actors, actors, close_atom, "close")
CAF_ADD_ATOM(actors, actors, flush_atom, "flush")
CAF_ADD_ATOM(actors, actors, retry_atom, "retry")
CAF_ADD_ATOM(actors, actors, requeue_atom, "requeue")
CAF_ADD_ATOM(actors, actors, drain_atom, "drain")
CAF_ADD_ATOM(actors, actors, tick_atom, "tick")
CAF_ADD_ATOM(actors, actors, verify_atom, "verify")
CAF_ADD_ATOM(actors, actors, unconfirmed_atom, "unconfirm")
CAF_ADD_ATOM(actors, actors, expire_atom, "expire")
CAF_ADD_ATOM(actors, actors, probe_atom, "probe")
CAF_ADD_ATOM(actors, actors, stop_atom, "stop")
CAF_ADD_ATOM(actors, actors, deadline_atom, "deadline")
CAF_ADD_ATOM(actors, actors, heartbeat_atom, "heartbeat")

CAF_END_TYPE_ID_BLOCK(actors)

// -- how they travel --------------------------------------------------------------------

// As shared objects within the process.
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::failure)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::amqp::publication)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::link_up)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::link_blocked)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::link_unblocked)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::link_reply)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::channel_lost)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::link_suspects)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::link_learned)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::publication_refused)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::consumer_gone)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::confirmations)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::amqp::returned_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::delivery_batch)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::link_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::link_down)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::wanted_consumer)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::consumer_state)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::consumers_lost)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::stream_gap)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::stream_restarted)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::stream_stale)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::link_lost)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::link_restored)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::published)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::subscription)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::subscribed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::supervisor_status)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::dispatcher_status)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::center_status)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::drained)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::stopped)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::amqp::binding)
