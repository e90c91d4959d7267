#define CAF_SUITE instances

// Which event centers share their queues, with real threads and time, on an
// in-process broker.

#include <deque>
#include <vector>

#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>

#include "actors/amqp/memory_broker.hpp"
#include "actors/error.hpp"
#include "actors/event_center.hpp"
#include "actors/system_config.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace std::chrono_literals;

namespace {

/// Only who does not get all waits as long.
constexpr auto patience = 30s;

struct fixture {
  fixture() : broker(amqp::memory_broker::named("instances")), system(cfg) {
    // nop
  }

  void start(config settings) {
    settings.endpoints = {*amqp::parse_endpoint("memory:instances")};
    settings.log.level = log_level::off;
    settings.shutdown.limit = 0ms;
    auto& center = centers.emplace_back(system, std::move(settings));
    auto& strategy = strategies.emplace_back(system);
    center.subscribe(strategy, trades("p", "s"))
        .receive([](const subscribed&) {}, [](const caf::error& err) { CAF_FAIL(text_of(err)); });
  }

  // How many of `sent` trades each strategy gets.
  std::vector<int> publish(int sent) {
    for (auto i = 0; i < sent; ++i) {
      trade x;
      x.platform = "p";
      x.symbol = "s";
      centers.front()
          .publish(strategies.front(), x)
          .receive([](const published&) {}, [](const caf::error& err) { CAF_FAIL(text_of(err)); });
    }
    std::vector<int> result(strategies.size());
    for (std::size_t i = 0; i < strategies.size(); ++i)
      for (auto more = true; more && result[i] < sent;)
        strategies[i]->receive([&](const trade&) { ++result[i]; },
                               caf::after(patience) >> [&] { more = false; });
    return result;
  }

  std::shared_ptr<amqp::memory_broker> broker;
  actors::system_config cfg;
  caf::actor_system system;
  std::deque<scoped_event_center> centers;
  std::deque<caf::scoped_actor> strategies;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(instance_tests, fixture)

CAF_TEST(each event center gets every message however it was configured) {
  config made;
  auto read = *parse_config("{}");
  for (auto& settings : {made, made, read, read, event_center::remote("relay", 5670, {}, made)})
    start(settings);
  CAF_CHECK(publish(10) == std::vector<int>(5, 10));
}

CAF_TEST(event centers of one instance share their queue) {
  config made;
  made.instance = "";
  start(made);
  start(*parse_config(R"({"INSTANCE": ""})"));
  auto queues = broker->queues();
  CAF_REQUIRE_EQUAL(queues.size(), 1u);
  CAF_CHECK_EQUAL(queues[0].name, "actors.Trade.p.s");
}

CAF_TEST_FIXTURE_SCOPE_END()
