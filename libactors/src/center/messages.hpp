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

#include "actors/ec.hpp"
#include "actors/publish_options.hpp"
#include "actors/status.hpp"
#include "actors/stream_events.hpp"
#include "actors/subscription.hpp"
#include "amqp/transport.hpp"
#include "delivery/raw_codec.hpp"
#include "topology/topology_state.hpp"

/// This header holds every message type of the actors, which know each other only by these types.
/// `docs/messages.md` lists who sends what to whom.
namespace actors {

// -- from a link, by its connection actor ------------------------------------------

/// Starts a connection actor. The supervisor gets this function, so it need not know that actor.
using connection_starter =
    std::function<caf::actor(caf::actor_system&, link_role, const amqp::endpoint&,
                             const caf::actor& owner, const caf::actor& dispatcher)>;

/// The link is logged in.
struct link_up {
  link_role role = link_role::consuming;
  std::string broker;
  /// Publications to the broker go by this sender.
  amqp::link_sender_ptr out;
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
  amqp::closed_channel channel;
};

/// The link is about to end, and one of these requests may be why.
struct link_suspects {
  link_role role = link_role::consuming;
  std::vector<amqp::request_id> requests;
};

/// The limits that a link found its broker to have.
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

/// Deliveries of one generation of a link's consuming channel. The sender of their link settles
/// them.
struct delivery_batch {
  amqp::link_sender_ptr out;
  std::uint32_t generation = 0;
  std::vector<amqp::delivery> items;
};

/// A request for a connection.
struct link_request {
  amqp::request_id id = 0;
  amqp::operation op;
};

/// The link has ended; from a link to its connection actor.
struct link_down {
  failure reason;
};

// -- between dispatcher and supervisor -----------------------------------------------

// `wanted_consumer` and `consumer_state` are the topology state's.

/// These consumers have stopped: their channel or link is gone. They are restarted without a
/// request, each with a `consumer_state`.
struct consumers_lost {
  failure reason;
  std::vector<amqp::consumer_id> consumers;
};

// -- how an event center ends ------------------------------------------------------------

/// The answer to `drain`.
struct drained {
  /// The number of events that strategies were handed, or were about to be, and did not answer in
  /// time. The broker delivers again those that are acknowledged on success.
  std::uint64_t unhandled = 0;
};

/// The answer to `stop`.
struct stopped {
  /// The messages that could not be sent, in order.
  std::vector<amqp::publication> unsent;
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
CAF_ADD_ATOM(actors, actors, watch_atom, "watch")

CAF_END_TYPE_ID_BLOCK(actors)

// -- how they travel --------------------------------------------------------------------

// All of these travel as shared objects within the process.
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
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::drained)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::stopped)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::amqp::binding)
