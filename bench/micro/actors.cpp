// What CAF takes: one hop, and one message to many.

#include <atomic>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>
#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/make_message.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include "actors/market.hpp"
#include "actors/system_config.hpp"
#include "center/messages.hpp"
#include "completion.hpp"

namespace {

caf::message book_message() {
  actors::orderbook book;
  book.platform = "binance";
  book.symbol = "ETH/USDT";
  return caf::make_message(std::move(book));
}

/// Counts books down, and tells when it has had them all.
caf::behavior receiver(caf::event_based_actor*, std::atomic<std::int64_t>* missing,
                       bench::completion* done) {
  return {[=](const actors::orderbook&) {
    if (--*missing == 0)
      done->signal();
  }};
}

/// One shared message to each of so many actors.
void send_to_each(benchmark::State& state) {
  constexpr std::int64_t rounds = 1'000;
  actors::system_config cfg;
  caf::actor_system system{cfg};
  auto message = book_message();
  std::atomic<std::int64_t> missing{0};
  bench::completion* done = nullptr;
  for (auto _ : state) {
    bench::completion all;
    done = &all;
    missing = rounds * state.range(0);
    std::vector<caf::actor> receivers;
    for (std::int64_t i = 0; i < state.range(0); ++i)
      receivers.push_back(system.spawn(receiver, &missing, done));
    for (std::int64_t i = 0; i < rounds; ++i)
      for (auto& x : receivers)
        caf::anon_send(x, message);
    all.wait();
  }
  state.SetItemsProcessed(state.iterations() * rounds * state.range(0));
}

BENCHMARK(send_to_each)->Arg(1)->Arg(8)->Arg(64)->MeasureProcessCPUTime()->UseRealTime();

caf::behavior echo(caf::event_based_actor*) {
  return {[](int x) { return x; }};
}

/// There and back between two threads that sleep in between.
void round_trip(benchmark::State& state) {
  actors::system_config cfg;
  caf::actor_system system{cfg};
  auto other = system.spawn(echo);
  caf::scoped_actor self{system};
  for (auto _ : state)
    self->request(other, caf::infinite, 1).receive([](int) {}, [](const caf::error&) {});
  self->send_exit(other, caf::exit_reason::user_shutdown);
}

BENCHMARK(round_trip)->MeasureProcessCPUTime()->UseRealTime();

} // namespace
