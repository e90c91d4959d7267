#pragma once

#include <string>
#include <vector>

#include "actors/amqp/topology.hpp"
#include "actors/subscription.hpp"

/// The queues to declare on the broker for a subscription.
namespace actors {

/// Whether the subscription's queue outlives its consumers.
bool is_kept(const subscription& x) noexcept;

/// Whether failed messages are sent to another queue, instead of back.
bool moves_failures(const subscription& x) noexcept;

/// Whether two subscriptions can share the consumer of one queue: they agree on all settings of
/// the queue, while handlers may differ. Readers of a stream never share a consumer.
bool share_consumer(const subscription& x, const subscription& y);

/// Returns the queue to declare for a subscription, under this name. A quorum queue without a
/// delivery limit states that explicitly: see `queue_on`.
amqp::queue queue_for(const subscription& x, std::string name);

/// Whether the subscription has dead letters, sent by us or by the broker.
bool has_dead_letters(const subscription& x) noexcept;

/// Returns the companion queues for retries and dead letters.
std::vector<amqp::queue> companion_queues(const subscription& x, const amqp::queue& queue);

} // namespace actors
