#define CAF_SUITE center_fixture

// The tests of strategies, as their writers write them.

#include "actors/testing/center_fixture.hpp"

#include <caf/typed_event_based_actor.hpp>

#include "actors/error.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::testing;
using namespace std::chrono_literals;

namespace {

/// Sells at the best bid of each order book.
caf::behavior seller(caf::event_based_actor* self, event_center center) {
  center.subscribe(self, orderbooks("test", "#"));
  return {[=](const orderbook& book) {
    center.publish(self,
                   trade{.platform = "test", .symbol = book.symbol, .price = book.bids[0].price});
  }};
}

struct seen {
  std::vector<std::int64_t> trades;
  std::vector<stream_gap> gaps;
  std::size_t stale = 0;
  std::size_t lost = 0;
  std::size_t restored = 0;
};

/// Looks after its market.
caf::behavior monitor(caf::event_based_actor* self, event_center center, std::shared_ptr<seen> to) {
  center.subscribe(self, trades("test", "#").multi(false).with_stream_events(10s));
  return {
      [=](const trade& x) { to->trades.push_back(x.timestamp); },
      [=](const stream_gap& x) { to->gaps.push_back(x); },
      [=](const stream_stale&) { ++to->stale; },
      [=](const stream_restarted&) {},
      [=](const link_lost&) { ++to->lost; },
      [=](const link_restored&) { ++to->restored; },
  };
}

orderbook book(std::string symbol) {
  return {.platform = "test", .symbol = std::move(symbol), .bids = {{decimal::fixed(99.5, 2)}}};
}

trade trade_at(std::int64_t time) {
  return {.platform = "test", .symbol = "ETH/USDT", .timestamp = time};
}

using times = std::vector<std::int64_t>;

} // namespace

CAF_TEST(a strategy is tested in ten lines) {
  center_fixture x;
  auto sold = x.record<trade>();
  x.spawn(seller);
  x.publish(book("ETH/USDT"));
  CAF_REQUIRE_EQUAL(sold->size(), 1u);
  CAF_CHECK_EQUAL(sold->front().price.text(), "99.50");
}

CAF_TEST(a strategy goes on when its links have been lost) {
  center_fixture x;
  auto sold = x.record<trade>();
  x.spawn(seller);
  x.drop_links();
  CAF_CHECK_EQUAL(x.broker().links(), 0u);
  x.advance(10s);
  x.publish(book("ETH/USDT"));
  CAF_CHECK_EQUAL(sold->size(), 1u);
}

CAF_TEST(a strategy goes on when the broker has been started again) {
  center_fixture x;
  auto sold = x.record<trade>();
  x.spawn(seller);
  x.restart_broker();
  x.advance(10s);
  x.publish(book("ETH/USDT"));
  CAF_CHECK_EQUAL(sold->size(), 1u);
}

CAF_TEST(a lost message is a gap) {
  center_fixture x;
  auto to = std::make_shared<seen>();
  x.spawn(monitor, to);
  x.publish(trade_at(1));
  x.lose_next(2);
  for (auto i : {2, 3, 4})
    x.publish(trade_at(i));
  CAF_CHECK_EQUAL(to->trades, (times{1, 4}));
  CAF_REQUIRE_EQUAL(to->gaps.size(), 1u);
  CAF_CHECK_EQUAL(to->gaps[0].from, 2u);
  CAF_CHECK_EQUAL(to->gaps[0].to, 3u);
}

CAF_TEST(a silent stream is stale at its time) {
  center_fixture x;
  auto to = std::make_shared<seen>();
  x.spawn(monitor, to);
  x.publish(trade_at(1));
  x.advance(9s);
  CAF_CHECK_EQUAL(to->stale, 0u);
  x.advance(2s);
  CAF_CHECK_EQUAL(to->stale, 1u);
}

CAF_TEST(a lost link is told and so is its return ) {
  center_fixture x;
  auto to = std::make_shared<seen>();
  x.spawn(monitor, to);
  x.drop_links();
  CAF_CHECK_EQUAL(to->lost, 1u);
  CAF_CHECK_EQUAL(to->restored, 0u);
  x.advance(10s);
  CAF_CHECK_EQUAL(to->restored, 1u);
}

CAF_TEST(a broker that stalls catches up) {
  center_fixture x;
  auto to = std::make_shared<seen>();
  x.spawn(monitor, to);
  x.stall_broker();
  x.publish(trade_at(1));
  CAF_CHECK(to->trades.empty());
  x.resume_broker();
  CAF_CHECK_EQUAL(to->trades, times{1});
}

CAF_TEST(a refused queue is told to its strategy) {
  center_fixture x;
  auto code = ec::none;
  x.refuse_next("mine", ec::access_refused);
  x.spawn([&code](caf::event_based_actor* self, const event_center& center) -> caf::behavior {
    center.subscribe(self, trades("test", "#").on_queue("mine"))
        .then([](const subscribed&) {}, [&code](const caf::error& err) { code = code_of(err); });
    return {[](const trade&) {}};
  });
  CAF_CHECK(code == ec::access_refused);
}

CAF_TEST(a strategy that throws has ended) {
  center_fixture x;
  auto ended =
      x.spawn([](caf::event_based_actor* self, const event_center& center) -> caf::behavior {
        center.subscribe(self, trades("test", "#"));
        return {[](const trade&) { throw std::runtime_error("no"); }};
      });
  auto other = x.spawn(seller);
  x.publish(trade_at(1));
  CAF_CHECK(!x.is_running(ended));
  CAF_CHECK(x.is_running(other));
  CAF_CHECK_EQUAL(x.status().dispatcher.handlers.size(), 1u);
}

namespace {

using counter =
    caf::typed_actor<caf::reacts_to<trade>, caf::replies_to<caf::get_atom>::with<std::int64_t>>;

/// Answers how many trades there were.
class trade_counter : public counter::base {
public:
  trade_counter(caf::actor_config& cfg, event_center center)
      : counter::base(cfg), center_(std::move(center)) {
    // nop
  }

  behavior_type make_behavior() override {
    center_.subscribe(this, trades("test", "#"));
    return {
        [this](const trade&) { ++count_; },
        [this](caf::get_atom) { return count_; },
    };
  }

private:
  event_center center_;
  std::int64_t count_ = 0;
};

} // namespace

CAF_TEST(a class has its own handle) {
  center_fixture x;
  counter handle = x.spawn<trade_counter>();
  x.publish(trade_at(1));
  x.publish(trade_at(2));
  caf::scoped_actor self{x.system()};
  auto answer = self->request(handle, caf::infinite, caf::get_atom::value);
  x.run();
  answer.receive([](std::int64_t count) { CAF_CHECK_EQUAL(count, 2); },
                 [](const caf::error& err) { CAF_ERROR(text_of(err)); });
}

CAF_TEST(an hour passes at once) {
  center_fixture x;
  auto to = std::make_shared<seen>();
  x.spawn(monitor, to);
  x.publish(trade_at(1));
  x.advance(1h);
  x.publish(trade_at(2));
  CAF_CHECK_EQUAL(to->trades, (times{1, 2}));
}

CAF_TEST(the broker is that of the version that is asked for) {
  center_fixture x{amqp::memory_semantics::rabbitmq_4_3()};
  CAF_CHECK(x.status().supervisor.links.at(0).broker.find("4.3") != std::string::npos);
}
