#define CAF_SUITE memory.time

#include "conformance/memory_under_test.hpp"

#include <condition_variable>
#include <mutex>
#include <thread>

#include "amqp/memory/transport.hpp"
#include "caf/test/unit_test.hpp"
#include "support/silent_listener.hpp"

using namespace actors;
using namespace actors::amqp;
using namespace actors::amqp::conformance;
using namespace std::chrono_literals;

// What only a broker whose time is the test's can show, and the thread of one
// whose time is the system's.

namespace {

using number = std::int64_t;
using texts = std::vector<std::string>;

struct fixture {
  std::shared_ptr<memory_broker> memory = std::make_shared<memory_broker>();
  broker_under_test broker{[this] { return make_memory_transport(memory); },
                           *parse_endpoint("memory:lab"),
                           [this](auto time) { memory->advance(time); }};
};

field_table waits_for(std::chrono::milliseconds time, const std::string& then) {
  return {{"x-message-ttl", number{time.count()}},
          {"x-dead-letter-exchange", ""},
          {"x-dead-letter-routing-key", then}};
}

/// Waits for events with a limit, and knows in which thread they came.
class waiting_listener : public testing::silent_listener {
public:
  void delivered(std::uint32_t, std::vector<delivery> xs) override {
    std::lock_guard guard{mutex_};
    deliveries_ += xs.size();
    thread_ = std::this_thread::get_id();
    changed_.notify_all();
  }

  bool await(std::size_t deliveries) {
    std::unique_lock guard{mutex_};
    return changed_.wait_for(guard, 20s, [&] { return deliveries_ >= deliveries; });
  }

  std::thread::id thread() {
    std::lock_guard guard{mutex_};
    return thread_;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t deliveries_ = 0;
  std::thread::id thread_;
};

publication message_to(const std::string& queue, std::uint64_t id) {
  auto result = to_queue(queue, "x");
  result.id = id;
  return result;
}

} // namespace

CAF_TEST_FIXTURE_SCOPE(manual_time, fixture)

CAF_TEST(messages expire to the millisecond) {
  client x{broker};
  auto q = x.queue("q", {{"x-message-ttl", number{100}}});
  x.fill(q, {"1"});
  memory->advance(60ms);
  x.fill(q, {"2"});
  memory->advance(39ms);
  CAF_CHECK_EQUAL(x.messages(q), 2u);
  memory->advance(1ms);
  CAF_CHECK_EQUAL(x.messages(q), 1u);
  memory->advance(59ms);
  CAF_CHECK_EQUAL(x.messages(q), 1u);
  memory->advance(1ms);
  CAF_CHECK_EQUAL(x.messages(q), 0u);
}

CAF_TEST(a message expires by its own time and is a dead letter without it) {
  client x{broker};
  auto dead = x.queue("dead");
  auto q = x.queue("q", waits_for(1s, dead));
  auto message = to_queue(q, "x");
  message.properties.expiration = 100ms;
  x.publish(std::move(message));
  memory->advance(99ms);
  CAF_CHECK_EQUAL(x.messages(q), 1u);
  memory->advance(1ms);
  CAF_CHECK_EQUAL(x.messages(q), 0u);
  memory->advance(10s);
  CAF_CHECK_EQUAL(x.messages(dead), 1u);
}

// Each at its own time: what waits twice comes behind what began later and
// waits once.
CAF_TEST(what is due on the way happens in its order) {
  client x{broker};
  auto last = x.queue("last");
  x.consume({1, last, 0, true});
  auto second = x.queue("second", waits_for(30ms, last));
  auto first = x.queue("first", waits_for(20ms, second));
  x.fill(first, {"20 + 30"});
  memory->advance(10ms);
  x.fill(second, {"10 + 30"});
  memory->advance(1h);
  CAF_CHECK(bodies(x.take_all()) == (texts{"10 + 30", "20 + 30"}));
}

// RabbitMQ means to do the same, but 3.10 mixes up the order of the deaths.
CAF_TEST(a rejection on the way to a circle is no way out of it) {
  client x{broker};
  auto second = broker.name("second");
  auto first = x.queue("first", waits_for(20ms, second));
  x.queue("second", waits_for(20ms, first));
  auto q = x.queue("q", {{"x-dead-letter-exchange", ""}, {"x-dead-letter-routing-key", first}});
  x.consume({1, q, 1});
  x.fill(q, {"1"});
  x.settle(x.take(), settlement::verdict::reject);
  memory->advance(20ms);
  CAF_CHECK_EQUAL(x.messages(second), 1u);
  memory->advance(20ms);
  CAF_CHECK_EQUAL(x.messages(first) + x.messages(second), 0u);
}

CAF_TEST(a message without any time is a dead letter at once) {
  client x{broker};
  auto dead = x.queue("dead");
  auto q = x.queue("q", waits_for(0ms, dead));
  x.consume({1, dead, 0, true});
  x.post(to_queue(q, "1"));
  CAF_CHECK_EQUAL(x.last_event(), "delivered"); // no other call has come
}

CAF_TEST(queues expire to the millisecond) {
  client x{broker};
  auto q = x.queue("q", {{"x-expires", number{100}}});
  memory->advance(99ms);
  CAF_CHECK(x.exists(q));
  memory->advance(99ms);
  x.consume({1, q, 1});
  memory->advance(1h);
  CAF_REQUIRE(!x.call(cancel_consumer{1}));
  memory->advance(99ms);
  CAF_CHECK_EQUAL(memory->queues().size(), 1u);
  memory->advance(1ms);
  CAF_CHECK(memory->queues().empty());
}

CAF_TEST(a queue whose consumers are lost expires) {
  client x{broker};
  auto q = x.queue("q", {{"x-expires", number{100}}});
  x.consume({1, q, 1});
  memory->advance(1h);
  memory->forget_consumers(q);
  memory->advance(100ms);
  CAF_CHECK_EQUAL(x.cancelled(), 1u);
  CAF_CHECK(memory->queues().empty());
}

CAF_TEST(a queue without a use dies with its messages) {
  client x{broker};
  auto dead = x.queue("dead");
  auto arguments = waits_for(1h, dead);
  arguments.emplace_back("x-expires", number{100});
  auto q = x.queue("q", arguments);
  x.fill(q, {"1"});
  memory->advance(2h);
  CAF_CHECK(!x.exists(q));
  CAF_CHECK_EQUAL(x.messages(dead), 0u);
}

CAF_TEST(a restart is a use of a queue) {
  client x{broker};
  auto q = broker.name("q");
  CAF_REQUIRE(!x.call(declare_queue{{q, true, false, false, {{"x-expires", number{100}}}}}));
  memory->advance(60ms);
  memory->restart();
  memory->advance(60ms);
  CAF_CHECK_EQUAL(memory->queues().size(), 1u);
  memory->advance(40ms);
  CAF_CHECK(memory->queues().empty());
}

CAF_TEST(a broker that stalls does what is due when it resumes) {
  client x{broker};
  auto q = x.queue("q", {{"x-message-ttl", number{100}}});
  x.fill(q, {"1"});
  memory->stall();
  auto late = x.post(to_queue(q, "2"));
  memory->advance(100ms);
  const auto ready = memory->queues().front().ready;
  CAF_CHECK_EQUAL(ready, 1u);
  memory->resume();
  CAF_CHECK(x.confirmed(late));
  x.consume({1, q, 0, true});
  CAF_CHECK(bodies(x.take_all()) == texts{"2"});
}

CAF_TEST(a stream is read from an age) {
  client x{broker};
  auto q = x.queue("q", {{"x-queue-type", "stream"}});
  x.fill(q, {"old"});
  memory->advance(40s);
  x.fill(q, {"young"});
  memory->advance(20s);
  consumer_id last = 0;
  for (auto* age : {"59s", "60s", "1m", "200000000Y", "19s"})
    x.consume({++last, q, 10, false, false, {{"x-stream-offset", age}}});
  std::size_t counts[6] = {};
  for (auto& got : x.take_all())
    ++counts[got.consumer];
  CAF_CHECK_EQUAL(counts[1], 1u);
  CAF_CHECK_EQUAL(counts[2], 2u);
  CAF_CHECK_EQUAL(counts[3], 2u);
  CAF_CHECK_EQUAL(counts[4], 2u);
  CAF_CHECK_EQUAL(counts[5], 0u);
  for (auto* nonsense : {"", "1", "h", "-1h", "1w", "1hh", "99999999999s", "weird"}) {
    auto error = x.call(start_consumer{{9, q, 10, false, false, {{"x-stream-offset", nonsense}}}});
    CAF_CHECK_EQUAL(to_string(error.code), "invalid_argument");
  }
  CAF_CHECK_EQUAL(x.channels_closed(), 0u);
}

// RabbitMQ drops whole segments of files, for which a test is too short.
CAF_TEST(a full stream drops its oldest messages) {
  client x{broker};
  auto q = x.queue("q", {{"x-queue-type", "stream"}, {"x-max-length-bytes", number{10}}});
  x.consume({1, q, 1, false, false, {{"x-stream-offset", "first"}}});
  x.fill(q, {"01234", "12345", "23456"});
  auto got = x.take();
  CAF_CHECK_EQUAL(got.body, "01234");
  x.fill(q, {"34567"});
  // The slow reader goes on with the oldest that is there.
  x.settle(got, settlement::verdict::ack);
  CAF_CHECK_EQUAL(x.take().body, "23456");
  x.fill(q, {"a body that is too large alone"});
  CAF_CHECK_EQUAL(x.messages(q), 1u);
}

CAF_TEST_FIXTURE_SCOPE_END()

CAF_TEST(with the systems time messages move on without a call) {
  auto memory = std::make_shared<memory_broker>(memory_broker::time_source::system);
  auto events = std::make_shared<waiting_listener>();
  auto link = make_memory_transport(memory);
  link->connect({}, events);
  link->request(1, declare_queue{{"last"}});
  link->request(2, declare_queue{{"second", false, false, false, waits_for(10ms, "last")}});
  link->request(3, declare_queue{{"first", false, false, false, waits_for(10ms, "second")}});
  link->request(4, start_consumer{{1, "last", 0, true}});
  link->out()->publish(1, {message_to("last", 1)});
  CAF_CHECK(events->await(1));
  CAF_CHECK(events->thread() == std::this_thread::get_id());
  link->out()->publish(1, {message_to("first", 2)});
  CAF_CHECK(events->await(2));
  CAF_CHECK(events->thread() != std::this_thread::get_id());
  // An earlier deadline wakes a thread that sleeps until a later one.
  link->request(5, declare_queue{{"slow", false, false, false, waits_for(1h, "last")}});
  link->out()->publish(1, {message_to("slow", 3), message_to("second", 4)});
  CAF_CHECK(events->await(3));
  memory->advance(2h); // is for manual time
  CAF_CHECK_EQUAL(memory->queues().size(), 4u);
}

CAF_TEST(a named broker has the systems time) {
  auto memory = memory_broker::named("memory-time");
  auto events = std::make_shared<waiting_listener>();
  auto link = make_memory_transport(memory);
  link->connect({}, events);
  link->request(1, declare_queue{{"last"}});
  link->request(2, declare_queue{{"first", false, false, false, waits_for(1ms, "last")}});
  link->request(3, start_consumer{{1, "last", 0, true}});
  link->out()->publish(1, {message_to("first", 1)});
  CAF_CHECK(events->await(1));
}

// Links work while time does, and the end of all waits for neither.
CAF_TEST(time and links share a broker) {
  for (auto i = 0; i < 20; ++i) {
    auto memory = std::make_shared<memory_broker>(memory_broker::time_source::system);
    auto events = std::make_shared<waiting_listener>();
    auto reader = make_memory_transport(memory);
    reader->connect({}, events);
    reader->request(1, declare_queue{{"last", false, false, false}});
    reader->request(2, declare_queue{{"first", false, false, false, waits_for(1ms, "last")}});
    reader->request(3, declare_queue{{"gone", false, false, false, {{"x-expires", number{1}}}}});
    reader->request(4, start_consumer{{1, "last", 0, true}});
    std::vector<std::thread> threads;
    for (auto j = 0; j < 2; ++j)
      threads.emplace_back([memory] {
        auto link = make_memory_transport(memory);
        link->connect({}, std::make_shared<waiting_listener>());
        for (std::uint64_t id = 1; id <= 50; ++id)
          link->out()->publish(1, {message_to("first", id)});
      });
    for (auto& x : threads)
      x.join();
    CAF_CHECK(events->await(i % 2 == 0 ? 100 : 1));
  }
}
