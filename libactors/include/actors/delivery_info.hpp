#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include <caf/allowed_unsafe_message_type.hpp>

#include "actors/subscription_id.hpp"

namespace actors {

/// The attributes of an event besides its data, for a handler's second argument:
///
///     center.subscribe(self, trades("binance", "#").on_stream("tape").with_delivery_info());
///     return {[](const trade& x, const delivery_info& about) { store(x, about.stream_offset); }};
struct delivery_info {
  subscription_id subscription = 0;
  std::string exchange;
  std::string routing_key;
  /// The message id that the publisher gave; empty if the publisher gave none. Copies of a
  /// message have the same id.
  std::string message_id;
  /// Whether a consumer may have received the message before.
  bool redelivered = false;
  /// The number of this attempt to handle the message, starting at 1, as far as retries and
  /// quorum queues count attempts.
  std::uint32_t attempt = 1;
  /// The message's place in a stream queue. A reader that restarts at the next place, by
  /// `on_stream(name, offset)`, continues after this message.
  std::optional<std::int64_t> stream_offset;
  /// The time of publication by the publisher's clock, in whole seconds; unset if the publisher
  /// gave none.
  std::optional<std::chrono::system_clock::time_point> sent;
  /// The time at which the message was read from its link, by this host's clock.
  std::chrono::system_clock::time_point received;
};

} // namespace actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::delivery_info)
