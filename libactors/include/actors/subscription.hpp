#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "actors/amqp/topology.hpp"
#include "actors/event_type.hpp"

namespace actors {

/// Names a subscription within its event center.
using subscription_id = std::uint64_t;

/// When a delivery is acknowledged.
enum class ack_policy : std::uint8_t {
  /// When it has been handed to the strategy (as AIOQuant does): a failing
  /// handler does not bring it back.
  on_dispatch,
  /// When the strategy's handler has returned. A returned error, an exception
  /// or the strategy's end puts it back into its queue.
  on_success,
};

/// How a subscription's queue outlives its consumers.
enum class queue_kind : std::uint8_t {
  /// Gone with its last consumer, as AIOQuant's: what comes meanwhile is not kept.
  transient,
  /// Kept, and over a restart of the broker too, with its persistent messages.
  durable,
  /// Durable, and replicated over the nodes of a cluster.
  quorum,
};

/// What a strategy wants to receive, and how. Made by the functions below and
/// refined by chaining:
///
///     center.subscribe(self, orderbooks("binance", "ETH/USDT").on_queue("audit"));
///     center.subscribe(self, klines("#", "#").of_type("kline_5m"));
///     center.subscribe(self, trades("okx", "#").acked(ack_policy::on_success));
struct subscription {
  std::string exchange;
  /// The binding key: words separated by dots; `*` stands for one word, `#`
  /// for any number.
  std::string routing_key = "#";
  /// Missing: "{server_id}.{exchange}.{routing_key}" with the center's instance
  /// suffix. Empty: an exclusive queue that the broker names. Else the name of
  /// a queue shared by all who name it.
  std::optional<std::string> queue;
  /// Others than transient need a queue name.
  queue_kind kind = queue_kind::transient;
  /// How many unacknowledged messages may be in flight; 0 is without limit.
  std::uint16_t prefetch_count = 1;
  /// The broker forgets each message on sending it ("multi" in AIOQuant):
  /// faster, and lost if this process dies. Always on dispatch.
  bool no_ack = false;
  ack_policy ack = ack_policy::on_dispatch;
  /// Only candles of this type ("kline_5m"); empty is all. Klines only.
  std::string kline_type;
  /// Drop copies of what this subscription has handled already: a publisher
  /// sends again what was not confirmed when its link broke. Needs a publisher
  /// that numbers its messages, as libactors does; others are unaffected.
  bool deduplicate = true;
  /// Send `stream_gap` and `stream_restarted` to the strategy, in order with its
  /// events.
  bool stream_events = false;
  /// What the handler gets: a struct, or the generic `event`.
  event_codec codec = generic_codec();

  /// A subscription whose handler gets a `T`.
  template <event_type T>
  static subscription to(std::string routing_key) {
    subscription result;
    result.exchange = T::exchange;
    result.routing_key = std::move(routing_key);
    result.codec = codec_of<T>();
    return result;
  }

  /// A subscription whose handler gets an `event`, whatever its name.
  static subscription to_events(std::string exchange, std::string routing_key);

  // -- refinement ----------------------------------------------------------------

  subscription&& on_queue(std::string name) &&;
  /// Consumes a queue of this name that is kept while nobody consumes it.
  subscription&& on_durable_queue(std::string name) &&;
  subscription&& on_quorum_queue(std::string name) &&;
  subscription&& prefetch(std::uint16_t count) &&;
  subscription&& multi(bool on = true) &&;
  /// On success switches `no_ack` off, which a wildcard has switched on.
  subscription&& acked(ack_policy policy) &&;
  subscription&& of_type(std::string type) &&;
  subscription&& deduplicated(bool on) &&;
  subscription&& with_stream_events() &&;

  bool operator==(const subscription&) const = default;
};

/// The market data of a symbol on a platform; "#" is any. As in AIOQuant, a
/// wildcard makes the subscription `multi`.
subscription orderbooks(std::string_view platform, std::string_view symbol);
subscription trades(std::string_view platform, std::string_view symbol);
subscription klines(std::string_view platform, std::string_view symbol);

/// What `subscribe` is answered with, once the broker has confirmed the
/// consumer.
struct subscribed {
  subscription_id id = 0;
  std::string exchange;
  std::string routing_key;
  /// The queue's name on the broker.
  std::string queue;

  bool operator==(const subscribed&) const = default;
};

/// Why a subscription cannot work, or nothing. Error: `ec::invalid_argument`.
caf::error check(const subscription& x);

/// The queue to declare for a subscription, by the name it goes by.
amqp::queue queue_for(const subscription& x, std::string name);

} // namespace actors
