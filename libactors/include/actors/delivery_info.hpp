#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include <caf/allowed_unsafe_message_type.hpp>

#include "actors/subscription_id.hpp"

namespace actors {

/// What a handler may know of an event besides its data, as its second argument:
///
///     center.subscribe(self, trades("binance", "#").on_stream("tape").with_delivery_info());
///     return {[](const trade& x, const delivery_info& about) { store(x, about.stream_offset); }};
struct delivery_info {
  subscription_id subscription = 0;
  std::string exchange;
  std::string routing_key;
  /// The publisher's; empty, if it gave none. Copies of a message have the same.
  std::string message_id;
  /// Whether some consumer may have had it before.
  bool redelivered = false;
  /// Which attempt to handle it this is, as far as retries and quorum queues count them: 1 is
  /// the first.
  std::uint32_t attempt = 1;
  /// Its place in a stream queue: a reader that is started again with the next one, by
  /// `on_stream(name, offset)`, goes on behind it.
  std::optional<std::int64_t> stream_offset;
  /// When it was published, in whole seconds, by the publisher's clock; nothing, if it did not say.
  std::optional<std::chrono::system_clock::time_point> sent;
  /// When it was taken from its link, by this host's clock.
  std::chrono::system_clock::time_point received;
};

} // namespace actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::delivery_info)
