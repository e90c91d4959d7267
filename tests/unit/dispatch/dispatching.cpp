#define CAF_SUITE dispatching

#include "dispatch/dispatching.hpp"

#include "actors/error.hpp"
#include "actors/market.hpp"
#include "support/scripted_transport.hpp"
#include "wire/payload.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace std::chrono_literals;

namespace {

using lines = std::vector<std::string>;

constexpr subscriber_id alice = 1;
constexpr subscriber_id bob = 2;

/// Writes down what is done, and answers what the test says.
class recording_door : public dispatch_door {
public:
  std::chrono::system_clock::time_point wall_time() const override {
    return std::chrono::system_clock::time_point{} + std::chrono::hours{1};
  }

  std::chrono::steady_clock::time_point now() const override {
    return time;
  }

  void send(subscriber_id to, caf::message what) override {
    done.push_back(std::to_string(to) + (what.match_elements<link_lost>() ? " is told" : " gets"));
  }

  void ask(subscriber_id to, const caf::message&, question about) override {
    done.push_back(std::to_string(to) + " is asked");
    asked.push_back(std::move(about));
  }

  void ask(subscriber_id to, caf::message, subscription_id, std::uint64_t) override {
    done.push_back(std::to_string(to) + " is to mark");
  }

  void grant(subscription_id id, const subscribed& what) override {
    done.push_back("granted " + std::to_string(id) + " on " + what.queue);
  }

  void refuse(subscription_id id, const caf::error& why) override {
    done.push_back("ended " + std::to_string(id) + ": " + std::string{to_string(code_of(why))});
  }

  void forget(subscriber_id who) override {
    done.push_back(std::to_string(who) + " is forgotten");
  }

  void want(wanted_consumer x) override {
    done.push_back("want " + x.queue.name);
    wanted.push_back(std::move(x));
  }

  void unwant(amqp::consumer_id) override {
    done.emplace_back("retire");
  }

  void unwant(amqp::consumer_id, amqp::binding what) override {
    done.push_back("unbind " + what.routing_key);
  }

  void publish(amqp::publication copy, delivery_key of) override {
    done.push_back("copy to " + copy.routing_key);
    copied.push_back(of);
  }

  void pause(delivery_key key, std::chrono::milliseconds time) override {
    done.push_back("pause " + std::to_string(time.count()));
    paused.push_back(key);
  }

  void tick_after(std::chrono::milliseconds) override {
    // nop
  }

  void flush_soon() override {
    // nop
  }

  void end_drain() override {
    done.emplace_back("drained");
  }

  std::chrono::steady_clock::time_point time;
  lines done;
  std::vector<question> asked;
  std::vector<wanted_consumer> wanted;
  std::vector<delivery_key> copied;
  std::vector<delivery_key> paused;
};

struct fixture {
  subscription_id last_id = 0;
  recording_door door;
  dispatching x{door, {.server_id = "srv"}};
  std::shared_ptr<testing::scripted_link> link = std::make_shared<testing::scripted_link>();
  amqp::link_sender_ptr out = std::make_shared<testing::scripted_sender>(link);

  subscription_id subscribe(subscription what, subscriber_id who = alice) {
    CAF_REQUIRE(!x.refusal(what, true));
    subscription_id id = 0;
    x.subscribe(std::move(what), who, ++last_id, [&](event_handler& added) { id = added.id(); });
    return id;
  }

  /// The broker confirms what is wanted.
  void confirm() {
    for (auto& wanted : std::exchange(door.wanted, {})) {
      consumer = wanted.consumer.id;
      x.on_consumer_state({consumer, wanted.queue.name, wanted.binding, {}});
    }
    door.done.clear();
  }

  subscription_id run(subscription what, subscriber_id who = alice) {
    const auto id = subscribe(std::move(what), who);
    confirm();
    return id;
  }

  void deliver(std::uint64_t tag, bool redelivered = false, std::string routing_key = "a") {
    std::vector<amqp::delivery> xs(1);
    xs[0].consumer = consumer;
    xs[0].tag = tag;
    xs[0].exchange = "Trade";
    xs[0].routing_key = std::move(routing_key);
    xs[0].redelivered = redelivered;
    xs[0].body = payload_encoder{}.encode("EVENT_TRADE", "{}");
    x.on_deliveries(out, 1, xs);
  }

  void answer(std::size_t i, const caf::error& err = {}) {
    x.on_answer(door.asked.at(i), err);
  }

  /// What the broker was told of the deliveries since it was asked last.
  std::vector<amqp::settlement> settled() {
    x.on_flush();
    std::vector<amqp::settlement> result;
    for (auto& each : std::exchange(link->settlements, {}))
      result.insert(result.end(), each.items.begin(), each.items.end());
    return result;
  }

  lines take_done() {
    return std::exchange(door.done, {});
  }

  amqp::consumer_id consumer = 0;
};

subscription on_dispatch() {
  return subscription::to_events("Trade", "a").on_durable_queue("q");
}

subscription on_success() {
  return on_dispatch().acked(ack_policy::on_success);
}

using what = amqp::settlement::verdict;

} // namespace

CAF_TEST_FIXTURE_SCOPE(dispatching_tests, fixture)

CAF_TEST(a subscription is granted when the broker has confirmed its binding) {
  const auto id = subscribe(on_dispatch());
  CAF_CHECK_EQUAL(take_done(), lines{"want q"});
  auto wanted = door.wanted.at(0);
  x.on_consumer_state({wanted.consumer.id, "q", wanted.binding, {}});
  CAF_CHECK_EQUAL(take_done(), lines{"granted " + std::to_string(id) + " on q"});
  // The second needs no word of the broker.
  subscribe(on_dispatch(), bob);
  CAF_CHECK_EQUAL(take_done(), lines{"granted 2 on q"});
}

CAF_TEST(a subscription that never worked ends with the words of the broker) {
  subscribe(on_dispatch());
  const auto wanted = door.wanted.at(0);
  x.on_consumer_state({wanted.consumer.id, "q", std::nullopt, {ec::access_refused, "no"}});
  CAF_CHECK_EQUAL(take_done(),
                  (lines{"want q", "ended 1: access_refused", "retire", "1 is forgotten"}));
}

CAF_TEST(on dispatch a message is settled when all have it) {
  run(on_dispatch());
  run(on_dispatch(), bob);
  deliver(1);
  CAF_CHECK_EQUAL(take_done(), (lines{"1 gets", "2 gets"}));
  const auto told = settled();
  CAF_REQUIRE_EQUAL(told.size(), 1u);
  CAF_CHECK(told[0].outcome == what::ack);
}

CAF_TEST(on success a message is settled when all have answered) {
  run(on_success());
  run(on_success(), bob);
  deliver(1);
  CAF_CHECK_EQUAL(take_done(), (lines{"1 is asked", "2 is asked"}));
  answer(0);
  CAF_CHECK(settled().empty());
  answer(1, make_error(ec::handler_failed, "no"));
  const auto told = settled();
  CAF_REQUIRE_EQUAL(told.size(), 1u);
  CAF_CHECK(told[0].outcome == what::requeue);
}

CAF_TEST(what fails again goes back after a pause) {
  run(on_success());
  deliver(1, true);
  answer(0, make_error(ec::handler_failed, "no"));
  CAF_CHECK(settled().empty());
  CAF_CHECK_EQUAL(take_done(), (lines{"1 is asked", "pause 1000"}));
  x.on_pause_over(door.paused.at(0));
  CAF_REQUIRE_EQUAL(settled().size(), 1u);
}

CAF_TEST(a failed message is acknowledged once the broker has its copy) {
  run(on_success().dead_lettered());
  deliver(1);
  answer(0, make_error(ec::handler_failed, "no"));
  CAF_CHECK_EQUAL(take_done(), (lines{"1 is asked", "copy to q.dead"}));
  CAF_CHECK(settled().empty());
  x.on_moved(door.copied.at(0), {});
  const auto told = settled();
  CAF_REQUIRE_EQUAL(told.size(), 1u);
  CAF_CHECK(told[0].outcome == what::ack);
}

CAF_TEST(a message whose copy can never be sent is rejected and holds up nobody) {
  run(on_success().dead_lettered());
  for (auto code : {ec::limit_exceeded, ec::content_too_large, ec::invalid_argument}) {
    deliver(1 + door.asked.size());
    answer(door.asked.size() - 1, make_error(ec::handler_failed, "no"));
    x.on_moved(door.copied.back(), make_error(code, "too large"));
    const auto told = settled();
    CAF_REQUIRE_EQUAL(told.size(), 1u);
    CAF_CHECK(told[0].outcome == what::reject);
  }
  CAF_CHECK(door.paused.empty());
}

CAF_TEST(a message for nobody of which no copy can be made waits beside others) {
  run(on_success().prefetch(2));
  auto fail_to_copy = [&](std::uint64_t first_tag) {
    const auto copies = door.copied.size();
    for (auto tag = first_tag; door.copied.size() == copies; ++tag) {
      deliver(tag, true, "nobody's");
      settled();
    }
    x.on_moved(door.copied.back(), make_error(ec::limit_exceeded, "too large"));
  };
  fail_to_copy(1);
  CAF_CHECK(settled().empty());
  const auto done = take_done();
  CAF_REQUIRE(!done.empty());
  CAF_CHECK_EQUAL(done.back(), "pause 60000");
  fail_to_copy(100);
  auto told = settled();
  CAF_REQUIRE_EQUAL(told.size(), 1u);
  CAF_CHECK(told[0].outcome == what::reject);
  x.on_pause_over(door.paused.at(0));
  told = settled();
  CAF_REQUIRE_EQUAL(told.size(), 1u);
  CAF_CHECK(told[0].outcome == what::release);
}

CAF_TEST(a message whose copy finds no queue for now goes back after a pause) {
  run(on_success().dead_lettered());
  deliver(1);
  answer(0, make_error(ec::handler_failed, "no"));
  x.on_moved(door.copied.at(0), make_error(ec::no_route, "no queue"));
  CAF_CHECK(settled().empty());
  CAF_REQUIRE_EQUAL(door.paused.size(), 1u);
  x.on_pause_over(door.paused[0]);
  CAF_CHECK(settled().at(0).outcome == what::release);
}

CAF_TEST(what a strategy had when it ended goes back ahead of the end of its consumer) {
  run(on_success());
  deliver(1);
  take_done();
  x.on_strategy_down(alice, {});
  const auto told = settled();
  CAF_REQUIRE_EQUAL(told.size(), 1u);
  CAF_CHECK(told[0].outcome == what::release);
  CAF_CHECK_EQUAL(take_done(), (lines{"ended 1: not_subscribed", "retire"}));
}

CAF_TEST(a strategy that follows its streams is told once that its link is lost) {
  run(on_success().with_stream_events());
  x.on_consumers_lost({consumer}, {ec::connection_lost, "gone"});
  x.on_consumers_lost({consumer}, {ec::connection_lost, "gone"});
  CAF_CHECK_EQUAL(take_done(), lines{"1 is told"});
}

CAF_TEST(what a lost consumer had goes back and its answer settles nothing more) {
  run(on_success());
  deliver(1);
  x.on_consumers_lost({consumer}, {ec::connection_lost, "gone"});
  const auto told = settled();
  CAF_REQUIRE_EQUAL(told.size(), 1u);
  CAF_CHECK(told[0].outcome == what::release);
  answer(0);
  CAF_CHECK(settled().empty());
}

CAF_TEST(draining ends when the consumers have and all is answered) {
  run(on_success());
  deliver(1);
  take_done();
  x.drain();
  CAF_CHECK_EQUAL(take_done(), lines{"retire"});
  CAF_CHECK(code_of(x.refusal(on_dispatch(), true)) == ec::shutting_down);
  x.on_consumer_state({consumer, "q", std::nullopt, {ec::consumer_cancelled, "gone"}, true});
  CAF_CHECK_EQUAL(x.unhandled(), 1u);
  CAF_CHECK_EQUAL(take_done(), lines{});
  answer(0);
  CAF_CHECK_EQUAL(take_done(), lines{"drained"});
}

CAF_TEST_FIXTURE_SCOPE_END()
