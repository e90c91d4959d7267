#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "actors/amqp/memory_broker.hpp"
#include "amqp/memory/dead_letters.hpp"
#include "amqp/memory/exchanges.hpp"
#include "amqp/memory/queue.hpp"
#include "amqp/transport.hpp"

namespace actors::amqp::memory {

/// A message in the hands of a consumer.
struct unsettled_message {
  /// Expires with the queue; settling has no effect then.
  std::weak_ptr<queue_state> from;
  consumer_id consumer = 0;
  queued_message message;
};

/// One life of the channel with the consumers of a group.
struct delivery_channel {
  std::uint32_t generation = 0;
  std::uint64_t last_tag = 0;
  std::map<std::uint64_t, unsettled_message> unsettled;
  /// The prefetch count that the channel was told last (basic.qos).
  std::uint16_t prefetch_count = 0;
};

struct consumer_place {
  std::string queue;
  std::uint32_t group = 0;
};

struct delivery_batch {
  std::uint32_t generation = 0;
  std::vector<delivery> items;
};

/// The broker's side of one link.
struct link {
  enum class phase : std::uint8_t { idle, connecting, up, ended };

  phase now = phase::idle;
  /// The broker's name as the link knows it, for texts.
  std::string broker;
  /// The broker's limits as the link knows them.
  broker_limits known;
  std::shared_ptr<link_listener> events;

  // -- deliveries ---------------------------------------------------------------

  /// The channels with deliveries, by the group of their consumers.
  std::map<std::uint32_t, delivery_channel> channels;
  std::uint32_t last_generation = 0;
  std::map<consumer_id, consumer_place> consumers;

  // -- publishing ---------------------------------------------------------------

  /// Whether the link has published, so that it is told of `block`.
  bool publishes = false;
  std::uint32_t publishing_generation = 1;
  /// Publications that wait for `unblock`.
  std::deque<publication> held;

  // -- events that go out together -----------------------------------------------

  std::vector<delivery_batch> deliveries;
  std::vector<confirmation> confirmations;
};

/// The state of an in-process broker and its behaviour, without threads or a clock; each call
/// raises its events before it returns. A link that has ended must make no more calls.
class state {
public:
  explicit state(memory_semantics semantics = {}) : semantics_(std::move(semantics)) {
    // nop
  }

  // -- time ---------------------------------------------------------------------

  /// Sets the time and does everything that is due.
  void tick(time_point now);

  /// The time at which `tick` must be called next; the call may find nothing to do.
  time_point deadline() const noexcept {
    return deadline_;
  }

  // -- calls of links -----------------------------------------------------------

  void attach(link& from, const endpoint& where, std::shared_ptr<link_listener> events);

  void open(link& from);

  void request(link& from, request_id id, const operation& wanted);

  void publish(link& from, std::uint32_t generation, std::vector<publication> publications);

  void settle(link& from, std::uint32_t generation, const std::vector<settlement>& settlements);

  void close(link& from);

  /// Ends the link without an event, because its owner is gone.
  void abandon(link& from);

  // -- faults -------------------------------------------------------------------

  void drop_links(ec reason);

  void restart();

  /// Refuses new links; `ec::none` accepts links again.
  void refuse_links(ec reason);

  void block(std::string reason);

  void unblock();

  void refuse_next(std::string entity, ec reason);

  void duplicate_next(std::string queue);

  void lose_next(std::size_t messages);

  void delay_deliveries(bool on);

  std::size_t forget_consumers(const std::string& queue);

  bool delete_queue(const std::string& name);

  bool delete_exchange(const std::string& name);

  // -- inspection ---------------------------------------------------------------

  std::vector<memory_broker::queue_info> queues() const;

  std::vector<binding> bindings() const;

  std::size_t links() const;

private:
  using queue_ptr = std::shared_ptr<queue_state>;
  using queue_names = std::set<std::string>;

  // -- requests -----------------------------------------------------------------

  failure carry_out(link& from, const operation& wanted, reply& answer);

  failure declare(link& from, const declare_queue& wanted, reply& answer);

  failure declare(link& from, const queue& wanted, std::string& name);

  failure check(const link& from, const std::string& queue) const;

  failure erase(const link& from, const std::string& queue);

  failure bind(const link& from, const binding& wanted);

  failure unbind(const link& from, const binding& wanted);

  void start(link& from, request_id id, const start_consumer& wanted);

  failure start(link& from, const consumer& wanted);

  /// Ends a link by an error of the whole connection, because the link asks for something that
  /// this broker denies.
  void deny(link& from, request_id id, const failure& reason, const broker_limits& learned);

  /// Returns why this broker denies a request that older brokers grant, if it does; sets the
  /// limits that the link learns from the refusal.
  failure denial(const link& from, const operation& wanted, broker_limits& learned) const;

  /// Sets the offset at which the consumer of a stream begins, as it asks.
  failure start_reading(const delivery_channel& on, const queue_state& log,
                        subscriber& reader) const;

  void cancel(link& from, consumer_id id);

  failure take_refusal(const operation& wanted);

  // -- messages -----------------------------------------------------------------

  /// Returns why the broker does not take a body of this size, if so.
  failure check_size(const publication& message) const;

  /// Accepts a publication; returns false if that closed the channel.
  bool accept(link& from, publication& published);

  /// Returns nothing if the exchange is missing.
  std::optional<std::vector<queue_state*>> targets(const std::string& exchange,
                                                   const std::string& routing_key) const;

  /// Offers a message to a queue; returns false if the queue refuses it.
  bool offer(queue_state& to, const message_ptr& content);

  /// Settles deliveries; returns false if that ended the channel or the link.
  bool settle(link& from, std::uint32_t group, const settlement& decision);

  /// Hands out messages as long as consumers can take them.
  void pump(queue_state& from);

  void deliver(queue_state& from, handed_message handed);

  /// Puts a message back, or gives it up.
  void put_back(queue_state& to, queued_message returned, comes_back why);

  /// Brings a queue to rest after messages came back: messages without room or time are dropped,
  /// the others go to consumers.
  void settle_down(queue_state& queue);

  void drop_expired(queue_state& from);

  void drop_excess(queue_state& from);

  /// Sends a message that a queue gives up to the queue's dead-letter exchange, if any.
  void give_up(const queue_state& from, const message& content, death::cause reason);

  /// Notes when the queue needs a `tick`.
  void watch(const queue_state& x) noexcept;

  // -- ends ---------------------------------------------------------------------

  /// Closes the channel of a group; its consumers and those in `ended` end with it.
  void close_deliveries(link& from, std::uint32_t group, failure reason,
                        std::vector<consumer_id> ended = {});

  /// Removes consumers of a link; returns their queues.
  queue_names remove_consumers(link& from, const std::vector<consumer_id>& ids);

  /// Puts back all unsettled messages of a channel; returns their queues.
  queue_names requeue_all(const link& from, delivery_channel& x);

  /// Deletes a queue that its consumers have left, if its declaration asks for that.
  void consumers_left(const std::string& name);

  bool erase_queue(const std::string& name);

  /// Removes links from the broker and puts back the messages that they held.
  void remove_links(const std::vector<link*>& gone);

  void end(const std::vector<link*>& gone, const failure& reason);

  // -- events -------------------------------------------------------------------

  /// Returns the listener of a link, after raising all earlier events.
  static link_listener& events_of(link& to);

  void flush();

  // -- data ---------------------------------------------------------------------

  queue_state* find(const std::string& name) const;

  memory_semantics semantics_;
  exchanges exchanges_;
  std::map<std::string, queue_ptr, std::less<>> queues_;
  std::vector<link*> links_;
  std::uint64_t last_generated_ = 0;
  ec links_refused_ = ec::none;
  std::optional<std::string> blocked_;
  std::vector<std::pair<std::string, ec>> refusals_;
  /// The queues that get their next message twice.
  std::vector<std::string> duplications_;
  /// How many of the next published messages are lost.
  std::size_t losses_ = 0;
  bool deliveries_delayed_ = false;
  time_point now_;
  time_point deadline_ = never;
};

} // namespace actors::amqp::memory
