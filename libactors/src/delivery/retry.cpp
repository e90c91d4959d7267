#include "delivery/retry.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "amqp/fields.hpp"

namespace actors {

namespace {

constexpr std::string_view exchange_header = "x-la-exchange";
constexpr std::string_view routing_key_header = "x-la-routing-key";
constexpr std::string_view attempts_header = "x-la-attempts";
constexpr std::string_view error_header = "x-la-error";
constexpr std::string_view expiration_header = "x-la-expiration";
constexpr std::string_view unmatched_header = "x-la-unmatched";

/// A header travels with each further delivery: an error's text is cut here.
constexpr std::size_t max_error = 1'000;

bool is_quorum(const amqp::queue& x) noexcept {
  auto type = amqp::find_field_as<std::string>(x.arguments, "x-queue-type");
  return type && *type == "quorum";
}

/// Cuts a text to `max_error` bytes, between the characters of UTF-8.
std::string_view cut(std::string_view text) noexcept {
  if (text.size() <= max_error)
    return text;
  auto size = max_error;
  while (size > 0 && (text[size] & 0xC0) == 0x80)
    --size;
  return text.substr(0, size);
}

amqp::queue companion_of(const amqp::queue& of, std::string name) {
  amqp::queue result{.name = std::move(name), .durable = true, .auto_delete = false};
  result.arguments = {{"x-queue-type", std::string{is_quorum(of) ? "quorum" : "classic"}}};
  return result;
}

/// Makes a queue where a message rests for `delay` before the broker moves it back to `of`.
amqp::queue delaying(const amqp::queue& of, std::string name, std::chrono::milliseconds delay) {
  auto result = companion_of(of, std::move(name));
  result.arguments.emplace_back("x-message-ttl", std::int64_t{delay.count()});
  result.arguments.emplace_back("x-dead-letter-exchange", std::string{});
  result.arguments.emplace_back("x-dead-letter-routing-key", of.name);
  if (is_quorum(of)) {
    // RabbitMQ then moves messages with confirms, so that none is lost on the way back.
    result.arguments.emplace_back("x-dead-letter-strategy", std::string{"at-least-once"});
    result.arguments.emplace_back("x-overflow", std::string{"reject-publish"});
  }
  return result;
}

/// A peer may write any number: one that is beyond all limits stays beyond them.
constexpr std::int64_t highest_count = 1'000'000'000;

std::uint32_t count_of(const amqp::properties& x, std::string_view header) noexcept {
  const auto* count = amqp::find_field_as<std::int64_t>(x.headers, header);
  return count ? static_cast<std::uint32_t>(std::clamp<std::int64_t>(*count, 0, highest_count)) : 0;
}

/// Makes a copy for a queue by its name; the original exchange and routing key travel in headers.
amqp::publication copy_to(std::string queue, amqp::delivery delivery) {
  amqp::publication result;
  result.routing_key = std::move(queue);
  result.properties = std::move(delivery.properties);
  result.properties.persistent = true;
  auto& headers = result.properties.headers;
  // With these headers the broker would route the copy to their queues once more.
  std::erase_if(headers,
                [](const auto& header) { return header.first == "CC" || header.first == "BCC"; });
  if (const auto expiration = std::exchange(result.properties.expiration, {});
      expiration.count() > 0)
    amqp::set_field(headers, expiration_header, std::int64_t{expiration.count()});
  amqp::set_field(headers, exchange_header, std::move(delivery.exchange));
  amqp::set_field(headers, routing_key_header, std::move(delivery.routing_key));
  result.body = std::make_shared<const std::string>(std::move(delivery.body));
  result.mandatory = true;
  return result;
}

/// Returns the routing key that a message had in the exchange where it was first dead.
std::optional<std::string> first_routing_key(const std::vector<amqp::field_value>& deaths,
                                             std::string_view exchange) {
  // The latest death comes first.
  for (auto i = deaths.size(); i-- > 0;) {
    auto* opaque = std::get_if<amqp::opaque_value>(&deaths[i]);
    const auto death = opaque ? amqp::as_table(*opaque) : std::nullopt;
    if (!death)
      continue;
    auto* from = amqp::find_field_as<std::string>(*death, "exchange");
    auto* listed = amqp::find_field_as<amqp::opaque_value>(*death, "routing-keys");
    const auto keys = listed ? amqp::as_list(*listed) : std::nullopt;
    if (!from || *from != exchange || !keys || keys->empty())
      continue;
    if (auto* key = std::get_if<std::string>(&keys->front()))
      return *key;
  }
  return std::nullopt;
}

/// Restores a message that the broker itself has moved from a queue that the message had reached by
/// an exchange.
void restore_moved(amqp::delivery& delivery) {
  auto* exchange =
      amqp::find_field_as<std::string>(delivery.properties.headers, "x-first-death-exchange");
  auto* deaths = amqp::find_field_as<amqp::opaque_value>(delivery.properties.headers, "x-death");
  if (!exchange || exchange->empty() || !deaths)
    return;
  const auto list = amqp::as_list(*deaths);
  auto key = list ? first_routing_key(*list, *exchange) : std::nullopt;
  if (!key)
    return;
  delivery.exchange = std::string{*exchange};
  delivery.routing_key = std::move(*key);
}

} // namespace

std::chrono::milliseconds delay_of(const retry_policy& policy, std::uint32_t retry) noexcept {
  const auto longest = static_cast<double>(policy.max_delay.count());
  const auto exact =
      static_cast<double>(policy.delay.count()) * std::pow(policy.factor, retry - 1.0);
  return std::chrono::milliseconds{static_cast<std::int64_t>(std::min(exact, longest))};
}

std::string retry_queue_name(std::string_view queue, std::chrono::milliseconds delay) {
  return std::string{queue} + ".retry." + std::to_string(delay.count());
}

std::string dead_letter_queue_name(std::string_view queue) {
  return std::string{queue} + ".dead";
}

std::string unmatched_queue_name(std::string_view queue) {
  return std::string{queue} + ".unmatched";
}

std::size_t longest_name(std::string_view queue, const retry_policy& policy) {
  return std::max(retry_queue_name(queue, policy.max_delay).size(),
                  dead_letter_queue_name(queue).size());
}

std::vector<amqp::queue> retry_queues(const amqp::queue& of, const retry_policy& policy) {
  std::vector<amqp::queue> result;
  for (std::uint32_t retry = 1; retry <= policy.max_retries; ++retry) {
    const auto delay = delay_of(policy, retry);
    auto queue = delaying(of, retry_queue_name(of.name, delay), delay);
    if (!result.empty() && result.back().name == queue.name)
      break; // all further delays are equal
    result.push_back(std::move(queue));
  }
  return result;
}

// The queue is as a subscription of it by `on_quorum_queue` would declare it.
amqp::queue dead_letter_queue(const amqp::queue& of) {
  auto result = companion_of(of, dead_letter_queue_name(of.name));
  if (is_quorum(of))
    result.arguments.emplace_back("x-delivery-limit", std::int64_t{-1});
  return result;
}

amqp::queue unmatched_queue(const amqp::queue& of) {
  return delaying(of, unmatched_queue_name(of.name), unmatched_delay);
}

amqp::field_table dead_letter_arguments(std::string_view queue) {
  return {{"x-dead-letter-exchange", std::string{}},
          {"x-dead-letter-routing-key", dead_letter_queue_name(queue)}};
}

std::uint32_t attempts_of(const amqp::properties& properties) noexcept {
  return count_of(properties, attempts_header);
}

std::uint32_t returns_of(const amqp::properties& properties) noexcept {
  return count_of(properties, "x-delivery-count");
}

std::optional<std::int64_t> stream_offset(const amqp::properties& properties) noexcept {
  auto* offset = amqp::find_field_as<std::int64_t>(properties.headers, "x-stream-offset");
  return offset ? std::optional{*offset} : std::nullopt;
}

std::uint32_t unmatched_rounds_of(const amqp::properties& properties) noexcept {
  return count_of(properties, unmatched_header);
}

amqp::publication copy_for(std::string queue, amqp::delivery delivery, std::uint32_t attempts,
                           std::string_view error) {
  auto result = copy_to(std::move(queue), std::move(delivery));
  amqp::set_field(result.properties.headers, attempts_header, std::int64_t{attempts});
  amqp::set_field(result.properties.headers, error_header, std::string{cut(error)});
  return result;
}

amqp::publication unmatched_copy_for(std::string queue, amqp::delivery delivery,
                                     std::uint32_t rounds) {
  auto result = copy_to(std::move(queue), std::move(delivery));
  amqp::set_field(result.properties.headers, unmatched_header, std::int64_t{rounds});
  return result;
}

void restore_origin(amqp::delivery& delivery) {
  if (!delivery.exchange.empty())
    return;
  auto exchange = amqp::find_field_as<std::string>(delivery.properties.headers, exchange_header);
  auto routing_key =
      amqp::find_field_as<std::string>(delivery.properties.headers, routing_key_header);
  if (!exchange || !routing_key)
    return restore_moved(delivery);
  delivery.exchange = *exchange;
  delivery.routing_key = *routing_key;
}

} // namespace actors
