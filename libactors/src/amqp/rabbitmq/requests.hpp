#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "amqp/rabbitmq/codec.hpp"
#include "amqp/transport.hpp"

/// The wire format of each request. The functions are stateless.
namespace actors::amqp {

/// The consumer that the request starts or cancels, if any.
std::optional<consumer_id> consumer_of(const operation& x) noexcept;

/// The queue that a request on the channel `topology` is about, if the request names one.
std::string_view queue_of(const operation& x);

/// Appends the request's method for the channel `number`; false if the arguments do not fit into
/// a frame. `tag` is the name of the request's consumer, if it has one.
bool write_request(frame_writer& out, std::uint16_t number, const operation& x,
                   std::string_view tag);

/// Appends the method that sets the prefetch count of all consumers that start on the channel
/// `number` from then on.
void write_prefetch(frame_writer& out, std::uint16_t number, std::uint16_t count);

/// The method by which the broker grants the request.
amqp_method_number_t answer_to(const operation& x);

/// Whether the request is made with the given method.
bool is_made_with(const operation& x, amqp_method_number_t method);

/// The name of a consumer at the broker. Each start within a link has a name of its own, because
/// a broker may hold on to a name for a while.
struct consumer_name {
  consumer_id id = 0;
  /// Counts from 1.
  std::uint32_t start = 1;

  bool operator==(const consumer_name&) const = default;

  bool operator<(const consumer_name& x) const noexcept {
    return std::tie(id, start) < std::tie(x.id, x.start);
  }
};

/// "la-7" for the first start, "la-7.2" for the second one.
std::string to_tag(const consumer_name& x);

std::optional<consumer_name> parse_tag(std::string_view text) noexcept;

} // namespace actors::amqp
