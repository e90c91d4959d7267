#define CAF_SUITE dispatcher

// Who subscribes, and what is wanted of the broker for it.

#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>

#include <unistd.h>

#include "actors/logging.hpp"
#include "unit/center/dispatcher_fixture.hpp"

using namespace actors;
using namespace actors::testing;

CAF_TEST_FIXTURE_SCOPE(dispatcher_tests, dispatcher_fixture)

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
  CAF_CHECK(code_of(subscribe(eth_trades().prefetch(1).multi())->error)
            == ec::subscription_conflict);
}

CAF_TEST(the death of a strategy gives back what it has not answered and unsubscribes it) {
  auto seen = subscribed_strategy(eth_trades().acked(ack_policy::on_success));
  seen->silent = true;
  deliver({delivery(1, body(some_trade(1))), delivery(2, body(some_trade(2)))});
  CAF_CHECK(settled().empty());
  caf::anon_send_exit(strategies.back(), caf::exit_reason::user_shutdown);
  sched.run();
  CAF_CHECK(settled()
            == (std::vector<amqp::settlement>{{1, verdict::release}, {2, verdict::release}}));
  CAF_CHECK(status().handlers.empty());
}

CAF_TEST(a strategy that fails again and again is one line of the log that says why) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("actors-dispatcher-" + std::to_string(getpid()));
  log_config log;
  log.console = false;
  log.path = folder.string();
  log.name = "test.log";
  open_log(log);
  for (auto i = 0; i < 20; ++i) {
    auto what = eth_trades();
    what.strategy = "momentum";
    subscribed_strategy(what);
    self->send_exit(strategies.back(), make_error(ec::handler_failed, "a bug of the strategy"));
    sched.run();
  }
  close_log();
  std::ifstream in{folder / log.name};
  auto lines = std::map<std::string, int>{{"subscribed: ", 0}, {"strategy 'momentum'", 0}};
  for (std::string line; std::getline(in, line);) {
    for (auto& [text, count] : lines)
      count += line.find(text) != std::string::npos ? 1 : 0;
    if (line.find("strategy 'momentum'") != std::string::npos)
      CAF_CHECK(line.find("has failed: a bug of the strategy") != std::string::npos);
  }
  std::filesystem::remove_all(folder);
  // Once, and then how often.
  for (auto& [text, count] : lines)
    CAF_CHECK(count == 1 || count == 2);
}

CAF_TEST(whoever may not bind a queue is told so in the answer) {
  add_strategy();
  auto answer = subscribe(eth_trades().on_durable_queue("q"));
  for (auto& x : supervisor.take<wanted_consumer>()) {
    consumer_state bound_by_others{x.consumer.id, "q", x.binding, {}};
    bound_by_others.assumed = true;
    caf::anon_send(sut, bound_by_others);
  }
  sched.run();
  CAF_REQUIRE(answer->ok);
  CAF_CHECK(!answer->ok->bound);
  // So is whoever shares the binding.
  subscribe_and_confirm(eth_trades().on_durable_queue("q"));
  CAF_CHECK(!last_answer->ok->bound);
}

CAF_TEST(the last unsubscribe cancels the consumer) {
  subscribed_strategy(eth_trades());
  auto first = last_answer->ok->id;
  subscribed_strategy(eth_trades());
  auto second = last_answer->ok->id;
  caf::anon_send(sut, unsubscribe_atom_v, first);
  sched.run();
  CAF_CHECK(status().handlers.size() == 1u);
  caf::anon_send(sut, unsubscribe_atom_v, second);
  sched.run();
  CAF_CHECK(status().handlers.empty());
  // What was on its way goes back to its queue, for others.
  deliver({delivery(1, body(some_trade()))});
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{1, verdict::release}}));
}

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
  // As long as it is there, the broker would only deliver it again.
  CAF_CHECK(settled().empty());
  caf::anon_send(
      sut,
      consumer_state{first.consumer.id, "q", std::nullopt, {ec::consumer_cancelled, "gone"}, true});
  sched.run();
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{1, verdict::release}}));
  auto next = slow_supervisor.take<wanted_consumer>();
  CAF_REQUIRE_EQUAL(next.size(), 1u);
  CAF_CHECK_NOT_EQUAL(next[0].consumer.id, first.consumer.id);
}

CAF_TEST(a subscription survives the loss of its consumer) {
  auto seen = subscribed_strategy(eth_trades());
  caf::anon_send(sut, consumers_lost{{ec::connection_lost, "gone"}, consumer_ids});
  sched.run();
  CAF_CHECK(!status().handlers.at(0).consuming);
  caf::anon_send(sut, consumer_state{consumer_ids[0], "q", std::nullopt, {ec::not_found, "gone"}});
  sched.run();
  CAF_CHECK(status().handlers.size() == 1u);
  caf::anon_send(sut, consumer_state{consumer_ids[0], "q", wanted[0].binding, {}});
  sched.run();
  CAF_CHECK(status().handlers.at(0).consuming);
  deliver({delivery(1, body(some_trade()))}, 2);
  CAF_CHECK_EQUAL(seen->trades.size(), 1u);
}

// A channel of its own, e.g. of a queue that the broker has closed one for.
CAF_TEST(only the consumers that are named are lost) {
  auto one = subscribed_strategy(eth_trades().on_queue("one").with_stream_events());
  auto two = subscribed_strategy(eth_trades().on_queue("two").with_stream_events());
  caf::anon_send(sut, consumers_lost{{ec::access_refused, "no"}, {consumer_ids[0]}});
  sched.run();
  CAF_CHECK_EQUAL(one->events.size(), 1u);
  CAF_CHECK(two->events.empty());
  CAF_CHECK(!status().handlers.at(0).consuming);
  CAF_CHECK(status().handlers.at(1).consuming);
}

// Two keys on one queue that is kept: what comes for the one that is away waits for it.
CAF_TEST(the binding of a queue that is kept stays when its strategy ends) {
  const auto what = eth_trades().on_durable_queue("q");
  auto other = what;
  other.routing_key = "okx.#";
  subscribed_strategy(what);
  auto away = subscribed_strategy(other);
  end_last_strategy();
  auto back = subscribed_strategy(other);
  CAF_CHECK_EQUAL(wanted.size(), 2u); // it is bound still
  CAF_CHECK(last_answer->ok);
  deliver({delivery(1, body(some_trade(1)), "okx.ETH/USDT")});
  CAF_CHECK(back->trades == list{1});
  CAF_CHECK(away->trades.empty());
  CAF_CHECK(unbound.empty());
  unsubscribe(last_answer->ok->id);
  CAF_CHECK_EQUAL(unbound.size(), 1u);
}

// The last of them take as long as the first: of a time that grows with the square of their number
// they would take nine times as long.
CAF_TEST(thousands of subscriptions of as many queues are made in time) {
  constexpr auto count = 20'000;
  constexpr auto part = 4'000;
  add_strategy();
  auto next = 0;
  const auto subscribe_part = [&] {
    const auto begin = std::clock();
    for (const auto end = next + part; next < end; ++next) {
      const auto name = std::to_string(next);
      caf::anon_send(sut, subscribe_atom_v, ++last_id, trades("binance", name).on_queue(name),
                     strategies.back());
    }
    sched.run();
    confirm();
    return std::clock() - begin;
  };
  const auto first = subscribe_part();
  auto last = first;
  while (next < count)
    last = subscribe_part();
  CAF_CHECK(status().handlers.size() == static_cast<std::size_t>(count));
  CAF_MESSAGE(last << " of " << first);
  CAF_CHECK(last < 4 * first);
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

CAF_TEST(the end of an unsubscribed strategy gives back what it has not answered) {
  subscribed_strategy(eth_trades().acked(ack_policy::on_success))->silent = true;
  deliver({delivery(1, body(some_trade(1)))});
  unsubscribe(last_answer->ok->id);
  end_last_strategy();
  CAF_CHECK(settled() == (std::vector<amqp::settlement>{{1, verdict::release}}));
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

CAF_TEST(what a former consumer without acknowledgements delivers is not settled) {
  subscribed_strategy(trades("#", "#"));
  unsubscribe(last_answer->ok->id);
  deliver({delivery(1, body(some_trade()))});
  CAF_CHECK(settled().empty());
}

CAF_TEST(ten thousand subscriptions of one queue come and go) {
  constexpr auto count = 10'000;
  for (auto i = 0; i < count; ++i) {
    journals.push_back(std::make_shared<journal>());
    strategies.push_back(sys.spawn(strategy, journals.back()));
    auto what = trades("binance", std::to_string(i)).on_queue("q");
    caf::anon_send(sut, subscribe_atom_v, ++last_id, std::move(what), strategies.back());
  }
  sched.run();
  confirm();
  CAF_CHECK(status().handlers.size() == static_cast<std::size_t>(count));
  deliver({delivery(1, body(some_trade(7)), "binance.4711")});
  CAF_CHECK(journals.at(4711)->trades == list{7});
  for (auto& x : strategies)
    caf::anon_send_exit(x, caf::exit_reason::user_shutdown);
  sched.run();
  CAF_CHECK(status().handlers.empty());
}

CAF_TEST_FIXTURE_SCOPE_END()
