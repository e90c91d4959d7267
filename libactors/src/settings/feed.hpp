#pragma once

#include <optional>
#include <string>

#include "actors/amqp/topology.hpp"
#include "actors/export.hpp"
#include "actors/subscription.hpp"
#include "delivery/delivery_queue.hpp"

/// A feed is what a strategy follows as it comes: on dispatch, from a queue that nobody
/// else names. A relay reads it from its broker once for all hosts that follow it.
namespace actors {

/// Whether a subscription can be served by a feed.
bool is_feed(const subscription& x) noexcept;

/// What a host asks its relay for instead of a queue: by arguments of the queue, which
/// say what is to happen to events that the host is too slow for. Where events of
/// one routing key have several subjects, only the host can tell which is the latest of each.
amqp::queue feed_queue(const subscription& x, std::string name);

/// The limits of a feed; none if the queue is a real one.
ACTORS_EXPORT std::optional<delivery_limits> feed_limits(const amqp::queue& x);

/// How a relay reads a feed. Its handler gets the `amqp::delivery`, body unopened.
ACTORS_EXPORT subscription feed_subscription(const amqp::binding& what, delivery_limits limits);

} // namespace actors
