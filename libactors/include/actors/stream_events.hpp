#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include <caf/allowed_unsafe_message_type.hpp>

/// The messages that report a stream's state to a strategy, if its subscription asks for them
/// (`subscription::with_stream_events`). A stream is the sequence of messages to one exchange with
/// one routing key.
namespace actors {

/// The messages numbered `from` to `to` are missing; they may still come late.
struct stream_gap {
  std::string exchange;
  std::string routing_key;
  std::uint64_t from = 0;
  std::uint64_t to = 0;

  bool operator==(const stream_gap&) const = default;
};

/// A publisher with a newer epoch has sent a message. The number of messages missed from the
/// former epoch is unknown.
struct stream_restarted {
  std::string exchange;
  std::string routing_key;
  std::uint64_t epoch = 0;

  bool operator==(const stream_restarted&) const = default;
};

/// The stream has had no message for the time `age`, which is up to 250 ms longer than
/// `subscription::stale_after`. The strategy gets one `stream_stale` until the next message.
struct stream_stale {
  std::string exchange;
  std::string routing_key;
  std::chrono::milliseconds age{0};

  bool operator==(const stream_stale&) const = default;
};

/// The subscription's consumer is lost together with its link or channel. Messages missed in the
/// meantime come later, or show as a gap.
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
