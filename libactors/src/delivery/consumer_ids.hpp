#pragma once

#include <cstdint>

#include "actors/amqp/topology.hpp"
#include "actors/subscription.hpp"

/// The lowest bits of a consumer's id say how its deliveries are settled. The id alone tells this,
/// so it is known for deliveries of a removed consumer as well.
namespace actors {

constexpr amqp::consumer_id no_ack_bit = 1;
constexpr amqp::consumer_id stream_bit = 2;

/// Makes the id of the consumer with this number.
inline amqp::consumer_id make_consumer_id(std::uint32_t number, const subscription& spec) noexcept {
  return number << 2 | (spec.no_ack ? no_ack_bit : 0)
         | (spec.kind == queue_kind::stream ? stream_bit : 0);
}

/// Whether the broker forgets each message that it sends to this consumer.
constexpr bool is_no_ack(amqp::consumer_id id) noexcept {
  return (id & no_ack_bit) != 0;
}

/// Whether the consumer reads a stream, to which no message goes back.
constexpr bool reads_stream(amqp::consumer_id id) noexcept {
  return (id & stream_bit) != 0;
}

} // namespace actors
