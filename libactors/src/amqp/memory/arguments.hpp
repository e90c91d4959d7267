#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "actors/amqp/topology.hpp"
#include "actors/ec.hpp"
#include "amqp/fields.hpp"

/// What the arguments of queues mean, and which RabbitMQ refuses.
namespace actors::amqp::memory {

enum class queue_kind : std::uint8_t { classic, quorum, stream };

/// What is done when a queue has no room for one message more.
enum class overflow_policy : std::uint8_t { drop_head, reject_publish, reject_publish_dlx };

/// What the arguments of a queue ask for.
struct queue_rules {
  queue_kind kind = queue_kind::classic;
  std::optional<std::chrono::milliseconds> message_ttl;
  /// How long a queue may be without a use.
  std::optional<std::chrono::milliseconds> expires;
  std::optional<std::string> dead_letter_exchange;
  std::optional<std::string> dead_letter_routing_key;
  std::optional<std::size_t> max_length;
  std::optional<std::size_t> max_length_bytes;
  overflow_policy overflow = overflow_policy::drop_head;
  /// How often a message may come back to a quorum queue.
  std::optional<std::int64_t> delivery_limit;
};

/// Says why RabbitMQ makes no such queue, if so.
failure check(const queue& x);

/// Says why RabbitMQ starts no such consumer on a queue of this kind, if so.
failure check(const consumer& x, queue_kind kind);

/// For a queue that passed `check`.
queue_rules rules_of(const queue& x);

/// Says in what a second declaration contradicts the first, if so.
failure compare(const queue& wanted, const queue& current);

/// A span of time as arguments of streams have it, e.g. "7D" or "30s"; ten
/// years at most.
std::optional<std::chrono::seconds> parse_age(std::string_view text);

} // namespace actors::amqp::memory
