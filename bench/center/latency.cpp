#include <variant>

#include <actors/error.hpp>
#include <actors/system_config.hpp>
#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>

#include "bodies.hpp"
#include "center/settings.hpp"
#include "completion.hpp"

namespace with_actors {

namespace {

struct run {
  const bench::work& wanted;
  const bench::schedule* when = nullptr;
  std::vector<double> late;
  bench::completion subscribed;
  bench::completion done;
};

caf::behavior strategy(caf::event_based_actor* self, actors::event_center center,
                       actors::subscription what, run* of) {
  center.subscribe(self, std::move(what))
      .then([=](const actors::subscribed&) { of->subscribed.signal(); },
            [](const caf::error& err) { bench::fail(actors::text_of(err)); });
  return {[=](const actors::orderbook& x) {
    auto number = static_cast<std::uint64_t>(x.timestamp);
    if (number > of->wanted.warm_up)
      of->late.push_back(of->when->lateness(number, bench::clock::now()));
    if (number == of->wanted.count)
      of->done.signal();
  }};
}

} // namespace

void latency(const bench::work& x, const strategy_options& how) {
  auto what = bench::make_bodies(x.kind);
  actors::system_config cfg;
  caf::actor_system system{cfg};
  actors::scoped_event_center center{system, settings_for(x, how)};
  run all{x, nullptr, {}, {}, {}};
  system.spawn(strategy, actors::event_center{center}, subscription_for(x, how, what.routing_key),
               &all);
  all.subscribed.wait();
  bench::schedule when{x.rate};
  all.when = &when;
  auto begin = bench::usage_now(0);
  for (std::uint64_t i = 1; i <= x.count; ++i) {
    auto next = std::get<actors::orderbook>(what.events[i % what.events.size()]);
    next.timestamp = static_cast<std::int64_t>(i);
    when.await(i);
    center.publish(next);
  }
  all.done.wait();
  auto cpu = bench::usage_now(0).cpu - begin.cpu;
  bench::print_latencies(std::move(all.late), cpu / static_cast<double>(x.count));
}

} // namespace with_actors
