#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <caf/actor.hpp>
#include <caf/actor_cast.hpp>
#include <caf/actor_system.hpp>
#include <caf/duration.hpp>
#include <caf/error.hpp>
#include <caf/event_based_actor.hpp> // a strategy is one
#include <caf/message.hpp>
#include <caf/message_id.hpp>

#include "actors/config.hpp"
#include "actors/delivery_info.hpp"
#include "actors/event_type.hpp"
#include "actors/export.hpp"
#include "actors/market.hpp"
#include "actors/publish_options.hpp"
#include "actors/status.hpp"
#include "actors/stream_events.hpp"
#include "actors/subscription.hpp"

namespace actors {

namespace amqp {
class memory_broker;
} // namespace amqp

struct supervisor_settings;

/// The caller of a request: a pointer to the calling actor, or a `caf::scoped_actor`.
template <class T>
concept calling_actor = requires(T& self) {
  self->name();
};

/// The result of `event_center::subscribe`: the pending response (`.then(...)`) and the id of
/// the subscription.
template <class Response>
struct pending_subscription : Response {
  subscription_id subscription = 0;
};

/// Carries market events to and from strategy actors. An `event_center` is a small handle that
/// strategies copy freely; `scoped_event_center` starts one.
///
/// `self` is the calling actor (`caf::event_based_actor*`, `caf::scoped_actor&`, ...). An answer
/// reaches `self` as the response of a request: chain `.then(...)` or `.receive(...)`, or ignore
/// the result.
class ACTORS_EXPORT event_center {
public:
  /// Makes a handle without an event center: calls fail with `caf::sec::invalid_argument` at
  /// once. Calls by the copy of a handle whose owner has ended fail with
  /// `caf::sec::request_receiver_down`.
  event_center() = default;

  event_center(caf::actor dispatcher, caf::actor supervisor);

  // No moves: a `scoped_event_center` that was moved from would have nothing to stop.
  event_center(const event_center&) = default;
  event_center& operator=(const event_center&) = default;

  // -- on another host ---------------------------------------------------------------

  /// Returns the settings of an event center that reaches its broker through a relay on another
  /// host (`actors/relay.hpp`), over TLS. `tls` has the trusted authorities and the client's
  /// certificate. Strategies need no change:
  ///
  ///     scoped_event_center center{system, event_center::remote("relay-1", 5670)};
  static config remote(std::string host, std::uint16_t port, amqp::tls_options tls = {},
                       config settings = {});

  /// Does the same for several relays, or without TLS: when a relay is lost, the next one takes
  /// over. `parse_endpoint` reads "relays://host:port?cacertfile=..." and "relay://host:port".
  static config remote(std::vector<amqp::endpoint> relays, config settings = {});

  // -- receiving -------------------------------------------------------------------

  /// Sends matching events to `self` until `unsubscribe` or the end of `self`. Answer:
  /// `subscribed` once the broker has confirmed the consumer, however long that takes, or a
  /// `caf::error`. After the timeout (0 is none) the answer is `caf::sec::request_timeout`, but
  /// the subscription continues.
  ///
  /// The result holds the subscription's id. `unsubscribe` takes that id at any time; before the
  /// answer, the answer then becomes `ec::not_subscribed`:
  ///
  ///     auto pending = center.subscribe(self, trades("binance", "ETH/USDT"));
  ///     center.unsubscribe(self, pending.subscription);
  template <calling_actor Self>
  auto subscribe(Self&& self, subscription spec, std::chrono::milliseconds timeout = {}) const {
    introduce(self, spec);
    const auto id = next_subscription_id();
    auto answer =
        self->request(dispatcher_, limit_of(timeout),
                      subscribe_request(id, std::move(spec), caf::actor_cast<caf::actor>(self)));
    return pending_subscription<decltype(answer)>{std::move(answer), id};
  }

  /// Subscribes `strategy` on its behalf, from any thread; an error goes to the log. Returns the
  /// subscription's id.
  subscription_id subscribe(caf::actor strategy, subscription spec) const;

  /// Ends a subscription. Answer: an empty response, or `ec::not_subscribed`.
  template <calling_actor Self>
  auto unsubscribe(Self&& self, subscription_id id) const {
    return self->request(dispatcher_, caf::infinite, unsubscribe_request(id));
  }

  // -- sending -----------------------------------------------------------------------

  /// Publishes an event to its type's exchange with the routing key
  /// "{platform}.{symbol}". Answer: `published` once the broker has confirmed it,
  /// or a `caf::error`: `ec::no_route` (if mandatory or persistent),
  /// `ec::publish_rejected`, `ec::outbox_full`, `ec::outbox_dropped`, `ec::expired`,
  /// `ec::limit_exceeded` (too large or nested too deep for a receiver), `ec::in_doubt` (the
  /// broker may have the event), ...
  template <calling_actor Self, event_type T>
  auto publish(Self&& self, const T& x, publish_options options = {}) const {
    return publish(self, x, routing_key_of(x), std::move(options));
  }

  /// Publishes an event to its type's exchange with a routing key of your choice.
  template <calling_actor Self, event_type T, std::convertible_to<std::string> Key>
  auto publish(Self&& self, const T& x, Key&& routing_key, publish_options options = {}) const {
    const auto timeout = options.timeout;
    return publish_as(self, publish_request(x, std::forward<Key>(routing_key), std::move(options)),
                      timeout);
  }

  /// Publishes a generic event to its exchange and routing key.
  template <calling_actor Self>
  auto publish(Self&& self, const event& x, publish_options options = {}) const {
    const auto timeout = options.timeout;
    return publish_as(self, publish_request(x, std::move(options)), timeout);
  }

  /// Publishes without an answer, from any thread. An event that cannot be sent is counted in
  /// `status` and logged.
  template <event_type T>
  void publish(const T& x, publish_options options = {}) const {
    send(publish_request(x, routing_key_of(x), std::move(options)));
  }

  void publish(const event& x, publish_options options = {}) const;

  // -- looking -----------------------------------------------------------------------

  /// Answer: `center_status`.
  template <calling_actor Self>
  auto status(Self&& self) const {
    return self->request(dispatcher_, caf::infinite, status_request());
  }

  /// Sends `self` a `link_status` for each link (`link_role`): the present one at once, then one
  /// for each change of state, until the end of `self`.
  template <calling_actor Self>
  void on_link(Self&& self) const {
    watch_links(caf::actor_cast<caf::actor>(self));
  }

  /// Blocks the calling thread until the consuming and publishing links are up. The function is
  /// meant for a program's start, not for actors. Error: `ec::connect_timeout` after the limit,
  /// with the reason for the last failed attempt to connect.
  caf::error wait_until_up(std::chrono::milliseconds limit) const;

  explicit operator bool() const noexcept {
    return static_cast<bool>(dispatcher_);
  }

  /// The handle to copy into strategies: `system.spawn(my_strategy, center.handle())`.
  const event_center& handle() const noexcept {
    return *this;
  }

protected:
  // -- requests to the actors, whose message types are private to the library ----------

  static subscription_id next_subscription_id() noexcept;
  static caf::message subscribe_request(subscription_id id, subscription spec,
                                        caf::actor subscriber);
  static caf::message unsubscribe_request(subscription_id id);
  static caf::message status_request();

  /// The attributes that an event is published with besides its data.
  struct envelope {
    std::string_view event_name;
    std::string_view exchange;
    std::string routing_key;
    /// The event's subject (`subject_of`) beyond its routing key.
    std::string subject;
    /// Whether the exchange is durable; unset if the event type does not say.
    std::optional<bool> durable_exchange;
    /// Whether the data is known to nest only a few levels, so its depth needs no check.
    bool is_flat = false;
  };

  static caf::message publish_request(envelope to, std::string_view data, publish_options options);
  static caf::message publish_request(const event& x, publish_options options);

  template <event_type T>
  static caf::message publish_request(const T& value, std::string routing_key,
                                      publish_options options) {
    envelope to{T::event_name, T::exchange, std::move(routing_key), {}, durable_exchange_of<T>(),
                false};
    if constexpr (requires { T::is_flat; })
      to.is_flat = T::is_flat;
    if constexpr (event_with_subject<T>)
      to.subject = std::string{subject_of(value)};
    return publish_request(std::move(to), data_of(value), std::move(options));
  }

  template <class Self>
  auto publish_as(Self&& self, caf::message request, std::chrono::milliseconds timeout) const {
    if constexpr (std::is_convertible_v<Self, caf::scheduled_actor*>) {
      using response = decltype(self->request(supervisor_, caf::infinite, request));
      return response{request_here(*self, std::move(request), limit_of(timeout)), self};
    } else {
      return self->request(supervisor_, limit_of(timeout), std::move(request));
    }
  }

  /// Makes a request to the supervisor, which handles the request in the calling thread if the
  /// supervisor is idle. Returns the id of the response.
  caf::message_id request_here(caf::scheduled_actor& self, caf::message request,
                               caf::duration limit) const;

  static caf::duration limit_of(std::chrono::milliseconds timeout) {
    return timeout.count() > 0 ? caf::duration{timeout} : caf::duration{caf::infinite};
  }

  void send(caf::message request) const;

  void watch_links(const caf::actor& watcher) const;

  /// Gives the log the name of the subscriber, and the reason if the subscriber ends. The
  /// subscriber's own thread calls this function, because no other may read the actor's name.
  template <class Self>
  static void introduce(Self&& self, subscription& spec) {
    if constexpr (std::is_convertible_v<Self, caf::scheduled_actor*>)
      keep_exception_text(*self);
    if (spec.strategy.empty())
      spec.strategy = own_name(self->name());
  }

  /// Returns an actor's name, or nothing if the name is CAF's for all actors of its kind.
  static std::string own_name(std::string_view name);

  /// Installs an exception handler, if the actor has none, that keeps the exception's text in
  /// the exit reason: CAF's own handler drops the text.
  static void keep_exception_text(caf::scheduled_actor& self);

  caf::actor dispatcher_;
  caf::actor supervisor_;
  /// Whether `publish` runs the supervisor on the calling thread.
  bool runs_inline_ = false;
};

/// Owns the actors of an event center: the constructor starts the actors, which connect in the
/// background; the destructor stops the actors and waits until the links are closed. A
/// `scoped_event_center` belongs in `main`, and must end before its actor system. Strategies get
/// copies of the handle: `system.spawn(my_strategy, center.handle())`.
class ACTORS_EXPORT scoped_event_center : public event_center {
public:
  /// Opens the log, then starts the actors.
  scoped_event_center(caf::actor_system& system, config settings);

  ~scoped_event_center();

  scoped_event_center(const scoped_event_center&) = delete;
  scoped_event_center& operator=(const scoped_event_center&) = delete;

  /// Turns the attempt to pass a `scoped_event_center` to `spawn` into a readable compiler error.
  template <class T>
  requires std::same_as<T, scoped_event_center> scoped_event_center(T& x) : system_(x.system_) {
    static_assert(sizeof(T) == 0, "strategies get copies of the handle: pass center.handle()");
  }

  /// Stops consuming and lets handlers finish, within the limit; then sends the outbox, again
  /// within the limit; then closes the links. The destructor calls `stop` with the limit of the
  /// config (`shutdown_config`). Returns how many messages could not be sent; those messages are
  /// in the config's `unsent_file`, if the config names one.
  std::size_t stop(std::chrono::milliseconds limit);
  std::size_t stop();

private:
  void drain(std::chrono::milliseconds limit);
  std::size_t stop_supervisor(std::chrono::milliseconds limit);
  void take_unsent(supervisor_settings& to) const;

  caf::actor_system& system_;
  shutdown_config shutdown_;
  /// Keeps the in-process brokers of the endpoints alive.
  std::vector<std::shared_ptr<amqp::memory_broker>> brokers_;
};

} // namespace actors
