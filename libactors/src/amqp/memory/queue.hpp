#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <optional>

#include "actors/amqp/memory_broker.hpp"
#include "amqp/memory/arguments.hpp"
#include "amqp/memory/message.hpp"
#include "amqp/memory/stream.hpp"
#include "amqp/transport.hpp"

namespace actors::amqp::memory {

struct link;

/// A consumer of a queue, as the broker sees it.
struct subscriber {
  subscriber(link* owner, consumer wanted)
      : owner(owner), spec(std::move(wanted)), credit(this->spec.prefetch_count) {
    // nop
  }

  bool can_take() const noexcept {
    return spec.no_ack || spec.prefetch_count == 0 || credit > 0;
  }

  link* owner;
  consumer spec;
  /// How many more messages the consumer may have unsettled.
  std::int64_t credit;
  /// The offset of a stream that the consumer reads next.
  std::uint64_t position = 0;
};

/// The way in which a message comes back to its queue: a handler failed, the consumer gave the
/// message back, or the consumer is gone.
enum class comes_back : std::uint8_t { failed, released, lost };

/// A message on its way to a consumer.
struct handed_message {
  subscriber* to;
  queued_message message;
  /// The offset of the message in its stream; not set for other queues.
  std::optional<std::uint64_t> offset;
};

/// Returns the properties that the consumer gets: those of the message, with the headers that
/// RabbitMQ adds.
properties properties_of(const handed_message& handed);

/// A queue of an in-process broker. It knows no other queue and no clock: callers pass the time.
class queue_state : public std::enable_shared_from_this<queue_state> {
public:
  /// Creates a queue that passed `check`.
  queue_state(queue wanted, link* owner, time_point now, const memory_semantics& semantics);

  const queue& what() const noexcept {
    return what_;
  }

  const queue_rules& rules() const noexcept {
    return rules_;
  }

  bool is(queue_kind x) const noexcept {
    return rules_.kind == x;
  }

  /// The only link that may use the queue; null if the queue is not exclusive.
  link* owner() const noexcept {
    return owner_;
  }

  // -- messages -----------------------------------------------------------------

  /// The number of messages to hand out; for a stream, of all its messages.
  std::size_t ready() const noexcept {
    return log_ ? log_->size() : ready_.size();
  }

  std::size_t unacked() const noexcept {
    return unacked_;
  }

  /// Whether the queue refuses a publication of this size, by `x-overflow`.
  bool refuses(std::size_t size) const noexcept;

  void push(message_ptr content, time_point now);

  /// Returns the next message with the consumer in turn, if there are both.
  std::optional<handed_message> hand_out();

  /// Puts a delivered message back. Returns false if the message has come back too often and
  /// stays outside.
  bool put_back(queued_message& returned, comes_back why);

  /// Takes an expired message, if there is one.
  std::optional<queued_message> take_expired(time_point now);

  /// Takes a message for which there is no room, if there is one.
  std::optional<queued_message> take_excess();

  /// Removes the messages that a restart of the broker loses.
  void restart(time_point now);

  // -- consumers ----------------------------------------------------------------

  const std::list<subscriber>& subscribers() const noexcept {
    return subscribers_;
  }

  /// Returns null if the queue is no stream.
  const stream_log* log() const noexcept {
    return log_ ? &*log_ : nullptr;
  }

  bool has_exclusive_subscriber() const noexcept;

  void add(subscriber x);

  /// Removes a consumer; returns whether there was one.
  bool remove(const link* owner, consumer_id id, time_point now);

  /// Removes all consumers; returns how many there were.
  std::size_t remove_all(time_point now);

  /// Notes that a consumer has settled a message and may take one more. As in RabbitMQ, a
  /// consumer with the name of a former one gets the credit of that one.
  void settled(const link* owner, consumer_id id);

  // -- time ---------------------------------------------------------------------

  /// Notes that the queue is in use at this moment.
  void touch(time_point now) noexcept;

  /// Whether the queue has stayed unused long enough to be deleted.
  bool is_abandoned(time_point now) const noexcept;

  /// Returns when the next message expires or the queue is abandoned, whichever is first.
  time_point deadline() const noexcept;

private:
  queued_message take_first();

  bool is_over(std::size_t messages, std::size_t bytes) const noexcept;

  /// Updates `is_refusing_`: a quorum queue begins to refuse above its limit, and ends well
  /// below it.
  void update_refusal() noexcept;

  queue what_;
  queue_rules rules_;
  bool counts_releases_;
  /// Whether a quorum queue may have a limit that nobody asked for.
  bool knows_limits_;
  link* owner_;
  std::deque<queued_message> ready_;
  std::size_t ready_bytes_ = 0;
  std::size_t unacked_ = 0;
  std::int64_t next_place_ = 0;
  /// Messages that come back to a quorum queue line up ahead of all others.
  std::int64_t next_place_ahead_;
  bool is_refusing_ = false;
  std::optional<stream_log> log_;
  /// Consumers in turn, the next one first.
  std::list<subscriber> subscribers_;
  time_point last_use_;
};

} // namespace actors::amqp::memory
