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

/// The queue that a subscription consumes: its own name, or the default one.
/// Empty: one that the broker names.
std::string queue_name(const dispatcher_settings& settings, const subscription& x);

/// Bindings of one queue, in order.
struct by_route {
  bool operator()(const amqp::binding& x, const amqp::binding& y) const noexcept {
    return std::tie(x.exchange, x.routing_key) < std::tie(y.exchange, y.routing_key);
  }
};

/// A consumer of the broker and the handlers that share it.
struct shared_consumer {
  /// As wanted; empty for one that the broker names.
  std::string queue;
  /// As the broker names it.
  std::string queue_name;
  /// What the first subscription asks of queue and consumer; all others agree.
  subscription spec;
  std::shared_ptr<const failure_plan> plan;
  /// In which it delivers.
  std::uint64_t generation = 0;
  unmatched_messages unmatched;
  bool told_unmatched = false;
  /// Since when it has a queue for what no handler is for.
  std::optional<std::chrono::steady_clock::time_point> sets_aside_since;
  bool told_unreadable = false;
  /// Where reading goes on, for a stream.
  std::optional<std::int64_t> next_offset;
  handler_table handlers;
  std::vector<subscription_id> members;
  /// The bindings that the broker has confirmed, ...
  std::set<amqp::binding, by_route> bound;
  /// ... or that are not ours to make.
  std::set<amqp::binding, by_route> assumed;

  /// Whether the broker has confirmed the binding of this subscription.
  bool has_bound(const subscription& x) const {
    return bound.contains({x.exchange, queue, x.routing_key});
  }
};

/// Who has subscribed what, and the consumers that serve them:
///
///     subscriptions --(of one queue share)--> consumer --> wanted of the supervisor
///
/// A consumer without subscriptions is retired: the next one of its queue waits until it has
/// delivered all, so that it cannot overtake what goes back. A plain value that sends nothing:
/// what is to be asked of the supervisor comes out as wishes.
class subscription_table {
public:
  using time_point = std::chrono::steady_clock::time_point;

  explicit subscription_table(dispatcher_settings settings = {});

  // -- what strategies ask for -----------------------------------------------------------

  /// Why a subscription cannot be added.
  caf::error check(const subscription& what) const;

  /// Adds a subscription, or gives it the place of one like it whose strategy has ended. Its
  /// strategy knows it by `known_as`.
  event_handler& add(subscription what, subscriber_id who, subscription_id known_as);

  /// The subscription that its strategy knows by this; null, if it is not in the table.
  event_handler* find_known(subscription_id known_as);

  /// Keeps the place of a subscription whose strategy has ended, if it is of a queue that is
  /// kept. Under an id of its own, as what the former strategy was asked may still be answered.
  /// Gives back whether it does.
  bool keep_place(subscription_id id, time_point until);

  enum class ending : std::uint8_t { asked_for, strategy_ended };

  /// Whether no strategy needs the consumer of this subscription behind it.
  bool is_last(subscription_id id) const;

  /// Takes a subscription out of the table; its handler stays until `forget`. Its consumer is
  /// retired with the last one, when no place is kept there any more.
  void remove(subscription_id id, ending how);

  /// A place is not kept any more.
  void drop_place(subscription_id id);

  /// The places that are kept on a consumer.
  std::vector<subscription_id> places(const shared_consumer& x) const;

  /// Nobody has an answer to give for it any more. Gives back its strategy if that has no other
  /// subscription.
  subscriber_id forget(subscription_id id);

  /// The strategy has ended. Gives back its subscriptions.
  std::set<subscription_id> forget_strategy(subscriber_id who);

  /// The subscriptions of a strategy.
  const std::set<subscription_id>& of(subscriber_id who) const;

  // -- what the broker says --------------------------------------------------------------

  /// The subscriptions that a consumer's news are about.
  std::vector<subscription_id> apply(const consumer_state& x);

  /// The broker has taken the consumer back.
  void lost(shared_consumer& x);

  /// A reader goes on where it was: at the first offset that has no answer yet, or else behind
  /// the last one.
  void resume_stream(amqp::consumer_id id, shared_consumer& x, std::optional<std::int64_t> first);

  /// A queue is needed for what no handler of this consumer is for.
  void set_aside(amqp::consumer_id id, shared_consumer& x, time_point now);

  /// All that a former consumer delivered has been seen: the next may start, unless all end.
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

  /// What to ask of the supervisor, in order.
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
  caf::error conflict(const subscription& what, const std::string& queue) const;
  amqp::consumer_id add_consumer(const subscription& what, std::string queue);
  event_handler& add_handler(amqp::consumer_id consumer, const subscription& what);
  event_handler* find_place(const shared_consumer& from, const subscription& what);
  void want(amqp::consumer_id id, const shared_consumer& x, const subscription& what,
            bool goes_on = false);
  void retire(amqp::consumer_id id, const shared_consumer& x);
  void take_out(event_handler& x);
  void forget_queue(amqp::consumer_id id, const std::string& queue);

  dispatcher_settings settings_;
  std::map<subscription_id, event_handler> handlers_;
  std::unordered_map<amqp::consumer_id, shared_consumer> consumers_;
  /// Consumers of named queues, by queue.
  std::unordered_multimap<std::string, amqp::consumer_id> by_queue_;
  /// Former consumers that may still deliver, and their queues.
  std::unordered_map<amqp::consumer_id, std::string> retiring_;
  /// Whose next consumer waits for the former one.
  std::unordered_set<std::string> busy_queues_;
  std::map<subscriber_id, std::set<subscription_id>> strategies_;
  /// The handlers in the table, by what their strategies know them by.
  std::unordered_map<subscription_id, subscription_id> known_;
  subscription_id last_subscription_ = 0;
  std::uint32_t last_consumer_ = 0;
  bool ends_ = false;
  std::vector<wish> wishes_;
};

} // namespace actors
