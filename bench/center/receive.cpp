#include <atomic>
#include <memory>

#include <actors/error.hpp>
#include <actors/system_config.hpp>
#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>

#include "bodies.hpp"
#include "center/settings.hpp"
#include "completion.hpp"

namespace with_actors {

namespace {

/// Shared by the strategies of a run: the first one measures, the last one
/// ends it.
struct run {
  bench::measurement measured;
  std::uint64_t count;
  std::atomic<std::size_t> unfinished;
  bench::completion done;

  void finish() {
    if (--unfinished == 0)
      done.signal();
  }
};

struct counter {
  std::uint64_t seen = 0;
};

caf::behavior strategy(caf::stateful_actor<counter>* self, actors::event_center center,
                       actors::subscription what, run* of, bool measures) {
  center.subscribe(self, std::move(what))
      .then([](const actors::subscribed&) {},
            [](const caf::error& err) { bench::fail(actors::text_of(err)); });
  auto count = [=] {
    auto number = ++self->state.seen;
    if (measures)
      of->measured.event(number);
    if (number == of->count)
      of->finish();
  };
  return {
      [=](const actors::orderbook&) { count(); },
      [=](const actors::trade&) { count(); },
      [=](const actors::kline&) { count(); },
  };
}

} // namespace

void receive(const bench::work& x, const strategy_options& how) {
  auto what = bench::make_bodies(x.kind, 1);
  actors::system_config cfg;
  caf::actor_system system{cfg};
  actors::scoped_event_center center{system, settings_for(x, how)};
  run all{{x.warm_up, x.count, x.broker}, x.count, {how.strategies}, {}};
  for (std::size_t i = 0; i < how.strategies; ++i)
    system.spawn(strategy, actors::event_center{center}, subscription_for(x, how, what.routing_key),
                 &all, i + 1 == how.strategies);
  all.done.wait();
  all.measured.print();
}

} // namespace with_actors
