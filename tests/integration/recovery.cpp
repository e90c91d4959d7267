#define CAF_SUITE recovery

// How long a thousand subscriptions take to come back, from the moment when the broker's
// port opens.

#include "support/center_fixture.hpp"
#include "support/chaos_proxy.hpp"
#include "support/port.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::testing;
using namespace std::chrono_literals;

namespace {

using clock = std::chrono::steady_clock;

constexpr auto count = 1'000u;

/// All subscriptions of one strategy.
caf::behavior subscriber(caf::event_based_actor* self, const event_center& center) {
  for (auto i = 0u; i < count; ++i)
    center.subscribe(self, trades("it", std::to_string(i)));
  return {[](const trade&) {}};
}

struct fixture : center_fixture {
  explicit fixture(config settings) : center_fixture(std::move(settings)) {
    strategies.push_back(sys.spawn(subscriber, event_center{center}));
    CAF_REQUIRE(consumes());
  }

  bool consumes() {
    auto holds = [this] {
      const auto rows = status().dispatcher.handlers;
      return rows.size() == count
             && std::all_of(rows.begin(), rows.end(),
                            [](const handler_status& x) { return x.consuming; });
    };
    // A status of this size is not for nothing.
    return eventually(holds, patience, 100ms);
  }

  /// Waits until all are consuming, and gives back how long that has been from the start of
  /// the clock, in ms. Says in which steps.
  std::int64_t time_since(clock::time_point start) {
    auto elapsed = [=] { return (clock::now() - start) / 1ms; };
    CAF_CHECK(eventually([this] { return link(link_role::consuming).state == link_state::up; }));
    const auto up = elapsed();
    CAF_CHECK(consumes());
    const auto all = elapsed();
    CAF_MESSAGE(count << " subscriptions consume " << all
                      << " ms after the port opened; the link was up after " << up << " ms");
    return all;
  }
};

/// Far more than the two seconds that an idle machine needs, and far less than one answer
/// after the other would take.
constexpr auto limit = 10'000;

} // namespace

// From a broker that has none of our queues, as one that was restarted. The best of three
// counts.
CAF_TEST(a thousand subscriptions are back in seconds) {
  if (!test_broker::available())
    return;
  chaos_proxy proxy{test_broker::url()};
  auto settings = settings_for_tests(proxy.url());
  settings.reconnect.limit = 250ms;
  fixture f{settings};
  auto best = patience / 1ms;
  for (auto i = 0; i < 3; ++i) {
    proxy.tell("refuse");
    proxy.tell("cut");
    CAF_REQUIRE(eventually([&] {
      return test_broker::folder().ask_ctl("list_queues name").find(settings.server_id)
             == std::string::npos;
    }));
    proxy.tell("listen");
    best = std::min(best, f.time_since(clock::now()));
  }
  CAF_CHECK(best < limit);
}

// By default settings: the first attempt that meets the open port may be a while off.
CAF_TEST(a thousand subscriptions are back after a crash of the broker) {
  if (!test_broker::available())
    return;
  auto settings = settings_for_tests();
  settings.reconnect = {};
  const auto port = port_of(test_broker::url());
  fixture f{settings};
  test_broker::kill();
  // Its threads end one by one, the last one with the socket.
  CAF_REQUIRE(eventually([&] { return !is_open(port); }));
  clock::time_point opened;
  std::thread watch{[&] {
    eventually([&] { return is_open(port); });
    opened = clock::now();
  }};
  test_broker::restart();
  watch.join();
  f.time_since(opened);
}
