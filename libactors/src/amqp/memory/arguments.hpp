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

/// The meaning of the arguments of queues, and the arguments that RabbitMQ refuses.
namespace actors::amqp::memory {

enum class queue_kind : std::uint8_t { classic, quorum, stream };

/// The treatment of a message for which a queue has no room.
enum class overflow_policy : std::uint8_t { drop_head, reject_publish, reject_publish_dlx };

/// The rules that the arguments of a queue set.
struct queue_rules {
  queue_kind kind = queue_kind::classic;
  std::optional<std::chrono::milliseconds> message_ttl;
  /// How long a queue may stay unused.
  std::optional<std::chrono::milliseconds> expires;
  std::optional<std::string> dead_letter_exchange;
  std::optional<std::string> dead_letter_routing_key;
  std::optional<std::size_t> max_length;
  std::optional<std::size_t> max_length_bytes;
  overflow_policy overflow = overflow_policy::drop_head;
  /// How often a message may come back to a quorum queue.
  std::optional<std::int64_t> delivery_limit;
};

/// Returns why RabbitMQ refuses to make the queue, if it does.
failure check(const queue& x);

/// Returns why RabbitMQ refuses to start the consumer on a queue of this kind, if it does.
failure check(const consumer& x, queue_kind kind);

/// Returns the rules of a queue that passed `check`.
queue_rules rules_of(const queue& declared);

/// Returns how a second declaration contradicts the first, if it does.
failure compare(const queue& wanted, const queue& current);

/// Parses a time span as arguments of streams write it, e.g. "7D" or "30s"; at most ten years.
std::optional<std::chrono::seconds> parse_age(std::string_view text);

} // namespace actors::amqp::memory
