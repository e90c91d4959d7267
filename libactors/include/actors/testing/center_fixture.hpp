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

/// A strategy's surroundings in a test: an event center on a broker within the process, a market
/// beside it, and a time that passes only when the test says so. Nothing happens between two
/// calls, so a test never waits, and always ends the same:
///
///     actors::testing::center_fixture x;
///     auto sold = x.record<actors::trade>();
///     x.spawn(seller); // a function-based actor: seller(self, center)
///     x.publish(book);
///     check(sold->size() == 1);
///     x.drop_links();
///     x.advance(1s); // it has reconnected
///
/// It works with any test framework. All calls come from one thread.
class ACTORS_EXPORT center_fixture {
public:
  /// An event center that has connected. The semantics are those of a version of RabbitMQ
  /// (`amqp::memory_semantics`); of the settings the endpoints are not used.
  explicit center_fixture(amqp::memory_semantics semantics = {}, config settings = {});

  /// Ends all actors that `spawn` has started. Others must have ended.
  ~center_fixture();

  center_fixture(const center_fixture&) = delete;
  center_fixture& operator=(const center_fixture&) = delete;

  caf::actor_system& system() noexcept;

  /// The event center of the strategies.
  const event_center& center() const noexcept;

  amqp::memory_broker& broker() noexcept;

  // -- strategies ------------------------------------------------------------------------

  /// Starts a function-based actor: `strategy(self, center, args...)`, or `strategy(center,
  /// args...)`. It has subscribed when this returns.
  template <class F, class... Ts>
  caf::actor spawn(F strategy, Ts&&... args) {
    return started(caf::actor_cast<caf::actor>(
        system().spawn(std::move(strategy), center(), std::forward<Ts>(args)...)));
  }

  /// Starts a class-based actor, whose constructor gets the event center and the arguments. The
  /// handle is typed if the actor is.
  template <std::derived_from<caf::local_actor> T, class... Ts>
  auto spawn(Ts&&... args) {
    auto result = system().spawn<T>(center(), std::forward<Ts>(args)...);
    started(caf::actor_cast<caf::actor>(result));
    return result;
  }

  /// Whether an actor has not ended.
  bool is_running(const caf::actor& strategy);

  // -- the market ------------------------------------------------------------------------

  /// Publishes by another event center, and lets everybody handle what follows.
  template <event_type T>
  void publish(const T& x, publish_options options = {}) {
    market().publish(x, std::move(options));
    run();
  }

  void publish(const event& x, publish_options options = {});

  /// Keeps what anybody publishes from now on, in order, of this type and binding key.
  template <event_type T>
  std::shared_ptr<const std::vector<T>> record(std::string routing_key = "#") {
    auto result = std::make_shared<std::vector<T>>();
    auto recorder = [result](caf::event_based_actor* self, const event_center& from,
                             const subscription& what) -> caf::behavior {
      from.subscribe(self, what);
      return {[result](const T& x) { result->push_back(x); }};
    };
    started(system().spawn(recorder, market(), subscription::to<T>(std::move(routing_key))));
    return result;
  }

  // -- time ------------------------------------------------------------------------------

  /// Lets everybody handle what waits for them. All other calls do so as well.
  void run();

  /// Lets time pass, for strategies, event center and broker. What is due happens at its time.
  void advance(std::chrono::milliseconds by);

  // -- faults ----------------------------------------------------------------------------

  /// All links are lost. They come back as time passes.
  void drop_links(ec reason = ec::connection_lost);

  /// The broker restarts: what is not durable is gone. Links come back as time passes.
  void restart_broker();

  /// The broker refuses the next request about this exchange or queue.
  void refuse_next(std::string entity, ec reason);

  /// The broker does and answers nothing until `resume_broker`.
  void stall_broker();
  void resume_broker();

  /// The broker confirms the next messages and loses them: strategies with stream events are
  /// told of a gap. For a stale stream let time pass without messages.
  void lose_next(std::size_t messages = 1);

  // -- looking ---------------------------------------------------------------------------

  center_status status();

private:
  const event_center& market() const noexcept;
  caf::actor started(caf::actor x);

  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace actors::testing
