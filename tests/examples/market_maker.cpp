#define CAF_SUITE examples.market_maker

#include "docs/examples/market_maker.hpp"

#include <sstream>

#include <actors/testing/center_fixture.hpp>
#include <caf/send.hpp>

#include "docs/examples/paper_gateway.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::testing;
using namespace std::chrono_literals;

namespace {

/// What is printed while there is one.
class printed {
public:
  ~printed() {
    std::cout.rdbuf(before_);
  }

  std::string text() const {
    return to_.str();
  }

private:
  std::ostringstream to_;
  std::streambuf* before_ = std::cout.rdbuf(to_.rdbuf());
};

market_maker_state& state_of(const caf::actor& x) {
  return caf::actor_cast<caf::stateful_actor<market_maker_state>*>(x)->state;
}

orderbook book() {
  return {.platform = "simulated",
          .symbol = "ETH/USDT",
          .asks = {{decimal::fixed(101, 2), decimal::fixed(1, 0)}},
          .bids = {{decimal::fixed(99, 2), decimal::fixed(1, 0)}}};
}

fill fill_of(const order& x, std::string id = "f1") {
  return {.platform = x.platform,
          .symbol = x.symbol,
          .id = std::move(id),
          .order_id = x.id,
          .price = x.price,
          .quantity = x.quantity};
}

void fill_all(center_fixture& x, const std::vector<order>& orders) {
  for (const auto& y : orders)
    x.publish(fill_of(y, y.id + "-fill"));
}

} // namespace

CAF_TEST(both sides of a book are quoted) {
  center_fixture x;
  auto orders = x.record<order>();
  x.spawn(market_maker);
  x.publish(book());
  CAF_REQUIRE_EQUAL(orders->size(), 2u);
  CAF_CHECK_EQUAL(orders->front().price, 99);
  CAF_CHECK_EQUAL(orders->front().quantity, 1);
  CAF_CHECK_EQUAL(orders->back().price, 101);
  CAF_CHECK_EQUAL(orders->back().quantity, -1);
  CAF_CHECK(orders->front().id != orders->back().id);
}

CAF_TEST(new orders wait until both are done) {
  center_fixture x;
  auto orders = x.record<order>();
  auto maker = x.spawn(market_maker);
  x.publish(book());
  x.publish(book());
  CAF_CHECK_EQUAL(orders->size(), 2u);
  auto first = fill_of(orders->front(), "f1");
  first.quantity = 0.5;
  first.is_last = false;
  x.publish(first);
  x.publish(fill_of(orders->back(), "f2"));
  x.publish(book());
  CAF_CHECK_EQUAL(orders->size(), 2u);
  first.id = "f3";
  first.is_last = true;
  x.publish(first);
  x.publish(book());
  CAF_CHECK_EQUAL(orders->size(), 4u);
  CAF_CHECK_EQUAL(state_of(maker).position, 0);
}

CAF_TEST(an order that no gateway takes is done) {
  center_fixture x;
  auto maker = x.spawn(market_maker);
  printed out;
  x.publish(book());
  CAF_CHECK(out.text().find("no queue took the message") != std::string::npos);
  CAF_CHECK(state_of(maker).open.empty());
  auto orders = x.record<order>();
  x.publish(book());
  CAF_CHECK_EQUAL(orders->size(), 2u);
}

CAF_TEST(an order that is refused is done) {
  center_fixture x;
  auto maker = x.spawn(market_maker);
  printed out;
  x.refuse_next("Order", ec::access_refused);
  x.publish(book());
  CAF_CHECK(out.text().find("exchange 'Order'") != std::string::npos);
  CAF_CHECK(state_of(maker).open.empty());
}

CAF_TEST(an order that waits for too long is not sent) {
  center_fixture x;
  auto orders = x.record<order>();
  auto maker = x.spawn(market_maker);
  printed out;
  x.publish(book());
  fill_all(x, *orders);
  // Publishers are blocked from now on, also the market's.
  x.broker().block("low on memory");
  caf::anon_send(maker, book());
  x.advance(150ms);
  CAF_CHECK_EQUAL(state_of(maker).open.size(), 2u);
  x.advance(150ms);
  CAF_CHECK(out.text().find("expired") != std::string::npos);
  CAF_CHECK(state_of(maker).open.empty());
  x.broker().unblock();
  x.advance(1s);
  CAF_CHECK_EQUAL(orders->size(), 2u);
}

CAF_TEST(an order in doubt is open until its fill) {
  center_fixture x;
  auto orders = x.record<order>();
  auto maker = x.spawn(market_maker);
  printed out;
  x.publish(book());
  fill_all(x, *orders);
  // The link ends before the broker has answered, and is away for longer than orders are good.
  x.stall_broker();
  caf::anon_send(maker, book());
  x.run();
  x.broker().refuse_links();
  x.drop_links();
  x.resume_broker();
  x.advance(1s);
  x.broker().accept_links();
  x.advance(10s);
  CAF_MESSAGE(out.text());
  const auto open = state_of(maker).open;
  CAF_CHECK_EQUAL(open.size(), 2u);
  x.publish(book());
  CAF_CHECK_EQUAL(orders->size(), 2u);
  for (const auto& id : open)
    x.publish(fill_of({.platform = "simulated", .symbol = "ETH/USDT", .id = id}, id + "-fill"));
  x.publish(book());
  CAF_CHECK_EQUAL(orders->size(), 4u);
}

CAF_TEST(there are no more orders while a gateway says nothing) {
  center_fixture x;
  auto gateway = x.spawn(paper_gateway);
  caf::anon_send_exit(gateway, caf::exit_reason::kill);
  x.run();
  auto maker = x.spawn(market_maker);
  x.publish(book());
  const auto open = state_of(maker).open;
  CAF_CHECK_EQUAL(open.size(), 2u);
  x.advance(1h);
  x.publish(book());
  CAF_CHECK(state_of(maker).open == open);
}

CAF_TEST(a copy of a fill counts once) {
  center_fixture x;
  auto orders = x.record<order>();
  auto maker = x.spawn(market_maker);
  x.publish(book());
  CAF_REQUIRE_EQUAL(orders->size(), 2u);
  // The gateway says it twice.
  x.publish(fill_of(orders->front()));
  x.publish(fill_of(orders->front()));
  CAF_CHECK_EQUAL(state_of(maker).position, 1);
  // The broker has it twice.
  x.broker().duplicate_next("maker.fills");
  x.publish(fill_of(orders->back(), "f2"));
  CAF_CHECK_EQUAL(state_of(maker).position, 0);
}

CAF_TEST(a fill that a former life had in hand is told) {
  center_fixture x;
  auto former = x.spawn([](caf::event_based_actor* self, event_center center) -> caf::behavior {
    center.subscribe(self, subscription::to<fill>("simulated.ETH/USDT")
                               .on_quorum_queue("maker.fills")
                               .acked(ack_policy::on_success));
    return {[](const fill&) { throw std::runtime_error{"killed"}; }};
  });
  x.publish(fill_of({.platform = "simulated", .symbol = "ETH/USDT", .id = "o1", .quantity = 1}),
            {.persistent = true});
  CAF_REQUIRE(!x.is_running(former));
  printed out;
  auto maker = x.spawn(market_maker);
  x.advance(10s);
  CAF_CHECK_EQUAL(state_of(maker).position, 1);
  CAF_CHECK_EQUAL(out.text(), "f1: a former life of ours may have counted it\n");
}

CAF_TEST(there are no orders without fills) {
  center_fixture x;
  auto orders = x.record<order>();
  x.refuse_next("maker.fills", ec::access_refused);
  auto maker = x.spawn(market_maker);
  CAF_CHECK(!x.is_running(maker));
  x.publish(book());
  CAF_CHECK(orders->empty());
}

CAF_TEST(a paper gateway fills each order once whatever becomes of the links) {
  center_fixture x;
  auto fills = x.record<fill>();
  x.spawn(paper_gateway);
  auto maker = x.spawn(market_maker);
  printed out;
  x.publish(book());
  CAF_CHECK_EQUAL(fills->size(), 2u);
  x.drop_links();
  x.advance(10s);
  x.publish(book());
  CAF_CHECK_EQUAL(fills->size(), 4u);
  CAF_CHECK_EQUAL(state_of(maker).counted.size(), 4u);
  CAF_CHECK_EQUAL(state_of(maker).position, 0);
}
