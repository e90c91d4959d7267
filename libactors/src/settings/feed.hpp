#pragma once

#include <optional>
#include <string>

#include "actors/amqp/topology.hpp"
#include "actors/export.hpp"
#include "actors/subscription.hpp"
#include "delivery/delivery_queue.hpp"

/// A feed is a subscription that acknowledges on dispatch, with an unshared queue. A relay reads a
/// feed from its broker once for all hosts that follow it.
namespace actors {

/// Whether a subscription can be served by a feed.
bool is_feed(const subscription& x) noexcept;

/// Returns the queue by which a host asks its relay for a feed. The queue's arguments carry the
/// delivery limits for a slow host. For events with subjects the relay does not keep the latest
/// per key, because only the host can tell subjects apart.
amqp::queue feed_queue(const subscription& x, std::string name);

/// Returns the limits of a feed, or nothing if the queue is a real one.
ACTORS_EXPORT std::optional<delivery_limits> feed_limits(const amqp::queue& x);

/// Returns the relay's own subscription for a feed. The handler gets the `amqp::delivery` with its
/// body still encoded.
ACTORS_EXPORT subscription feed_subscription(const amqp::binding& binding, delivery_limits limits);

} // namespace actors
