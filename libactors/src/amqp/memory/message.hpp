#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "amqp/transport.hpp"

namespace actors::amqp::memory {

using time_point = std::chrono::steady_clock::time_point;

/// A time that never comes.
constexpr auto never = time_point::max();

/// The way in which a message left a queue for the dead-letter exchange.
struct death {
  enum class cause : std::uint8_t { rejected, expired, maxlen, delivery_limit };

  std::string queue;
  cause reason = cause::rejected;

  bool operator==(const death&) const = default;
};

/// The content of a publication, which all queues that received it share.
struct message {
  std::size_t size() const noexcept {
    return body ? body->size() : 0;
  }

  std::string exchange;
  std::string routing_key;
  amqp::properties properties;
  body_ptr body;
  /// Each kind of death once, the latest first.
  std::vector<death> deaths = {};
};

using message_ptr = std::shared_ptr<const message>;

/// A message in a queue.
struct queued_message {
  message_ptr content;
  /// The place of the message in the queue.
  std::int64_t place = 0;
  bool redelivered = false;
  /// How often the message came back to a quorum queue.
  std::int64_t returns = 0;
  time_point expires = never;
};

} // namespace actors::amqp::memory
