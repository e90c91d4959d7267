#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/amqp/topology.hpp"
#include "actors/policies.hpp"
#include "amqp/transport.hpp"

/// Retry and dead-letter queues, built on RabbitMQ's TTL and dead-letter exchange. Beside the queue
/// Q there are
///
///     Q.retry.{delay in ms}   one for each delay: after it (x-message-ttl) the
///                             broker moves a message back to Q
///     Q.dead                  kept until somebody looks at it
///     Q.unmatched             for messages without a handler, declared when there are any:
///                             after `unmatched_delay` it comes back to Q
///
/// The event center sends a copy to such a queue and acknowledges the original once the broker has
/// confirmed the copy. The copy keeps body and properties and gets these headers, with which a peer
/// without libactors can do the same:
///
///     x-la-exchange, x-la-routing-key   where it was published to
///     x-la-attempts                     how often a handler failed with it
///     x-la-error                        why, the last time
///     x-la-expiration                   its expiration in ms, as a copy has none: it is
///                                       kept until somebody looks at it
///     x-la-unmatched                    how often no handler here was for it
///
/// The copy has no `user_id`: a broker takes that property from its own user alone.
namespace actors {

/// Returns the delay before a retry; retries are numbered from 1.
std::chrono::milliseconds delay_of(const retry_policy& policy, std::uint32_t retry) noexcept;

std::string retry_queue_name(std::string_view queue, std::chrono::milliseconds delay);
std::string dead_letter_queue_name(std::string_view queue);
std::string unmatched_queue_name(std::string_view queue);

/// Returns the size in bytes of the longest companion queue's name that the policy needs.
std::size_t longest_name(std::string_view queue, const retry_policy& policy);

/// Returns the retry queues of a queue, each once; of the same kind.
std::vector<amqp::queue> retry_queues(const amqp::queue& of, const retry_policy& policy);

/// Returns the queue for the dead letters of a queue; of the same kind.
amqp::queue dead_letter_queue(const amqp::queue& of);

/// The time that a message without a handler stays in its unmatched queue.
constexpr std::chrono::milliseconds unmatched_delay{5'000};

/// Returns the queue for messages without a handler; of the same kind.
amqp::queue unmatched_queue(const amqp::queue& of);

/// Returns arguments that make the broker send each message that is rejected, or delivered too
/// often, to the dead letters of a queue.
amqp::field_table dead_letter_arguments(std::string_view queue);

/// How often a handler has failed with this message.
std::uint32_t attempts_of(const amqp::properties& properties) noexcept;

/// How often the message came back to its quorum queue, as the broker counts.
std::uint32_t returns_of(const amqp::properties& properties) noexcept;

/// The message's offset in a stream queue.
std::optional<std::int64_t> stream_offset(const amqp::properties& properties) noexcept;

/// How often the message was set aside, because no handler took it.
std::uint32_t unmatched_rounds_of(const amqp::properties& properties) noexcept;

/// Makes a copy of a message for the given queue, persistent and mandatory.
amqp::publication copy_for(std::string queue, amqp::delivery delivery, std::uint32_t attempts,
                           std::string_view error);

/// Makes a copy of a message that no handler took, to be set aside or for the dead letters. A later
/// handler is not told of the rounds.
amqp::publication unmatched_copy_for(std::string queue, amqp::delivery delivery,
                                     std::uint32_t rounds);

/// Restores the exchange and routing key that a message was published with, if the message is a
/// copy that comes back or was moved by the broker itself (`x-first-death-exchange` and `x-death`).
/// Other messages stay as they are.
void restore_origin(amqp::delivery& delivery);

} // namespace actors
