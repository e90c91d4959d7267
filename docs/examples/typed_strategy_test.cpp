#include "typed_strategy.hpp"

#include <cstdlib>
#include <iostream>

#include <actors/testing/center_fixture.hpp>
#include <caf/scoped_actor.hpp>

namespace {

actors::orderbook book(double bid, double ask) {
  using actors::decimal;
  return {.platform = "simulated",
          .symbol = "ETH/USDT",
          .asks = {{decimal::fixed(ask, 2), decimal::fixed(1, 0)}},
          .bids = {{decimal::fixed(bid, 2), decimal::fixed(1, 0)}}};
}

void check(bool passed, std::string_view what) {
  std::cout << (passed ? "passed: " : "FAILED: ") << what << std::endl;
  if (!passed)
    std::exit(1);
}

} // namespace

int main() {
  using namespace std::chrono_literals;
  actors::testing::center_fixture x;
  fair_price_actor strategy = x.spawn<fair_price>("ETH/USDT");
  auto price = [&] {
    caf::scoped_actor self{x.system()};
    auto answer = self->request(strategy, caf::infinite, caf::get_atom_v);
    x.run();
    auto result = 0.0;
    answer.receive([&](double y) { result = y; }, [](const caf::error&) {});
    return result;
  };
  check(price() == 0, "there is no price before the first book");
  x.publish(book(99, 101));
  check(price() == 100, "the first book is the price");
  x.publish(book(109, 111));
  check(price() == 101, "a book moves the price by a tenth");
  x.advance(10s);
  check(price() == 101, "a price is good for ten seconds");
  x.advance(1s);
  check(price() == 0, "there is no price after that");
  x.drop_links();
  x.advance(10s);
  x.publish(book(109, 111));
  check(price() > 101, "prices go on once the links are back");
}
