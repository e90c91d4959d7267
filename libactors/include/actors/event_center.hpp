#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
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

/// What a call is made by: a pointer to the calling actor, or a `caf::scoped_actor`.
template <class T>
concept calling_actor = requires(T& self) {
  self->name();
};

/// What `event_center::subscribe` gives back: the answer that comes (`.then(...)`), and what
/// names the subscription from now on.
template <class Response>
struct pending_subscription : Response {
  subscription_id subscription = 0;
};

/// Market events to and from strategy actors: a small value, copied freely into
/// strategies. Start one with `scoped_event_center`.
///
/// `self` is the calling actor (`caf::event_based_actor*`, `caf::scoped_actor&`,
/// ...). What is answered comes to it as the response of a request: chain
/// `.then(...)` or `.receive(...)`, or drop the result and go on.
class ACTORS_EXPORT event_center {
public:
  /// Not started: calls are answered with `caf::sec::invalid_argument` at once;
  /// after the end of its owner, with `caf::sec::request_receiver_down`.
  event_center() = default;

  event_center(caf::actor dispatcher, caf::actor supervisor);

  // Copied only: to move from a `scoped_event_center` would leave nothing to stop.
  event_center(const event_center&) = default;
  event_center& operator=(const event_center&) = default;

  // -- on another host ---------------------------------------------------------------

  /// The settings of an event center that reaches its broker by a relay on another
  /// host (`actors/relay.hpp`), or by the next of several when one is lost. Strategies
  /// need not know:
  ///
  ///     scoped_event_center center{system, event_center::remote("relay-1", 5670)};
  ///
  /// Over TLS; `tls` says who is trusted and who we are.
  static config remote(std::string host, std::uint16_t port, amqp::tls_options tls = {},
                       config settings = {});

  /// The same with several relays, or without TLS: `parse_endpoint` reads
  /// "relays://host:port?cacertfile=..." and "relay://host:port".
  static config remote(std::vector<amqp::endpoint> relays, config settings = {});

  // -- receiving -------------------------------------------------------------------

  /// Sends what matches to `self`, from now on until `unsubscribe` or the end
  /// of `self`. Answer: `subscribed` once the broker has confirmed the
  /// consumer, however long it takes to reach one, or a `caf::error`. After the timeout
  /// (0 is none) it is `caf::sec::request_timeout`, and the subscription goes on.
  ///
  /// What it gives back has the subscription's id, by which `unsubscribe` ends it at any time,
  /// also before the answer, which is `ec::not_subscribed` then:
  ///
  ///     auto pending = center.subscribe(self, trades("binance", "ETH/USDT"));
  ///     center.unsubscribe(self, pending.subscription);
  template <calling_actor Self>
  auto subscribe(Self&& self, subscription what, std::chrono::milliseconds timeout = {}) const {
    introduce(self, what);
    const auto id = next_subscription_id();
    auto answer =
        self->request(dispatcher_, limit_of(timeout),
                      subscribe_request(id, std::move(what), caf::actor_cast<caf::actor>(self)));
    return pending_subscription<decltype(answer)>{std::move(answer), id};
  }

  /// The same for a strategy from outside; an error goes to the log. Gives back its id.
  subscription_id subscribe(caf::actor strategy, subscription what) const;

  /// Ends a subscription. Answer: nothing, or `ec::not_subscribed`.
  template <calling_actor Self>
  auto unsubscribe(Self&& self, subscription_id id) const {
    return self->request(dispatcher_, caf::infinite, unsubscribe_request(id));
  }

  // -- sending -----------------------------------------------------------------------

  /// Publishes an event to its type's exchange with the routing key
  /// "{platform}.{symbol}". Answer: `published` once the broker has confirmed it,
  /// or a `caf::error`: `ec::no_route` (if mandatory or persistent),
  /// `ec::publish_rejected`, `ec::outbox_full`, `ec::outbox_dropped`, `ec::expired`,
  /// `ec::limit_exceeded` (no receiver takes it), `ec::in_doubt` (the broker may have it), ...
  template <calling_actor Self, event_type T>
  auto publish(Self&& self, const T& x, publish_options options = {}) const {
    return publish(self, x, routing_key_of(x), std::move(options));
  }

  /// The same with a routing key of your choice.
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

  /// Publishes without an answer, from any thread. What cannot be sent is
  /// counted in `status` and logged.
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

  /// Sends `self` a `link_status` for each link: how it is now, then each time that its state
  /// changes, until the end of `self`. Publishing has a link of its own (`link_role`).
  template <calling_actor Self>
  void on_link(Self&& self) const {
    watch_links(caf::actor_cast<caf::actor>(self));
  }

  /// Waits until consuming and publishing links are up, and blocks the calling thread
  /// meanwhile: for a program's start, not for actors. Error: `ec::connect_timeout` after the
  /// limit, with the last reason for which a link was not made.
  caf::error wait_until_up(std::chrono::milliseconds limit) const;

  explicit operator bool() const noexcept {
    return static_cast<bool>(dispatcher_);
  }

  /// What strategies get a copy of: `system.spawn(my_strategy, center.handle())`.
  const event_center& handle() const noexcept {
    return *this;
  }

protected:
  // -- requests to the actors, which only the library can read -------------------------

  static subscription_id next_subscription_id() noexcept;
  static caf::message subscribe_request(subscription_id id, subscription what,
                                        caf::actor subscriber);
  static caf::message unsubscribe_request(subscription_id id);
  static caf::message status_request();

  /// What an event is published with besides its data.
  struct envelope {
    std::string_view event_name;
    std::string_view exchange;
    std::string routing_key;
    /// What it is about beyond its routing key.
    std::string subject;
    /// How its exchange is declared; nothing, if its type does not say.
    std::optional<bool> durable_exchange;
    /// Whether its data is never nested as deep as any limit.
    bool is_flat = false;
  };

  static caf::message publish_request(envelope to, std::string_view data, publish_options options);
  static caf::message publish_request(const event& x, publish_options options);

  template <event_type T>
  static caf::message publish_request(const T& x, std::string routing_key,
                                      publish_options options) {
    envelope to{T::event_name, T::exchange, std::move(routing_key), {}, durable_exchange_of<T>(),
                false};
    if constexpr (requires { T::is_flat; })
      to.is_flat = T::is_flat;
    if constexpr (event_with_subject<T>)
      to.subject = std::string{subject_of(x)};
    return publish_request(std::move(to), data_of(x), std::move(options));
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

  /// Makes a request to the supervisor, which handles it in this thread if it is idle.
  /// Returns the id of the response.
  caf::message_id request_here(caf::scheduled_actor& self, caf::message request,
                               caf::duration limit) const;

  static caf::duration limit_of(std::chrono::milliseconds timeout) {
    return timeout.count() > 0 ? caf::duration{timeout} : caf::duration{caf::infinite};
  }

  void send(caf::message request) const;

  void watch_links(const caf::actor& watcher) const;

  /// Lets the log know who subscribes, and why it ends if it does. Called by the actor
  /// itself, as its name is nobody else's to read.
  template <class Self>
  static void introduce(Self&& self, subscription& what) {
    if constexpr (std::is_convertible_v<Self, caf::scheduled_actor*>)
      keep_exception_text(*self);
    if (what.strategy.empty())
      what.strategy = self->name();
  }

  /// Lets an actor that has no exception handler of its own end with what its exception
  /// said: CAF's handler forgets it.
  static void keep_exception_text(caf::scheduled_actor& self);

  caf::actor dispatcher_;
  caf::actor supervisor_;
  /// Whether a publisher's thread does the supervisor's part as well.
  bool runs_inline_ = false;
};

/// Owns the actors of an event center: the constructor starts them, and they
/// connect in the background; the destructor stops them and waits until the
/// links are closed. Keep it in `main` and give strategies copies of its
/// handle: `system.spawn(my_strategy, center.handle())`. It must end before its actor system.
class ACTORS_EXPORT scoped_event_center : public event_center {
public:
  /// Starts the log, then the actors.
  scoped_event_center(caf::actor_system& system, config settings);

  ~scoped_event_center();

  scoped_event_center(const scoped_event_center&) = delete;
  scoped_event_center& operator=(const scoped_event_center&) = delete;

  /// For an error that can be read, where one is given to `spawn`.
  template <class T>
  requires std::same_as<T, scoped_event_center> scoped_event_center(T& x) : system_(x.system_) {
    static_assert(sizeof(T) == 0, "strategies get copies of the handle: pass center.handle()");
  }

  /// Stops consuming and lets handlers finish, for as long as the limit at most;
  /// then hands everything over that waits in the outbox, again within the limit;
  /// then closes the links. Called by the destructor, with the limit of the
  /// config (`shutdown_config`). Gives back how many messages could not be sent;
  /// they are in the config's `unsent_file`, if it names one.
  std::size_t stop(std::chrono::milliseconds limit);
  std::size_t stop();

private:
  void drain(std::chrono::milliseconds limit);
  std::size_t stop_supervisor(std::chrono::milliseconds limit);
  void take_unsent(supervisor_settings& to) const;

  caf::actor_system& system_;
  shutdown_config shutdown_;
  /// Keeps the in-process brokers of our endpoints alive.
  std::vector<std::shared_ptr<amqp::memory_broker>> brokers_;
};

} // namespace actors
