#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include <caf/allowed_unsafe_message_type.hpp>

/// What a strategy is told about its streams besides events, if its subscription asks for it
/// (`subscription::with_stream_events`). A stream is the messages to one exchange with one
/// routing key.
namespace actors {

/// Messages that did not come, from `from` to `to`. They may come late.
struct stream_gap {
  std::string exchange;
  std::string routing_key;
  std::uint64_t from = 0;
  std::uint64_t to = 0;

  bool operator==(const stream_gap&) const = default;
};

/// A publisher with a newer epoch speaks. How much of the former one was missed
/// is unknown.
struct stream_restarted {
  std::string exchange;
  std::string routing_key;
  std::uint64_t epoch = 0;

  bool operator==(const stream_restarted&) const = default;
};

/// No message for this long. Told once until the next message.
struct stream_stale {
  std::string exchange;
  std::string routing_key;
  std::chrono::milliseconds age{0};

  bool operator==(const stream_stale&) const = default;
};

/// Nothing comes any more from this subscription's consumer: the link is lost, or its
/// channel. What is missed in the meantime comes later, or shows as a gap.
struct link_lost {
  std::string exchange;
  std::string routing_key;
  std::string reason;

  bool operator==(const link_lost&) const = default;
};

/// The consumer runs again.
struct link_restored {
  std::string exchange;
  std::string routing_key;

  bool operator==(const link_restored&) const = default;
};

} // namespace actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::stream_gap)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::stream_restarted)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::stream_stale)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::link_lost)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::link_restored)
