#define CAF_SUITE trades

// The row "trades" of the first table in docs/delivery-guarantees.md, with the settings that it
// names and no others: every trade that the broker confirmed arrives, through crashes of it.

#include "center/messages.hpp"
#include "support/broker_version.hpp"
#include "support/chaos_proxy.hpp"
#include "support/numbered_fixture.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::testing;
using namespace std::chrono_literals;

namespace {

struct proxied {
  chaos_proxy proxy{test_broker::url()};
};

/// An event center with a way to the broker of its own.
struct desk : proxied, center_fixture {
  explicit desk(config settings = settings_for_tests())
      : center_fixture(through(std::move(settings))) {
    // nop
  }

  config through(config settings) const {
    settings.endpoints = settings_for_tests(proxy.url()).endpoints;
    return settings;
  }

  /// It finds no broker any more, until `come_back`.
  void leave() {
    proxy.tell("refuse");
    proxy.tell("cut");
  }

  void come_back() {
    proxy.tell("listen");
  }

  bool consumes() {
    return eventually([this] {
      const auto rows = status().dispatcher.handlers;
      return !rows.empty() && rows[0].consuming;
    });
  }

  bool is_up(link_role role) {
    return eventually([=, this] { return link(role).state == link_state::up; });
  }
};

/// Whoever handles trades and whoever publishes them.
struct fixture {
  /// AIOQuant's exchange by default: it is gone with the broker, and its bindings with it.
  explicit fixture(std::string name = std::string{trade::exchange},
                   config publishing = settings_for_tests())
      : exchange(std::move(name)), publisher(std::move(publishing)) {
    open_consumer();
    numbered_publisher_settings settings{.name = "publisher", .keys = {key}, .pace = 10ms};
    settings.exchange = exchange;
    settings.options = {.persistent = true};
    publisher.strategies.push_back(publisher.sys.spawn(
        numbered_publisher, event_center{publisher.center}, std::move(settings), books));
    CAF_REQUIRE(consumer->consumes());
    books->wants("strategy", key);
    publish(true);
    CAF_REQUIRE(goes_on());
    test_broker::folder().write_down_topology();
  }

  void open_consumer() {
    consumer = std::make_unique<desk>();
    auto what = subscription::to<numbered>(key).on_durable_queue(queue).prefetch(100).acked(
        ack_policy::on_success);
    what.exchange = exchange;
    consumer->strategies.push_back(consumer->sys.spawn(
        numbered_strategy, event_center{consumer->center},
        numbered_strategy_settings{"strategy", std::move(what)}, books, std::make_shared<mood>()));
  }

  void publish(bool on) {
    if (on)
      caf::anon_send(publisher.strategies[0], start_atom_v);
    else
      caf::anon_send(publisher.strategies[0], stop_atom_v);
  }

  bool goes_on() {
    return books->all_handle_fresh_events(patience);
  }

  /// Whether the publisher is connected and has so many trades that nobody takes until they
  /// have a way to their queue; or they are taken, where the broker has the bindings back.
  bool waits_with(std::uint64_t count) {
    if (!publisher.is_up(link_role::publishing))
      return false;
    if (broker_version::of(publisher.link(link_role::publishing).broker) >= rabbitmq_4_3)
      return books->more_confirmed(count, patience);
    return eventually([=, this] { return publisher.status().supervisor.outbox.waiting >= count; });
  }

  /// Whether every trade was confirmed, and every confirmed one handled once by each strategy.
  bool lost_nothing() {
    publish(false);
    const auto settled = books->settles(patience);
    const auto verdict = books->judge();
    CAF_MESSAGE(audit::text_of(verdict));
    return settled && verdict.confirmed > 0 && verdict.lost + verdict.twice + verdict.refused == 0;
  }

  std::string exchange;
  std::string key = unique_name("trades");
  std::string queue = unique_name("trades");
  std::shared_ptr<audit> books = std::make_shared<audit>();
  desk publisher;
  std::unique_ptr<desk> consumer;
};

void crash_and_restart() {
  test_broker::kill();
  test_broker::restart();
}

} // namespace

// Whoever is first to come back is left to chance.
CAF_TEST(no trade is lost over crashes of the broker) {
  if (!test_broker::available())
    return;
  fixture f;
  for (auto i = 0; i < 3; ++i) {
    crash_and_restart();
    CAF_CHECK(f.goes_on());
  }
  CAF_CHECK(f.lost_nothing());
}

CAF_TEST(no trade is lost over a crash with the consumer back first) {
  if (!test_broker::available())
    return;
  fixture f;
  f.publisher.leave();
  crash_and_restart();
  CAF_CHECK(f.consumer->consumes());
  f.publisher.come_back();
  CAF_CHECK(f.goes_on());
  CAF_CHECK(f.lost_nothing());
}

CAF_TEST(no trade is lost over a crash with the publisher back first) {
  if (!test_broker::available())
    return;
  fixture f;
  f.consumer->leave();
  // RabbitMQ 3.10 was seen to forget what it had confirmed within a tenth of a second after a
  // queue lost its consumer, when it was killed then.
  CAF_CHECK(f.books->more_confirmed(100, patience));
  crash_and_restart();
  CAF_CHECK(f.waits_with(100));
  f.consumer->come_back();
  CAF_CHECK(f.goes_on());
  CAF_CHECK(f.lost_nothing());
}

CAF_TEST(no trade is lost over a crash with the consumer away) {
  if (!test_broker::available())
    return;
  fixture f;
  f.consumer.reset();
  CAF_CHECK(f.books->more_confirmed(100, patience));
  crash_and_restart();
  CAF_CHECK(f.waits_with(100));
  f.open_consumer();
  CAF_CHECK(f.goes_on());
  CAF_CHECK(f.lost_nothing());
}

// Its exchange outlives the broker, so that nobody has to wait for bindings.
CAF_TEST(no event of another exchange is lost however long the consumer is away) {
  if (!test_broker::available())
    return;
  auto settings = settings_for_tests();
  settings.outbox.restore_timeout = 0ms;
  fixture f{std::string{numbered::exchange}, settings};
  f.consumer.reset();
  for (auto i = 0; i < 2; ++i) {
    crash_and_restart();
    CAF_CHECK(f.books->more_confirmed(100, patience));
  }
  f.open_consumer();
  CAF_CHECK(f.goes_on());
  CAF_CHECK(f.lost_nothing());
}
