#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "actors/amqp/transport.hpp"
#include "amqp/rabbitmq_codec.hpp"

/// How each request looks on the wire. Stateless.
namespace actors::amqp {

/// The channel that carries the request.
channel channel_of(const operation& x) noexcept;

/// The broker's queue that a request on the channel `topology` is about, if it names one.
std::string_view queue_of(const operation& x);

/// Appends the request's method, on the channel of that number; false if its arguments do not
/// fit into a frame.
bool write_request(frame_writer& out, std::uint16_t number, const operation& x);

/// Appends what sets the prefetch count of all consumers that are started on the
/// channel from then on.
void write_prefetch(frame_writer& out, std::uint16_t count);

/// The method by which the broker grants the request.
amqp_method_number_t answer_to(const operation& x);

/// Whether the request is made with the given method.
bool is_made_with(const operation& x, amqp_method_number_t method);

/// Names a consumer towards the broker, e.g. "la-7".
std::string consumer_tag(consumer_id x);

std::optional<consumer_id> parse_consumer_tag(std::string_view text) noexcept;

} // namespace actors::amqp
