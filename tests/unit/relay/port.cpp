#define CAF_SUITE relay_port

// A relay and its hosts as nodes of their own, on CAF's deterministic network: one
// thread, virtual time, and connections whose bytes the test holds in its hands.

#include "relay/port.hpp"

#include <algorithm>
#include <map>

#include "actors/amqp/memory_broker.hpp"
#include "actors/error.hpp"
#include "actors/event_center.hpp"
#include "actors/logging.hpp"
#include "amqp/memory/transport.hpp"
#include "caf/test/io_dsl.hpp"
#include "center/connection.hpp"
#include "center/dispatcher.hpp"
#include "center/supervisor.hpp"
#include "relay/feeds.hpp"
#include "support/node_transport.hpp"
#include "support/scripted_transport.hpp"
#include "unit/amqp/rabbitmq/recorded_events.hpp"

using namespace actors;
using namespace actors::testing;
using namespace std::chrono_literals;

namespace {

constexpr std::uint16_t port = 5670;

/// Actors of one node, which end with it.
struct center_actors {
  caf::actor supervisor;
  caf::actor dispatcher;

  event_center handle() const {
    return {dispatcher, supervisor};
  }

  void end() const {
    for (auto& x : {supervisor, dispatcher})
      caf::anon_send_exit(x, caf::exit_reason::kill);
  }
};

center_actors spawn_center(caf::actor_system& sys, std::string name, bool feeds,
                           transport_factory make_transport) {
  supervisor_settings settings;
  settings.config.reconnect.jitter = 0;
  settings.config.verify_interval = 0s;
  settings.config.endpoints = {*amqp::parse_endpoint("relay://earth")};
  settings.config.endpoints[0].connection_name = name;
  settings.start_connection = connections_over(std::move(make_transport));
  settings.epoch = 1;
  center_actors result;
  result.supervisor = sys.spawn(supervisor, settings);
  dispatcher_settings queues;
  queues.server_id = name;
  queues.feeds = feeds;
  result.dispatcher = sys.spawn(dispatcher, queues, result.supervisor);
  caf::anon_send(result.supervisor, start_atom_v, result.dispatcher);
  return result;
}

/// What a strategy has seen.
struct journal {
  std::vector<std::int64_t> trades;
  std::vector<std::string> notes;
  bool silent = false;
  std::vector<caf::response_promise> open;
};

caf::behavior strategy(caf::event_based_actor* self, const event_center& center, subscription what,
                       std::shared_ptr<journal> seen) {
  center.subscribe(self, std::move(what))
      .then([seen](const subscribed&) { seen->notes.push_back("subscribed"); },
            [seen](const caf::error& err) { seen->notes.push_back(text_of(err)); });
  return {
      [=](const trade& x) -> caf::result<void> {
        seen->trades.push_back(x.timestamp);
        if (!seen->silent)
          return caf::unit;
        seen->open.push_back(self->make_response_promise());
        return caf::delegated<void>{};
      },
      [=](const stream_gap& x) {
        seen->notes.push_back("gap " + std::to_string(x.from) + " to " + std::to_string(x.to));
      },
      [=](const link_lost&) { seen->notes.push_back("lost"); },
      [=](const link_restored&) { seen->notes.push_back("restored"); },
      [=](caf::ok_atom) {
        for (auto& x : std::exchange(seen->open, {}))
          x.deliver(caf::unit);
      },
  };
}

struct fixture : belt_fixture<> {
  fixture() : broker(std::make_shared<amqp::memory_broker>()) {
    home = spawn_center(earth.sys, "relay", false,
                        [this](const amqp::endpoint&) { return to_broker(); });
    relay_port_settings settings;
    settings.port = port;
    settings.address = "earth";
    settings.limits.max_links = 4;
    settings.limits.max_strangers = 3;
    settings.limits.window = 10;
    settings.limits.max_unconfirmed = 2'000;
    settings.start_link = [this](const amqp::relay_hello&, const amqp::broker_limits& known,
                                 std::shared_ptr<amqp::link_listener> events) {
      known_limits.push_back(known);
      listeners.push_back(events);
      auto result = make_feeding_transport(earth.sys, home.handle(), to_broker());
      result->connect({}, std::move(events));
      return result;
    };
    earth.mpx.provide_acceptor(port, door);
    relay = earth.mm.spawn_broker(relay_port, settings);
    caf::anon_send(relay, start_atom_v);
    move();
  }

  ~fixture() {
    caf::anon_send(relay, stop_atom_v);
    home.end();
    for (auto& x : centers)
      x.end();
    for (auto& x : strategies)
      caf::anon_send_exit(x, caf::exit_reason::kill);
    for (auto& x : journals)
      x->open.clear();
    move();
  }

  amqp::transport_ptr to_broker() {
    return amqp::make_memory_transport(broker);
  }

  /// An event center on another node.
  event_center add_host(planet_type& node, std::string name, bool feeds = false) {
    auto prepare = [this, &node] {
      if (unreachable)
        return false;
      auto at_earth = next_connection_handle();
      auto there = next_connection_handle();
      earth.mpx.prepare_connection(door, at_earth, node.mpx, "earth", port, there);
      connections[&node].emplace_back(at_earth, there);
      return true;
    };
    centers.push_back(
        spawn_center(node.sys, std::move(name), feeds, [&node, prepare](const amqp::endpoint&) {
          return std::make_unique<node_transport>(node.sys, prepare);
        }));
    move();
    return centers.back().handle();
  }

  std::shared_ptr<journal> add_strategy(planet_type& node, const event_center& center,
                                        subscription what) {
    journals.push_back(std::make_shared<journal>());
    strategies.push_back(node.sys.spawn(strategy, center, std::move(what), journals.back()));
    move();
    return journals.back();
  }

  static bool step(planet_type& x) {
    return x.sched.try_run_once() || x.mpx.read_data() || x.mpx.try_exec_runnable()
           || x.mpx.try_accept_connection();
  }

  /// Until nothing moves any more, but the clocks.
  void move() {
    for (auto idle = 0; idle < 3; ++idle)
      while (step(earth) || (!mars_stands && step(mars)) || step(jupiter))
        idle = 0;
  }

  void pass(std::chrono::milliseconds time) {
    for (auto* x : {&earth, &mars, &jupiter})
      if (x != &mars || !mars_stands)
        x->sched.advance_time(time);
    move();
  }

  /// Publishes at the relay's.
  void publish(std::int64_t timestamp) {
    trade x;
    x.platform = "binance";
    x.symbol = "ETH/USDT";
    x.timestamp = timestamp;
    home.handle().publish(x);
    move();
  }

  static void lose(caf::io::network::test_multiplexer& mpx, caf::io::connection_handle hdl) {
    if (auto scribe = mpx.impl_ptr(hdl); scribe && !scribe->detached())
      scribe->io_failure(&mpx, caf::io::network::operation::read);
  }

  /// Ends all connections of a node.
  void cut(planet_type& node) {
    for (auto [at_earth, there] : connections[&node]) {
      lose(earth.mpx, at_earth);
      lose(node.mpx, there);
    }
    connections[&node].clear();
    move();
  }

  /// Somebody who connects and says no more than this.
  caf::io::connection_handle add_stranger(std::string_view words = {}) {
    const auto who = next_connection_handle();
    earth.mpx.add_pending_connect(door, who);
    move();
    if (!words.empty())
      earth.mpx.virtual_send(who, {words.begin(), words.end()});
    move();
    return who;
  }

  relay_status status() {
    relay_status result;
    caf::scoped_actor self{earth.sys};
    auto request = self->request(relay, caf::infinite, status_atom_v);
    move();
    request.receive([&](relay_status& x) { result = std::move(x); },
                    [](const caf::error& err) { CAF_FAIL(text_of(err)); });
    return result;
  }

  std::shared_ptr<amqp::memory_broker> broker;
  caf::io::accept_handle door = next_accept_handle();
  center_actors home;
  caf::actor relay;
  /// What each link of a host to the broker was told, and where its events go.
  std::vector<amqp::broker_limits> known_limits;
  std::vector<std::shared_ptr<amqp::link_listener>> listeners;
  std::vector<center_actors> centers;
  std::vector<caf::actor> strategies;
  std::vector<std::shared_ptr<journal>> journals;
  using ends = std::pair<caf::io::connection_handle, caf::io::connection_handle>;
  std::map<planet_type*, std::vector<ends>> connections;
  bool unreachable = false;
  /// Nothing of mars moves.
  bool mars_stands = false;
};

using list = std::vector<std::int64_t>;
using notes = std::vector<std::string>;

} // namespace

CAF_TEST_FIXTURE_SCOPE(relay_port_tests, fixture)

CAF_TEST(a strategy on another node gets what is published) {
  auto seen = add_strategy(mars, add_host(mars, "mars"), trades("binance", "ETH/USDT"));
  CAF_CHECK(seen->notes == notes{"subscribed"});
  publish(1);
  publish(2);
  CAF_CHECK(seen->trades == (list{1, 2}));
  CAF_CHECK(status().links.size() == 2u);
}

CAF_TEST(a strategy on another node publishes) {
  auto here = add_strategy(earth, home.handle(), trades("binance", "ETH/USDT"));
  auto there = add_host(mars, "mars");
  auto answers = std::make_shared<int>(0);
  mars.sys.spawn([=](caf::event_based_actor* self) {
    trade x;
    x.platform = "binance";
    x.symbol = "ETH/USDT";
    x.timestamp = 7;
    there.publish(self, x).then([=](const published&) { ++*answers; });
  });
  move();
  CAF_CHECK_EQUAL(*answers, 1);
  CAF_CHECK(here->trades == list{7});
}

CAF_TEST(a feed comes from the broker once for all nodes) {
  auto one = add_strategy(mars, add_host(mars, "mars", true), trades("binance", "#"));
  auto two = add_strategy(jupiter, add_host(jupiter, "jupiter", true), trades("binance", "#"));
  CAF_REQUIRE(broker->queues().size() == 1u);
  CAF_CHECK(broker->queues()[0].name == "relay.Trade.binance.#");
  for (auto i = 1; i <= 50; ++i)
    publish(i);
  CAF_CHECK_EQUAL(one->trades.size(), 50u);
  CAF_CHECK(one->trades == two->trades);
}

CAF_TEST(a feed ends with the last node that follows it) {
  auto seen = add_strategy(mars, add_host(mars, "mars", true), trades("binance", "#"));
  CAF_CHECK(broker->queues().size() == 1u);
  caf::anon_send_exit(strategies.back(), caf::exit_reason::user_shutdown);
  move();
  CAF_CHECK(broker->queues().empty());
  CAF_CHECK(status().links.size() == 2u);
}

CAF_TEST(what a lost node had not answered comes again) {
  auto what =
      trades("binance", "#").on_durable_queue("orders").prefetch(10).acked(ack_policy::on_success);
  auto seen = add_strategy(mars, add_host(mars, "mars"), std::move(what).with_stream_events());
  seen->silent = true;
  for (auto i = 1; i <= 3; ++i)
    publish(i);
  CAF_CHECK(seen->trades == (list{1, 2, 3}));
  cut(mars);
  seen->silent = false;
  caf::anon_send(strategies.back(), caf::ok_atom::value); // too late
  pass(1s);
  CAF_CHECK(seen->notes == (notes{"subscribed", "lost", "restored"}));
  publish(4);
  CAF_CHECK_EQUAL(seen->trades.back(), 4);
  for (auto& x : broker->queues())
    CAF_CHECK_EQUAL(x.ready + x.unacked, 0u);
  CAF_CHECK(status().lost == 2u);
}

CAF_TEST(what a feed missed shows as a gap) {
  subscription what = trades("binance", "#").with_stream_events();
  auto seen = add_strategy(mars, add_host(mars, "mars", true), what);
  publish(1);
  unreachable = true;
  cut(mars);
  publish(2);
  publish(3);
  unreachable = false;
  pass(1s);
  pass(1s);
  publish(4);
  CAF_CHECK(seen->trades == (list{1, 4}));
  CAF_CHECK(seen->notes == (notes{"subscribed", "lost", "restored", "gap 2 to 3"}));
}

CAF_TEST(a node that stands still costs the others nothing and the relay little) {
  auto stuck = add_strategy(mars, add_host(mars, "mars", true),
                            trades("binance", "#").keeping(delivery_policy::drop_oldest, 20));
  auto well = add_strategy(jupiter, add_host(jupiter, "jupiter", true), trades("binance", "#"));
  mars_stands = true;
  for (auto i = 1; i <= 5'000; ++i)
    publish(i);
  CAF_CHECK_EQUAL(well->trades.size(), 5'000u);
  dispatcher_status at_relay;
  caf::scoped_actor self{earth.sys};
  auto request = home.handle().status(self);
  move();
  request.receive([&](const center_status& x) { at_relay = x.dispatcher; },
                  [](const caf::error& err) { CAF_FAIL(text_of(err)); });
  std::uint64_t dropped = 0;
  for (auto& x : at_relay.handlers) {
    CAF_CHECK(x.waiting <= 20);
    dropped += x.dropped.oldest;
  }
  CAF_CHECK(dropped > 3'000);
  mars_stands = false;
  move();
  CAF_CHECK_EQUAL(stuck->trades.back(), 5'000);
}

CAF_TEST(there are no more links than allowed) {
  add_host(mars, "mars");
  add_host(jupiter, "jupiter");
  CAF_CHECK(status().links.size() == 4u);
  add_host(mars, "one too many");
  CAF_CHECK(status().links.size() == 4u);
  CAF_CHECK(status().refused >= 2);
}

CAF_TEST(what a node publishes towards a broker that does not answer is bounded) {
  auto there = add_host(mars, "mars");
  auto answers = std::make_shared<int>(0);
  auto publisher = [=](caf::event_based_actor* self) {
    trade x;
    x.platform = "binance";
    x.symbol = "ETH/USDT";
    for (auto i = 0; i < 100; ++i)
      there.publish(self, x).then([=](const published&) { ++*answers; });
  };
  mars.sys.spawn(publisher);
  move();
  CAF_CHECK_EQUAL(*answers, 100);
  broker->stall();
  for (auto i = 0; i < 10; ++i) {
    mars.sys.spawn(publisher);
    move();
  }
  auto halted = 0;
  for (auto [at_earth, away] : connections[&mars])
    halted += earth.mpx.passive_mode(at_earth) ? 1 : 0;
  CAF_CHECK_EQUAL(halted, 1);
  std::uint64_t taken = 0;
  for (auto& x : status().links)
    taken += x.published;
  CAF_CHECK(taken < 600);
  broker->resume();
  move();
  CAF_CHECK_EQUAL(*answers, 1'100);
}

CAF_TEST(what one host has learned of the broker is known to the next) {
  add_host(mars, "mars");
  CAF_REQUIRE(!listeners.empty());
  CAF_CHECK_EQUAL(known_limits.back().channels, 0u);
  amqp::broker_limits limits;
  limits.channels = 8;
  listeners[0]->learned(limits);
  move();
  add_host(jupiter, "jupiter");
  CAF_CHECK_EQUAL(known_limits.back().channels, 8u);
}

CAF_TEST(a relay that could serve nobody does not listen) {
  const auto refusal_of = [this](const relay_limits& limits) {
    relay_port_settings settings;
    settings.limits = limits;
    auto port = earth.mm.spawn_broker(relay_port, settings);
    caf::scoped_actor self{earth.sys};
    auto request = self->request(port, caf::infinite, start_atom_v);
    move();
    std::string result;
    request.receive([](std::uint16_t) {}, [&](const caf::error& err) { result = text_of(err); });
    caf::anon_send_exit(port, caf::exit_reason::kill);
    return result;
  };
  relay_limits limits;
  limits.max_strangers = 0;
  CAF_CHECK(refusal_of(limits).find("max_strangers") != std::string::npos);
  limits = {};
  limits.max_message = relay_limits::least_message - 1;
  CAF_CHECK(refusal_of(limits).find("the least is 8192") != std::string::npos);
}

CAF_TEST(whoever only connects keeps no host out) {
  for (auto i = 0; i < 20; ++i)
    add_stranger(i % 2 == 0 ? "\0\0" : "");
  CAF_CHECK_EQUAL(status().strangers, 3u);
  auto seen = add_strategy(mars, add_host(mars, "mars"), trades("binance", "ETH/USDT"));
  publish(1);
  CAF_CHECK(seen->trades == list{1});
  add_host(jupiter, "jupiter");
  CAF_CHECK_EQUAL(status().links.size(), 4u);
}

CAF_TEST(what waits for a host that breaks the rules is dropped) {
  const std::vector<amqp::host_frame> words{
      amqp::relay_hello{},
      amqp::relay_tune{},
      amqp::request_command{1, amqp::declare_exchange{{"Trade"}}},
      amqp::request_command{2, amqp::declare_queue{{"q"}}},
      amqp::request_command{3, amqp::bind_queue{{"Trade", "q", "#"}}},
      amqp::request_command{4, amqp::start_consumer{{5, "q", 1'000}}}};
  const auto who = add_stranger();
  for (auto& x : words) {
    std::string bytes;
    append(bytes, x);
    earth.mpx.virtual_send(who, {bytes.begin(), bytes.end()});
    move();
  }
  auto& waiting = earth.mpx.output_buffer(who);
  for (auto i = 1; i <= 200; ++i)
    publish(i);
  CAF_CHECK(waiting.size() > 20'000);
  const std::string_view garbage{"\0\0\0\1\xff", 5};
  earth.mpx.virtual_send(who, {garbage.begin(), garbage.end()});
  move();
  CAF_CHECK(waiting.size() < 200);
  CAF_CHECK_EQUAL(status().links.size(), 0u);
}

CAF_TEST(hosts that have said hello are not strangers) {
  add_host(mars, "mars");
  add_host(jupiter, "jupiter");
  CAF_CHECK_EQUAL(status().strangers, 0u);
  for (auto i = 0; i < 20; ++i)
    add_stranger();
  CAF_CHECK_EQUAL(status().links.size(), 4u);
  CAF_CHECK_EQUAL(status().lost, 0u);
}

CAF_TEST(a stranger stays no longer than a handshake takes) {
  add_stranger();
  pass(9'900ms);
  CAF_CHECK_EQUAL(status().strangers, 1u);
  pass(200ms);
  CAF_CHECK_EQUAL(status().strangers, 0u);
  CAF_CHECK_EQUAL(status().refused, 1u);
}

CAF_TEST(a feed is answered when all its bindings are) {
  auto events = std::make_shared<amqp::recorded_events>();
  auto link = make_feeding_transport(earth.sys, home.handle(), to_broker());
  link->connect({}, events);
  const amqp::queue feed{.name = "f",
                         .arguments = {{"x-la-feed", std::string{"drop_oldest"}},
                                       {"x-la-feed-max-waiting", std::int64_t{100}}}};
  link->request(1, amqp::declare_queue{feed});
  link->request(2, amqp::bind_queue{{"Trade", "f", "binance.A"}});
  link->request(3, amqp::bind_queue{{"Trade", "f", "binance.B"}});
  broker->refuse_next("relay.Trade.binance.A", ec::access_refused);
  link->request(4, amqp::start_consumer{{7, "f", 0, true}});
  move();
  auto told = events->take();
  CAF_CHECK(told.back().find("replied 4 access_refused") == 0);
  // Only what does not stand is asked for again.
  link->request(5, amqp::start_consumer{{7, "f", 0, true}});
  move();
  CAF_CHECK(events->take() == notes{"replied 5"});
  CAF_CHECK_EQUAL(broker->queues().size(), 2u);
}

// A symbol in Latin-1.
// What a host has taken of a feed makes room for more, whatever becomes of its channels.
CAF_TEST(a feed has a life of its own) {
  auto events = std::make_shared<amqp::recorded_events>();
  auto scripted = std::make_shared<scripted_link>();
  auto link = make_feeding_transport(earth.sys, home.handle(),
                                     std::make_unique<scripted_transport>(scripted));
  link->connect({}, events);
  const amqp::queue feed{.name = "f",
                         .arguments = {{"x-la-feed", std::string{"drop_oldest"}},
                                       {"x-la-feed-max-waiting", std::int64_t{20}}}};
  link->request(1, amqp::declare_queue{feed});
  link->request(2, amqp::bind_queue{{"Trade", "f", "binance.#"}});
  link->request(3, amqp::start_consumer{{7, "f", 0, true}});
  move();
  for (auto i = 1; i <= 2'000; ++i) {
    publish(i);
    CAF_REQUIRE_EQUAL(events->deliveries.size(), static_cast<std::size_t>(i));
    if (i % 100 == 0)
      events->channel_closed({amqp::channel::deliveries, {ec::not_found, "no"}, 1, {}});
    link->out()->settle(feed_generation, {{events->deliveries.back().tag}});
    move();
  }
  CAF_CHECK(scripted->settlements.empty());
  link->out()->settle(1, {{events->deliveries.back().tag}});
  CAF_CHECK_EQUAL(scripted->settlements.size(), 1u);
}

CAF_TEST(a feed that cannot be is refused and the others go on) {
  auto well = add_strategy(jupiter, add_host(jupiter, "jupiter", true), trades("binance", "#"));
  auto events = std::make_shared<amqp::recorded_events>();
  auto link = make_feeding_transport(earth.sys, home.handle(), to_broker());
  link->connect({}, events);
  const amqp::queue feed{.name = "f",
                         .arguments = {{"x-la-feed", std::string{"drop_oldest"}},
                                       {"x-la-feed-max-waiting", std::int64_t{100}}}};
  link->request(1, amqp::declare_queue{feed});
  link->request(2, amqp::bind_queue{{"Trade", "f", "binance.\xe9"}});
  link->request(3, amqp::bind_queue{{"Trade", "f", "binance.#"}});
  link->request(4, amqp::start_consumer{{7, "f", 0, true}});
  move();
  publish(1);
  auto lines = events->take();
  CAF_CHECK(std::find(lines.begin(), lines.end(), "replied 1 f") != lines.end());
  CAF_CHECK(std::any_of(lines.begin(), lines.end(), [](const std::string& x) {
    return x.find("replied 2 invalid_argument") == 0;
  }));
  CAF_CHECK(std::find(lines.begin(), lines.end(), "replied 4") != lines.end());
  CAF_CHECK(well->trades == list{1});
  CAF_CHECK_EQUAL(events->deliveries.size(), 1u);
}

CAF_TEST_FIXTURE_SCOPE_END()
