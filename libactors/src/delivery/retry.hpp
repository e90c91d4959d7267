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

/// A second chance for messages whose handler failed, and a last resting place,
/// both by RabbitMQ's own means. Beside the queue Q there are
///
///     Q.retry.{delay in ms}   one for each delay: after it (x-message-ttl) the
///                             broker moves a message back to Q
///     Q.dead                  kept until somebody looks at it
///     Q.unmatched             for what no handler is for, declared when there is any:
///                             after `unmatched_delay` it comes back to Q
///
/// The event center sends a copy there and acknowledges the original once the
/// broker has confirmed the copy. The copy keeps body and properties and has
/// these headers, by which a peer without libactors can do the same:
///
///     x-la-exchange, x-la-routing-key   where it was published to
///     x-la-attempts                     how often a handler failed with it
///     x-la-error                        why, the last time
///     x-la-expiration                   its expiration in ms, as a copy has none: it is
///                                       kept until somebody looks at it
///     x-la-unmatched                    how often no handler here was for it
///
/// Of the properties `user_id` is missing, which a broker takes from its own user alone.
namespace actors {

/// The delay before the given retry, from 1.
std::chrono::milliseconds delay_of(const retry_policy& policy, std::uint32_t retry) noexcept;

std::string retry_queue_name(std::string_view queue, std::chrono::milliseconds delay);
std::string dead_letter_queue_name(std::string_view queue);
std::string unmatched_queue_name(std::string_view queue);

/// The longest name of a queue beside one of this name that the policy needs.
std::size_t longest_name(std::string_view queue, const retry_policy& policy);

/// The queues that the retries of a queue need, each once; of the same kind.
std::vector<amqp::queue> retry_queues(const amqp::queue& of, const retry_policy& policy);

/// The queue for the dead letters of a queue; of the same kind.
amqp::queue dead_letter_queue(const amqp::queue& of);

/// How long a message rests that no handler was for.
constexpr std::chrono::milliseconds unmatched_delay{5'000};

/// The queue where it does; of the same kind.
amqp::queue unmatched_queue(const amqp::queue& of);

/// What makes the broker itself send what is rejected, or delivered too often,
/// to the dead letters of a queue.
amqp::field_table dead_letter_arguments(std::string_view queue);

/// How often a handler has failed with this message.
std::uint32_t attempts_of(const amqp::properties& x) noexcept;

/// How often it came back to its quorum queue, in the broker's count.
std::uint32_t returns_of(const amqp::properties& x) noexcept;

/// Its place in a stream queue.
std::optional<std::int64_t> stream_offset(const amqp::properties& x) noexcept;

/// How often it was set aside, as no handler was for it.
std::uint32_t unmatched_rounds_of(const amqp::properties& x) noexcept;

/// A copy of a message for the given queue, persistent and mandatory.
amqp::publication copy_for(std::string queue, amqp::delivery x, std::uint32_t attempts,
                           std::string_view error);

/// A copy of a message that no handler was for, to be set aside or for the dead letters; a
/// next handler is not told of it.
amqp::publication unmatched_copy_for(std::string queue, amqp::delivery x, std::uint32_t rounds);

/// Gives a copy that comes back the exchange and routing key that it was published with,
/// and so a message that the broker itself has moved (by `x-first-death-exchange` and
/// `x-death`). Other messages are left as they are.
void restore_origin(amqp::delivery& x);

} // namespace actors
