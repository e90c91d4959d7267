#pragma once

#include <string>
#include <vector>

#include "actors/amqp/topology.hpp"
#include "actors/subscription.hpp"

/// The queues that a subscription is read from, as the broker is asked for them.
namespace actors {

/// Whether its queue outlives its consumers.
bool is_kept(const subscription& x) noexcept;

/// Whether we send what failed somewhere else than back.
bool moves_failures(const subscription& x) noexcept;

/// Whether two subscriptions can share the consumer of one queue: they agree on
/// all that concerns the queue and not the handler. Readers of a stream never share one.
bool share_consumer(const subscription& x, const subscription& y);

/// The queue to declare for a subscription, by the name it goes by. A quorum queue says
/// that it has no delivery limit, if it has none: see `queue_on`.
amqp::queue queue_for(const subscription& x, std::string name);

/// Whether there are dead letters, sent by us or by the broker.
bool has_dead_letters(const subscription& x) noexcept;

/// The queues beside it, for retries and dead letters.
std::vector<amqp::queue> companion_queues(const subscription& x, const amqp::queue& queue);

} // namespace actors
