#pragma once

#include <chrono>
#include <string>

#include <caf/allowed_unsafe_message_type.hpp>

namespace actors {

/// How a message is published.
struct publish_options {
  /// Whether the answer is `ec::no_route` if no queue takes the message.
  bool mandatory = false;
  /// Whether the message survives a restart of the broker, in queues that survive too. If no
  /// queue takes a persistent message, the answer is `ec::no_route`.
  bool persistent = false;
  /// The message's id. Empty: a unique id.
  std::string message_id = {};
  /// An exchange other than the event's own, e.g. for paper trading. Empty: the event's own.
  std::string exchange = {};
  /// The message's time to live: an older message is neither sent (`ec::expired`) nor delivered
  /// by its queue. 0: the time to live of the exchange in `OUTBOX`, else for ever.
  std::chrono::milliseconds ttl{0};
  /// How long the publisher waits for the answer. After that the answer is
  /// `caf::sec::request_timeout`, but the message may still be published. 0: without limit.
  std::chrono::milliseconds timeout{0};
};

/// The answer of `event_center::publish` once the broker has confirmed the message.
struct published {
  /// The message id that the message was sent with.
  std::string message_id;

  bool operator==(const published&) const = default;
};

} // namespace actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::published)
