#include "candle_builder.hpp"

#include "run.hpp"

// Prints the candles of anybody.
caf::behavior printer(caf::event_based_actor* self, actors::event_center center) {
  center.subscribe(self, actors::klines("simulated", "ETH/USDT").of_type("kline_5s"));
  return {[](const actors::kline& x) {
    std::cout << x.timestamp << ": open " << x.open.text() << " high " << x.high.text() << " low "
              << x.low.text() << " close " << x.close.text() << std::endl;
  }};
}

int main(int argc, char** argv) {
  return run(argc, argv, [](auto& system, auto& center, auto& stop) {
    system.spawn(printer, center);
    system.spawn(candle_builder, center, "candle_builder.state");
    stop.wait();
  });
}
