#pragma once

#include <cstdint>

#include "actors/amqp/topology.hpp"
#include "actors/subscription.hpp"

/// Ids of consumers whose lowest bits say how their deliveries are settled, so that this
/// is known of what a former consumer still delivers as well.
namespace actors {

constexpr amqp::consumer_id no_ack_bit = 1;
constexpr amqp::consumer_id stream_bit = 2;

/// The id of the consumer with this number.
inline amqp::consumer_id make_consumer_id(std::uint32_t number, const subscription& what) noexcept {
  return number << 2 | (what.no_ack ? no_ack_bit : 0)
         | (what.kind == queue_kind::stream ? stream_bit : 0);
}

/// Whether the broker forgets what it sends to this consumer.
constexpr bool is_no_ack(amqp::consumer_id id) noexcept {
  return (id & no_ack_bit) != 0;
}

/// Whether the consumer's queue takes nothing back.
constexpr bool reads_stream(amqp::consumer_id id) noexcept {
  return (id & stream_bit) != 0;
}

} // namespace actors
