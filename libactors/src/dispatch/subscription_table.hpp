#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

#include <caf/error.hpp>

#include "delivery/event_handler.hpp"
#include "delivery/handler_table.hpp"
#include "delivery/unmatched_messages.hpp"
#include "topology/topology_state.hpp"
#include "wire/payload.hpp"

namespace actors {

struct dispatcher_settings {
  std::string server_id;
  /// Appended to default queue names, see `config::instance`.
  std::string instance;
  payload_limits limits;
  /// Whether the broker is behind a relay, which serves feeds.
  bool feeds = false;
};

/// Returns the name of the queue that a subscription consumes: its own name or the default one. An
/// empty name means a queue that the broker names.
std::string queue_name(const dispatcher_settings& settings, const subscription& spec);

/// Sorts bindings of one queue.
struct by_route {
  bool operator()(const amqp::binding& left, const amqp::binding& right) const noexcept {
    return std::tie(left.exchange, left.routing_key) < std::tie(right.exchange, right.routing_key);
  }
};

/// A consumer of the broker and the handlers that share it.
struct shared_consumer {
  /// The wanted name; empty for a queue that the broker names.
  std::string queue;
  /// The queue's name on the broker.
  std::string queue_name;
  /// The first subscription's settings of queue and consumer; all others agree.
  subscription spec;
  std::shared_ptr<const failure_plan> plan;
  /// The channel generation in which the consumer delivers.
  std::uint64_t generation = 0;
  unmatched_messages unmatched;
  bool told_unmatched = false;
  /// The time at which its queue for unmatched messages was asked for.
  std::optional<std::chrono::steady_clock::time_point> sets_aside_since;
  bool told_unreadable = false;
  /// The offset at which reading of a stream is resumed.
  std::optional<std::int64_t> next_offset;
  handler_table handlers;
  std::vector<subscription_id> members;
  /// The bindings that the broker has confirmed.
  std::set<amqp::binding, by_route> bound;
  /// The bindings that the event center may not make, and that others may have made.
  std::set<amqp::binding, by_route> assumed;

  /// Whether the broker has confirmed the binding of this subscription.
  bool has_bound(const subscription& x) const {
    return bound.contains({x.exchange, queue, x.routing_key});
  }
};

/// The subscriptions, and the consumers that serve them:
///
///     subscriptions --(of one queue share)--> consumer --> wanted of the supervisor
///
/// A consumer without subscriptions is retired: the next consumer of its queue waits until the old
/// one has delivered all, so that no message overtakes one that goes back. A plain value that sends
/// nothing: its requests for the supervisor come out as wishes.
class subscription_table {
public:
  using time_point = std::chrono::steady_clock::time_point;

  explicit subscription_table(dispatcher_settings settings = {});

  // -- what strategies ask for -----------------------------------------------------------

  /// Returns why a subscription cannot be added, or no error.
  caf::error check(const subscription& spec) const;

  /// Adds a subscription, or gives it the kept place of an equal one whose strategy has ended. The
  /// strategy knows it by `known_as`.
  event_handler& add(subscription spec, subscriber_id who, subscription_id known_as);

  /// Returns the subscription that its strategy knows by this id; null, if there is none.
  event_handler* find_known(subscription_id known_as);

  /// Keeps the place of a subscription whose strategy has ended, if its queue outlives the
  /// strategy. The place gets a new id, as the former strategy may still answer under the old one.
  /// Returns whether the place is kept.
  bool keep_place(subscription_id id, time_point until);

  enum class ending : std::uint8_t { asked_for, strategy_ended };

  /// Whether this subscription is the last on its consumer that has a strategy.
  bool is_last(subscription_id id) const;

  /// Takes a subscription out of the table; its handler stays until `forget`. The consumer is
  /// retired with its last subscription or kept place.
  void remove(subscription_id id, ending kind);

  /// Gives up a kept place.
  void drop_place(subscription_id id);

  /// Returns the kept places of a consumer.
  std::vector<subscription_id> places(const shared_consumer& consumer) const;

  /// Forgets a removed subscription for which no answer is awaited. Returns its strategy if that
  /// has no other subscription, else 0.
  subscriber_id forget(subscription_id id);

  /// Forgets a strategy that has ended. Returns its subscriptions.
  std::set<subscription_id> forget_strategy(subscriber_id who);

  /// Returns the subscriptions of a strategy.
  const std::set<subscription_id>& of(subscriber_id who) const;

  // -- what the broker says --------------------------------------------------------------

  /// Applies the news of a consumer. Returns the subscriptions that the news is about.
  std::vector<subscription_id> apply(const consumer_state& state);

  /// The consumer's link or channel is gone, and its deliveries are the broker's again.
  void lost(shared_consumer& consumer);

  /// Resumes a stream's reader after a loss: at `first`, the lowest unanswered offset, or else
  /// behind the last offset read.
  void resume_stream(amqp::consumer_id id, shared_consumer& consumer,
                     std::optional<std::int64_t> first);

  /// Asks for a queue for messages that no handler of this consumer takes.
  void set_aside(amqp::consumer_id id, shared_consumer& consumer, time_point now);

  /// A retired consumer has delivered all: the next one of its queue may start, unless all end.
  void retired(amqp::consumer_id id);

  bool is_retiring(amqp::consumer_id id) const {
    return retiring_.contains(id);
  }

  /// Ends all consumers. The handlers stay.
  void retire_all();

  bool has_retired_all() const noexcept {
    return retiring_.empty();
  }

  // -- what follows ----------------------------------------------------------------------

  struct unwanted_binding {
    amqp::consumer_id id = 0;
    amqp::binding spec;
  };

  struct unwanted_consumer {
    amqp::consumer_id id = 0;
  };

  using wish = std::variant<wanted_consumer, unwanted_binding, unwanted_consumer>;

  /// Returns the requests for the supervisor, in order.
  std::vector<wish> take_wishes() {
    return std::exchange(wishes_, {});
  }

  // -- looking ---------------------------------------------------------------------------

  event_handler& at(subscription_id id) {
    return handlers_.at(id);
  }

  event_handler* find(subscription_id id) {
    auto i = handlers_.find(id);
    return i == handlers_.end() ? nullptr : &i->second;
  }

  shared_consumer* find_consumer(amqp::consumer_id id) {
    auto i = consumers_.find(id);
    return i == consumers_.end() ? nullptr : &i->second;
  }

  shared_consumer& consumer_of(const event_handler& x) {
    return consumers_.at(x.consumer);
  }

  std::map<subscription_id, event_handler>& handlers() noexcept {
    return handlers_;
  }

  std::unordered_map<amqp::consumer_id, shared_consumer>& consumers() noexcept {
    return consumers_;
  }

private:
  caf::error conflict(const subscription& spec, const std::string& queue) const;
  amqp::consumer_id add_consumer(const subscription& spec, std::string queue);
  event_handler& add_handler(amqp::consumer_id consumer, const subscription& spec);
  event_handler* find_place(const shared_consumer& from, const subscription& spec);
  void want(amqp::consumer_id id, const shared_consumer& consumer, const subscription& spec,
            bool goes_on = false);
  void retire(amqp::consumer_id id, const shared_consumer& consumer);
  void take_out(event_handler& handler);
  void forget_queue(amqp::consumer_id id, const std::string& queue);

  dispatcher_settings settings_;
  std::map<subscription_id, event_handler> handlers_;
  std::unordered_map<amqp::consumer_id, shared_consumer> consumers_;
  /// Consumers of named queues, by queue.
  std::unordered_multimap<std::string, amqp::consumer_id> by_queue_;
  /// Retired consumers that may still deliver, and their queues.
  std::unordered_map<amqp::consumer_id, std::string> retiring_;
  /// Queues whose next consumer waits for the retired one.
  std::unordered_set<std::string> busy_queues_;
  std::map<subscriber_id, std::set<subscription_id>> strategies_;
  /// The handlers in the table, by the ids that their strategies know.
  std::unordered_map<subscription_id, subscription_id> known_;
  subscription_id last_subscription_ = 0;
  std::uint32_t last_consumer_ = 0;
  bool ends_ = false;
  std::vector<wish> wishes_;
};

} // namespace actors
