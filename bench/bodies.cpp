#include "bodies.hpp"

#include <cstdlib>
#include <iostream>
#include <memory>

#include <zlib.h>

#include "actors/error.hpp"
#include "actors/event_type.hpp"
#include "market_data/recording.hpp"
#include "market_data/simulated_market.hpp"
#include "wire/payload.hpp"

namespace bench {

namespace {

using market_data::market_event;

std::unique_ptr<market_data::feed> simulated(std::size_t levels) {
  market_data::simulation_settings settings;
  settings.symbols = {"BTC/USDT"};
  settings.rate = 1.0; // so that most trades end in a kline
  settings.levels = levels;
  settings.start = std::chrono::milliseconds{1'723'075'200'000};
  return std::make_unique<market_data::simulated_market>(std::move(settings));
}

std::unique_ptr<market_data::feed> recorded() {
  auto folder = std::getenv("ACTORS_RECORDINGS");
  if (!folder)
    fail("ACTORS_RECORDINGS names no folder of recordings");
  market_data::recording_settings settings;
  settings.path = std::string{folder} + "/binance_spot_btcusdt_20240808.aioquant-mix.txt.gz";
  settings.symbol_map = {{"BTCUSDT", "BTC/USDT"}};
  settings.symbol = "BTC/USDT";
  auto result = market_data::recording::open(settings);
  if (!result)
    fail(actors::text_of(result.error()));
  return std::make_unique<market_data::recording>(std::move(*result));
}

/// A body as AIOQuant publishes it: what is received is the same, whoever encodes faster.
std::string sealed_by_python(std::string_view name, const std::string& data) {
  const auto text = "{\"n\": \"" + std::string{name} + "\", \"d\": " + data + '}';
  std::string result(::compressBound(text.size()), '\0');
  auto size = static_cast<uLongf>(result.size());
  ::compress(reinterpret_cast<Bytef*>(result.data()), &size,
             reinterpret_cast<const Bytef*>(text.data()), text.size());
  result.resize(size);
  return result;
}

template <class T>
void add(bodies& to, const market_event& x, bool own) {
  auto event = std::get_if<T>(&x);
  if (!event)
    return;
  to.exchange = T::exchange;
  to.routing_key = actors::routing_key_of(*event);
  const auto data = actors::data_of(*event);
  to.sealed.push_back(own ? actors::payload_encoder::of_this_thread().encode(T::event_name, data)
                          : sealed_by_python(T::event_name, data));
  to.events.push_back(x);
}

} // namespace

bodies make_bodies(std::string_view kind, std::size_t count) {
  auto source = kind == "recorded" ? recorded() : simulated(kind == "book20" ? 20 : 10);
  const auto own = kind == "own10";
  bodies result;
  while (result.events.size() < count) {
    auto next = source->next();
    if (!next)
      fail(actors::text_of(next.error()));
    if (!*next)
      break; // a recording has an end
    auto& what = (*next)->what;
    if (kind == "trade")
      add<actors::trade>(result, what, own);
    else if (kind == "kline")
      add<actors::kline>(result, what, own);
    else
      add<actors::orderbook>(result, what, own);
  }
  if (result.events.empty())
    fail("there are no events of kind " + std::string{kind});
  return result;
}

void fail(const std::string& what) {
  std::cerr << "bench: " << what << std::endl;
  std::exit(1);
}

} // namespace bench
