#pragma once

#include <string_view>

#include "actors/amqp/topology.hpp"

/// A quorum queue's limit of redeliveries, after which the broker drops a message: RabbitMQ 4 has a
/// default limit.
namespace actors {

/// Returns the queue as the broker of this name and version accepts it (`link_up::broker`, e.g.
/// "RabbitMQ 4.0.5"). `x-delivery-limit = -1` is kept only for brokers with a default limit; older
/// brokers do not accept that value.
amqp::queue queue_on(amqp::queue queue, std::string_view broker);

/// Returns why it matters that the broker's queue has other settings than these; empty, if there is
/// nothing to say.
std::string_view warning_about(const amqp::queue& queue) noexcept;

} // namespace actors
