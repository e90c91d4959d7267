#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>
#include <caf/behavior.hpp>
#include <caf/event_based_actor.hpp>

#include "actors/amqp/memory_broker.hpp"
#include "actors/config.hpp"
#include "actors/event_center.hpp"

namespace actors::testing {

/// A test environment for strategies: an event center on a broker inside the process, a market
/// that publishes to the same broker, and a clock that only the test advances. Nothing happens
/// between two calls, so a test never waits and its result never varies:
///
///     actors::testing::center_fixture fixture;
///     auto sold = fixture.record<actors::trade>();
///     fixture.spawn(seller); // a function-based actor: seller(self, center)
///     fixture.publish(book);
///     check(sold->size() == 1);
///     fixture.drop_links();
///     fixture.advance(1s); // the event center has reconnected
///
/// The fixture works with any test framework. All calls must come from one thread.
class ACTORS_EXPORT center_fixture {
public:
  /// Starts an event center, which has connected when the constructor returns. `semantics`
  /// selects a version of RabbitMQ; the fixture ignores the endpoints of `settings`.
  explicit center_fixture(amqp::memory_semantics semantics = {}, config settings = {});

  /// Ends all actors that `spawn` has started. All other actors must have ended before.
  ~center_fixture();

  center_fixture(const center_fixture&) = delete;
  center_fixture& operator=(const center_fixture&) = delete;

  caf::actor_system& system() noexcept;

  /// The event center of the strategies.
  const event_center& center() const noexcept;

  amqp::memory_broker& broker() noexcept;

  // -- strategies ------------------------------------------------------------------------

  /// Starts a function-based actor: `strategy(self, center, args...)`, or `strategy(center,
  /// args...)`. The strategy has subscribed when `spawn` returns.
  template <class F, class... Ts>
  caf::actor spawn(F strategy, Ts&&... args) {
    return started(caf::actor_cast<caf::actor>(
        system().spawn(std::move(strategy), center(), std::forward<Ts>(args)...)));
  }

  /// Starts a class-based actor, whose constructor gets the event center and the arguments.
  /// Returns the actor's handle, which is typed if the actor is.
  template <std::derived_from<caf::local_actor> T, class... Ts>
  auto spawn(Ts&&... args) {
    auto result = system().spawn<T>(center(), std::forward<Ts>(args)...);
    started(caf::actor_cast<caf::actor>(result));
    return result;
  }

  /// Whether an actor is still running.
  bool is_running(const caf::actor& strategy);

  // -- the market ------------------------------------------------------------------------

  /// Publishes through the market's own event center, then runs all actors (`run`).
  template <event_type T>
  void publish(const T& x, publish_options options = {}) {
    market().publish(x, std::move(options));
    run();
  }

  void publish(const event& x, publish_options options = {});

  /// Records all events of this type and binding key, by any publisher, from now on and in order.
  template <event_type T>
  std::shared_ptr<const std::vector<T>> record(std::string routing_key = "#") {
    auto result = std::make_shared<std::vector<T>>();
    auto recorder = [result](caf::event_based_actor* self, const event_center& from,
                             const subscription& spec) -> caf::behavior {
      from.subscribe(self, spec);
      return {[result](const T& x) { result->push_back(x); }};
    };
    started(system().spawn(recorder, market(), subscription::to<T>(std::move(routing_key))));
    return result;
  }

  // -- time ------------------------------------------------------------------------------

  /// Runs all actors until no message is left. All calls that cause events do so as well.
  void run();

  /// Advances the clock of strategies, event center and broker. Each event that is due happens at
  /// its own time.
  void advance(std::chrono::milliseconds by);

  // -- faults ----------------------------------------------------------------------------

  /// Drops all links, which come back as time passes.
  void drop_links(ec reason = ec::connection_lost);

  /// Restarts the broker: entities and messages that are not durable are lost, and links come
  /// back as time passes.
  void restart_broker();

  /// Has the broker refuse the next request about this exchange or queue.
  void refuse_next(std::string entity, ec reason);

  /// Stops all activity and answers of the broker until `resume_broker`.
  void stall_broker();
  void resume_broker();

  /// Has the broker confirm the next messages but lose them, so that strategies with stream
  /// events get a `stream_gap`. For a `stream_stale`, advance the clock without messages.
  void lose_next(std::size_t messages = 1);

  // -- looking ---------------------------------------------------------------------------

  center_status status();

private:
  const event_center& market() const noexcept;
  caf::actor started(caf::actor strategy);

  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace actors::testing
