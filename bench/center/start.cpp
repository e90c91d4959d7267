#include <cstdlib>

#include <actors/error.hpp>
#include <actors/system_config.hpp>
#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>

#include "bodies.hpp"
#include "center/settings.hpp"
#include "completion.hpp"

namespace with_actors {

namespace {

caf::behavior strategy(caf::event_based_actor* self, actors::event_center center,
                       actors::subscription what, actors::orderbook first,
                       bench::completion* done) {
  // In a queue that is filled the first event comes by itself, and earlier.
  center.subscribe(self, std::move(what))
      .then([=](const actors::subscribed&) { center.publish(first); },
            [](const caf::error& err) { bench::fail(actors::text_of(err)); });
  return {[=](const actors::orderbook&) { done->signal(); }};
}

} // namespace

void start(const bench::work& x, const strategy_options& how) {
  auto started_at = std::getenv("BENCH_STARTED_AT");
  if (!started_at)
    bench::fail("BENCH_STARTED_AT is not set");
  auto what = bench::make_bodies("book10", 1);
  actors::system_config cfg;
  caf::actor_system system{cfg};
  actors::scoped_event_center center{system, settings_for(x, how)};
  bench::completion done;
  system.spawn(strategy, actors::event_center{center}, subscription_for(x, how, what.routing_key),
               std::get<actors::orderbook>(what.events.front()), &done);
  done.wait();
  auto now = bench::clock::now().time_since_epoch();
  auto elapsed = now - std::chrono::nanoseconds{std::atoll(started_at)};
  bench::print_figures(
      {{"milliseconds", std::chrono::duration<double, std::milli>(elapsed).count()},
       {"resident", bench::resident_mib()}});
}

} // namespace with_actors
