#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "actors/export.hpp"

/// Limits on messages, overflow policies and retry policies.
namespace actors {

// -- received messages -----------------------------------------------------------------

/// What happens to a new message when a slow handler has too many waiting.
enum class delivery_policy : std::uint8_t {
  /// Without room, the message that has waited longest is dropped.
  drop_oldest,
  /// Without room, the new message is dropped.
  drop_newest,
  /// With or without room, a new message takes the place in the queue of a waiting message with
  /// the same key, so that a busy key neither overtakes nor starves. Without room for one more
  /// key, the policy acts as `drop_oldest`.
  latest_per_key,
};

ACTORS_EXPORT std::string_view to_string(delivery_policy x) noexcept;

/// How much may wait for a slow handler.
struct delivery_limits {
  delivery_policy policy = delivery_policy::drop_oldest;
  /// How many messages may wait (with `latest_per_key`: how many keys); at least 1.
  std::size_t max_waiting = 10'000;

  bool operator==(const delivery_limits&) const = default;
};

/// When a message whose handler failed is handled again.
struct retry_policy {
  /// The delay before the first retry.
  std::chrono::milliseconds delay{1'000};
  /// Each further delay is the previous one times `factor`, up to `max_delay`.
  double factor = 2;
  std::chrono::milliseconds max_delay{60'000};
  /// The number of retries after which a message goes to the dead letters.
  std::uint32_t max_retries = 5;

  bool operator==(const retry_policy&) const = default;
};

/// Limits on a received body, so that no peer can exhaust our memory.
struct payload_limits {
  /// The inflated size, in bytes.
  std::size_t max_size = 16 * 1024 * 1024;
  /// The ratio of inflated to compressed size; bodies of up to 64 KiB inflated are exempt.
  std::size_t max_ratio = 200;
  /// The depth of nested arrays and objects in the JSON text, the event's own included.
  std::size_t max_depth = 32;

  bool operator==(const payload_limits&) const = default;
};

// -- publications ----------------------------------------------------------------------

/// What happens to a publication that finds no room in the outbox. The publisher of a lost
/// message gets the error.
enum class overflow_policy : std::uint8_t {
  /// The new message is refused (`ec::outbox_full`).
  reject,
  /// The oldest waiting messages make room (`ec::outbox_dropped`).
  drop_oldest,
  /// The new message is dropped (`ec::outbox_dropped`).
  drop_newest,
  /// The new message is kept aside until there is room. At most as much as the outbox holds can
  /// be kept aside; further messages are refused (`ec::outbox_full`).
  block,
  /// With or without room, a new message takes the place in the queue of a waiting message with
  /// the same routing key and subject, which is dropped (`ec::outbox_dropped`), so that a busy
  /// key neither overtakes nor starves. A message that has been sent before is not replaced,
  /// because the broker may have that message. Without room, the policy acts as `drop_oldest`.
  latest_per_key,
};

ACTORS_EXPORT std::string_view to_string(overflow_policy x) noexcept;

/// How many messages and bytes to one exchange may wait, and what happens beyond that.
struct exchange_limits {
  std::size_t max_messages = 10'000;
  std::size_t max_bytes = 64 * 1024 * 1024;
  overflow_policy overflow = overflow_policy::reject;
  /// The time to live of messages without a `publish_options::ttl` of their own. An older message
  /// is neither sent (`ec::expired`) nor delivered. 0 is for ever.
  std::chrono::milliseconds ttl{0};

  bool operator==(const exchange_limits&) const = default;
};

/// How much may wait while the link is down or slow. Limits apply to each exchange separately: a
/// full exchange does not block others.
struct outbox_limits {
  /// The limits of each exchange that `exchanges` does not name.
  exchange_limits each;
  std::map<std::string, exchange_limits, std::less<>> exchanges;
  /// How many messages, to all exchanges together, may be in flight unconfirmed.
  std::size_t window = 1'000;
  /// How long the oldest message in flight must be without an answer before the supervisor opens
  /// another link; 0 is for ever.
  std::chrono::milliseconds confirm_timeout{30'000};
  /// How long after each connect persistent messages that no queue takes are tried again, because
  /// other processes may not have made their bindings yet. The time must be longer than the
  /// interval at which other processes check their bindings (`config::verify_interval`). 0
  /// switches retries off.
  std::chrono::milliseconds restore_timeout{45'000};

  /// The limits of one exchange.
  const exchange_limits& of(const std::string& exchange) const {
    auto own = exchanges.find(exchange);
    return own == exchanges.end() ? each : own->second;
  }

  bool operator==(const outbox_limits&) const = default;
};

// -- links -----------------------------------------------------------------------------

/// When to connect again: at once after the first loss, then after delays that grow by `factor`
/// up to a limit. Jitter spreads the delays, so that a fleet does not return all at once.
struct backoff_policy {
  /// The first delay that is not zero.
  std::chrono::milliseconds first{250};
  std::chrono::milliseconds limit{10'000};
  double factor = 2.0;
  /// The spread of a delay d: the actual delay is random in [d * (1 - jitter), d].
  double jitter = 0.5;
  /// The limit of the delay while no TCP connection can be made: such attempts cost the broker
  /// nothing, and the broker may return at any moment.
  std::chrono::milliseconds unreachable{500};
  /// The delay after a refused login, which somebody has to correct.
  std::chrono::milliseconds refused{15'000};
  /// The age at which a link counts as a success, so that delays start again from the first.
  std::chrono::milliseconds settled{5'000};

  bool operator==(const backoff_policy&) const = default;
};

} // namespace actors
