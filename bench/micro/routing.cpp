// Which handlers a message is for.

#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "amqp/topic.hpp"
#include "delivery/handler_table.hpp"

namespace {

void topic_match(benchmark::State& state, const char* binding) {
  for (auto _ : state)
    benchmark::DoNotOptimize(actors::topic_matches(binding, "binance.ETH/USDT"));
}

BENCHMARK_CAPTURE(topic_match, exact, "binance.ETH/USDT");
BENCHMARK_CAPTURE(topic_match, star, "binance.*");
BENCHMARK_CAPTURE(topic_match, hash, "#.ETH/USDT");
BENCHMARK_CAPTURE(topic_match, other, "okx.#");

std::string key(std::int64_t i) {
  return "platform" + std::to_string(i % 20) + ".S" + std::to_string(i) + "/USDT";
}

/// So many exact keys, and wildcard bindings of the two forms that AIOQuant's
/// subscriptions make: any symbol of a platform, any platform of a symbol.
void handler_lookup(benchmark::State& state) {
  const auto exact = state.range(0);
  const auto wildcards = state.range(1);
  actors::handler_table table;
  actors::subscription_id id = 0;
  for (std::int64_t i = 0; i < exact; ++i)
    table.insert(++id, "Orderbook", key(i));
  for (std::int64_t i = 0; i < wildcards; ++i)
    table.insert(++id, "Orderbook",
                 i % 2 == 0 ? "venue" + std::to_string(i) + ".#"
                            : "#.S" + std::to_string(i) + "/USDT");
  std::vector<std::string> keys;
  for (std::int64_t i = 0; i < 1'024; ++i)
    keys.push_back(key(i * exact / 1'024));
  std::size_t i = 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(table.match("Orderbook", keys[++i % keys.size()]));
}

BENCHMARK(handler_lookup)
    ->Args({1, 0})
    ->Args({100, 10})
    ->Args({1'000, 100})
    ->Args({10'000, 0})
    ->Args({10'000, 1'000})
    ->Args({100'000, 1'000});

} // namespace
