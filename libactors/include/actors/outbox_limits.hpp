#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace actors {

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

std::string_view to_string(overflow_policy x) noexcept;

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

} // namespace actors
