#pragma once

#include <concepts>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <boost/json/value.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/error.hpp>
#include <caf/expected.hpp>
#include <caf/make_message.hpp>
#include <caf/message.hpp>

#include "actors/error.hpp"
#include "actors/export.hpp"
#include "actors/json.hpp"
#include "actors/market.hpp"

/// This header shows how an event type plugs in. A type of your own is a struct with two
/// functions in its namespace:
///
///     struct funding {
///       static constexpr std::string_view event_name = "EVENT_FUNDING";
///       static constexpr std::string_view exchange = "Funding";
///       std::string platform, symbol;
///       double rate = 0;
///     };
///     boost::json::value to_json(const funding& x);
///     caf::error from_json(const boost::json::value& in, funding& out);
///
/// `center.publish(self, funding{...})`, `subscription::to<funding>("binance.#")`
/// and a handler `[](const funding& x) {...}` then work as for the built-in ones.
/// Read numbers by `in.at("rate").to_number<double>()`: a peer may write 1 for 1.0.
/// Any exception from `from_json` or a constructor counts as `ec::malformed_json`. `from_json`
/// runs where the link is read: a slow `from_json` holds up all events, and one that blocks
/// loses the link.
///
/// A type without `platform` and `symbol` needs a routing key: `center.publish(self, x, "key")`,
/// or a function `std::string routing_key_of(const funding& x)` in its namespace.
///
/// The exchange is declared durable, so that bindings survive a restart of the broker, unless
/// the type has `static constexpr bool durable_exchange = false;`. An exchange in the config
/// overrides both.
///
/// A third function gives an event a subject, where events of one routing key differ: for
/// candles that is the interval, for the options of a chain the strike. `latest_per_key` keeps
/// the newest event of each subject, and `subscription::with_subject` asks for one subject.
///
///     std::string subject_of(const option_quote& x) { return x.expiry + ' ' + x.strike; }
namespace actors {

/// A struct that names its event and exchange.
template <class T>
concept named_event = std::default_initializable<T> && std::copyable<T> && requires {
  { T::event_name } -> std::convertible_to<std::string_view>;
  { T::exchange } -> std::convertible_to<std::string_view>;
};

/// An event type that reads and writes JSON text itself (the built-in ones).
template <class T>
concept text_event = named_event<T> && requires(const T& x, T& y, std::string& out) {
  { from_json(std::string_view{}, y, std::size_t{}) } -> std::same_as<caf::error>;
  append_json(out, x);
};

/// An event type that reads and writes JSON values.
template <class T>
concept value_event = named_event<T> && requires(const T& x, T& y, const boost::json::value& in) {
  { from_json(in, y) } -> std::same_as<caf::error>;
  { to_json(x) } -> std::convertible_to<boost::json::value>;
};

template <class T>
concept event_type = text_event<T> || value_event<T>;

/// An event type with several subjects in one routing key.
template <class T>
concept event_with_subject = event_type<T> && requires(const T& x) {
  requires std::constructible_from<std::string, decltype(subject_of(x))>;
};

/// The `durable_exchange` of an event type, or nothing if the type has none.
template <class T>
constexpr std::optional<bool> durable_exchange_of() noexcept {
  if constexpr (requires { T::durable_exchange; })
    return T::durable_exchange;
  else
    return std::nullopt;
}

/// "{platform}.{symbol}", the routing key of market data.
template <class T>
requires requires(const T& x) {
  { x.platform } -> std::convertible_to<std::string_view>;
  { x.symbol } -> std::convertible_to<std::string_view>;
}
std::string routing_key_of(const T& x) {
  std::string result{x.platform};
  result += '.';
  result += x.symbol;
  return result;
}

/// The event's data as JSON text.
template <event_type T>
std::string data_of(const T& x) {
  std::string result;
  if constexpr (text_event<T>)
    append_json(result, x);
  else
    append_json(result, to_json(x));
  return result;
}

/// A received event on its way to a codec. The texts are views into the decoder's buffer.
struct received_event {
  std::string_view name;
  std::string_view data;
  std::size_t max_depth = 32;
  std::string_view exchange;
  std::string_view queue;
  std::string_view routing_key;
  std::uint16_t prefetch_count = 1;
};

/// Makes the message that a strategy's handler gets from an event's JSON.
struct event_codec {
  /// The event's name; empty is any.
  std::string_view name;
  caf::expected<caf::message> (*decode)(const received_event&) = nullptr;
  /// Returns the subject of a decoded message; null for types without `subject_of`.
  std::string (*subject)(const caf::message&) = nullptr;
  /// Whether the handler gets the delivery as it came from the link; for relays only.
  bool raw = false;

  bool operator==(const event_codec&) const = default;
};

/// The codec of the generic `event`.
ACTORS_EXPORT event_codec generic_codec() noexcept;

namespace detail {

/// Puts the event's name before an error's text.
ACTORS_EXPORT caf::error with_event_name(std::string_view name, const caf::error& err);

/// Turns an exception from user code, thrown for the event `name`, into an error.
ACTORS_EXPORT caf::error thrown(std::string_view name, const std::exception_ptr& exception);

template <value_event T>
caf::error from_json_text(std::string_view text, T& out, std::size_t max_depth) {
  auto data = json::parse(text, max_depth);
  if (!data)
    return with_event_name(T::event_name, data.error());
  return from_json(data->value(), out);
}

template <event_type T>
caf::expected<caf::message> decode_event(const received_event& in) try {
  T out;
  caf::error err;
  if constexpr (text_event<T>)
    err = from_json(in.data, out, in.max_depth);
  else
    err = from_json_text(in.data, out, in.max_depth);
  if (err)
    return err;
  return caf::make_message(std::move(out));
} catch (...) {
  return thrown(T::event_name, std::current_exception());
}

template <event_with_subject T>
std::string subject_of_message(const caf::message& content) {
  return content.match_elements<T>() ? std::string{subject_of(content.get_as<T>(0))}
                                     : std::string{};
}

} // namespace detail

template <event_type T>
event_codec codec_of() noexcept {
  event_codec result{.name = T::event_name, .decode = &detail::decode_event<T>};
  if constexpr (event_with_subject<T>)
    result.subject = &detail::subject_of_message<T>;
  return result;
}

} // namespace actors

/// Events travel between actors of a process as shared, immutable objects, and between hosts as
/// AMQP bodies. CAF never serialises events.
template <actors::named_event T>
struct caf::allowed_unsafe_message_type<T> : std::true_type {};

template <>
struct caf::allowed_unsafe_message_type<actors::event> : std::true_type {};
