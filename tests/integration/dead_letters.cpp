#define CAF_SUITE dead_letters

// Dead letters that the broker makes itself, of what is too old or too much for a queue: they
// are what they were, to whoever reads them and when they are moved back.

#include "amqp/rabbitmq/transport.hpp"
#include "conformance/client.hpp"
#include "support/center_fixture.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::testing;
using namespace std::chrono_literals;

namespace {

using lines = std::vector<std::string>;

/// How many messages wait in a queue, or consumers for it ("messages", "consumers").
std::string count_of(const std::string& what, const std::string& queue) {
  auto rows = test_broker::folder().ask_ctl("-q list_queues name " + what + " --no-table-headers");
  auto row = rows.find(queue + '\t');
  if (row == std::string::npos)
    return "no such queue";
  auto first = row + queue.size() + 1;
  return rows.substr(first, rows.find('\n', first) - first);
}

/// As an operator's tool does: what is in a queue goes to another one by its name, as it is.
void move_all(std::size_t count, const std::string& from, const std::string& to) {
  using namespace amqp::conformance;
  auto where = amqp::parse_endpoint(test_broker::url());
  CAF_REQUIRE(where);
  broker_under_test broker{[] { return amqp::make_rabbitmq_transport(); }, *where};
  client tool{broker};
  tool.consume({.id = 1, .queue = from, .prefetch_count = 0});
  for (auto& x : tool.take(count)) {
    amqp::publication copy;
    copy.routing_key = to;
    copy.properties = x.properties;
    copy.body = std::make_shared<const std::string>(x.body);
    tool.publish(std::move(copy));
    tool.settle(x, amqp::settlement::verdict::ack);
  }
  CAF_CHECK(actors::testing::eventually([&] { return count_of("messages", from) == "0"; }));
}

/// Has a queue with dead letters and nobody who consumes it.
struct fixture : journal_fixture {
  explicit fixture(const queue_limits& limits)
      : what(trades("it", "D").on_durable_queue(queue).limited(limits).dead_lettered()) {
    add("first", what);
    CAF_REQUIRE(seen->wait_for("first subscribed"));
    caf::anon_send_exit(strategies.back(), caf::exit_reason::user_shutdown);
    CAF_REQUIRE(eventually([this] { return count_of("consumers", queue) == "0"; }));
  }

  void publish_all(std::int64_t count) {
    for (std::int64_t i = 1; i <= count; ++i)
      publish("D", i);
  }

  bool are_dead(std::size_t count) {
    return eventually(
        [=, this] { return count_of("messages", queue + ".dead") == std::to_string(count); });
  }

  /// Whether a strategy gets these trades and no others, once it has subscribed.
  bool gets(const std::string& name, const subscription& from, const lines& expected) {
    journal_fixture reader;
    reader.add(name, from);
    const auto came = reader.seen->wait_for(expected.size() + 1);
    auto got = reader.seen->lines();
    std::erase(got, name + " subscribed");
    for (auto& x : got)
      CAF_MESSAGE(x);
    return came && got == expected;
  }

  std::string queue = unique_name("queue");
  subscription what;
};

} // namespace

CAF_TEST(what became too old in its queue is read as what it was) {
  if (!test_broker::available())
    return;
  fixture f{{.message_ttl = 200ms}};
  f.publish_all(3);
  CAF_REQUIRE(f.are_dead(3));
  CAF_CHECK(f.gets("dead", trades("it", "D").on_durable_queue(f.queue + ".dead"),
                   {"dead D 1", "dead D 2", "dead D 3"}));
}

CAF_TEST(what was too much for its queue is read as what it was) {
  if (!test_broker::available())
    return;
  fixture f{{.max_length = 2}};
  f.publish_all(5);
  CAF_REQUIRE(f.are_dead(3));
  CAF_CHECK(f.gets("dead", trades("it", "D").on_durable_queue(f.queue + ".dead"),
                   {"dead D 1", "dead D 2", "dead D 3"}));
}

CAF_TEST(a dead letter of the broker that is moved back is handled as what it was) {
  if (!test_broker::available())
    return;
  fixture f{{.max_length = 5}};
  f.publish_all(8);
  CAF_REQUIRE(f.are_dead(3));
  // What is alive is handled first, which makes room.
  CAF_CHECK(f.gets("s", f.what, {"s D 4", "s D 5", "s D 6", "s D 7", "s D 8"}));
  move_all(3, f.queue + ".dead", f.queue);
  CAF_CHECK(f.gets("s", f.what, {"s D 1", "s D 2", "s D 3"}));
  CAF_CHECK(eventually([&] { return count_of("messages", f.queue) == "0"; }));
}
