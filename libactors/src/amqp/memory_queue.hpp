#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <memory>

#include "actors/amqp/transport.hpp"

namespace actors::amqp::memory {

struct link;

/// What a publication leaves behind, shared by all queues that it went to.
struct message {
  std::string exchange;
  std::string routing_key;
  amqp::properties properties;
  body_ptr body;
};

/// A message in a queue.
struct queued_message {
  /// Its place in the queue, also when it comes back.
  std::uint64_t place = 0;
  bool redelivered = false;
  std::shared_ptr<const message> what;
};

/// A consumer of a queue, as the broker sees it.
struct subscriber {
  subscriber(link* owner, consumer what)
      : owner(owner), what(std::move(what)), credit(this->what.prefetch_count) {
    // nop
  }

  bool can_take() const noexcept {
    return what.no_ack || what.prefetch_count == 0 || credit > 0;
  }

  link* owner;
  consumer what;
  /// How many messages more it may have unsettled.
  std::int64_t credit;
};

/// A queue of an in-process broker.
class queue_state : public std::enable_shared_from_this<queue_state> {
public:
  queue_state(queue what, link* owner);

  const queue& what() const noexcept {
    return what_;
  }

  /// The link that has it alone, if it is exclusive.
  link* owner() const noexcept {
    return owner_;
  }

  // -- messages -----------------------------------------------------------------

  std::size_t ready() const noexcept {
    return ready_.size();
  }

  std::size_t unacked() const noexcept {
    return unacked_;
  }

  void push(std::shared_ptr<const message> x);

  /// Puts a delivered message back to its place.
  void requeue(queued_message x);

  /// Forgets the transient messages.
  void keep_persistent();

  // -- consumers ----------------------------------------------------------------

  const std::list<subscriber>& subscribers() const noexcept {
    return subscribers_;
  }

  bool has_exclusive_subscriber() const noexcept;

  void add(subscriber x);

  /// Returns whether there was such a consumer.
  bool remove(const link* owner, consumer_id id);

  /// The next consumer in turn that can take a message.
  subscriber* next_in_turn();

  /// Takes the first message for a consumer.
  queued_message pop(subscriber& to);

  /// A consumer has settled a message, and may take one more. As RabbitMQ has
  /// it, a consumer with the name of a former one gets that one's credit.
  void settled(const link* owner, consumer_id id);

private:
  queue what_;
  link* owner_;
  std::deque<queued_message> ready_;
  std::size_t unacked_ = 0;
  std::uint64_t next_place_ = 0;
  /// The next in turn is the first.
  std::list<subscriber> subscribers_;
};

} // namespace actors::amqp::memory
