#define CAF_SUITE dispatcher

#include "actors/dispatcher.hpp"

#include <stdexcept>

#include "actors/error.hpp"
#include "actors/payload.hpp"
#include "support/collector.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::testing;

namespace {

using verdict = amqp::settlement::verdict;

std::string body(std::string_view name, std::string_view data) {
  return payload_encoder{}.seal(name, data);
}

template <class T>
std::string body(const T& x) {
  return body(T::event_name, data_of(x));
}

trade some_trade(std::int64_t timestamp = 1) {
  trade result;
  result.platform = "binance";
  result.symbol = "ETH/USDT";
  result.price = decimal::fixed(2683.8, 8);
  result.quantity = decimal::fixed(0.5, 8);
  result.timestamp = timestamp;
  return result;
}

/// What a strategy of the tests has seen, and what it answers.
struct journal {
  std::vector<std::int64_t> trades;
  std::vector<const trade*> addresses;
  std::vector<std::string> events;
  std::vector<std::string> klines;
  std::vector<std::string> queues;
  bool failing = false;
  bool silent = false;
  std::vector<caf::response_promise> open;
};

struct strategy_state {
  std::shared_ptr<journal> seen;
};

caf::behavior strategy(caf::stateful_actor<strategy_state>* self, std::shared_ptr<journal> seen) {
  self->state.seen = seen;
  return {
      [=](const trade& x) -> caf::result<void> {
        seen->trades.push_back(x.timestamp);
        seen->addresses.push_back(&x);
        if (seen->failing)
          return make_error(ec::handler_failed, "no");
        if (seen->silent) {
          seen->open.push_back(self->make_response_promise());
          return caf::delegated<void>{};
        }
        return caf::unit;
      },
      [=](const event& x) {
        seen->events.push_back(x.name + " " + x.data.text());
        seen->queues.push_back(x.queue);
      },
      [=](const kline& x) { seen->klines.push_back(x.kline_type); },
      [=](const stream_gap& x) {
        seen->events.push_back("gap " + std::to_string(x.from) + " to " + std::to_string(x.to));
      },
      [=](const stream_restarted& x) {
        seen->events.push_back("restarted " + std::to_string(x.epoch));
      },
      [=](caf::tick_atom) { seen->open.at(0).deliver(caf::unit); },
      [=](caf::ok_atom) {
        for (auto& x : std::exchange(seen->open, {}))
          x.deliver(caf::unit);
      },
  };
}

struct fixture : test_coordinator_fixture<> {
  fixture()
      : supervisor(
          sys,
          caf::behavior{
              [](status_atom) { return supervisor_status{}; },
              [](unwant_atom, amqp::consumer_id id) {
                return consumer_state{id, "", std::nullopt, {ec::consumer_cancelled, "cancelled"}};
              }}),
        connection(sys) {
    dispatcher_settings settings;
    settings.server_id = "srv";
    sut = sys.spawn(dispatcher, settings, supervisor.actor());
  }

  ~fixture() {
    caf::anon_send_exit(sut, caf::exit_reason::kill);
    for (auto& x : journals)
      x->open.clear();
    for (auto& x : strategies)
      caf::anon_send_exit(x, caf::exit_reason::kill);
    sched.run();
  }

  std::shared_ptr<journal> add_strategy() {
    journals.push_back(std::make_shared<journal>());
    strategies.push_back(sys.spawn(strategy, journals.back()));
    return journals.back();
  }

  struct answer {
    std::optional<subscribed> ok;
    caf::error error;
  };

  /// A confirmed subscription of the strategy that was added last.
  void subscribe_and_confirm(subscription what) {
    last_answer = subscribe(std::move(what));
    confirm();
    CAF_REQUIRE(last_answer->ok);
  }

  void unsubscribe(subscription_id id) {
    caf::anon_send(sut, unsubscribe_atom_v, id);
    sched.run();
  }

  void end_last_strategy() {
    caf::anon_send_exit(strategies.back(), caf::exit_reason::user_shutdown);
    sched.run();
  }

  /// Lets the last strategy answer the first message that it has left open.
  void answer_first_at_last() {
    caf::anon_send(strategies.back(), caf::tick_atom::value);
    sched.run();
  }

  /// Lets the last strategy answer what it has left open.
  void answer_at_last() {
    caf::anon_send(strategies.back(), caf::ok_atom::value);
    sched.run();
  }

  std::shared_ptr<answer> subscribe(subscription what) {
    auto result = std::make_shared<answer>();
    sys.spawn([=, this, to = strategies.back()](caf::event_based_actor* caller) {
      caller->request(sut, caf::infinite, subscribe_atom_v, what, to)
          .then([=](const subscribed& x) { result->ok = x; },
                [=](caf::error& err) { result->error = std::move(err); });
    });
    sched.run();
    return result;
  }

  /// Lets the scripted supervisor confirm whatever consumers are wanted.
  void confirm() {
    for (auto& x : supervisor.take<wanted_consumer>()) {
      consumer_ids.push_back(x.consumer.id);
      wanted.push_back(x);
      auto name = x.queue.name.empty() ? "amq.gen-1" : x.queue.name;
      caf::anon_send(sut, consumer_state{x.consumer.id, name, x.binding, {}});
    }
    sched.run();
  }

  /// A strategy with a confirmed subscription.
  std::shared_ptr<journal> subscribed_strategy(subscription what) {
    auto result = add_strategy();
    last_answer = subscribe(std::move(what));
    confirm();
    return result;
  }

  amqp::delivery delivery(std::uint64_t tag, std::string content,
                          std::string key = "binance.ETH/USDT", std::string exchange = "Trade") {
    amqp::delivery x;
    x.consumer = consumer_ids.back();
    x.tag = tag;
    x.exchange = std::move(exchange);
    x.routing_key = std::move(key);
    x.body = std::move(content);
    return x;
  }

  void deliver(std::vector<amqp::delivery> xs, std::uint32_t incarnation = 1) {
    caf::anon_send(sut, delivery_batch{connection.actor(), incarnation, std::move(xs)});
    sched.run();
  }

  std::vector<amqp::settlement> settled() {
    std::vector<amqp::settlement> result;
    for (auto& x : connection.take<settle_batch>())
      result.insert(result.end(), x.items.begin(), x.items.end());
    return result;
  }

  dispatcher_status status() {
    dispatcher_status result;
    caf::scoped_actor caller{sys};
    auto hdl = caller->request(sut, caf::infinite, status_atom_v);
    sched.run();
    hdl.receive([&](const center_status& x) { result = x.dispatcher; },
                [](const caf::error& err) { CAF_FAIL(text_of(err)); });
    return result;
  }

  collector supervisor;
  collector connection;
  caf::actor sut;
  std::vector<caf::actor> strategies;
  std::vector<std::shared_ptr<journal>> journals;
  std::vector<amqp::consumer_id> consumer_ids;
  std::vector<wanted_consumer> wanted;
  std::shared_ptr<answer> last_answer;
};

subscription eth_trades() {
  return trades("binance", "ETH/USDT").prefetch(10);
}

using list = std::vector<std::int64_t>;

} // namespace

CAF_TEST_FIXTURE_SCOPE(dispatcher_tests, fixture)

CAF_TEST(a subscriber is told once the broker has confirmed the consumer) {
  add_strategy();
  auto answer = subscribe(eth_trades());
  CAF_CHECK(!answer->ok);
  confirm();
  CAF_REQUIRE(answer->ok);
  CAF_CHECK_EQUAL(answer->ok->queue, "srv.Trade.binance.ETH/USDT");
  CAF_CHECK_EQUAL(wanted[0].queue.auto_delete, true);
  CAF_CHECK_EQUAL(wanted[0].queue.exclusive, false);
  CAF_CHECK_EQUAL(wanted[0].consumer.prefetch_count, 10u);
}

CAF_TEST(a subscriber is told the error and can subscribe again) {
  add_strategy();
  auto answer = subscribe(eth_trades());
  auto id = supervisor.take<wanted_consumer>().at(0).consumer.id;
  caf::anon_send(sut, consumer_state{id, "", std::nullopt, {ec::access_refused, "no"}});
  sched.run();
  CAF_CHECK(code_of(answer->error) == ec::access_refused);
  answer = subscribe(eth_trades());
  confirm();
  CAF_CHECK(answer->ok);
}

CAF_TEST(an impossible subscription is refused with its reason) {
  add_strategy();
  auto answer = subscribe(eth_trades().acked(ack_policy::on_success).multi());
  CAF_CHECK(code_of(answer->error) == ec::invalid_argument);
  answer = subscribe(trades("binance", std::string(300, 'x')));
  CAF_CHECK(code_of(answer->error) == ec::invalid_argument);
  CAF_CHECK(supervisor.take<wanted_consumer>().empty());
}

CAF_TEST(two subscribers of one queue share one consumer and one decoded object) {
  auto one = subscribed_strategy(eth_trades());
  auto two = subscribed_strategy(eth_trades());
  CAF_CHECK_EQUAL(wanted.size(), 1u);
  CAF_CHECK(last_answer->ok);
  deliver({delivery(1, body(some_trade()))});
  CAF_CHECK(one->trades == list{1});
  CAF_CHECK(two->trades == list{1});
  CAF_CHECK_EQUAL(one->addresses.at(0), two->addresses.at(0));
}

CAF_TEST(a subscriber that wants the queue otherwise is told so) {
  subscribed_strategy(eth_trades());
  add_strategy();
  CAF_CHECK(code_of(subscribe(eth_trades().prefetch(1))->error) == ec::subscription_conflict);
  CAF_CHECK(code_of(subscribe(eth_trades().multi())->error) == ec::subscription_conflict);
}

CAF_TEST(overlapping bindings of one queue deliver once to each handler that matches) {
  auto exact = subscribed_strategy(trades("binance", "ETH/USDT").multi(false).on_queue("q"));
  auto any = subscribed_strategy(trades("binance", "#").multi(false).on_queue("q"));
  auto other = subscribed_strategy(trades("okx", "#").multi(false).on_queue("q"));
  deliver({delivery(1, body(some_trade()))});
  CAF_CHECK_EQUAL(exact->trades.size(), 1u);
  CAF_CHECK_EQUAL(any->trades.size(), 1u);
  CAF_CHECK_EQUAL(other->trades.size(), 0u);
}

// A fanout exchange ignores routing keys: the queue gets all of them.
CAF_TEST(what no handler wants is acknowledged and counted) {
  auto seen = subscribed_strategy(eth_trades());
  deliver({delivery(1, body(some_trade()), "binance.BTC/USDT"), delivery(2, body(some_trade()))});
  CAF_CHECK_EQUAL(seen->trades.size(), 1u);
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{2, verdict::ack, true}}));
  CAF_CHECK(status().unmatched == 1u);
}

CAF_TEST(on dispatch acknowledges a batch with one multiple) {
  subscribed_strategy(eth_trades())->failing = true;
  deliver({delivery(1, body(some_trade(1))), delivery(2, body(some_trade(2))),
           delivery(3, body(some_trade(3)))});
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{3, verdict::ack, true}}));
}

// CAF sends a handler's error back, and an error ends an actor by default.
CAF_TEST(a failing handler on dispatch ends nothing but is counted) {
  auto seen = subscribed_strategy(eth_trades());
  seen->failing = true;
  deliver({delivery(1, body(some_trade(1))), delivery(2, body(some_trade(2)))});
  CAF_CHECK(status().handlers.at(0).failed == 2u);
  seen->failing = false;
  deliver({delivery(3, body(some_trade(3)))});
  CAF_CHECK(seen->trades == (list{1, 2, 3}));
}

CAF_TEST(a strategy without a handler for its events ends nothing) {
  subscribed_strategy(subscription::to<orderbook>("#").prefetch(10));
  orderbook book;
  deliver({delivery(1, body(book), "x", "Orderbook")});
  auto seen = subscribed_strategy(eth_trades());
  deliver({delivery(2, body(some_trade(2)))});
  CAF_CHECK(seen->trades == list{2});
}

CAF_TEST(on success the answer of the handler is the acknowledgement) {
  auto seen = subscribed_strategy(eth_trades().acked(ack_policy::on_success));
  deliver({delivery(1, body(some_trade()))});
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{1, verdict::ack, false}}));
  seen->failing = true;
  deliver({delivery(2, body(some_trade()))});
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{2, verdict::requeue, false}}));
  auto row = status().handlers.at(0);
  CAF_CHECK_EQUAL(row.succeeded, 1u);
  CAF_CHECK_EQUAL(row.failed, 1u);
  CAF_CHECK_EQUAL(row.in_flight, 0u);
}

CAF_TEST(a handler that has not answered holds back its own delivery only) {
  auto slow = subscribed_strategy(eth_trades().acked(ack_policy::on_success));
  slow->silent = true;
  deliver({delivery(1, body(some_trade(1)))});
  slow->silent = false;
  deliver({delivery(2, body(some_trade(2))), delivery(3, body(some_trade(3)))});
  CAF_CHECK(settled()
            == (std::vector<amqp::settlement>{{2, verdict::ack, false}, {3, verdict::ack, false}}));
  answer_at_last();
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{1, verdict::ack, false}}));
}

CAF_TEST(one failing handler of several requeues once all have answered) {
  auto good = subscribed_strategy(eth_trades().acked(ack_policy::on_success));
  auto bad = subscribed_strategy(eth_trades().acked(ack_policy::on_success));
  bad->failing = true;
  deliver({delivery(1, body(some_trade()))});
  CAF_CHECK_EQUAL(good->trades.size(), 1u);
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{1, verdict::requeue, false}}));
}

CAF_TEST(the death of a strategy requeues what it has not answered and unsubscribes it) {
  auto seen = subscribed_strategy(eth_trades().acked(ack_policy::on_success));
  seen->silent = true;
  deliver({delivery(1, body(some_trade(1))), delivery(2, body(some_trade(2)))});
  CAF_CHECK(settled().empty());
  caf::anon_send_exit(strategies.back(), caf::exit_reason::user_shutdown);
  sched.run();
  CAF_CHECK(settled()
            == (std::vector<amqp::settlement>{{1, verdict::requeue}, {2, verdict::requeue}}));
  CAF_CHECK(status().handlers.empty());
}

// Tags begin anew with each life: the answer to an old 1 is none to the new 1.
CAF_TEST(acknowledgements of a former life of the channel are dropped) {
  auto seen = subscribed_strategy(eth_trades().acked(ack_policy::on_success));
  seen->silent = true;
  deliver({delivery(1, body(some_trade(1)))}, 1);
  deliver({delivery(1, body(some_trade(1)))}, 2);
  answer_first_at_last();
  CAF_CHECK(settled().empty());
  answer_at_last();
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{1, verdict::ack}}));
}

CAF_TEST(a malformed body is rejected and hurts nobody) {
  auto seen = subscribed_strategy(eth_trades());
  deliver({delivery(1, "no zlib"), delivery(2, body("EVENT_TRADE", "{\"p\": 1}")),
           delivery(3, body("EVENT_ORDERBOOK", "{}")), delivery(4, body("EVENT_TRADE", "{")),
           delivery(5, body(some_trade(5)))});
  CAF_CHECK(seen->trades == list{5});
  CAF_CHECK(status().malformed == 4u);
  auto items = settled();
  CAF_REQUIRE_EQUAL(items.size(), 5u);
  CAF_CHECK(items[0] == (amqp::settlement{1, verdict::reject}));
  CAF_CHECK(items[4] == (amqp::settlement{5, verdict::ack}));
}

CAF_TEST(a generic subscription gets the data as it came whatever its name) {
  auto seen = subscribed_strategy(subscription::to_events("Trade", "#"));
  deliver({delivery(1, body("ANY", R"({"x": 8680.70000000, "t": 1558949307370})"))});
  CAF_CHECK(seen->events
            == std::vector<std::string>{R"(ANY {"x": 8680.70000000, "t": 1558949307370})"});
}

CAF_TEST(a kline subscription filters by type) {
  auto all = subscribed_strategy(klines("binance", "ETH/USDT"));
  auto five = subscribed_strategy(klines("binance", "ETH/USDT").of_type("kline_5m"));
  for (auto type : {"kline", "kline_5m"}) {
    kline x;
    x.platform = "binance";
    x.symbol = "ETH/USDT";
    x.kline_type = type;
    deliver({delivery(1, body(x), "binance.ETH/USDT", "Kline")});
  }
  CAF_CHECK(all->klines == (std::vector<std::string>{"kline", "kline_5m"}));
  CAF_CHECK(five->klines == std::vector<std::string>{"kline_5m"});
}

CAF_TEST(messages of one key keep their order) {
  auto seen = subscribed_strategy(eth_trades());
  std::vector<amqp::delivery> xs;
  list expected;
  for (std::int64_t i = 1; i <= 100; ++i) {
    xs.push_back(delivery(static_cast<std::uint64_t>(i), body(some_trade(i))));
    expected.push_back(i);
  }
  deliver(std::move(xs));
  CAF_CHECK(seen->trades == expected);
}

CAF_TEST(the last unsubscribe cancels the consumer) {
  subscribed_strategy(eth_trades());
  auto first = last_answer->ok->id;
  subscribed_strategy(eth_trades());
  auto second = last_answer->ok->id;
  caf::anon_send(sut, unsubscribe_atom_v, first);
  sched.run();
  CAF_CHECK_EQUAL(status().handlers.size(), 1u);
  caf::anon_send(sut, unsubscribe_atom_v, second);
  sched.run();
  CAF_CHECK(status().handlers.empty());
  // What was on its way goes back to its queue, for others.
  deliver({delivery(1, body(some_trade()))});
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{1, verdict::requeue}}));
}

amqp::delivery numbered(amqp::delivery x, std::uint64_t sequence, std::uint64_t epoch = 1) {
  x.properties.position = amqp::stream_position{epoch, sequence};
  return x;
}

CAF_TEST(a copy of a handled message is dropped and counted) {
  auto seen = subscribed_strategy(eth_trades().acked(ack_policy::on_success));
  deliver({numbered(delivery(1, body(some_trade(1))), 1)});
  deliver({numbered(delivery(2, body(some_trade(1))), 1),
           numbered(delivery(3, body(some_trade(2))), 2)});
  CAF_CHECK(seen->trades == (list{1, 2}));
  CAF_CHECK(status().handlers.at(0).duplicates == 1u);
  CAF_CHECK_EQUAL(settled().size(), 3u);
}

CAF_TEST(a failed message is no copy when it comes again) {
  auto seen = subscribed_strategy(eth_trades().acked(ack_policy::on_success));
  seen->failing = true;
  deliver({numbered(delivery(1, body(some_trade(1))), 1)});
  seen->failing = false;
  deliver({numbered(delivery(2, body(some_trade(1))), 1)});
  CAF_CHECK(seen->trades == (list{1, 1}));
}

CAF_TEST(a copy of a message in hand goes back and comes after a pause) {
  auto seen = subscribed_strategy(eth_trades().acked(ack_policy::on_success));
  seen->silent = true;
  deliver({numbered(delivery(1, body(some_trade(1))), 1)}, 1);
  deliver({numbered(delivery(1, body(some_trade(1))), 1)}, 2);
  CAF_CHECK(seen->trades == list{1});
  CAF_CHECK(settled().empty());
  sched.advance_time(std::chrono::seconds{1});
  sched.run();
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{1, verdict::requeue}}));
}

CAF_TEST(a strategy that asks for it is told of gaps and restarts in order) {
  auto seen = subscribed_strategy(eth_trades().with_stream_events());
  deliver({numbered(delivery(1, body(some_trade(1))), 1),
           numbered(delivery(2, body(some_trade(4))), 4),
           numbered(delivery(3, body(some_trade(5))), 1, 2)});
  CAF_CHECK(seen->events == (std::vector<std::string>{"gap 2 to 3", "restarted 2"}));
  CAF_CHECK(seen->trades == (list{1, 4, 5}));
}

// Else it could be given what lies behind a message that goes back.
CAF_TEST(the next consumer of a queue waits until the former one has handed back) {
  collector slow_supervisor{sys};
  caf::anon_send_exit(sut, caf::exit_reason::kill);
  dispatcher_settings settings;
  settings.server_id = "srv";
  sut = sys.spawn(dispatcher, settings, slow_supervisor.actor());
  add_strategy();
  auto answer = subscribe(eth_trades());
  auto first = slow_supervisor.take<wanted_consumer>().at(0);
  caf::anon_send(sut, consumer_state{first.consumer.id, "q", first.binding, {}});
  sched.run();
  caf::anon_send(sut, unsubscribe_atom_v, answer->ok->id);
  subscribe(eth_trades());
  CAF_CHECK(slow_supervisor.take<wanted_consumer>().empty());
  consumer_ids.push_back(first.consumer.id);
  deliver({delivery(1, body(some_trade()))});
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{1, verdict::requeue}}));
  caf::anon_send(
      sut, consumer_state{first.consumer.id, "q", std::nullopt, {ec::consumer_cancelled, "gone"}});
  sched.run();
  auto next = slow_supervisor.take<wanted_consumer>();
  CAF_REQUIRE_EQUAL(next.size(), 1u);
  CAF_CHECK_NOT_EQUAL(next[0].consumer.id, first.consumer.id);
}

CAF_TEST(deliveries without acknowledgement are never settled) {
  auto seen = subscribed_strategy(trades("#", "#"));
  CAF_CHECK(wanted.at(0).consumer.no_ack);
  deliver({delivery(1, body(some_trade(1))), delivery(2, "broken")});
  CAF_CHECK(seen->trades == list{1});
  CAF_CHECK(settled().empty());
}

CAF_TEST(a subscription survives the loss of its consumer) {
  auto seen = subscribed_strategy(eth_trades());
  caf::anon_send(sut, consumers_lost{{ec::connection_lost, "gone"}});
  sched.run();
  CAF_CHECK(!status().handlers.at(0).consuming);
  caf::anon_send(sut, consumer_state{consumer_ids[0], "q", std::nullopt, {ec::not_found, "gone"}});
  sched.run();
  CAF_CHECK_EQUAL(status().handlers.size(), 1u);
  caf::anon_send(sut, consumer_state{consumer_ids[0], "q", wanted[0].binding, {}});
  sched.run();
  CAF_CHECK(status().handlers.at(0).consuming);
  deliver({delivery(1, body(some_trade()))}, 2);
  CAF_CHECK_EQUAL(seen->trades.size(), 1u);
}

// The old event center looked handlers up by the delivered key.
CAF_TEST(a star binding gets its messages) {
  auto seen = subscribed_strategy(trades("binance", "*").multi(false));
  deliver({delivery(1, body(some_trade(1))), delivery(2, body(some_trade(2)), "okx.ETH/USDT")});
  CAF_CHECK(seen->trades == list{1});
  CAF_CHECK(status().unmatched == 1u);
}

CAF_TEST(a default queue name ends with the instance) {
  dispatcher_settings settings;
  settings.server_id = "srv";
  settings.instance = "host-1";
  CAF_CHECK_EQUAL(queue_name(settings, eth_trades()), "srv.Trade.binance.ETH/USDT.host-1");
  CAF_CHECK_EQUAL(queue_name(settings, eth_trades().on_queue("shared")), "shared");
  settings.instance.clear();
  CAF_CHECK_EQUAL(queue_name(settings, eth_trades()), "srv.Trade.binance.ETH/USDT");
}

CAF_TEST(a default queue name that is too long is refused with its reason) {
  add_strategy();
  auto answer = subscribe(trades("binance", std::string(247, 'x')));
  CAF_CHECK(code_of(answer->error) == ec::invalid_argument);
  CAF_CHECK(supervisor.take<wanted_consumer>().empty());
}

CAF_TEST(nobody cannot subscribe) {
  strategies.emplace_back();
  CAF_CHECK(code_of(subscribe(eth_trades())->error) == ec::invalid_argument);
  strategies.pop_back();
}

// Two subscriptions are two, even alike and of one strategy.
CAF_TEST(a strategy that subscribes twice gets each message twice until it unsubscribes one) {
  auto seen = subscribed_strategy(eth_trades().acked(ack_policy::on_success));
  const auto first = last_answer->ok->id;
  subscribe_and_confirm(eth_trades().acked(ack_policy::on_success));
  deliver({delivery(1, body(some_trade(1)))});
  CAF_CHECK(seen->trades == (list{1, 1}));
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{1, verdict::ack}}));
  unsubscribe(first);
  deliver({delivery(2, body(some_trade(2)))});
  CAF_CHECK(seen->trades == (list{1, 1, 2}));
  end_last_strategy();
  CAF_CHECK(status().handlers.empty());
}

CAF_TEST(the end of a strategy that is not subscribed yet is answered) {
  add_strategy();
  auto answer = subscribe(eth_trades());
  end_last_strategy();
  CAF_CHECK(code_of(answer->error) == ec::not_subscribed);
  CAF_CHECK(status().handlers.empty());
  confirm(); // the broker's word comes too late
  CAF_CHECK(status().handlers.empty());
}

CAF_TEST(an unsubscribed strategy may still answer what it has) {
  subscribed_strategy(eth_trades().acked(ack_policy::on_success))->silent = true;
  deliver({delivery(1, body(some_trade(1)))});
  const auto id = last_answer->ok->id;
  unsubscribe(id);
  CAF_CHECK(status().handlers.empty());
  CAF_CHECK(settled().empty());
  answer_at_last();
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{1, verdict::ack}}));
}

// Else its delivery would hold a credit of the channel for ever.
CAF_TEST(the end of an unsubscribed strategy requeues what it has not answered) {
  subscribed_strategy(eth_trades().acked(ack_policy::on_success))->silent = true;
  deliver({delivery(1, body(some_trade(1)))});
  unsubscribe(last_answer->ok->id);
  end_last_strategy();
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{1, verdict::requeue}}));
}

CAF_TEST(a subscription ends once) {
  subscribed_strategy(eth_trades().acked(ack_policy::on_success))->silent = true;
  deliver({delivery(1, body(some_trade(1)))});
  caf::error error;
  for (auto i = 0; i < 2; ++i) {
    caf::scoped_actor caller{sys};
    auto answer = caller->request(sut, caf::infinite, unsubscribe_atom_v, last_answer->ok->id);
    sched.run();
    answer.receive([] {}, [&](caf::error& err) { error = std::move(err); });
    CAF_CHECK(code_of(error) == (i == 0 ? ec::none : ec::not_subscribed));
  }
}

CAF_TEST(a handler that returns a value has succeeded) {
  strategies.push_back(
      sys.spawn([] { return caf::behavior{[](const trade& x) { return x.timestamp; }}; }));
  subscribe_and_confirm(eth_trades().acked(ack_policy::on_success));
  deliver({delivery(1, body(some_trade()))});
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{1, verdict::ack}}));
  CAF_CHECK(status().handlers.at(0).succeeded == 1u);
}

CAF_TEST(a handler that throws requeues its message and ends its strategy alone) {
  auto good = subscribed_strategy(eth_trades().acked(ack_policy::on_success));
  strategies.push_back(sys.spawn([] {
    return caf::behavior{[](const trade&) { throw std::runtime_error("a bug of the strategy"); }};
  }));
  subscribe_and_confirm(eth_trades().acked(ack_policy::on_success));
  deliver({delivery(1, body(some_trade(1)))});
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{1, verdict::requeue}}));
  CAF_CHECK_EQUAL(status().handlers.size(), 1u);
  deliver({delivery(2, body(some_trade(2)))});
  CAF_CHECK(good->trades == (list{1, 2}));
}

// Requeued it would come back as fast as the broker can deliver, for ever.
CAF_TEST(a message that its strategy has no handler for is rejected) {
  subscribed_strategy(orderbooks("binance", "ETH/USDT").prefetch(10).acked(ack_policy::on_success));
  orderbook x;
  x.platform = "binance";
  x.symbol = "ETH/USDT";
  deliver({delivery(1, body(x), "binance.ETH/USDT", "Orderbook")});
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{1, verdict::reject}}));
  CAF_CHECK(status().handlers.at(0).failed == 1u);
  CAF_CHECK(status().requeued == 0u);
}

CAF_TEST(a malformed message counts once however many strategies wait for it) {
  subscribed_strategy(eth_trades());
  subscribed_strategy(eth_trades());
  deliver({delivery(1, body("EVENT_TRADE", "{}"))});
  CAF_CHECK(status().malformed == 1u);
}

CAF_TEST(deliveries that overtake the word of the broker know their queue) {
  auto seen = add_strategy();
  subscribe(subscription::to_events("Trade", "#").on_queue("audit"));
  wanted = supervisor.take<wanted_consumer>();
  consumer_ids.push_back(wanted.at(0).consumer.id);
  deliver({delivery(1, body("ANY", "1"))});
  CAF_CHECK(seen->queues == std::vector<std::string>{"audit"});
}

// RabbitMQ closes the channel for a settlement that it does not expect.
CAF_TEST(what a former consumer without acknowledgements delivers is not settled) {
  subscribed_strategy(trades("#", "#"));
  unsubscribe(last_answer->ok->id);
  deliver({delivery(1, body(some_trade()))});
  CAF_CHECK(settled().empty());
}

// A death costs what the strategy had, not what everybody has.
CAF_TEST(ten thousand subscriptions of one queue come and go) {
  constexpr auto count = 10'000;
  for (auto i = 0; i < count; ++i) {
    journals.push_back(std::make_shared<journal>());
    strategies.push_back(sys.spawn(strategy, journals.back()));
    auto what = trades("binance", std::to_string(i)).on_queue("q");
    caf::anon_send(sut, subscribe_atom_v, std::move(what), strategies.back());
  }
  sched.run();
  confirm();
  CAF_CHECK_EQUAL(status().handlers.size(), static_cast<std::size_t>(count));
  deliver({delivery(1, body(some_trade(7)), "binance.4711")});
  CAF_CHECK(journals.at(4711)->trades == list{7});
  for (auto& x : strategies)
    caf::anon_send_exit(x, caf::exit_reason::user_shutdown);
  sched.run();
  CAF_CHECK(status().handlers.empty());
}

CAF_TEST_FIXTURE_SCOPE_END()
