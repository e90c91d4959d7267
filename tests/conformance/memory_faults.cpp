#define CAF_SUITE memory.faults

#include "conformance/memory_under_test.hpp"

#include <algorithm>

#include "amqp/memory/transport.hpp"
#include "caf/test/unit_test.hpp"
#include "support/silent_listener.hpp"

using namespace actors;
using namespace actors::amqp;
using namespace actors::amqp::conformance;

namespace {

struct fixture {
  std::shared_ptr<memory_broker> memory = std::make_shared<memory_broker>();
  broker_under_test broker{[this] { return make_memory_transport(memory); },
                           *parse_endpoint("memory:lab")};

  memory_broker::queue_info info(const std::string& queue) {
    for (auto& x : memory->queues())
      if (x.name == queue)
        return x;
    return {};
  }
};

/// Holds on to nothing but the reason of the end.
struct end_watcher : testing::silent_listener {
  void up(std::string) override {
    is_up = true;
  }
  void replied(reply) override {
    ++replies;
  }
  void down(failure x) override {
    reason = std::move(x);
    ++ends;
  }

  bool is_up = false;
  int replies = 0;
  int ends = 0;
  failure reason;
};

bool has(const client& x, const std::string& event) {
  auto log = x.log();
  return std::find(log.begin(), log.end(), event) != log.end();
}

} // namespace

CAF_TEST_FIXTURE_SCOPE(memory_faults, fixture)

CAF_TEST(a dropped link learns the reason) {
  client x{broker};
  client y{broker};
  CAF_CHECK_EQUAL(memory->links(), 2u);
  memory->drop_links(ec::heartbeat_timeout);
  CAF_CHECK_EQUAL(to_string(x.down().code), "heartbeat_timeout");
  CAF_CHECK_EQUAL(x.down().text, "memory:lab: the broker dropped the link");
  CAF_CHECK_EQUAL(to_string(y.down().code), "heartbeat_timeout");
  CAF_CHECK_EQUAL(memory->links(), 0u);
}

// Dropping all links is one event: none of them gets what another had.
CAF_TEST(links that are dropped together leave their messages ready) {
  client x{broker};
  client y{broker};
  auto q = x.queue("q");
  x.consume({1, q, 1});
  y.consume({1, q, 0});
  x.fill(q, {"1", "2", "3"});
  CAF_CHECK_EQUAL(info(q).unacked, 3u);
  memory->drop_links();
  CAF_CHECK_EQUAL(info(q).ready, 3u);
  CAF_CHECK_EQUAL(info(q).unacked, 0u);
  CAF_CHECK_EQUAL(info(q).consumers, 0u);
  client z{broker};
  z.consume({1, q, 0, true});
  CAF_CHECK(bodies(z.take(3)) == (std::vector<std::string>{"1", "2", "3"}));
}

CAF_TEST(refused links end until they are accepted again) {
  memory->refuse_links(ec::login_refused);
  auto events = std::make_shared<end_watcher>();
  auto link = make_memory_transport(memory);
  link->connect(broker.where(), events);
  CAF_CHECK(!events->is_up);
  CAF_CHECK_EQUAL(to_string(events->reason.code), "login_refused");
  link->request(1, declare_queue{{"q"}});
  CAF_CHECK_EQUAL(events->replies, 0);
  memory->accept_links();
  client x{broker};
}

CAF_TEST(a restart keeps what is durable) {
  client x{broker};
  CAF_REQUIRE(!x.call(declare_exchange{{"kept", exchange_type::topic, true}}));
  CAF_REQUIRE(!x.call(declare_exchange{{"gone", exchange_type::topic, false}}));
  CAF_REQUIRE(!x.call(declare_queue{{"kept", true, false, false}}));
  CAF_REQUIRE(!x.call(declare_queue{{"gone", false, false, false}}));
  x.bind("kept", "kept", "k");
  x.bind("kept", "gone", "k");
  x.bind("gone", "kept", "k");
  x.fill("kept", {"transient"});
  auto durable = to_queue("kept", "persistent");
  durable.properties.persistent = true;
  x.publish(durable);
  memory->restart();
  CAF_CHECK_EQUAL(to_string(x.down().code), "connection_forced");
  client y{broker};
  CAF_CHECK(y.exchange_exists("kept"));
  CAF_CHECK(!y.exchange_exists("gone"));
  CAF_CHECK(y.exchange_exists("amq.topic"));
  CAF_CHECK(!y.exists("gone"));
  CAF_CHECK(memory->bindings() == (std::vector<binding>{{"kept", "kept", "k"}}));
  y.consume({1, "kept", 0, true});
  CAF_CHECK(bodies(y.take_all()) == (std::vector<std::string>{"persistent"}));
}

CAF_TEST(a stalled broker answers in order when it resumes) {
  client x{broker};
  memory->stall();
  auto first = x.send(declare_queue{{"q", false, false, false}});
  x.post(to_queue("q", "1"));
  auto second = x.send(declare_queue{{"q", true, false, false}});
  CAF_CHECK_EQUAL(x.log().size(), 1u);
  memory->resume();
  CAF_CHECK(!x.answer(first).error);
  CAF_CHECK(x.answer(second).error);
  CAF_CHECK_EQUAL(info("q").ready, 1u);
}

CAF_TEST(a link to a stalled broker comes up when it resumes) {
  memory->stall();
  auto events = std::make_shared<end_watcher>();
  auto link = make_memory_transport(memory);
  link->connect(broker.where(), events);
  CAF_CHECK(!events->is_up);
  CAF_CHECK_EQUAL(memory->links(), 0u);
  memory->resume();
  CAF_CHECK(events->is_up);
  CAF_CHECK_EQUAL(memory->links(), 1u);
}

CAF_TEST(a link that is dropped while the broker stalls loses its calls) {
  client x{broker};
  memory->stall();
  x.send(declare_queue{{"q"}});
  memory->drop_links();
  memory->resume();
  CAF_CHECK_EQUAL(to_string(x.down().code), "connection_lost");
  CAF_CHECK_EQUAL(x.last_event(), "down");
  CAF_CHECK(memory->queues().empty());
}

CAF_TEST(closing does not wait for a stalled broker) {
  auto events = std::make_shared<end_watcher>();
  auto link = make_memory_transport(memory);
  memory->stall();
  link->connect(broker.where(), events);
  link->close();
  CAF_CHECK_EQUAL(events->ends, 1);
  CAF_CHECK(!events->reason);
  link->close();
  memory->resume();
  CAF_CHECK_EQUAL(events->ends, 1);
  CAF_CHECK(!events->is_up);
}

CAF_TEST(a link that ends while the broker stalls is forgotten) {
  memory->stall();
  {
    auto link = make_memory_transport(memory);
    link->connect(broker.where(), std::make_shared<end_watcher>());
    link->request(1, declare_queue{{"q"}});
  }
  memory->resume();
  CAF_CHECK(memory->queues().empty());
  CAF_CHECK_EQUAL(memory->links(), 0u);
}

CAF_TEST(a blocked broker tells publishers alone and takes nothing) {
  client publisher{broker};
  client listener{broker};
  client late{broker};
  auto q = publisher.queue("q");
  publisher.fill(q, {"1"});
  memory->block("low on memory");
  CAF_CHECK(has(publisher, "blocked low on memory"));
  CAF_CHECK(!has(listener, "blocked low on memory"));
  auto second = publisher.post(to_queue(q, "2"));
  auto third = late.post(to_queue(q, "3"));
  CAF_CHECK(has(late, "blocked low on memory"));
  CAF_CHECK_EQUAL(info(q).ready, 1u);
  memory->unblock();
  CAF_CHECK(has(publisher, "unblocked"));
  CAF_CHECK(!has(listener, "unblocked"));
  CAF_CHECK(publisher.confirmed(second));
  CAF_CHECK(late.confirmed(third));
  CAF_CHECK_EQUAL(info(q).ready, 3u);
}

CAF_TEST(one request is refused on demand) {
  client x{broker};
  memory->refuse_next("q", ec::resource_error);
  CAF_CHECK(!x.call(declare_queue{{"other"}}));
  auto error = x.call(declare_queue{{"q", false, false, false}});
  CAF_CHECK_EQUAL(to_string(error.code), "resource_error");
  CAF_CHECK(error.text.find("declare queue 'q'") != std::string::npos);
  CAF_CHECK(!x.call(declare_queue{{"q", false, false, false}}));
  memory->refuse_next("q", ec::access_refused);
  CAF_CHECK(x.call(start_consumer{{1, "q"}}));
  CAF_CHECK(x.channel_closed().which == channel::deliveries);
}

CAF_TEST(an operator deletes queues and exchanges) {
  client x{broker};
  auto e = x.exchange("e");
  auto q = x.queue("q");
  x.bind(e, q, "k");
  x.consume({1, q});
  CAF_CHECK(memory->delete_exchange(e));
  CAF_CHECK(!memory->delete_exchange(e));
  CAF_CHECK(memory->bindings().empty());
  CAF_CHECK(memory->delete_queue(q));
  CAF_CHECK(!memory->delete_queue(q));
  CAF_CHECK_EQUAL(x.cancelled(), 1u);
}

// What was a message of a quorum queue or a stream is safe, unlike others.
CAF_TEST(a restart keeps what quorum queues and streams hold) {
  client x{broker};
  auto quorum = x.queue("quorum", {{"x-queue-type", "quorum"}});
  auto stream = x.queue("stream", {{"x-queue-type", "stream"}});
  x.fill(quorum, {"1", "2"});
  x.fill(stream, {"1"});
  x.consume({1, quorum, 1});
  memory->restart();
  client y{broker};
  y.consume({1, quorum, 5});
  auto got = y.take(2);
  CAF_CHECK(bodies(got) == (std::vector<std::string>{"1", "2"}));
  CAF_CHECK(got[0].redelivered);
  CAF_CHECK(!got[1].redelivered);
  y.consume({2, stream, 5, false, false, {{"x-stream-offset", "first"}}});
  CAF_CHECK_EQUAL(y.take().body, "1");
}

CAF_TEST(a message is put in twice on demand) {
  client x{broker};
  auto q = x.queue("q");
  auto other = x.queue("other");
  memory->duplicate_next(q);
  x.fill(other, {"o"});
  x.fill(q, {"1", "2"});
  CAF_CHECK_EQUAL(info(other).ready, 1u);
  x.consume({1, q, 0, true});
  auto got = x.take_all();
  CAF_CHECK(bodies(got) == (std::vector<std::string>{"1", "1", "2"}));
  for (auto& message : got)
    CAF_CHECK(!message.redelivered);
}

CAF_TEST(deliveries are held back while all else goes on) {
  client x{broker};
  auto q = x.queue("q");
  memory->delay_deliveries(true);
  x.consume({1, q, 2});
  x.fill(q, {"1", "2", "3"});
  CAF_CHECK(!has(x, "delivered"));
  CAF_CHECK_EQUAL(x.messages(q), 3u);
  memory->delay_deliveries(false);
  CAF_CHECK(has(x, "delivered"));
  auto got = x.take(2);
  memory->delay_deliveries(true);
  x.settle(got[1], settlement::verdict::ack, true);
  CAF_CHECK_EQUAL(info(q).unacked, 0u);
  CAF_CHECK_EQUAL(info(q).ready, 1u);
  memory->delay_deliveries(false);
  CAF_CHECK_EQUAL(x.take().body, "3");
}

CAF_TEST(forgotten consumers get nothing and are told nothing) {
  client x{broker};
  auto q = x.queue("q");
  x.consume({1, q, 1});
  x.fill(q, {"1"});
  auto held = x.take();
  CAF_CHECK_EQUAL(memory->forget_consumers(q), 1u);
  CAF_CHECK_EQUAL(memory->forget_consumers(q), 0u);
  CAF_CHECK_EQUAL(memory->forget_consumers("no such queue"), 0u);
  CAF_CHECK_EQUAL(x.answer(x.send(declare_queue{{q}, true})).consumers, 0u);
  // What it holds it can settle, but there is nobody to get more.
  x.settle(held, settlement::verdict::ack);
  x.fill(q, {"2"});
  CAF_CHECK_EQUAL(info(q).ready, 1u);
  CAF_CHECK_EQUAL(info(q).unacked, 0u);
  CAF_CHECK_EQUAL(x.last_event(), "confirmed 2");
  // The link still knows the name, until it is cancelled.
  CAF_REQUIRE(!x.call(cancel_consumer{1}));
  x.consume({1, q, 1});
  CAF_CHECK_EQUAL(x.take().body, "2");
}

CAF_TEST(a forgotten consumer leaves no trace) {
  client x{broker};
  auto q = broker.name("auto-delete");
  CAF_REQUIRE(!x.call(declare_queue{{q, false, false, true}}));
  x.consume({1, q, 1});
  memory->forget_consumers(q);
  // The last consumer was not seen to leave.
  CAF_REQUIRE(!x.call(cancel_consumer{1}));
  CAF_CHECK(x.exists(q));
  x.consume({1, q, 1});
  memory->forget_consumers(q);
  CAF_CHECK(memory->delete_queue(q));
  CAF_CHECK_EQUAL(x.cancelled(), 1u);
  x.queue("q");
  {
    client other{broker};
    other.consume({1, broker.name("q"), 1});
    memory->forget_consumers(broker.name("q"));
  }
  memory->drop_links();
  CAF_CHECK_EQUAL(memory->links(), 0u);
}

CAF_TEST(bindings come in order) {
  client x{broker};
  for (auto* name : {"q1", "q2"})
    CAF_REQUIRE(!x.call(declare_queue{{name}}));
  x.bind("amq.topic", "q2", "a");
  x.bind("amq.topic", "q1", "b");
  x.bind("amq.direct", "q2", "z");
  x.bind("amq.topic", "q1", "a");
  CAF_CHECK(memory->bindings()
            == (std::vector<binding>{{"amq.direct", "q2", "z"},
                                     {"amq.topic", "q1", "a"},
                                     {"amq.topic", "q1", "b"},
                                     {"amq.topic", "q2", "a"}}));
}

CAF_TEST(a named broker lives as long as somebody holds it) {
  auto first = memory_broker::named("memory-faults");
  CAF_CHECK(first == memory_broker::named("memory-faults"));
  CAF_CHECK(first != memory_broker::named("memory-faults-2"));
  auto link = make_memory_transport(first);
  auto events = std::make_shared<end_watcher>();
  link->connect(broker.where(), events);
  link->request(1, declare_queue{{"q"}});
  first.reset();
  CAF_CHECK_EQUAL(memory_broker::named("memory-faults")->queues().size(), 1u);
  link.reset();
  CAF_CHECK(memory_broker::named("memory-faults")->queues().empty());
}

CAF_TEST(the broker lets go of a link_listener with its link) {
  auto events = std::make_shared<end_watcher>();
  auto link = make_memory_transport(memory);
  link->connect(broker.where(), events);
  link.reset();
  CAF_CHECK_EQUAL(events.use_count(), 1);
  CAF_CHECK_EQUAL(events->ends, 0);
}

CAF_TEST_FIXTURE_SCOPE_END()
