#define CAF_SUITE faults_broker

// What a broker does on its worst days, while events are published and handled.

#include <atomic>
#include <memory>

#include "support/broker_version.hpp"
#include "support/numbered_fixture.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::testing;
using namespace std::chrono_literals;

namespace {

/// Silence of twice this time ends a link.
constexpr auto heartbeat = 1s;
/// How long it may take until a link that is dead is seen to be.
constexpr auto noticed = 2 * heartbeat + 1s;

config settings_for_silence() {
  auto result = settings_for_tests();
  result.endpoints[0].heartbeat = heartbeat;
  return result;
}

/// Raises an alarm, sees that publishing waits in the outbox while consuming goes on, and
/// that after the alarm everything is sent in order.
void check_alarm(const std::string& raise, const std::string& clear) {
  numbered_fixture f{settings_for_silence()};
  const auto kept = every_numbered(f.key, unique_name("kept"));
  f.handle("late", kept);
  CAF_REQUIRE(f.start());
  // It leaves messages behind in its queue.
  caf::anon_send_exit(f.strategies.front(), caf::exit_reason::user_shutdown);
  CAF_REQUIRE(f.consumes(1));
  CAF_REQUIRE(f.books->more_confirmed(20, patience));
  test_broker::ctl(raise);
  CAF_CHECK(eventually([&] { return f.link(link_role::publishing).state == link_state::blocked; },
                       heartbeat));
  CAF_CHECK_EQUAL(f.link(link_role::consuming).state, link_state::up);
  CAF_CHECK(eventually([&] { return f.status().supervisor.outbox.waiting > 20; }));
  f.handle("late", kept);
  CAF_CHECK(f.books->catches_up("late", patience));
  // Longer than a broker that is dead could keep a link.
  CAF_CHECK(!f.books->more_confirmed(1, 3 * heartbeat));
  test_broker::ctl(clear);
  CAF_CHECK(f.goes_on());
  CAF_CHECK_EQUAL(f.link(link_role::publishing).state, link_state::up);
  CAF_CHECK_EQUAL(f.link(link_role::publishing).losses, 0u);
  CAF_CHECK_EQUAL(f.link(link_role::consuming).losses, 0u);
  CAF_CHECK(f.status().supervisor.outbox.rejected == 0u);
  CAF_CHECK(f.is_clean());
}

/// Answers no event, ever; counts how often its consumer was lost.
caf::behavior hanging_strategy(caf::event_based_actor* self, const event_center& center,
                               const subscription& what,
                               const std::shared_ptr<std::atomic<int>>& losses) {
  center.subscribe(self, what.with_stream_events());
  return {
      [=](const numbered&) { return self->make_response_promise<caf::unit_t>(); },
      [=](const link_lost&) { ++*losses; },
      [](const link_restored&) {},
      [](const stream_gap&) {},
      [](const stream_restarted&) {},
  };
}

/// Has a quorum queue answer nothing any more ("suspend"), or go on ("resume").
void tell_queue(const std::string& command, const std::string& queue) {
  static_cast<void>(test_broker::folder().ask_ctl("eval 'sys:" + command + "(list_to_atom(\"%2F_"
                                                  + queue + "\")).'"));
}

/// Has the broker lose a stream, but not the record of its queue, as a crash at a bad time may.
void lose_stream(const std::string& queue) {
  static_cast<void>(test_broker::folder().ask_ctl(
      "eval '{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"" + queue
      + "\">>)), #{name := S} = amqqueue:get_type_state(Q), "
        "ra:process_command({rabbit_stream_coordinator, node()}, {delete_stream, S, #{}}).'"));
}

/// How long the broker waits for an acknowledgement, and how often it looks; in ms, for
/// channels that are opened from now on.
void set_consumer_timeout(int timeout, int tick) {
  static_cast<void>(test_broker::folder().ask_ctl(
      "eval 'application:set_env(rabbit, consumer_timeout, " + std::to_string(timeout)
      + "), application:set_env(rabbit, channel_tick_interval, " + std::to_string(tick) + ").'"));
}

} // namespace

CAF_TEST(a broker that crashes loses nothing that it confirmed) {
  if (!test_broker::available())
    return;
  numbered_fixture f;
  CAF_REQUIRE(f.start());
  test_broker::kill();
  test_broker::restart();
  CAF_CHECK(f.goes_on());
  CAF_CHECK(f.is_clean());
}

CAF_TEST(connections that the broker closes lose nothing) {
  if (!test_broker::available())
    return;
  numbered_fixture f;
  CAF_REQUIRE(f.start());
  for (auto i = 0; i < 3; ++i) {
    test_broker::ctl("close_all_connections 'a test closes them'");
    CAF_CHECK(f.goes_on());
  }
  CAF_CHECK_EQUAL(f.link(link_role::consuming).losses, 3u);
  CAF_CHECK_EQUAL(f.link(link_role::publishing).losses, 3u);
  CAF_CHECK(f.is_clean());
}

// What was in it would be gone, as whoever deletes it wants.
CAF_TEST(an empty queue that is deleted comes back without a loss) {
  if (!test_broker::available())
    return;
  numbered_fixture f;
  CAF_REQUIRE(f.start());
  f.pause();
  CAF_REQUIRE(f.books->settles(patience));
  test_broker::ctl("delete_queue " + f.queue);
  CAF_CHECK(eventually([&] {
    return test_broker::folder().ask_ctl("list_queues name").find(f.queue) != std::string::npos;
  }));
  CAF_CHECK(f.consumes());
  f.publish();
  CAF_CHECK(f.goes_on());
  CAF_CHECK(f.is_clean());
}

// Its bindings are gone with it: they must come back as well.
CAF_TEST(an exchange that is deleted comes back with its bindings) {
  if (!test_broker::available())
    return;
  numbered_fixture f;
  CAF_REQUIRE(f.start());
  test_broker::folder().delete_exchange(std::string{numbered::exchange});
  CAF_CHECK(f.goes_on());
  CAF_CHECK(f.is_clean());
}

CAF_TEST(a memory alarm stops publishing alone) {
  if (!test_broker::available())
    return;
  check_alarm("set_vm_memory_high_watermark 0.0001",
              "set_vm_memory_high_watermark absolute 1536MB");
}

CAF_TEST(a disk alarm stops publishing alone) {
  if (!test_broker::available())
    return;
  check_alarm("set_disk_free_limit 900000GB", "set_disk_free_limit 50MB");
}

CAF_TEST(a broker that hangs is noticed and found again) {
  if (!test_broker::available())
    return;
  numbered_fixture f{settings_for_silence()};
  CAF_REQUIRE(f.start());
  test_broker::folder().freeze();
  const auto limit = std::chrono::steady_clock::now() + noticed;
  for (auto role : {link_role::consuming, link_role::publishing})
    CAF_CHECK(f.loses(role, std::chrono::duration_cast<std::chrono::milliseconds>(
                                limit - std::chrono::steady_clock::now())));
  test_broker::folder().thaw();
  CAF_CHECK(f.goes_on());
  CAF_CHECK(f.is_clean());
}

// A handler that does not end: the broker takes its message back, with the channel. RabbitMQ 4.3
// never does from a classic queue.
CAF_TEST(an acknowledgement that takes too long costs its channel alone) {
  if (!test_broker::available())
    return;
  set_consumer_timeout(2'000, 500);
  {
    numbered_fixture f;
    CAF_REQUIRE(f.start());
    if (broker_version::of(f.link(link_role::consuming).broker) >= rabbitmq_4_3)
      return set_consumer_timeout(1'800'000, 60'000);
    const auto losses = std::make_shared<std::atomic<int>>(0);
    f.strategies.push_back(f.sys.spawn(hanging_strategy, event_center{f.center},
                                       every_numbered(f.key, unique_name("hangs")), losses));
    CAF_CHECK(eventually([&] { return *losses > 0; }));
    CAF_CHECK(f.goes_on());
    CAF_CHECK_EQUAL(f.link(link_role::consuming).losses, 0u);
    CAF_CHECK_EQUAL(f.link(link_role::publishing).losses, 0u);
    CAF_CHECK(f.is_clean());
  }
  set_consumer_timeout(1'800'000, 60'000);
}

// As a quorum queue that has lost its leader for good: who consumes it has no answer, ever.
CAF_TEST(a queue that does not answer costs those beside it two links at most) {
  if (!test_broker::available())
    return;
  auto settings = settings_for_tests();
  settings.endpoints[0].heartbeat = 2s;
  settings.endpoints[0].request_timeout = 4s;
  numbered_fixture f{settings};
  const auto queue = unique_name("silent");
  const auto seen = std::make_shared<journal>();
  f.strategies.push_back(f.sys.spawn(journal_strategy, event_center{f.center},
                                     trades("it", "S").on_quorum_queue(queue), seen, "silent"));
  CAF_REQUIRE(seen->wait_for("silent subscribed"));
  // With a single active consumer, which RabbitMQ keeps for as long as its channel hangs.
  CAF_REQUIRE(f.start());
  for (auto i = 1; i <= 5; ++i) {
    const auto name = "beside " + std::to_string(i);
    f.strategies.push_back(f.sys.spawn(
        journal_strategy, event_center{f.center},
        trades("it", "B" + std::to_string(i)).on_durable_queue(unique_name("beside")), seen, name));
    CAF_REQUIRE(seen->wait_for(name + " subscribed"));
  }
  tell_queue("suspend", queue);
  test_broker::ctl("close_all_connections 'a test closes them'");
  CAF_CHECK(eventually([&] { return !f.status().supervisor.refused.empty(); }));
  CAF_CHECK(f.goes_on());
  // The one that was closed, and two.
  CAF_CHECK(f.link(link_role::consuming).losses <= 3);
  tell_queue("resume", queue);
  CAF_CHECK(f.consumes(7));
  CAF_CHECK(f.goes_on());
  CAF_CHECK(f.link(link_role::consuming).losses <= 3);
  f.pause();
  CAF_CHECK(f.books->settles(patience));
  const auto verdict = f.books->judge();
  CAF_MESSAGE(audit::text_of(verdict));
  CAF_CHECK_EQUAL(verdict.lost + verdict.twice, 0u);
}

namespace {

/// Beside numbered messages that nothing holds up, a strategy of a quorum queue that does not
/// answer.
struct silent_queue_fixture {
  explicit silent_queue_fixture() : f(settings()) {
    f.strategies.push_back(f.sys.spawn(journal_strategy, event_center{f.center},
                                       trades("it", "S").on_quorum_queue(queue), seen, "silent"));
    CAF_REQUIRE(seen->wait_for("silent subscribed"));
    CAF_REQUIRE(f.start());
    tell_queue("suspend", queue);
  }

  static config settings() {
    auto result = settings_for_tests();
    result.outbox.confirm_timeout = 5min; // who waits for that waits in vain
    return result;
  }

  void publish(std::int64_t count) {
    trade x;
    x.platform = "it";
    x.symbol = "S";
    for (x.timestamp = 1; x.timestamp <= count; ++x.timestamp)
      f.center.publish(x);
  }

  void resume(std::int64_t last) {
    tell_queue("resume", queue);
    CAF_CHECK(seen->wait_for("silent S " + std::to_string(last)));
    CAF_CHECK(f.goes_on());
    CAF_CHECK(f.is_clean());
  }

  std::string queue = unique_name("silent");
  std::shared_ptr<journal> seen = std::make_shared<journal>();
  numbered_fixture f;
};

} // namespace

// RabbitMQ takes 32 messages for such a queue, and then reads a few hundred more from the
// connection, whoever they are for.
CAF_TEST(a queue that does not answer holds up publications to its exchange alone) {
  if (!test_broker::available())
    return;
  silent_queue_fixture x;
  x.publish(1'000);
  CAF_CHECK(x.f.books->more_confirmed(200, patience));
  CAF_CHECK(x.f.goes_on());
  CAF_CHECK(x.f.link(link_role::publishing).losses <= 1);
  CAF_CHECK_EQUAL(x.f.link(link_role::quarantine).state, link_state::up);
  x.resume(1'000);
  CAF_CHECK(x.f.link(link_role::publishing).losses <= 1);
}

// At the first message for it by a new connection RabbitMQ waits for the queue, and for nothing
// else.
CAF_TEST(a queue that does not answer by a new link is found) {
  if (!test_broker::available())
    return;
  silent_queue_fixture x;
  test_broker::ctl("close_all_connections 'a test closes them'");
  x.publish(100);
  CAF_CHECK(x.f.books->more_confirmed(200, patience));
  CAF_CHECK(x.f.goes_on());
  CAF_CHECK(x.f.link(link_role::publishing).losses <= 3);
  x.resume(100);
}

// It closes the connection of whoever publishes to it or consumes it.
CAF_TEST(a stream that the broker has lost costs others a few connections) {
  if (!test_broker::available())
    return;
  const auto queue = unique_name("lost");
  auto seen = std::make_shared<journal>();
  numbered_fixture f;
  const auto publish = [&](std::int64_t count) {
    trade x;
    x.platform = "it";
    x.symbol = queue; // the record stays, and nobody else is to come by it
    for (x.timestamp = 1; x.timestamp <= count; ++x.timestamp)
      f.center.publish(x);
  };
  f.strategies.push_back(f.sys.spawn(journal_strategy, event_center{f.center},
                                     trades("it", queue).on_stream(queue, "first"), seen, "lost"));
  CAF_REQUIRE(seen->wait_for("lost subscribed"));
  CAF_REQUIRE(f.start());
  publish(10);
  CAF_REQUIRE(seen->wait_for("lost " + queue + " 10"));
  lose_stream(queue);
  test_broker::ctl("close_all_connections 'a test closes them'");
  publish(500);
  CAF_CHECK(f.goes_on());
  CAF_CHECK(eventually([&f] { return f.status().supervisor.outbox.waiting == 0; }));
  const auto losses = f.link(link_role::publishing).losses;
  CAF_MESSAGE(losses << " losses");
  CAF_CHECK(losses <= 12);
  publish(500);
  CAF_CHECK(f.goes_on());
  CAF_CHECK_EQUAL(f.link(link_role::publishing).losses, losses);
  CAF_CHECK(f.is_clean());
}
