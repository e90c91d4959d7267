// Tests a strategy in virtual time: 0 if it has its trade.

#include <cstdlib>

#include <actors/testing/center_fixture.hpp>

int main() {
  actors::testing::center_fixture x;
  std::size_t seen = 0;
  x.spawn([&](caf::event_based_actor* self, const actors::event_center& center) -> caf::behavior {
    center.subscribe(self, actors::trades("test", "#"));
    return {[&](const actors::trade&) { ++seen; }};
  });
  x.publish(actors::trade{.platform = "test", .symbol = "ETH/USDT"});
  return seen == 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}
