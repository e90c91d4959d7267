#include <cstdlib>
#include <thread>

#include <actors/error.hpp>
#include <actors/system_config.hpp>
#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>

#include "bodies.hpp"
#include "center/settings.hpp"
#include "completion.hpp"

namespace with_actors {

namespace {

struct run {
  std::uint64_t wanted = 0;
  std::uint64_t subscribed = 0;
  bench::completion done;
};

caf::behavior strategy(caf::event_based_actor* self, actors::event_center center,
                       std::vector<actors::subscription> xs, run* of) {
  of->wanted = xs.size();
  for (auto& x : xs)
    center.subscribe(self, std::move(x))
        .then(
            [=](const actors::subscribed&) {
              if (++of->subscribed == of->wanted)
                of->done.signal();
            },
            [](const caf::error& err) { bench::fail(actors::text_of(err)); });
  return {[](const actors::orderbook&) {}};
}

std::vector<actors::subscription> different(bench::work x, const strategy_options& how,
                                            std::uint64_t count) {
  std::vector<actors::subscription> result;
  auto queue = x.queue;
  for (std::uint64_t i = 0; i < count; ++i) {
    auto key = "simulated.S" + std::to_string(i) + "/USDT";
    x.queue = queue + '.' + std::to_string(i);
    result.push_back(subscription_for(x, how, key));
  }
  return result;
}

void subscribe_and_wait(caf::actor_system& system, const actors::event_center& center,
                        std::vector<actors::subscription> xs) {
  run all;
  system.spawn(strategy, center, std::move(xs), &all);
  all.done.wait();
}

} // namespace

void subscriptions(const bench::work& x, const strategy_options& how) {
  actors::system_config cfg;
  caf::actor_system system{cfg};
  actors::scoped_event_center center{system, settings_for(x, how)};
  auto first = x;
  first.queue += ".first"; // the connection stands once this one does
  subscribe_and_wait(system, center, different(first, how, 1));
  auto xs = different(x, how, x.count);
  auto begin = bench::usage_now(x.broker);
  subscribe_and_wait(system, center, std::move(xs));
  auto end = bench::usage_now(x.broker);
  // Measured, not waited for: what an idle process uses.
  std::this_thread::sleep_for(std::chrono::seconds{1});
  auto idle_begin = bench::usage_now(0);
  std::this_thread::sleep_for(std::chrono::seconds{4});
  auto idle_end = bench::usage_now(0);
  auto seconds = [](auto& from, auto& to) {
    return std::chrono::duration<double>(to.at - from.at).count();
  };
  bench::print_figures(
      {{"events", static_cast<double>(x.count)},
       {"seconds", seconds(begin, end)},
       {"cpu", end.cpu - begin.cpu},
       {"broker", end.broker - begin.broker},
       {"resident", bench::resident_mib()},
       {"idle", 100 * (idle_end.cpu - idle_begin.cpu) / (seconds(idle_begin, idle_end) * 1e6)}});
}

} // namespace with_actors
