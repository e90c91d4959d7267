#include "topology/delivery_limit.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>

#include "actors/subscription.hpp"

namespace actors {

namespace {

constexpr auto delivery_limit_argument = "x-delivery-limit";

/// The first major version of RabbitMQ with a default delivery limit.
constexpr int first_with_limit = 4;

bool says_no_limit(const std::pair<std::string, amqp::field_value>& argument) noexcept {
  auto* limit = std::get_if<std::int64_t>(&argument.second);
  return limit && *limit == queue_limits::without_limit
         && argument.first == delivery_limit_argument;
}

/// Returns e.g. 4 for "RabbitMQ 4.0.5", and 0 for a broker of another product.
int major_version(std::string_view broker) noexcept {
  auto result = 0;
  for (std::string_view product : {"RabbitMQ ", "in-process broker "})
    if (broker.starts_with(product))
      std::from_chars(broker.data() + product.size(), broker.data() + broker.size(), result);
  return result;
}

} // namespace

amqp::queue queue_on(amqp::queue queue, std::string_view broker) {
  if (major_version(broker) < first_with_limit)
    std::erase_if(queue.arguments, says_no_limit);
  return queue;
}

std::string_view warning_about(const amqp::queue& queue) noexcept {
  if (std::none_of(queue.arguments.begin(), queue.arguments.end(), says_no_limit))
    return {};
  return "if it has a delivery limit (20 by default on RabbitMQ 4), the broker drops what comes "
         "back more often, or sends it to the dead letters: delete the queue to have it declared "
         "anew, or set a policy";
}

} // namespace actors
