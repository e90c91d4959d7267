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
  /// When it has been handed to the strategy (as AIOQuant does): a failing
  /// handler does not bring it back.
  on_dispatch,
  /// When the strategy's handler has returned. What a returned error, an
  /// exception or the strategy's end does to it is `error_policy`.
  on_success,
};

/// What becomes of a message whose handler failed. For `ack_policy::on_success`.
enum class error_policy : std::uint8_t {
  /// Back to its queue: at once the first time, then after a second each time.
  requeue,
  /// Dropped; to the dead letters, if the queue was declared to send them there.
  reject,
  /// To the queue "{queue}.dead", with the error.
  dead_letter,
  /// Back to its queue after the delays of a `retry_policy`, then to the dead
  /// letters.
  retry,
};

ACTORS_EXPORT std::string_view to_string(error_policy x) noexcept;

/// How a subscription's queue outlives its consumers.
enum class queue_kind : std::uint8_t {
  /// Gone with its last consumer, as AIOQuant's: what comes meanwhile is not kept.
  transient,
  /// Kept, and over a restart of the broker too, with its persistent messages.
  durable,
  /// Durable, and replicated over the nodes of a cluster.
  quorum,
  /// A log that keeps what was read: each reader gets everything from the offset
  /// it asks for.
  stream,
};

/// What a queue holds at most, and for how long. 0 is without limit.
struct queue_limits {
  /// Beyond this the oldest messages go.
  std::uint64_t max_length = 0;
  /// Of all bodies, in bytes.
  std::uint64_t max_length_bytes = 0;
  /// How long a message waits at most.
  std::chrono::milliseconds message_ttl{0};
  /// How long the queue is kept while nobody consumes it.
  std::chrono::milliseconds expires{0};
  /// How often a message is delivered again before the broker sends it to the
  /// queue "{queue}.dead". Quorum queues only.
  std::int32_t delivery_limit = 0;

  /// For `delivery_limit`: as often as need be, which is the default. RabbitMQ 4 would
  /// drop what comes back for the 21st time.
  static constexpr std::int32_t without_limit = -1;

  bool operator==(const queue_limits&) const = default;
};

/// What a strategy wants to receive, and how. Made by the functions below and
/// refined by chaining:
///
///     center.subscribe(self, orderbooks("binance", "ETH/USDT").on_queue("audit"));
///     center.subscribe(self, klines("#", "#").of_type("kline_5m"));
///     center.subscribe(self, trades("okx", "#").acked(ack_policy::on_success));
///     center.subscribe(self, orderbooks("#", "#").keeping(delivery_policy::latest_per_key));
///     center.subscribe(self, subscription::to<order>("#").on_quorum_queue("orders").retried());
struct ACTORS_EXPORT subscription {
  std::string exchange;
  /// How the exchange is declared; nothing: as the config says, else durable, unless it is one of
  /// AIOQuant's three.
  std::optional<bool> durable_exchange;
  /// The binding key: words separated by dots; `*` stands for one word, `#`
  /// for any number.
  std::string routing_key = "#";
  /// Missing: "{server_id}.{exchange}.{routing_key}" with the center's instance
  /// suffix. Empty: an exclusive queue that the broker names. Else the name of
  /// a queue shared by all who name it.
  std::optional<std::string> queue;
  /// Others than transient need a queue name.
  queue_kind kind = queue_kind::transient;
  queue_limits limits;
  /// Of all consumers of the queue, in whatever process, the broker serves one, and
  /// the next only once that one is gone and what it held is back. Keeps the order
  /// over a link that the broker takes to be alive for longer than we do. For
  /// durable and quorum queues.
  bool single_active = false;
  /// Where a stream queue is read from: "first", "last", "next", the number of a
  /// message, or an age such as "1h". After a reconnect reading goes on where it
  /// was.
  amqp::field_value offset = std::string{"next"};
  /// How many unacknowledged messages may be in flight; 0 is without limit.
  std::uint16_t prefetch_count = 1;
  /// The broker forgets each message on sending it ("multi" in AIOQuant):
  /// faster, and lost if this process dies. Always on dispatch.
  bool no_ack = false;
  ack_policy ack = ack_policy::on_dispatch;
  /// With `ack_policy::on_success`.
  error_policy error = error_policy::requeue;
  /// With `error_policy::retry`.
  retry_policy retry;
  /// How long a handler may take for its answer, from the moment that the event
  /// is in the strategy's mailbox, where it may wait for those before it; then it counts as
  /// failed. 0 is without limit.
  std::chrono::milliseconds time_limit{300'000};
  /// What waits for a slow strategy, without `ack_policy::on_success`: that is
  /// bounded by the prefetch count.
  delivery_limits window;
  /// Only events of this subject (`subject_of`), e.g. candles of one interval ("kline_5m");
  /// empty is all. For event types that have subjects.
  std::string subject;
  /// Drop copies of what this subscription has handled already: a publisher
  /// sends again what was not confirmed when its link broke. Needs a publisher
  /// that numbers its messages, as libactors does; others are unaffected.
  bool deduplicate = true;
  /// Send `stream_gap` and `stream_restarted` to the strategy, in order with its
  /// events, and `link_lost` and `link_restored` as they happen.
  bool stream_events = false;
  /// Send it `stream_stale` when a routing key has been silent for this long. 0
  /// is never.
  std::chrono::milliseconds stale_after{0};
  /// Give the handler a `delivery_info` as its second argument.
  bool has_delivery_info = false;
  /// What the handler gets: a struct, or the generic `event`.
  event_codec codec = generic_codec();
  /// Who subscribes, for the log; `event_center::subscribe` knows.
  std::string strategy;

  /// A subscription whose handler gets a `T`.
  template <event_type T>
  static subscription to(std::string routing_key) {
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

  // Each gives back a refined copy and changes nothing, so that variables and temporaries
  // are refined alike: `x = x.prefetch(10)`.

  [[nodiscard]] subscription on_queue(std::string name) const;
  /// Consumes a queue of this name that is kept while nobody consumes it.
  [[nodiscard]] subscription on_durable_queue(std::string name) const;
  [[nodiscard]] subscription on_quorum_queue(std::string name) const;
  /// Reads a stream queue of this name; a message whose handler failed is not
  /// read again, but may go to the dead letters. Sets a prefetch count of 100.
  [[nodiscard]] subscription on_stream(std::string name,
                                       amqp::field_value from = std::string{"next"}) const;
  [[nodiscard]] subscription limited(queue_limits limits) const;
  [[nodiscard]] subscription single_active_consumer() const;
  [[nodiscard]] subscription prefetch(std::uint16_t count) const;
  /// The same in AIOQuant's word.
  [[nodiscard]] subscription pre_fetch_count(std::uint16_t count) const;
  /// Without acknowledgements: the broker forgets each message on sending it (AMQP's no-ack,
  /// RabbitMQ's automatic acknowledgement mode).
  [[nodiscard]] subscription auto_acked(bool on = true) const;
  /// The same in AIOQuant's word.
  [[nodiscard]] subscription multi(bool on = true) const;
  /// On success switches `no_ack` off, which a wildcard has switched on.
  [[nodiscard]] subscription acked(ack_policy policy) const;
  /// The following three acknowledge on success.
  [[nodiscard]] subscription on_error(error_policy policy) const;
  [[nodiscard]] subscription dead_lettered() const;
  [[nodiscard]] subscription retried(retry_policy policy = {}) const;
  [[nodiscard]] subscription within(std::chrono::milliseconds limit) const;
  /// Bounds what waits for a slow strategy.
  [[nodiscard]] subscription keeping(delivery_policy policy,
                                     std::size_t max_waiting = 10'000) const;
  [[nodiscard]] subscription with_subject(std::string subject) const;
  /// The same for candles, by their `kline_type`.
  [[nodiscard]] subscription of_type(std::string type) const;
  [[nodiscard]] subscription deduplicated(bool on) const;
  [[nodiscard]] subscription with_stream_events(std::chrono::milliseconds stale_after = {}) const;
  /// For a handler with two arguments: `[](const trade& x, const delivery_info& about) {...}`.
  [[nodiscard]] subscription with_delivery_info() const;

  bool operator==(const subscription&) const = default;
};

/// The market data of a symbol on a platform; "#" is any. As in AIOQuant, a
/// wildcard makes the subscription `multi`.
ACTORS_EXPORT subscription orderbooks(std::string_view platform, std::string_view symbol);
ACTORS_EXPORT subscription trades(std::string_view platform, std::string_view symbol);
ACTORS_EXPORT subscription klines(std::string_view platform, std::string_view symbol);

/// What `subscribe` is answered with, once the broker has confirmed the
/// consumer.
struct subscribed {
  subscription_id id = 0;
  std::string exchange;
  std::string routing_key;
  /// The queue's name on the broker.
  std::string queue;
  /// False: we may not bind the queue, so that nothing arrives but what somebody else has bound.
  bool bound = true;

  bool operator==(const subscribed&) const = default;
};

/// "exchange:routing_key".
ACTORS_EXPORT std::string to_string(const subscription& x);

/// Why a subscription cannot work, or asks for what has no effect; or nothing. Error:
/// `ec::invalid_argument`.
ACTORS_EXPORT caf::error check(const subscription& x);

} // namespace actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::subscription)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::subscribed)
