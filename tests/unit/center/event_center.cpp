#define CAF_SUITE event_center

// The three actors on the in-process broker, as a user sees them.

#include "actors/event_center.hpp"

#include <set>
#include <stdexcept>
#include <tuple>

#include "amqp/memory/transport.hpp"
#include "center/event_center_watch.hpp"
#include "support/silent_listener.hpp"
#include "unit/memory_center_fixture.hpp"

using namespace actors;
using namespace actors::testing;
using namespace std::chrono_literals;

namespace {

/// An event type of a user's own.
struct funding {
  static constexpr std::string_view event_name = "EVENT_FUNDING";
  static constexpr std::string_view exchange = "Funding";
  std::string platform;
  std::string symbol;
  double rate = 0;
};

boost::json::value to_json(const funding& x) {
  return {{"p", x.platform}, {"s", x.symbol}, {"r", x.rate}};
}

caf::error from_json(const boost::json::value& in, funding& out) {
  auto object = in.if_object();
  if (!object || !object->contains("r") || !object->at("r").is_double())
    return make_error(ec::malformed_json, "EVENT_FUNDING: key 'r': a number is missing");
  out.platform = object->at("p").as_string();
  out.symbol = object->at("s").as_string();
  out.rate = object->at("r").as_double();
  return {};
}

/// One of which each routing key has several subjects.
struct option_quote {
  static constexpr std::string_view event_name = "EVENT_OPTION_QUOTE";
  static constexpr std::string_view exchange = "OptionQuote";
  std::string platform = "deribit";
  std::string symbol = "BTC";
  std::int64_t strike = 0;
  std::int64_t bid = 0;
};

boost::json::value to_json(const option_quote& x) {
  return {{"k", x.strike}, {"b", x.bid}};
}

caf::error from_json(const boost::json::value& in, option_quote& out) {
  out.strike = in.at("k").to_number<std::int64_t>();
  out.bid = in.at("b").to_number<std::int64_t>();
  return {};
}

std::string subject_of(const option_quote& x) {
  return std::to_string(x.strike);
}

struct journal {
  std::vector<std::int64_t> trades;
  std::vector<double> rates;
  std::vector<std::int64_t> bids;
  std::vector<subscribed> told;
  std::vector<caf::error> errors;
  int failures = 0;
};

/// A strategy as a user writes it.
caf::behavior strategy(caf::event_based_actor* self, event_center center, subscription what,
                       std::shared_ptr<journal> seen) {
  center.subscribe(self, std::move(what))
      .then([=](const subscribed& x) { seen->told.push_back(x); },
            [=](caf::error& err) { seen->errors.push_back(std::move(err)); });
  return {
      [=](const trade& x) -> caf::result<void> {
        if (seen->failures > 0) {
          --seen->failures;
          return make_error(ec::handler_failed, "not now");
        }
        seen->trades.push_back(x.timestamp);
        return caf::unit;
      },
      [=](const funding& x) { seen->rates.push_back(x.rate); },
      [=](const option_quote& x) { seen->bids.push_back(x.bid); },
  };
}

struct fixture : memory_center_fixture {
  std::shared_ptr<journal> add(subscription what) {
    auto result = std::make_shared<journal>();
    strategies.push_back(sys.spawn(strategy, center, std::move(what), result));
    sched.run();
    return result;
  }
};

using list = std::vector<std::int64_t>;

} // namespace

CAF_TEST_FIXTURE_SCOPE(event_center_tests, fixture)

CAF_TEST(a strategy receives what is published) {
  start();
  auto seen = add(trades("binance", "ETH/USDT"));
  CAF_REQUIRE_EQUAL(seen->told.size(), 1u);
  CAF_CHECK_EQUAL(seen->told[0].queue, "srv.Trade.binance.ETH/USDT");
  publish(some_trade(1));
  publish(some_trade(2, "BTC/USDT"));
  publish(some_trade(3));
  CAF_CHECK(seen->trades == (list{1, 3}));
}

CAF_TEST(subscribing before the broker is there works once it is) {
  auto seen = add(trades("binance", "ETH/USDT"));
  CAF_CHECK(seen->told.empty());
  start();
  CAF_CHECK_EQUAL(seen->told.size(), 1u);
}

CAF_TEST(an event type of the user goes both ways) {
  start();
  auto seen = add(subscription::to<funding>("binance.#"));
  publish(funding{"binance", "ETH/USDT", 0.0125});
  CAF_CHECK(seen->rates == std::vector<double>{0.0125});
}

CAF_TEST(the outbox keeps the newest of each subject of a type of the user) {
  start();
  auto seen = add(subscription::to<option_quote>("deribit.#"));
  const auto [table, links] =
      spawn_center("publisher", {.each = {.overflow = overflow_policy::latest_per_key}});
  event_center publisher{table, links};
  for (auto [strike, bid] : {std::pair{90'000, 1}, {95'000, 2}, {90'000, 3}})
    publisher.publish(option_quote{.strike = strike, .bid = bid});
  caf::anon_send(links, start_atom_v, table);
  sched.run();
  CAF_CHECK(seen->bids == (list{3, 2}));
  for (auto& x : {links, table})
    caf::anon_send_exit(x, caf::exit_reason::kill);
  sched.run();
}

CAF_TEST(an event goes to the exchange that its publisher names) {
  start();
  auto own = add(trades("binance", "ETH/USDT"));
  auto what = trades("binance", "ETH/USDT");
  what.exchange = "Paper";
  auto paper = add(what);
  center.publish(some_trade(1), {.exchange = "Paper"});
  sched.run();
  CAF_CHECK(own->trades.empty());
  CAF_CHECK(paper->trades == list{1});
}

namespace {

/// What is answered within a second while there is no broker.
caf::behavior impatient(caf::event_based_actor* self, event_center center,
                        std::shared_ptr<std::vector<caf::error>> errors) {
  auto note = [=](caf::error& err) { errors->push_back(std::move(err)); };
  center.subscribe(self, trades("binance", "ETH/USDT"), 1s).then([](const subscribed&) {}, note);
  center.publish(self, some_trade(1), {.timeout = 1s}).then([](const published&) {}, note);
  return {[](const trade&) {}};
}

} // namespace

CAF_TEST(nobody waits longer for an answer than they said) {
  auto errors = std::make_shared<std::vector<caf::error>>();
  strategies.push_back(sys.spawn(impatient, center, errors));
  sched.run();
  sched.advance_time(999ms);
  sched.run();
  CAF_CHECK(errors->empty());
  sched.advance_time(1ms);
  sched.run();
  CAF_CHECK(*errors == std::vector<caf::error>(2, caf::sec::request_timeout));
}

CAF_TEST(a subscription goes on when nobody waits for its answer any more) {
  auto errors = std::make_shared<std::vector<caf::error>>();
  strategies.push_back(sys.spawn(impatient, center, errors));
  sched.run();
  sched.advance_time(1s);
  start();
  const auto queues = broker->queues();
  CAF_REQUIRE_EQUAL(queues.size(), 1u);
  CAF_CHECK_EQUAL(queues[0].consumers, 1u);
}

CAF_TEST(a subscription has its id at once) {
  start();
  subscription_id id = 0;
  auto seen = std::make_shared<journal>();
  strategies.push_back(sys.spawn([&, this](caf::event_based_actor* self) -> caf::behavior {
    auto pending = center.subscribe(self, trades("binance", "ETH/USDT"));
    id = pending.subscription;
    pending.then([=](const subscribed& x) { seen->told.push_back(x); });
    return {[](const trade&) {}};
  }));
  sched.run();
  CAF_REQUIRE_EQUAL(seen->told.size(), 1u);
  CAF_CHECK_EQUAL(seen->told[0].id, id);
}

CAF_TEST(a subscription that the broker has not answered can be ended) {
  auto errors = std::make_shared<std::vector<caf::error>>();
  strategies.push_back(sys.spawn([=, this](caf::event_based_actor* self) -> caf::behavior {
    auto pending = center.subscribe(self, trades("binance", "ETH/USDT"));
    pending.then([](const subscribed&) {},
                 [=](caf::error& err) { errors->push_back(std::move(err)); });
    center.unsubscribe(self, pending.subscription);
    return {[](const trade&) {}};
  }));
  start();
  CAF_REQUIRE_EQUAL(errors->size(), 1u);
  CAF_CHECK(code_of(errors->front()) == ec::not_subscribed);
  CAF_CHECK(broker->queues().empty());
}

CAF_TEST(a subscription from outside has an id as well) {
  start();
  auto seen = add(orderbooks("binance", "ETH/USDT"));
  const auto id = center.subscribe(strategies.back(), trades("binance", "ETH/USDT"));
  sched.run();
  CAF_CHECK_EQUAL(broker->queues().size(), 2u);
  caf::scoped_actor self{sys};
  auto answer = center.unsubscribe(self, id);
  sched.run();
  answer.receive([] {}, [](const caf::error& err) { CAF_ERROR(text_of(err)); });
  CAF_CHECK_EQUAL(broker->queues().size(), 1u);
}

namespace {

struct informed {
  std::vector<std::int64_t> trades;
  std::vector<delivery_info> about;
  int failures = 0;
};

caf::behavior informed_strategy(caf::event_based_actor* self, event_center center,
                                const subscription& what, std::shared_ptr<informed> seen) {
  center.subscribe(self, what.with_delivery_info());
  return {[=](const trade& x, const delivery_info& about) -> caf::result<void> {
    seen->trades.push_back(x.timestamp);
    seen->about.push_back(about);
    if (seen->failures-- > 0)
      return make_error(ec::handler_failed, "not now");
    return caf::unit;
  }};
}

} // namespace

CAF_TEST(a handler that asks is told about the delivery) {
  start();
  auto seen = std::make_shared<informed>();
  strategies.push_back(sys.spawn(informed_strategy, center, trades("binance", "ETH/USDT"), seen));
  auto plain = add(trades("binance", "ETH/USDT").on_queue("another"));
  center.publish(some_trade(1), {.message_id = "m-1"});
  sched.run();
  CAF_CHECK(plain->trades == list{1});
  CAF_REQUIRE_EQUAL(seen->about.size(), 1u);
  auto& about = seen->about[0];
  CAF_CHECK(about.subscription != 0);
  CAF_CHECK_EQUAL(about.exchange, "Trade");
  CAF_CHECK_EQUAL(about.routing_key, "binance.ETH/USDT");
  CAF_CHECK_EQUAL(about.message_id, "m-1");
  CAF_CHECK(!about.redelivered);
  CAF_CHECK_EQUAL(about.attempt, 1u);
  CAF_CHECK(!about.stream_offset);
  CAF_CHECK(about.sent.has_value());
}

CAF_TEST(a handler is told which attempt it is) {
  start();
  auto seen = std::make_shared<informed>();
  seen->failures = 2;
  strategies.push_back(sys.spawn(
      informed_strategy, center,
      trades("binance", "ETH/USDT").on_durable_queue("q").retried({.delay = 1s, .factor = 1}),
      seen));
  sched.run();
  publish(some_trade(1));
  advance(1s);
  advance(1s);
  std::vector<std::uint32_t> attempts;
  for (auto& x : seen->about)
    attempts.push_back(x.attempt);
  CAF_CHECK_EQUAL(attempts, (std::vector<std::uint32_t>{1, 2, 3}));
}

CAF_TEST(a reader of a stream is told where it is) {
  start();
  auto seen = std::make_shared<informed>();
  strategies.push_back(sys.spawn(informed_strategy, center,
                                 trades("binance", "ETH/USDT").on_stream("tape", "first"), seen));
  sched.run();
  for (auto i : {1, 2, 3})
    publish(some_trade(i));
  std::vector<std::int64_t> offsets;
  for (auto& x : seen->about)
    offsets.push_back(x.stream_offset.value_or(-1));
  CAF_CHECK_EQUAL(offsets, (std::vector<std::int64_t>{0, 1, 2}));
}

CAF_TEST(the newest of each subject is kept for a handler that is told about deliveries) {
  start();
  auto bids = std::make_shared<std::vector<std::int64_t>>();
  strategies.push_back(sys.spawn([=, this](caf::event_based_actor* self) -> caf::behavior {
    center.subscribe(self, subscription::to<option_quote>("deribit.#")
                               .keeping(delivery_policy::latest_per_key, 10)
                               .with_delivery_info());
    return {[=](const option_quote& x, const delivery_info&) { bids->push_back(x.bid); }};
  }));
  sched.run();
  for (std::int64_t i = 1; i <= 40; ++i)
    center.publish(option_quote{.strike = i % 2, .bid = i});
  sched.run();
  CAF_REQUIRE(bids->size() >= 2);
  CAF_CHECK((std::set{bids->rbegin()[0], bids->rbegin()[1]} == std::set<std::int64_t>{39, 40}));
}

CAF_TEST(whoever asks is told of each change of a link) {
  auto states = std::make_shared<std::vector<std::string>>();
  strategies.push_back(sys.spawn([=, this](caf::event_based_actor* self) -> caf::behavior {
    center.on_link(self);
    return {[=](const link_status& x) {
      if (x.role == link_role::publishing)
        states->emplace_back(to_string(x.state));
    }};
  }));
  sched.run();
  start();
  publish(some_trade(1));
  broker->block("low on memory");
  sched.run();
  broker->unblock();
  sched.run();
  broker->drop_links();
  sched.run();
  reconnect();
  CAF_CHECK_EQUAL(*states, (std::vector<std::string>{"down", "connecting", "up", "blocked", "up",
                                                     "down", "connecting", "up"}));
}

CAF_TEST(a watcher of links that has no handler or fails harms nobody else) {
  strategies.push_back(sys.spawn([this](caf::event_based_actor* self) -> caf::behavior {
    center.on_link(self);
    return {[](int) {}};
  }));
  strategies.push_back(sys.spawn([this](caf::event_based_actor* self) -> caf::behavior {
    center.on_link(self);
    return {[](const link_status&) { return make_error(ec::handler_failed, "no"); }};
  }));
  strategies.push_back(sys.spawn([this](caf::event_based_actor* self) -> caf::behavior {
    center.on_link(self);
    return {[](const link_status&) { return 42; }};
  }));
  sched.run();
  start();
  auto prices = std::make_shared<std::vector<double>>();
  strategies.push_back(sys.spawn([=, this](caf::event_based_actor* self) -> caf::behavior {
    center.subscribe(self, trades("#", "#"));
    return {[=](const trade& x) { prices->push_back(x.price.value()); }};
  }));
  sched.run();
  publish(some_trade(1));
  sched.run();
  CAF_CHECK_EQUAL(prices->size(), 1u);
}

namespace {

struct volatile_event {
  static constexpr std::string_view event_name = "EVENT_VOLATILE";
  static constexpr std::string_view exchange = "Volatile";
  static constexpr bool durable_exchange = false;
  std::string platform = "p";
  std::string symbol = "s";
};

boost::json::value to_json(const volatile_event&) {
  return boost::json::object{};
}

caf::error from_json(const boost::json::value&, volatile_event&) {
  return {};
}

} // namespace

CAF_TEST(an event type says whether its exchange is durable) {
  start();
  add(subscription::to<volatile_event>("#"));
  add(subscription::to<funding>("#"));
  auto other = amqp::make_memory_transport(broker);
  auto events = std::make_shared<silent_listener>();
  other->connect({}, events);
  broker->restart();
  CAF_CHECK(!broker->delete_exchange("Volatile")); // gone with the restart
  CAF_CHECK(broker->delete_exchange("Funding"));
}

CAF_TEST(a lost link is repaired and the subscription with it) {
  start();
  auto seen = add(trades("binance", "#").multi(false));
  broker->drop_links();
  sched.run();
  CAF_CHECK_EQUAL(broker->links(), 0u);
  reconnect();
  CAF_CHECK_EQUAL(broker->links(), 2u);
  publish(some_trade(1));
  CAF_CHECK(seen->trades == list{1});
  CAF_CHECK_EQUAL(seen->told.size(), 1u);
}

CAF_TEST(a deleted queue comes back) {
  start();
  auto seen = add(trades("binance", "ETH/USDT"));
  CAF_CHECK(broker->delete_queue("srv.Trade.binance.ETH/USDT"));
  sched.run();
  publish(some_trade(1));
  CAF_CHECK(seen->trades == list{1});
}

CAF_TEST(a broker restart loses no subscription) {
  start();
  auto one = add(trades("binance", "ETH/USDT"));
  auto two = add(trades("#", "#"));
  broker->restart();
  reconnect();
  publish(some_trade(1));
  CAF_CHECK(one->trades == list{1});
  CAF_CHECK(two->trades == list{1});
}

CAF_TEST(one bad entity is reported and does not stop the others) {
  start();
  broker->refuse_next("srv.Trade.binance.BAD", ec::resource_locked);
  auto bad = add(trades("binance", "BAD"));
  auto good = add(trades("binance", "ETH/USDT"));
  CAF_REQUIRE_EQUAL(bad->errors.size(), 1u);
  CAF_CHECK(code_of(bad->errors[0]) == ec::resource_locked);
  publish(some_trade(1));
  CAF_CHECK(good->trades == list{1});
}

CAF_TEST(an exchange of another type is used as it is) {
  auto older = amqp::make_memory_transport(broker);
  older->connect({}, std::make_shared<silent_listener>());
  older->request(1, amqp::declare_exchange{{"Trade", amqp::exchange_type::fanout}});
  start();
  auto eth = add(trades("binance", "ETH/USDT"));
  auto all = add(trades("binance", "#").multi(false));
  publish(some_trade(1));
  publish(some_trade(2, "BTC/USDT"));
  CAF_CHECK(eth->trades == list{1});
  CAF_CHECK(all->trades == (list{1, 2}));
}

CAF_TEST(a failing handler gets the message again) {
  start();
  auto seen = add(trades("binance", "ETH/USDT").acked(ack_policy::on_success));
  seen->failures = 2;
  publish(some_trade(1));
  publish(some_trade(2));
  CAF_CHECK(seen->trades.empty()); // a second failure is followed by a pause
  sched.advance_time(1s);
  sched.run();
  CAF_CHECK(seen->trades == (list{1, 2}));
  CAF_CHECK(broker->queues().at(0).unacked == 0u);
}

CAF_TEST(the end of a strategy removes its queue from the broker) {
  start();
  add(trades("binance", "ETH/USDT"));
  CAF_CHECK_EQUAL(broker->queues().size(), 1u);
  caf::anon_send_exit(strategies[0], caf::exit_reason::user_shutdown);
  sched.run();
  CAF_CHECK(broker->queues().empty());
}

CAF_TEST(many subscriptions are replayed) {
  start();
  std::vector<std::shared_ptr<journal>> all;
  for (auto i = 0; i < 200; ++i)
    all.push_back(add(trades("binance", "S" + std::to_string(i))));
  broker->restart();
  reconnect();
  CAF_CHECK_EQUAL(broker->queues().size(), 200u);
  for (auto i = 0; i < 200; ++i)
    center.publish(some_trade(i, "S" + std::to_string(i)));
  sched.run();
  for (auto i = 0; i < 200; ++i)
    if (all[static_cast<std::size_t>(i)]->trades != list{i})
      CAF_ERROR("subscription " << i << " missed its trade");
}

CAF_TEST(an unroutable message is confirmed like any other) {
  start();
  auto confirmed = std::make_shared<bool>(false);
  sys.spawn([=, this](caf::event_based_actor* self) {
    center.publish(self, some_trade(1)).then([=](const published&) { *confirmed = true; });
  });
  sched.run();
  CAF_CHECK(*confirmed);
}

// It would be confirmed, and dropped by each of them.
CAF_TEST(what no receiver would take is refused to its publisher) {
  start();
  auto publish_data = [this](std::string text) {
    auto data = json::parse(text, 100);
    CAF_REQUIRE(data);
    caf::scoped_actor self{sys};
    auto request = center.publish(
        self, event{.name = "E", .exchange = "Own", .routing_key = "k", .data = *data});
    sched.run();
    auto code = ec::none;
    request.receive([](const published&) {}, [&](const caf::error& err) { code = code_of(err); });
    return code;
  };
  const payload_limits limits;
  auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + "\"]\\\"[\"" + std::string(depth, ']');
  };
  CAF_CHECK(publish_data(nested(limits.max_depth - 1)) == ec::none);
  CAF_CHECK(publish_data(nested(limits.max_depth)) == ec::limit_exceeded);
  // Nothing but one letter: it unpacks to far more than 200 times its size.
  CAF_CHECK(publish_data('"' + std::string(60'000, 'x') + '"') == ec::none);
  CAF_CHECK(publish_data('"' + std::string(70'000, 'x') + '"') == ec::limit_exceeded);
}

CAF_TEST(what is no UTF_8 is refused to its publisher) {
  start();
  auto publish_text = [this](std::string name, std::string text) {
    caf::scoped_actor self{sys};
    auto request = center.publish(self, event{.name = std::move(name),
                                              .exchange = "Own",
                                              .routing_key = "k",
                                              .data = json{boost::json::string{text}}});
    sched.run();
    caf::error result;
    request.receive([](const published&) {}, [&](caf::error& err) { result = std::move(err); });
    return result;
  };
  CAF_CHECK(!publish_text("E", "caf\xc3\xa9"));
  CAF_CHECK_EQUAL(text_of(publish_text("E", "caf\xe9")),
                  "publish to Own:k: body: a text of event 'E' is not UTF-8, and no receiver takes "
                  "it: write it in UTF-8");
  CAF_CHECK_EQUAL(text_of(publish_text("caf\xe9", "x")),
                  "publish to Own:k: body: the event's name 'caf\\xe9' is not UTF-8: write it in "
                  "UTF-8");
}

CAF_TEST(an unsubscribed strategy gets nothing more and its queue goes) {
  start();
  auto seen = add(trades("binance", "ETH/USDT"));
  publish(some_trade(1));
  center.unsubscribe(self, seen->told.at(0).id);
  sched.run();
  CAF_CHECK(broker->queues().empty());
  publish(some_trade(2));
  CAF_CHECK(seen->trades == list{1});
}

// The queue of the first still deletes itself when that of the second is declared.
CAF_TEST(unsubscribing and subscribing again at once works) {
  start();
  auto first = add(trades("binance", "ETH/USDT"));
  center.unsubscribe(self, first->told.at(0).id);
  auto second = add(trades("binance", "ETH/USDT"));
  publish(some_trade(1));
  CAF_CHECK(first->trades.empty());
  CAF_CHECK(second->trades == list{1});
}

CAF_TEST(processes of one server id share messages only under one instance) {
  start();
  auto first = add(trades("binance", "ETH/USDT").prefetch(0));
  for (std::string instance : {"other", ""}) {
    auto [other, links] = spawn_center(instance);
    caf::anon_send(links, start_atom_v, other);
    auto theirs = std::make_shared<journal>();
    auto partner = sys.spawn(strategy, event_center{other, links},
                             trades("binance", "ETH/USDT").prefetch(0), theirs);
    sched.run();
    first->trades.clear();
    publish(some_trade(1));
    publish(some_trade(2));
    CAF_CHECK_EQUAL(first->trades.size(), instance.empty() ? 1u : 2u);
    CAF_CHECK_EQUAL(theirs->trades.size(), instance.empty() ? 1u : 2u);
    for (auto& x : {partner, other, links})
      caf::anon_send_exit(x, caf::exit_reason::kill);
    sched.run();
  }
}

CAF_TEST(an event center that is not started says so at once) {
  event_center none;
  CAF_CHECK(!none);
  auto errors = 0;
  auto count = [&](const caf::error&) { ++errors; };
  none.subscribe(self, trades("binance", "#")).receive([](const subscribed&) {}, count);
  none.publish(self, some_trade(1)).receive([](const published&) {}, count);
  none.status(self).receive([](const center_status&) {}, count);
  none.publish(some_trade(1)); // lost, as nobody waits for it
  CAF_CHECK_EQUAL(errors, 3);
}

// CAF forgets what the exception said.
CAF_TEST(a strategy that throws ends with the text of its exception) {
  caf::error reason;
  auto handler_of_its_own = false;
  for (auto own : {false, true}) {
    auto broken = sys.spawn([&, own](caf::event_based_actor* self) {
      if (own)
        self->set_exception_handler([&](caf::scheduled_actor*, std::exception_ptr&) {
          handler_of_its_own = true;
          return make_error(ec::handler_failed, "mine");
        });
      center.subscribe(self, trades("binance", "ETH/USDT").acked(ack_policy::on_success));
      return caf::behavior{[](const trade&) { throw std::runtime_error("a bug of the strategy"); }};
    });
    strategies.push_back(sys.spawn([&, broken](caf::event_based_actor* watch) {
      watch->monitor(broken);
      watch->set_down_handler([&, watch](caf::down_msg& x) {
        reason = std::move(x.reason);
        watch->quit();
      });
      return caf::behavior{[](caf::unit_t) {}};
    }));
    start();
    publish(some_trade(1));
    CAF_CHECK_EQUAL(text_of(reason), own ? "mine" : "a bug of the strategy");
  }
  CAF_CHECK(handler_of_its_own);
}

// Nobody sends one of its actors an exit, but if somebody does, it is not deaf in silence.
CAF_TEST(the end of an event center is told to its strategies and its owner) {
  for (auto* ends : {&dispatcher_actor, &supervisor_actor}) {
    std::tie(dispatcher_actor, supervisor_actor) = spawn_center("");
    center = event_center{dispatcher_actor, supervisor_actor};
    std::vector<std::string> failures;
    watch_center(sys, dispatcher_actor, supervisor_actor,
                 [&](const std::string& x) { failures.push_back(x); });
    std::vector<std::string> told;
    strategies.push_back(sys.spawn([&](caf::event_based_actor* self) {
      center.subscribe(self, trades("binance", "ETH/USDT").with_stream_events());
      return caf::behavior{[](const trade&) {},
                           [&](const link_lost& x) { told.push_back(x.reason); }};
    }));
    start();
    CAF_CHECK(told.empty() && failures.empty());
    caf::anon_send_exit(*ends, caf::exit_reason::unhandled_exception);
    sched.run();
    caf::anon_send_exit(dispatcher_actor, caf::exit_reason::kill);
    caf::anon_send_exit(supervisor_actor, caf::exit_reason::kill);
    sched.run();
    CAF_CHECK_EQUAL(told.size(), 1u);
    CAF_CHECK_EQUAL(failures.size(), 1u);
  }
}

CAF_TEST_FIXTURE_SCOPE_END()
