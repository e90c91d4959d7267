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
  /// How many messages more it may have unsettled.
  std::int64_t credit;
  /// The offset of a stream that it reads next.
  std::uint64_t position = 0;
};

/// How a message comes back to its queue: a handler failed with it, its consumer only gave
/// it back, or is gone.
enum class comes_back : std::uint8_t { failed, released, lost };

/// A message that a consumer is to get.
struct handed_message {
  subscriber* to;
  queued_message message;
  /// Its offset, if it is of a stream.
  std::optional<std::uint64_t> offset;
};

/// The properties that the consumer gets: those of the message, and what
/// RabbitMQ adds to its headers.
properties properties_of(const handed_message& x);

/// A queue of an in-process broker. It knows no other queue, and no clock: the
/// time of a call comes with it.
class queue_state : public std::enable_shared_from_this<queue_state> {
public:
  /// For a queue that passed `check`.
  queue_state(queue what, link* owner, time_point now, const memory_semantics& semantics);

  const queue& what() const noexcept {
    return what_;
  }

  const queue_rules& rules() const noexcept {
    return rules_;
  }

  bool is(queue_kind x) const noexcept {
    return rules_.kind == x;
  }

  /// The link that has it alone, if it is exclusive.
  link* owner() const noexcept {
    return owner_;
  }

  // -- messages -----------------------------------------------------------------

  /// All messages of a stream.
  std::size_t ready() const noexcept {
    return log_ ? log_->size() : ready_.size();
  }

  std::size_t unacked() const noexcept {
    return unacked_;
  }

  /// Whether a publication of this size is not taken, by `x-overflow`.
  bool refuses(std::size_t size) const noexcept;

  void push(message_ptr x, time_point now);

  /// The next message for a consumer in turn, if there are both.
  std::optional<handed_message> hand_out();

  /// Puts a delivered message back. False if it has come back too often and stays outside.
  bool put_back(queued_message& x, comes_back why);

  /// Takes a message whose time is over, if there is one.
  std::optional<queued_message> take_expired(time_point now);

  /// Takes a message for which there is no room, if there is one.
  std::optional<queued_message> take_excess();

  /// Forgets what is lost with a restart of the broker.
  void restart(time_point now);

  // -- consumers ----------------------------------------------------------------

  const std::list<subscriber>& subscribers() const noexcept {
    return subscribers_;
  }

  /// Null if it is no stream.
  const stream_log* log() const noexcept {
    return log_ ? &*log_ : nullptr;
  }

  bool has_exclusive_subscriber() const noexcept;

  void add(subscriber x);

  /// Returns whether there was such a consumer.
  bool remove(const link* owner, consumer_id id, time_point now);

  /// Returns how many there were.
  std::size_t remove_all(time_point now);

  /// A consumer has settled a message, and may take one more. As RabbitMQ has
  /// it, a consumer with the name of a former one gets that one's credit.
  void settled(const link* owner, consumer_id id);

  // -- time ---------------------------------------------------------------------

  /// The queue is in use at this moment.
  void touch(time_point now) noexcept;

  /// Whether it has been without a use for so long that it is to go.
  bool is_abandoned(time_point now) const noexcept;

  /// When a message expires or the queue is abandoned, whatever is first.
  time_point deadline() const noexcept;

private:
  queued_message take_first();

  bool is_over(std::size_t messages, std::size_t bytes) const noexcept;

  /// A quorum queue begins to refuse when it is over its limit, and ends when
  /// it is well below.
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
  /// The next in turn is the first.
  std::list<subscriber> subscribers_;
  time_point last_use_;
};

} // namespace actors::amqp::memory
