#include "delivery/unmatched_messages.hpp"

#include <chrono>
#include <functional>
#include <string_view>

#include "actors/subscription.hpp"
#include "delivery/retry.hpp"

namespace actors {

namespace {

/// A message is given back this many times before it is set aside.
constexpr std::uint32_t max_returns = 3;

/// A message is set aside this many times before it is a dead letter: five minutes in all.
constexpr std::uint32_t max_rounds = std::chrono::minutes{5} / unmatched_delay;

constexpr std::size_t max_seen = 10'000;

std::size_t fingerprint(const amqp::delivery& delivery) noexcept {
  const std::hash<std::string_view> hash;
  auto result = hash(delivery.exchange);
  for (std::string_view part :
       {std::string_view{delivery.routing_key}, std::string_view{delivery.properties.message_id},
        std::string_view{delivery.body}})
    result = result * 31 + hash(part);
  return result;
}

} // namespace

bool gives_back_unmatched(const subscription& spec) noexcept {
  return !spec.no_ack && (spec.kind == queue_kind::durable || spec.kind == queue_kind::quorum);
}

unmatched_messages::verdict unmatched_messages::judge(const amqp::delivery& delivery,
                                                      bool has_dead_letters) {
  const auto round = unmatched_rounds_of(delivery.properties);
  if (round == 0) {
    if (seen_.size() >= max_seen)
      seen_.clear();
    const auto place = seen_.try_emplace(fingerprint(delivery)).first;
    if (++place->second <= max_returns)
      return {};
    seen_.erase(place);
  }
  if (round >= max_rounds && has_dead_letters)
    return {fate::dead_letter, round};
  return {fate::set_aside, round + 1};
}

} // namespace actors
