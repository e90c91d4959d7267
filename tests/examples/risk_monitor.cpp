#define CAF_SUITE examples.risk_monitor

#include "docs/examples/risk_monitor.hpp"

#include <actors/testing/center_fixture.hpp>

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::testing;
using namespace std::chrono_literals;

namespace {

using alarms = std::map<std::string, std::string>;

const alarms& alarms_of(const caf::actor& x) {
  return caf::actor_cast<caf::stateful_actor<risk_monitor_state>*>(x)->state.alarms;
}

trade trade_of(std::string platform) {
  return {.platform = std::move(platform), .symbol = "ETH/USDT"};
}

} // namespace

CAF_TEST(all is well at first) {
  center_fixture x;
  auto monitor = x.spawn(risk_monitor);
  x.publish(trade_of("binance"));
  x.publish(trade_of("okx"));
  CAF_CHECK(alarms_of(monitor).empty());
}

CAF_TEST(lost trades are told for their platform) {
  center_fixture x;
  auto monitor = x.spawn(risk_monitor);
  x.publish(trade_of("binance"));
  x.publish(trade_of("okx"));
  x.lose_next(2);
  for (auto i = 0; i < 3; ++i)
    x.publish(trade_of("okx"));
  CAF_CHECK_EQUAL(alarms_of(monitor),
                  (alarms{{"okx.ETH/USDT is incomplete", "trades 2 to 3 did not come"}}));
}

CAF_TEST(a silent platform is told until it speaks) {
  center_fixture x;
  auto monitor = x.spawn(risk_monitor);
  x.publish(trade_of("binance"));
  x.publish(trade_of("okx"));
  x.advance(9s);
  CAF_CHECK(alarms_of(monitor).empty());
  x.publish(trade_of("okx"));
  x.advance(2s);
  CAF_REQUIRE_EQUAL(alarms_of(monitor).size(), 1u);
  CAF_CHECK_EQUAL(alarms_of(monitor).begin()->first, "binance.ETH/USDT is silent");
  x.publish(trade_of("binance"));
  CAF_CHECK(alarms_of(monitor).empty());
}

CAF_TEST(lost links are told until they are back) {
  center_fixture x;
  auto monitor = x.spawn(risk_monitor);
  x.drop_links();
  CAF_CHECK(alarms_of(monitor).contains("no orders"));
  CAF_CHECK(alarms_of(monitor).contains("no trades of #.#"));
  x.advance(1s);
  CAF_CHECK(alarms_of(monitor).empty());
}

CAF_TEST(a broker that takes no publications is told) {
  center_fixture x;
  auto monitor = x.spawn(risk_monitor);
  x.center().publish(trade_of("okx")); // a broker blocks those who publish
  x.run();
  x.broker().block("low on memory");
  x.run();
  CAF_CHECK(alarms_of(monitor).contains("no orders"));
  CAF_CHECK_EQUAL(alarms_of(monitor).size(), 1u);
  x.broker().unblock();
  x.run();
  CAF_CHECK(alarms_of(monitor).empty());
}

CAF_TEST(whoever asks is answered) {
  center_fixture x;
  auto monitor = x.spawn(risk_monitor);
  x.drop_links();
  caf::scoped_actor self{x.system()};
  auto answer = self->request(monitor, caf::infinite, caf::get_atom_v);
  x.run();
  answer.receive([](const alarms& xs) { CAF_CHECK_EQUAL(xs.size(), 2u); },
                 [](const caf::error& err) { CAF_ERROR(text_of(err)); });
}
