#define CAF_SUITE guarantees

// Promises that RabbitMQ keeps for us, by its own means: retries, dead letters,
// delivery limits, streams.

#include "support/broker_account.hpp"
#include "support/broker_version.hpp"

using namespace actors;
using namespace actors::testing;
using namespace std::chrono_literals;

namespace {

/// Fails with every trade, and says so.
caf::behavior failing_strategy(caf::event_based_actor* self, event_center center, subscription what,
                               std::shared_ptr<journal> seen) {
  center.subscribe(self, std::move(what)).then([=](const subscribed&) {
    seen->add("failing subscribed");
  });
  return {
      [=](const trade& x) -> caf::result<void> {
        seen->add("failed " + std::to_string(x.timestamp));
        return make_error(ec::handler_failed, "it always does");
      },
  };
}

/// How many messages wait in a queue.
std::string messages(const std::string& queue) {
  auto rows = test_broker::folder().ask_ctl("-q list_queues name messages --no-table-headers");
  auto row = rows.find(queue + '\t');
  if (row == std::string::npos)
    return "no such queue";
  auto first = row + queue.size() + 1;
  return rows.substr(first, rows.find('\n', first) - first);
}

struct fixture : journal_fixture {
  void add_failing(subscription what) {
    strategies.push_back(sys.spawn(failing_strategy, event_center{center}, std::move(what), seen));
    CAF_REQUIRE(seen->wait_for("failing subscribed"));
  }

  /// Reads a queue of dead letters: last, as reading binds it.
  bool is_dead(const std::string& queue, const std::string& symbol, std::int64_t stamp) {
    add("dead", trades("it", symbol).on_durable_queue(queue + ".dead"));
    return seen->wait_for("dead " + symbol + ' ' + std::to_string(stamp));
  }
};

} // namespace

CAF_TEST(a message that always fails is retried and ends in the dead letters) {
  if (!test_broker::available())
    return;
  fixture f;
  const auto queue = unique_name("retried");
  f.add_failing(trades("it", "D").on_durable_queue(queue).retried(
      {.delay = 20ms, .factor = 2, .max_delay = 40ms, .max_retries = 3}));
  f.publish("D", 1);
  CAF_REQUIRE(eventually([&] { return f.seen->count("failed 1") == 4; }));
  CAF_CHECK(f.is_dead(queue, "D", 1));
  CAF_CHECK_EQUAL(f.seen->count("failed 1"), 4u);
  auto status = f.status().dispatcher;
  CAF_CHECK_EQUAL(status.retried, 3u);
  CAF_CHECK_EQUAL(status.dead_lettered, 1u);
}

CAF_TEST(a retry on quorum queues ends in the dead letters) {
  if (!test_broker::available())
    return;
  fixture f;
  const auto queue = unique_name("quorum");
  f.add_failing(trades("it", "Q").on_quorum_queue(queue).retried(
      {.delay = 20ms, .factor = 1, .max_retries = 1}));
  f.publish("Q", 1);
  CAF_REQUIRE(eventually([&] { return f.seen->count("failed 1") == 2; }));
  CAF_CHECK(eventually([&] { return messages(queue + ".dead") == "1"; }));
}

// The broker ends it, whatever the strategy does.
CAF_TEST(a delivery limit sends what comes back too often to the dead letters) {
  if (!test_broker::available())
    return;
  fixture f;
  const auto queue = unique_name("limited");
  f.add_failing(trades("it", "L")
                    .on_quorum_queue(queue)
                    .limited({.delivery_limit = 2})
                    .acked(ack_policy::on_success));
  f.publish("L", 1);
  CAF_CHECK(eventually([&] { return f.seen->count("failed 1") == 3; }));
  CAF_CHECK(eventually([&] { return messages(queue + ".dead") == "1"; }));
  CAF_CHECK_EQUAL(f.seen->count("failed 1"), 3u);
}

// Quorum queues would have a limit of 20 returns.
CAF_TEST(a durable queue is a classic one whatever the vhost has by default) {
  if (!test_broker::available())
    return;
  if (broker_version::of(test_broker::folder().version()) < rabbitmq_4)
    return; // has no such default that can be set later
  broker_account user;
  test_broker::ctl("update_vhost_metadata " + user.name + " --default-queue-type quorum");
  journal_fixture f{user.settings()};
  const auto queue = unique_name("durable");
  f.add("kept", trades("it", "K").on_durable_queue(queue).retried());
  CAF_REQUIRE(f.seen->wait_for("kept subscribed"));
  const auto types =
      test_broker::folder().ask_ctl("-q list_queues -p " + user.name + " type --no-table-headers");
  CAF_CHECK(types.find("classic") != std::string::npos);
  CAF_CHECK_EQUAL(types.find("quorum"), std::string::npos);
  f.publish("K", 1);
  CAF_CHECK(f.seen->wait_for("kept K 1"));
}

CAF_TEST(a stream is read from its beginning and on after a reconnect) {
  if (!test_broker::available())
    return;
  fixture f;
  const auto queue = unique_name("tape");
  f.add("live", trades("it", "S").on_stream(queue));
  CAF_REQUIRE(f.seen->wait_for("live subscribed"));
  for (std::int64_t i = 1; i <= 3; ++i)
    f.publish("S", i);
  CAF_REQUIRE(f.seen->wait_for("live S 3"));
  fixture late;
  late.add("late", trades("it", "S").on_stream(queue, std::string{"first"}));
  for (std::int64_t i = 1; i <= 3; ++i)
    CAF_CHECK(late.seen->wait_for("late S " + std::to_string(i)));
  test_broker::ctl("close_all_connections 'a test closes them'");
  CAF_CHECK(f.comes_through("live", "S"));
  for (std::int64_t i = 1; i <= 3; ++i) {
    CAF_CHECK_EQUAL(f.seen->count("live S " + std::to_string(i)), 1u);
    CAF_CHECK_EQUAL(late.seen->count("late S " + std::to_string(i)), 1u);
  }
}

CAF_TEST(a stream that is deleted is read from the beginning of the next one) {
  if (!test_broker::available())
    return;
  fixture f;
  const auto queue = unique_name("tape");
  f.add("tape", trades("it", "S").on_stream(queue, std::string{"first"}));
  CAF_REQUIRE(f.seen->wait_for("tape subscribed"));
  for (std::int64_t i = 1; i <= 20; ++i)
    f.publish("S", i);
  CAF_REQUIRE(f.seen->wait_for("tape S 20"));
  test_broker::ctl("delete_queue " + queue);
  CAF_CHECK(f.comes_through("tape", "S"));
}

namespace {

/// Takes the first consumer from a classic queue and tells nobody. RabbitMQ's own call for
/// it changed with version 4.
void lose_a_consumer(const std::string& queue) {
  static_cast<void>(test_broker::folder().ask_ctl(
      "eval '{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"" + queue
      + "\">>)), [C | _] = rabbit_amqqueue:consumers(Q), Pid = element(1, C), Tag = element(2, C), "
        "User = <<\"test\">>, {ok, Version} = application:get_key(rabbit, vsn), "
        "gen_server2:call(amqqueue:get_pid(Q), case Version of \"3.\" ++ _ -> "
        "{basic_cancel, Pid, Tag, undefined, User}; _ -> "
        "{stop_consumer, #{pid => Pid, consumer_tag => Tag, user => User}} end).'"));
}

} // namespace

// Somebody's call of the queue's process, or a bug of the broker.
CAF_TEST(a consumer that the broker lost without a word is rebuilt) {
  if (!test_broker::available())
    return;
  auto settings = settings_for_tests();
  settings.verify_interval = 1s;
  journal_fixture f{settings};
  const auto queue = unique_name("wedged");
  f.add("s", trades("it", "W").on_durable_queue(queue));
  CAF_REQUIRE(f.seen->wait_for("s subscribed"));
  lose_a_consumer(queue);
  CAF_CHECK(f.comes_through("s", "W"));
}
