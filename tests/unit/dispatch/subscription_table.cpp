#define CAF_SUITE subscription_table

#include "dispatch/subscription_table.hpp"

#include "actors/error.hpp"
#include "actors/market.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace std::chrono_literals;

namespace {

using lines = std::vector<std::string>;
using ids = std::vector<subscription_id>;
using ending = subscription_table::ending;

constexpr subscriber_id alice = 1;
constexpr subscriber_id bob = 2;

subscription to(const std::string& key) {
  return subscription::to_events("Trade", key);
}

subscription kept(const std::string& key) {
  return to(key).on_durable_queue("kept").acked(ack_policy::on_success);
}

struct fixture {
  subscription_id last_id = 0;
  subscription_table x{{.server_id = "srv"}};

  event_handler& add(const subscription& what, subscriber_id who = alice) {
    CAF_REQUIRE(!x.check(what));
    return x.add(what, who, ++last_id);
  }

  void confirm(const event_handler& of) {
    const auto& from = x.consumer_of(of);
    x.apply({of.consumer,
             from.queue,
             amqp::binding{of.spec.exchange, from.queue, of.spec.routing_key},
             {}});
    of_wishes();
  }

  /// An established subscription.
  event_handler& run(const subscription& what, subscriber_id who = alice) {
    auto& result = add(what, who);
    confirm(result);
    result.established = true;
    return result;
  }

  /// What was wished since it was asked last.
  lines of_wishes() {
    lines result;
    for (auto& wish : x.take_wishes()) {
      if (auto* wanted = std::get_if<wanted_consumer>(&wish))
        result.push_back("want " + wanted->queue.name + " " + wanted->binding.routing_key);
      else if (auto* unbound = std::get_if<subscription_table::unwanted_binding>(&wish))
        result.push_back("unbind " + unbound->spec.routing_key);
      else
        result.emplace_back("retire");
    }
    return result;
  }
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(subscription_table_tests, fixture)

CAF_TEST(each default subscription has a queue of its own and those alike share it) {
  const auto& a = add(to("a"));
  const auto& same = add(to("a"), bob);
  const auto& b = add(to("b"));
  CAF_CHECK_EQUAL(of_wishes(),
                  (lines{"want srv.Trade.a a", "want srv.Trade.a a", "want srv.Trade.b b"}));
  CAF_CHECK_EQUAL(a.consumer, same.consumer);
  CAF_CHECK(a.consumer != b.consumer);
}

CAF_TEST(what is bound is not asked for again) {
  const auto& first = run(to("a"));
  const auto& second = add(to("a"), bob);
  CAF_CHECK(x.consumer_of(second).has_bound(first.spec));
  CAF_CHECK_EQUAL(of_wishes(), lines{});
}

CAF_TEST(subscriptions of one queue agree or the second is refused) {
  add(to("a").on_queue("q").prefetch(10));
  const auto refused = x.check(to("b").on_queue("q").prefetch(20));
  CAF_CHECK(code_of(refused) == ec::subscription_conflict);
  CAF_CHECK(text_of(refused).find(
                "queue 'q' is consumed here as a transient queue with prefetch count 10; ")
            == 0);
  CAF_CHECK(!x.check(to("b").on_queue("q").prefetch(10)));
}

CAF_TEST(readers of a stream do not share a consumer) {
  const auto& first = add(to("a").on_stream("s"));
  const auto& second = add(to("a").on_stream("s"), bob);
  CAF_CHECK(first.consumer != second.consumer);
}

CAF_TEST(the last subscription of a binding takes it along and the last of all the consumer) {
  auto& a = run(to("a").on_queue("q"));
  auto& b = run(to("b").on_queue("q"), bob);
  CAF_CHECK(!x.is_last(a.id()));
  x.remove(a.id(), ending::asked_for);
  CAF_CHECK_EQUAL(of_wishes(), lines{"unbind a"});
  CAF_CHECK(x.is_last(b.id()));
  x.remove(b.id(), ending::asked_for);
  CAF_CHECK_EQUAL(of_wishes(), lines{"retire"});
  CAF_CHECK(!x.find_consumer(b.consumer));
  CAF_CHECK(x.is_retiring(b.consumer));
}

CAF_TEST(the next consumer of a queue waits until the former one has delivered all) {
  const auto& former = run(to("a").on_queue("q"));
  const auto consumer = former.consumer;
  x.remove(former.id(), ending::asked_for);
  of_wishes();
  add(to("b").on_queue("q"));
  CAF_CHECK_EQUAL(of_wishes(), lines{});
  x.retired(consumer);
  CAF_CHECK_EQUAL(of_wishes(), lines{"want q b"});
}

CAF_TEST(one that was never wanted is not retired) {
  const auto former = run(to("a").on_queue("q")).consumer;
  x.remove(1, ending::asked_for);
  of_wishes();
  x.remove(add(to("b").on_queue("q")).id(), ending::asked_for);
  CAF_CHECK_EQUAL(of_wishes(), lines{});
  x.retired(former);
  CAF_CHECK_EQUAL(of_wishes(), lines{});
}

CAF_TEST(the binding of a kept queue outlives a strategy that ended) {
  run(kept("a"));
  run(kept("b"), bob);
  x.remove(1, ending::strategy_ended);
  CAF_CHECK_EQUAL(of_wishes(), lines{});
  CAF_CHECK_EQUAL(x.consumers().size(), 1u);
}

CAF_TEST(a place is kept for a strategy that ended and the next one alike has it) {
  run(kept("a"));
  run(kept("b"), bob);
  CAF_CHECK(x.keep_place(1, {}));
  x.remove(1, ending::strategy_ended);
  const auto& from = x.consumer_of(x.at(2));
  CAF_CHECK_EQUAL(x.places(from), ids{3});
  const auto& next = add(kept("a"));
  CAF_CHECK_EQUAL(next.id(), 3u);
  CAF_CHECK_EQUAL(x.places(from), ids{});
}

CAF_TEST(no place is kept on a queue that goes with its consumer) {
  run(to("a"));
  CAF_CHECK(!x.keep_place(1, {}));
  run(to("b").on_durable_queue("seen")); // on dispatch
  CAF_CHECK(!x.keep_place(2, {}));
}

CAF_TEST(a strategy is forgotten with its last subscription) {
  run(to("a"));
  run(to("b"));
  CAF_CHECK_EQUAL(x.of(alice), (std::set<subscription_id>{1, 2}));
  x.remove(1, ending::asked_for);
  CAF_CHECK_EQUAL(x.forget(1), 0u);
  x.remove(2, ending::asked_for);
  CAF_CHECK_EQUAL(x.forget(2), alice);
  CAF_CHECK(x.handlers().empty());
}

CAF_TEST(news are about a binding or about the consumer as a whole) {
  const auto consumer = run(to("a").on_queue("q")).consumer;
  run(to("b").on_queue("q"), bob);
  const failure refused{ec::access_refused, "no"};
  CAF_CHECK_EQUAL(x.apply({consumer, "q", amqp::binding{"Trade", "q", "b"}, refused}), ids{2});
  CAF_CHECK(x.find_consumer(consumer)->has_bound(x.at(1).spec));
  CAF_CHECK(!x.find_consumer(consumer)->has_bound(x.at(2).spec));
  CAF_CHECK_EQUAL(x.apply({consumer, "q", std::nullopt, refused}), (ids{1, 2}));
  CAF_CHECK(!x.find_consumer(consumer)->has_bound(x.at(1).spec));
}

CAF_TEST(a reader goes on at the first message without an answer) {
  const auto consumer = run(to("a").on_stream("s")).consumer;
  auto& from = *x.find_consumer(consumer);
  x.resume_stream(consumer, from, 3);
  CAF_CHECK_EQUAL(of_wishes(), lines{}); // it has read nothing yet
  from.next_offset = 8;
  x.resume_stream(consumer, from, 3);
  auto wishes = x.take_wishes();
  CAF_REQUIRE_EQUAL(wishes.size(), 1u);
  auto& wanted = std::get<wanted_consumer>(wishes[0]);
  CAF_CHECK(wanted.goes_on);
  const amqp::field_table from_three{{"x-stream-offset", std::int64_t{3}}};
  CAF_CHECK(wanted.consumer.arguments == from_three);
}

CAF_TEST(in the end all are retired and nothing is wanted) {
  const auto consumer = run(to("a").on_queue("q")).consumer;
  run(to("b"), bob);
  x.retire_all();
  CAF_CHECK_EQUAL(of_wishes(), (lines{"retire", "retire"}));
  CAF_CHECK(!x.has_retired_all());
  x.retired(consumer);
  x.retired(x.at(2).consumer);
  CAF_CHECK(x.has_retired_all());
  CAF_CHECK_EQUAL(of_wishes(), lines{});
}

CAF_TEST_FIXTURE_SCOPE_END()
