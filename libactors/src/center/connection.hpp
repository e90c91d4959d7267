#pragma once

#include <functional>

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>
#include <caf/behavior.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include "amqp/transport.hpp"
#include "center/messages.hpp"

namespace actors {

struct connection_state {
  amqp::transport_ptr transport;

  static inline const char* name = "connection";
};

/// One connection to a broker, for its life:
///
///     spawned -> connecting -> up -> closing -> ended with its reason
///                    |         |
///                    +---------+--> ended with its reason
///
/// The actor never retries: it ends with the link's failure, and the actor linked to it decides.
/// Control events go to `owner`, deliveries straight to `dispatcher`. Both get the `link_sender` of
/// the link, so publications and settlements bypass this actor.
///
/// | message | answer |
/// | --- | --- |
/// | link_request | later `link_reply` to `owner` |
/// | close_atom | ends, with no error |
caf::behavior connection(caf::stateful_actor<connection_state>* self, link_role role,
                         const amqp::endpoint& where, amqp::transport_ptr transport,
                         const caf::actor& owner, const caf::actor& dispatcher);

/// Makes the transport for an endpoint.
using transport_factory = std::function<amqp::transport_ptr(const amqp::endpoint&)>;

/// Makes the function that a supervisor starts its connections with.
ACTORS_EXPORT connection_starter connections_over(transport_factory make_transport);

} // namespace actors
