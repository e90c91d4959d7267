#pragma once

#include <chrono>
#include <string>

#include <caf/allowed_unsafe_message_type.hpp>

namespace actors {

/// How a message is published.
struct publish_options {
  /// Whether it counts as an error that no queue takes it (`ec::no_route`).
  bool mandatory = false;
  /// Whether it survives a restart of the broker, in queues that do; none is `ec::no_route`.
  bool persistent = false;
  /// Empty: one that no other message has.
  std::string message_id = {};
  /// Another exchange than the event's own, e.g. for paper trading. Empty: its own.
  std::string exchange = {};
  /// How long it is worth sending: an older one is not sent (`ec::expired`), nor delivered
  /// by a queue in which it waited for so long. 0: as its exchange in `OUTBOX`, else for ever.
  std::chrono::milliseconds ttl{0};
  /// How long the publisher waits for the answer: then it is `caf::sec::request_timeout`, and the
  /// message may be published all the same. 0: for as long as it takes.
  std::chrono::milliseconds timeout{0};
};

/// The broker took a publication.
struct published {
  /// The message id that it was sent with.
  std::string message_id;

  bool operator==(const published&) const = default;
};

} // namespace actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::published)
