#define CAF_SUITE event_handler

#include "delivery/event_handler.hpp"

#include "actors/market.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;

namespace {

using fate = stream_tracker::verdict;

struct fixture {
  event_handler x;
  event_handler::time_point now;

  void subscribe(const subscription& what) {
    x.spec = what;
    x.number = 7;
    x.window = delivery_window<offered_event>{what.window};
  }

  static amqp::delivery at(std::uint64_t sequence) {
    amqp::delivery result;
    result.exchange = "Trade";
    result.routing_key = "a";
    result.body = "the body";
    result.properties.position = amqp::stream_position{1, sequence};
    return result;
  }

  static caf::message number(int i) {
    return caf::make_message(i);
  }

  std::vector<std::pair<std::uint64_t, std::uint64_t>> gaps(std::vector<stream_notice>& xs) {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> result;
    for (auto& notice : std::exchange(xs, {}))
      if (auto* gap = std::get_if<stream_gap>(&notice))
        result.emplace_back(gap->from, gap->to);
    return result;
  }
};

using ranges = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

subscription followed() {
  return subscription::to_events("Trade", "a").with_stream_events();
}

} // namespace

CAF_TEST_FIXTURE_SCOPE(event_handler_tests, fixture)

CAF_TEST(a copy of what was handled is one and of what is in hand as well) {
  subscribe(subscription::to_events("Trade", "a"));
  CAF_CHECK(x.arrived(at(1), now) == fate::fresh);
  CAF_CHECK(x.arrived(at(1), now) == fate::in_hand);
  x.streams.handled("Trade", "a", at(1).properties.position);
  CAF_CHECK(x.arrived(at(1), now) == fate::handled);
}

CAF_TEST(a message for others leaves no gap and one that cannot be read may come again) {
  subscribe(followed());
  x.arrived(at(1), now);
  x.passed_over(at(2), now);
  x.skipped(at(3), now);
  CAF_CHECK_EQUAL(x.counters.failed, 1u);
  CAF_CHECK(x.arrived(at(4), now) == fate::fresh);
  CAF_CHECK(gaps(x.arriving).empty());
  CAF_CHECK(x.arrived(at(3), now) == fate::fresh);
  CAF_CHECK(x.arrived(at(2), now) == fate::handled);
}

CAF_TEST(what is missing is told ahead of the next event) {
  subscribe(followed());
  x.arrived(at(1), now);
  x.arrived(at(4), now);
  CAF_CHECK(x.offer(at(4), number(4), {}));
  CAF_CHECK(x.arriving.empty());
  auto next = x.window.next(now);
  CAF_REQUIRE(next);
  CAF_CHECK_EQUAL(gaps(next->value.before), (ranges{{2, 3}}));
}

CAF_TEST(what was dropped for being slow is a gap) {
  auto what = followed();
  what.window = {delivery_policy::drop_oldest, 1};
  subscribe(what);
  std::uint64_t sequence = 0;
  const auto take_one = [&] {
    x.arrived(at(++sequence), now);
    const auto has_room = x.offer(at(sequence), number(0), {});
    x.window.next(now);
    return has_room;
  };
  while (x.window.waiting() == 0)
    CAF_REQUIRE(take_one());
  const auto waiting = sequence;
  CAF_CHECK(!take_one());
  CAF_CHECK_EQUAL(gaps(x.overdue), (ranges{{waiting, waiting}}));
  CAF_CHECK_EQUAL(x.window.drops().total(), 1u);
}

CAF_TEST(what a newer event has replaced is no gap) {
  auto what = followed();
  what.window = {delivery_policy::latest_per_key, 10};
  subscribe(what);
  for (auto sequence : {1u, 2u, 3u}) {
    x.arrived(at(sequence), now);
    x.offer(at(sequence), number(0), {});
    x.window.next(now); // one is in its mailbox
  }
  CAF_CHECK_EQUAL(x.window.waiting(), 1u);
  CAF_CHECK_EQUAL(x.window.drops().total(), 1u);
  CAF_CHECK(x.overdue.empty());
}

CAF_TEST(what is held keeps its place and not its body) {
  subscribe(followed().on_durable_queue("q").acked(ack_policy::on_success));
  open_delivery open;
  x.hold(at(5), number(5), {}, {1, 9}, open);
  CAF_CHECK_EQUAL(open.waiting, std::vector<subscription_id>{7});
  CAF_REQUIRE(open.from);
  CAF_CHECK_EQUAL(open.from->position->sequence, 5u);
  CAF_CHECK(x.must_wait(now));
  CAF_REQUIRE_EQUAL(x.held.size(), 1u);
  CAF_CHECK(x.held.begin()->second.about.body.empty());
  CAF_CHECK_EQUAL(x.held.begin()->second.about.properties.position->sequence, 5u);
}

CAF_TEST(only the wanted subject of a routing key is wanted) {
  subscribe(subscription::to<kline>("a").with_subject("kline_5m"));
  kline five;
  five.kline_type = "kline_5m";
  kline one;
  one.kline_type = "kline";
  CAF_CHECK(x.wants(caf::make_message(five)));
  CAF_CHECK(!x.wants(caf::make_message(one)));
}

CAF_TEST_FIXTURE_SCOPE_END()
