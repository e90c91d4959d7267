#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "actors/export.hpp"

/// How much is kept, for how long, what happens beyond that, and when it is tried again.
namespace actors {

// -- of what comes in ------------------------------------------------------------------

/// What happens to a message for a handler that is slower than its messages.
enum class delivery_policy : std::uint8_t {
  /// Without room the message that waits for longest is dropped.
  drop_oldest,
  /// Without room the new message is dropped.
  drop_newest,
  /// Room or not, a new message replaces the one that waits with the same key,
  /// in its place, so that a busy key neither overtakes nor starves. Without
  /// room for one more key: as `drop_oldest`.
  latest_per_key,
};

ACTORS_EXPORT std::string_view to_string(delivery_policy x) noexcept;

/// How much may wait for a slow handler.
struct delivery_limits {
  delivery_policy policy = delivery_policy::drop_oldest;
  /// Messages, so keys with `latest_per_key`; at least 1.
  std::size_t max_waiting = 10'000;

  bool operator==(const delivery_limits&) const = default;
};

/// When a message whose handler failed is handled again.
struct retry_policy {
  /// Before the first retry.
  std::chrono::milliseconds delay{1'000};
  /// Each further delay is this times longer ...
  double factor = 2;
  /// ... but never longer than this.
  std::chrono::milliseconds max_delay{60'000};
  /// After so many retries a message goes to the dead letters.
  std::uint32_t max_retries = 5;

  bool operator==(const retry_policy&) const = default;
};

/// What a received body may cost, so that no peer can exhaust our memory.
struct payload_limits {
  /// The inflated size, in bytes.
  std::size_t max_size = 16 * 1024 * 1024;
  /// Inflated size over compressed size; bodies of up to 64 KiB inflated are
  /// exempt.
  std::size_t max_ratio = 200;
  /// Nested arrays and objects in the JSON text, the event's own included.
  std::size_t max_depth = 32;

  bool operator==(const payload_limits&) const = default;
};

// -- of what goes out ------------------------------------------------------------------

/// What happens to a publication that finds no room in the outbox. Whoever
/// loses a message is told.
enum class overflow_policy : std::uint8_t {
  /// The new message is refused (`ec::outbox_full`).
  reject,
  /// The oldest waiting messages make room (`ec::outbox_dropped`).
  drop_oldest,
  /// The new message is dropped (`ec::outbox_dropped`).
  drop_newest,
  /// The new message is kept aside until there is room. As much as the outbox
  /// may hold can be kept aside; what comes then is refused (`ec::outbox_full`).
  block,
  /// Room or not, a new message replaces the one that waits with the same
  /// routing key and subject (`ec::outbox_dropped`), in its place, so that a busy
  /// key neither overtakes nor starves. A message that has been on the wire is not
  /// replaced: the broker may have it. Without room: as `drop_oldest`.
  latest_per_key,
};

ACTORS_EXPORT std::string_view to_string(overflow_policy x) noexcept;

/// How many messages and bytes to one exchange may wait, and what happens then.
struct exchange_limits {
  std::size_t max_messages = 10'000;
  std::size_t max_bytes = 64 * 1024 * 1024;
  overflow_policy overflow = overflow_policy::reject;
  /// How long a message is worth sending whose publisher does not say so: one that is
  /// older is not sent (`ec::expired`), and none is delivered later. 0 is for ever.
  std::chrono::milliseconds ttl{0};

  bool operator==(const exchange_limits&) const = default;
};

/// How much may wait while the link is down or slow. Each exchange by itself: a
/// full one stands in no other's way.
struct outbox_limits {
  /// Of each exchange that is not named below.
  exchange_limits each;
  std::map<std::string, exchange_limits, std::less<>> exchanges;
  /// How many messages may be on the wire unconfirmed, of all exchanges.
  std::size_t window = 1'000;
  /// How long the broker may leave the oldest of them without an answer, at least,
  /// before the supervisor takes another link; 0 is for ever.
  std::chrono::milliseconds confirm_timeout{30'000};
  /// How long after the link is up, for the first time or again, persistent messages that no
  /// queue takes are tried again: others may not have made their bindings yet. It is to
  /// outlast the interval at which other processes look after theirs
  /// (`config::verify_interval`). 0 is not at all.
  std::chrono::milliseconds restore_timeout{45'000};

  /// Those of an exchange.
  const exchange_limits& of(const std::string& exchange) const {
    auto own = exchanges.find(exchange);
    return own == exchanges.end() ? each : own->second;
  }

  bool operator==(const outbox_limits&) const = default;
};

// -- of a link -------------------------------------------------------------------------

/// When to try again: at once after the first loss, then after delays that
/// double up to a limit, each spread by jitter so that a fleet does not return
/// as one.
struct backoff_policy {
  std::chrono::milliseconds first{250};
  std::chrono::milliseconds limit{10'000};
  double factor = 2.0;
  /// A delay d becomes a random one in [d * (1 - jitter), d].
  double jitter = 0.5;
  /// The limit where no TCP connection can be made: trying that costs the broker
  /// nothing, and it may be back at any moment.
  std::chrono::milliseconds unreachable{500};
  /// The delay after a refused login, which needs somebody to act.
  std::chrono::milliseconds refused{15'000};
  /// A link that lived this long counts as a success: start anew.
  std::chrono::milliseconds settled{5'000};

  bool operator==(const backoff_policy&) const = default;
};

} // namespace actors
