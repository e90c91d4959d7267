#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/amqp/topology.hpp"
#include "actors/event_type.hpp"
#include "actors/export.hpp"
#include "actors/policies.hpp"
#include "actors/subscription_id.hpp"

namespace actors {

/// When a delivery is acknowledged.
enum class ack_policy : std::uint8_t {
  /// The delivery is acknowledged when it has been handed to the strategy (as AIOQuant does): a
  /// failing handler does not bring it back.
  on_dispatch,
  /// The delivery is acknowledged when the strategy's handler has returned. After a returned
  /// error, an exception or the strategy's end, `error_policy` decides.
  on_success,
};

/// Where a message goes whose handler failed, with `ack_policy::on_success`.
enum class error_policy : std::uint8_t {
  /// The message goes back to its queue: at once the first time, then after a second each time.
  requeue,
  /// The message is dropped, or dead-lettered by the broker if the queue was declared so.
  reject,
  /// The message goes to the queue "{queue}.dead", with the error.
  dead_letter,
  /// The message goes back to its queue after the delays of a `retry_policy`, finally to
  /// "{queue}.dead".
  retry,
};

ACTORS_EXPORT std::string_view to_string(error_policy x) noexcept;

/// Whether a subscription's queue outlives its consumers.
enum class queue_kind : std::uint8_t {
  /// The queue ends with its last consumer, as AIOQuant's queues do: events that come meanwhile
  /// are lost.
  transient,
  /// The queue survives its consumers, and a restart of the broker with its persistent messages.
  durable,
  /// The queue is durable, and replicated over the nodes of a cluster.
  quorum,
  /// The queue is a log that keeps messages after reading: each reader gets every message from
  /// the offset that it asks for.
  stream,
};

/// The capacity of a queue, and how long messages stay. 0 is without limit.
struct queue_limits {
  /// The number of messages beyond which the oldest are removed.
  std::uint64_t max_length = 0;
  /// The size of all bodies, in bytes, beyond which the oldest messages are removed.
  std::uint64_t max_length_bytes = 0;
  /// How long a message waits at most.
  std::chrono::milliseconds message_ttl{0};
  /// How long the queue is kept without a consumer.
  std::chrono::milliseconds expires{0};
  /// How often a message is delivered again before the broker sends it to the
  /// queue "{queue}.dead". Quorum queues only.
  std::int32_t delivery_limit = 0;

  /// The value of `delivery_limit` for unlimited redelivery, which is the default here. RabbitMQ
  /// 4 by itself drops a message that comes back for the 21st time.
  static constexpr std::int32_t without_limit = -1;

  bool operator==(const queue_limits&) const = default;
};

/// The events that a strategy wants, and how the strategy receives them. The functions below
/// make subscriptions, and chained calls refine them:
///
///     center.subscribe(self, orderbooks("binance", "ETH/USDT").on_queue("audit"));
///     center.subscribe(self, klines("#", "#").of_type("kline_5m"));
///     center.subscribe(self, trades("okx", "#").acked(ack_policy::on_success));
///     center.subscribe(self, orderbooks("#", "#").keeping(delivery_policy::latest_per_key));
///     center.subscribe(self, subscription::to<order>("#").on_quorum_queue("orders").retried());
struct ACTORS_EXPORT subscription {
  std::string exchange;
  /// Whether the exchange is declared durable. If unset, the config decides; if the config does
  /// not name the exchange, it is durable, except for AIOQuant's three.
  std::optional<bool> durable_exchange;
  /// The binding key: words separated by dots; `*` stands for one word, `#`
  /// for any number.
  std::string routing_key = "#";
  /// The queue's name. If unset, the name is "{server_id}.{exchange}.{routing_key}" with the
  /// center's instance suffix. If empty, the broker names an exclusive queue. Otherwise all
  /// consumers that give the same name share the queue.
  std::optional<std::string> queue;
  /// Kinds other than `transient` need a queue name.
  queue_kind kind = queue_kind::transient;
  queue_limits limits;
  /// Whether the broker serves only one of the queue's consumers in all processes. The next
  /// consumer is served only after the first has ended and its unacknowledged messages are back
  /// in the queue, so that order is kept even if the broker notices a lost link later than we do.
  /// For durable and quorum queues.
  bool single_active = false;
  /// The position from which a stream queue is read: "first", "last", "next", the number of a
  /// message, or an age such as "1h". After a reconnect, reading continues after the last
  /// message read.
  amqp::field_value offset = std::string{"next"};
  /// How many unacknowledged messages may be in flight; 0 is without limit.
  std::uint16_t prefetch_count = 1;
  /// Whether the broker forgets each message on sending ("multi" in AIOQuant): delivery is
  /// faster, but messages in flight are lost if this process dies. Requires
  /// `ack_policy::on_dispatch`.
  bool no_ack = false;
  ack_policy ack = ack_policy::on_dispatch;
  /// Applies with `ack_policy::on_success`.
  error_policy error = error_policy::requeue;
  /// Applies with `error_policy::retry`.
  retry_policy retry;
  /// How long a handler may take to answer before it counts as failed. The time starts when the
  /// event enters the strategy's mailbox, so it includes the wait for earlier events. 0 is
  /// without limit.
  std::chrono::milliseconds time_limit{300'000};
  /// How many events may wait for a slow strategy. With `ack_policy::on_success` the prefetch
  /// count is the bound instead.
  delivery_limits window;
  /// The one subject (`subject_of`) to receive, e.g. candles of one interval ("kline_5m"); empty
  /// is all. For event types that have subjects.
  std::string subject;
  /// Whether copies of messages that this subscription has handled are dropped. Copies occur
  /// because a publisher whose link broke sends unconfirmed messages again. Only messages that
  /// their publisher numbers, as libactors does, can be recognised; others are all delivered.
  bool deduplicate = true;
  /// Whether the strategy gets `stream_gap` and `stream_restarted`, in order with its events, and
  /// `link_lost` and `link_restored` as they happen.
  bool stream_events = false;
  /// How long a routing key may be silent before the strategy gets `stream_stale`. 0: never sent.
  std::chrono::milliseconds stale_after{0};
  /// Whether the handler gets a `delivery_info` as its second argument.
  bool has_delivery_info = false;
  /// Decodes the handler's argument: a struct, or the generic `event`.
  event_codec codec = generic_codec();
  /// The subscriber's name for the log; `event_center::subscribe` fills in an empty one.
  std::string strategy;

  /// A subscription whose handler gets a `T`.
  template <class T>
  static subscription to(std::string routing_key) {
    static_assert(event_type<T>,
                  "T is no event type: it needs `event_name`, `exchange`, a function "
                  "`boost::json::value to_json(const T&)` and a function "
                  "`caf::error from_json(const boost::json::value&, T&)`, see event_type.hpp");
    subscription result;
    result.exchange = T::exchange;
    result.durable_exchange = durable_exchange_of<T>();
    result.routing_key = std::move(routing_key);
    result.codec = codec_of<T>();
    return result;
  }

  /// A subscription whose handler gets an `event`, whatever its name.
  static subscription to_events(std::string exchange, std::string routing_key);

  // -- refinement ----------------------------------------------------------------

  // Each function returns a refined copy and leaves the subscription as it was, so that
  // variables and temporaries are refined alike: `x = x.prefetch(10)`.

  [[nodiscard]] subscription on_queue(std::string name) const;
  /// Consumes a durable queue of this name, which is kept while it has no consumer.
  [[nodiscard]] subscription on_durable_queue(std::string name) const;
  [[nodiscard]] subscription on_quorum_queue(std::string name) const;
  /// Reads a stream queue of this name. A message whose handler failed is not read again, but
  /// can be dead-lettered. Sets a prefetch count of 100.
  [[nodiscard]] subscription on_stream(std::string name,
                                       amqp::field_value from = std::string{"next"}) const;
  [[nodiscard]] subscription limited(queue_limits limits) const;
  [[nodiscard]] subscription single_active_consumer() const;
  [[nodiscard]] subscription prefetch(std::uint16_t count) const;
  /// AIOQuant's name for `prefetch`.
  [[nodiscard]] subscription pre_fetch_count(std::uint16_t count) const;
  /// Sets `no_ack`: the broker forgets each message on sending (AMQP's no-ack, RabbitMQ's
  /// automatic acknowledgement mode).
  [[nodiscard]] subscription auto_acked(bool on = true) const;
  /// AIOQuant's name for `auto_acked`.
  [[nodiscard]] subscription multi(bool on = true) const;
  /// Sets the policy. `ack_policy::on_success` also clears `no_ack`, which a wildcard had set.
  [[nodiscard]] subscription acked(ack_policy policy) const;
  /// Sets the error policy, and `ack_policy::on_success`, as the next two functions do.
  [[nodiscard]] subscription on_error(error_policy policy) const;
  [[nodiscard]] subscription dead_lettered() const;
  [[nodiscard]] subscription retried(retry_policy policy = {}) const;
  /// Sets the handler's time limit.
  [[nodiscard]] subscription within(std::chrono::milliseconds limit) const;
  /// Bounds the events that wait for a slow strategy.
  [[nodiscard]] subscription keeping(delivery_policy policy,
                                     std::size_t max_waiting = 10'000) const;
  [[nodiscard]] subscription with_subject(std::string subject) const;
  /// Sets the subject for candles, which is their `kline_type`.
  [[nodiscard]] subscription of_type(std::string type) const;
  [[nodiscard]] subscription deduplicated(bool on) const;
  [[nodiscard]] subscription with_stream_events(std::chrono::milliseconds stale_after = {}) const;
  /// Gives the handler a second argument: `[](const trade& x, const delivery_info& about) {...}`.
  [[nodiscard]] subscription with_delivery_info() const;

  bool operator==(const subscription&) const = default;
};

/// The three functions subscribe market data of a symbol on a platform; "#" is any. As in
/// AIOQuant, a wildcard makes the subscription `multi`.
ACTORS_EXPORT subscription orderbooks(std::string_view platform, std::string_view symbol);
ACTORS_EXPORT subscription trades(std::string_view platform, std::string_view symbol);
ACTORS_EXPORT subscription klines(std::string_view platform, std::string_view symbol);

/// The answer of `event_center::subscribe` once the broker has confirmed the consumer.
struct subscribed {
  subscription_id id = 0;
  std::string exchange;
  std::string routing_key;
  /// The queue's name on the broker.
  std::string queue;
  /// Whether the queue is bound. False if the broker denies us the right to bind: then only
  /// bindings that others made bring events.
  bool bound = true;

  bool operator==(const subscribed&) const = default;
};

/// "exchange:routing_key".
ACTORS_EXPORT std::string to_string(const subscription& x);

/// Checks a subscription. Error: `ec::invalid_argument`, if the subscription cannot work, or has
/// a setting that would have no effect.
ACTORS_EXPORT caf::error check(const subscription& x);

} // namespace actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::subscription)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::subscribed)
