#define CAF_SUITE dispatcher.windows

// What waits for slow strategies; silence; and the end.

#include "unit/center/dispatcher_fixture.hpp"

using namespace actors;
using namespace actors::testing;
using namespace std::chrono_literals;

namespace app {

// An option chain: all of its strikes come with one routing key.
struct option_quote {
  static constexpr std::string_view event_name = "EVENT_OPTION_QUOTE";
  static constexpr std::string_view exchange = "OptionQuote";
  std::string platform = "deribit";
  std::string symbol = "BTC";
  int strike = 0;
  int bid = 0;
};

boost::json::value to_json(const option_quote& x) {
  return {{"k", x.strike}, {"b", x.bid}};
}

caf::error from_json(const boost::json::value& in, option_quote& out) {
  out.strike = in.at("k").to_number<int>();
  out.bid = in.at("b").to_number<int>();
  return caf::none;
}

std::string subject_of(const option_quote& x) {
  return std::to_string(x.strike);
}

} // namespace app

namespace {

/// More than any mailbox may hold.
constexpr std::int64_t flood = 2'000;

} // namespace

CAF_TEST_FIXTURE_SCOPE(dispatcher_window_tests, dispatcher_fixture)

CAF_TEST(a slow strategy gets the newest of each key) {
  auto seen = subscribed_strategy(trades("#", "#").keeping(delivery_policy::latest_per_key));
  seen->silent = true;
  for (std::int64_t i = 1; i <= flood; ++i)
    deliver(
        {delivery(static_cast<std::uint64_t>(i), body(some_trade(i)), i % 2 == 0 ? "a.b" : "c.d")});
  CAF_CHECK(seen->trades == list{1});
  auto row = status().handlers.at(0);
  CAF_CHECK_EQUAL(row.waiting, 2u);
  CAF_CHECK_EQUAL(row.dropped.replaced, static_cast<std::uint64_t>(flood) - 3);
  seen->silent = false;
  answer_at_last();
  CAF_CHECK(seen->trades == (list{1, flood, flood - 1}));
}

CAF_TEST(klines of one key and several types are kept apart) {
  auto seen = add_strategy();
  strategies.back() = sys.spawn([seen](caf::event_based_actor* self) {
    return caf::behavior{[=](const kline& x) -> caf::result<void> {
      seen->klines.push_back(x.kline_type);
      seen->open.push_back(self->make_response_promise());
      return caf::delegated<void>{};
    }};
  });
  subscribe_and_confirm(klines("#", "#").keeping(delivery_policy::latest_per_key));
  kline x;
  x.platform = "p";
  x.symbol = "s";
  std::uint64_t tag = 0;
  for (auto type : {"kline", "kline_5m", "kline_15m"}) {
    x.kline_type = type;
    deliver({delivery(++tag, body(x), "p.s", "Kline")});
  }
  CAF_CHECK(status().handlers.at(0).waiting == 2u);
}

CAF_TEST(an option chain is kept by its strikes and filtered by one) {
  using quotes = std::vector<std::string>;
  struct reader {
    quotes seen;
    std::vector<caf::response_promise> open;
  };
  auto add_reader = [this](const subscription& what) {
    auto in = std::make_shared<reader>();
    add_strategy();
    strategies.back() = sys.spawn([in](caf::event_based_actor* self) {
      return caf::behavior{
          [=](const app::option_quote& x) -> caf::result<void> {
            in->seen.push_back(std::to_string(x.strike) + ": " + std::to_string(x.bid));
            in->open.push_back(self->make_response_promise());
            return caf::delegated<void>{};
          },
          [=](caf::ok_atom) {
            for (auto& x : std::exchange(in->open, {}))
              x.deliver(caf::unit);
          },
      };
    });
    subscribe_and_confirm(what);
    return in;
  };
  const auto chain = subscription::to<app::option_quote>("deribit.#");
  auto one = add_reader(chain.with_subject("95000"));
  auto all = add_reader(chain.keeping(delivery_policy::latest_per_key));
  std::uint64_t tag = 0;
  for (auto [strike, bid] : {std::pair{90'000, 1}, {90'000, 2}, {95'000, 3}, {90'000, 4}})
    deliver({delivery(++tag, body(app::option_quote{.strike = strike, .bid = bid}), "deribit.BTC",
                      "OptionQuote")});
  CAF_CHECK(all->seen == quotes{"90000: 1"});
  CAF_CHECK(one->seen == quotes{"95000: 3"});
  answer_at_last();
  answer_at_last();
  CAF_CHECK(all->seen == (quotes{"90000: 1", "90000: 4", "95000: 3"}));
}

CAF_TEST(what waits for a slow strategy is bounded and counted) {
  auto seen = subscribed_strategy(trades("#", "#").keeping(delivery_policy::drop_oldest, 100));
  seen->silent = true;
  for (std::int64_t i = 1; i <= flood; ++i)
    deliver({delivery(static_cast<std::uint64_t>(i), body(some_trade(i)))});
  auto row = status().handlers.at(0);
  CAF_CHECK_EQUAL(row.waiting, 100u);
  CAF_CHECK_EQUAL(row.delivered + row.waiting + row.dropped.oldest,
                  static_cast<std::uint64_t>(flood));
  CAF_CHECK_EQUAL(seen->trades.size(), row.delivered);
  // The end of the flood is what is kept.
  seen->silent = false;
  answer_at_last();
  CAF_CHECK_EQUAL(seen->trades.back(), flood);
  CAF_CHECK(status().handlers.at(0).waiting == 0u);
}

CAF_TEST(with drop newest the beginning of a flood is kept) {
  auto seen = subscribed_strategy(trades("#", "#").keeping(delivery_policy::drop_newest, 100));
  seen->silent = true;
  for (std::int64_t i = 1; i <= flood; ++i)
    deliver({delivery(static_cast<std::uint64_t>(i), body(some_trade(i)))});
  seen->silent = false;
  answer_at_last();
  for (std::size_t i = 0; i < seen->trades.size(); ++i)
    CAF_CHECK_EQUAL(seen->trades[i], static_cast<std::int64_t>(i) + 1);
}

CAF_TEST(one slow strategy delays no other) {
  auto slow = subscribed_strategy(trades("#", "#").on_queue("q"));
  slow->silent = true;
  auto fast = subscribed_strategy(trades("#", "#").on_queue("q"));
  for (std::int64_t i = 1; i <= flood; ++i)
    deliver({delivery(static_cast<std::uint64_t>(i), body(some_trade(i)))});
  CAF_CHECK_EQUAL(fast->trades.size(), static_cast<std::size_t>(flood));
  CAF_CHECK(slow->trades.size() < static_cast<std::size_t>(flood));
}

// The broker is told at once: what waits here is ours.
CAF_TEST(on dispatch acknowledges what waits for a slow strategy) {
  subscribed_strategy(eth_trades())->silent = true;
  for (std::uint64_t i = 1; i <= 1'000; ++i)
    deliver({delivery(i, body(some_trade(static_cast<std::int64_t>(i))))});
  auto all = settled();
  CAF_REQUIRE(!all.empty());
  CAF_CHECK_EQUAL(all.back().tag, 1'000u);
}

CAF_TEST(a strategy that never answers gets more after its time limit) {
  auto seen =
      subscribed_strategy(trades("#", "#").keeping(delivery_policy::latest_per_key).within(1s));
  seen->silent = true;
  deliver({delivery(1, body(some_trade(1))), delivery(2, body(some_trade(2)))});
  CAF_CHECK(seen->trades == list{1});
  advance(2s);
  CAF_CHECK(seen->trades == (list{1, 2}));
  CAF_CHECK(status().handlers.at(0).timed_out == 1u);
}

// It asked to be told of what it does not get, whatever the reason.
CAF_TEST(a slow strategy with stream events is told of what was dropped) {
  auto seen = subscribed_strategy(
      trades("#", "#").keeping(delivery_policy::drop_oldest, 10).with_stream_events());
  seen->silent = true;
  for (std::uint64_t i = 1; i <= flood; ++i)
    deliver({numbered(delivery(i, body(some_trade(static_cast<std::int64_t>(i)))), i)});
  const auto before = seen->trades.size();
  CAF_CHECK(seen->events.empty());
  answer_at_last();
  CAF_REQUIRE_EQUAL(seen->events.size(), 1u);
  CAF_CHECK_EQUAL(seen->events[0],
                  "gap " + std::to_string(before + 1) + " to " + std::to_string(flood - 10));
  CAF_CHECK_EQUAL(seen->trades.at(before), flood - 9);
}

// -- silence ---------------------------------------------------------------------------------

CAF_TEST(a strategy that asks for it is told once that a stream is silent) {
  auto seen = subscribed_strategy(trades("#", "#").with_stream_events(10s));
  deliver({delivery(1, body(some_trade(1)), "a.b")});
  advance(9s);
  CAF_CHECK(seen->events.empty());
  advance(2s);
  advance(20s);
  CAF_CHECK(seen->events == std::vector<std::string>{"stale a.b"});
  deliver({delivery(2, body(some_trade(2)), "a.b")});
  advance(11s);
  CAF_CHECK_EQUAL(seen->events.size(), 2u);
}

// -- the end ------------------------------------------------------------------------------------

CAF_TEST(draining hands nothing out and waits for what was) {
  auto seen = subscribed_strategy(eth_trades().acked(ack_policy::on_success));
  seen->silent = true;
  deliver({delivery(1, body(some_trade(1)))});
  std::optional<drained> done;
  sys.spawn([&](caf::event_based_actor* owner) {
    owner->request(sut, caf::infinite, drain_atom_v, std::uint64_t{5'000})
        .then([&](const drained& x) { done = x; });
  });
  sched.run();
  deliver({delivery(2, body(some_trade(2)))});
  CAF_CHECK(seen->trades == list{1});
  CAF_CHECK(!done);
  answer_at_last();
  CAF_REQUIRE(done);
  CAF_CHECK_EQUAL(done->unhandled, 0u);
  auto all = settled();
  CAF_CHECK_EQUAL(all.size(), 2u);
  CAF_CHECK(code_of(subscribe(eth_trades())->error) == ec::shutting_down);
}

// What it had not answered comes again: there is nothing to wait for.
CAF_TEST(draining ends when the last strategy ends) {
  subscribed_strategy(eth_trades().acked(ack_policy::on_success))->silent = true;
  deliver({delivery(1, body(some_trade(1)))});
  std::optional<drained> done;
  sys.spawn([&](caf::event_based_actor* owner) {
    owner->request(sut, caf::infinite, drain_atom_v, std::uint64_t{5'000})
        .then([&](const drained& x) { done = x; });
  });
  sched.run();
  CAF_CHECK(!done);
  end_last_strategy();
  CAF_CHECK(done);
}

CAF_TEST(nothing is sent after unsubscribe was answered) {
  auto seen = subscribed_strategy(
      eth_trades().acked(ack_policy::on_success).with_stream_events(1s).within(0ms));
  seen->silent = true;
  deliver({delivery(1, body(some_trade(1)))});
  unsubscribe(last_answer->ok->id);
  advance(2s);
  caf::anon_send(sut, consumers_lost{{ec::connection_lost, "gone"}, consumer_ids});
  advance(2s);
  CAF_CHECK(seen->events.empty());
}

CAF_TEST(draining ends with its limit and says what is left) {
  subscribed_strategy(eth_trades().acked(ack_policy::on_success))->silent = true;
  deliver({delivery(1, body(some_trade(1))), delivery(2, body(some_trade(2)))});
  std::optional<drained> done;
  sys.spawn([&](caf::event_based_actor* owner) {
    owner->request(sut, caf::infinite, drain_atom_v, std::uint64_t{5'000})
        .then([&](const drained& x) { done = x; });
  });
  sched.run();
  advance(4s);
  CAF_CHECK(!done);
  advance(1s);
  CAF_REQUIRE(done);
  CAF_CHECK_EQUAL(done->unhandled, 2u);
}

CAF_TEST_FIXTURE_SCOPE_END()
