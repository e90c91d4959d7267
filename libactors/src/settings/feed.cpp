#include "settings/feed.hpp"

#include <cstdint>
#include <variant>

#include "amqp/fields.hpp"
#include "delivery/raw_codec.hpp"

namespace actors {

namespace {

constexpr auto policy_argument = "x-la-feed";
constexpr auto limit_argument = "x-la-feed-max-waiting";

/// The prefetch count between a broker and its relay.
constexpr std::uint16_t prefetch_count = 500;

delivery_policy to_policy(std::string_view name) noexcept {
  for (auto x : {delivery_policy::drop_newest, delivery_policy::latest_per_key})
    if (to_string(x) == name)
      return x;
  return delivery_policy::drop_oldest;
}

} // namespace

bool is_feed(const subscription& x) noexcept {
  return x.ack == ack_policy::on_dispatch && x.kind == queue_kind::transient && !x.queue
         && x.limits == queue_limits{};
}

amqp::queue feed_queue(const subscription& x, std::string name) {
  auto policy = x.window.policy;
  if (policy == delivery_policy::latest_per_key && x.codec.subject)
    policy = delivery_policy::drop_oldest;
  amqp::queue result;
  result.name = std::move(name);
  result.arguments = {{policy_argument, std::string{to_string(policy)}},
                      {limit_argument, static_cast<std::int64_t>(x.window.max_waiting)}};
  return result;
}

std::optional<delivery_limits> feed_limits(const amqp::queue& x) {
  const auto* policy = amqp::find_field_as<std::string>(x.arguments, policy_argument);
  const auto* limit = amqp::find_field_as<std::int64_t>(x.arguments, limit_argument);
  if (!policy || !limit || *limit < 1)
    return std::nullopt;
  const auto most = static_cast<std::int64_t>(delivery_limits{}.max_waiting);
  return delivery_limits{to_policy(*policy), static_cast<std::size_t>(std::min(*limit, most))};
}

subscription feed_subscription(const amqp::binding& binding, delivery_limits limits) {
  subscription result;
  result.exchange = binding.exchange;
  result.routing_key = binding.routing_key;
  result.prefetch_count = prefetch_count;
  result.time_limit = std::chrono::milliseconds{0};
  result.window = limits;
  result.deduplicate = false;
  result.codec = raw_codec();
  return result;
}

} // namespace actors
