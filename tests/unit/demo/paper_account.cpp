#define CAF_SUITE demo.paper_account

#include "demo/paper_account.hpp"

#include <cmath>

#include "caf/test/dsl.hpp"

using actors::trade_action;

namespace {

actors::decimal number(double x) {
  return actors::decimal::shortest(x);
}

bool near(double x, double y) {
  return std::abs(x - y) < 1e-9;
}

struct fixture {
  demo::paper_account account;

  void book(double bid, double ask) {
    actors::orderbook x;
    x.bids = {{number(bid), number(1)}};
    x.asks = {{number(ask), number(1)}};
    account.on_book(x);
  }

  bool trade(trade_action action, double price, double quantity) {
    actors::trade x;
    x.action = action;
    x.price = number(price);
    x.quantity = number(quantity);
    return account.on_trade(x);
  }
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(paper_account_tests, fixture)

CAF_TEST(nothing is filled before there is a quote) {
  CAF_CHECK(!trade(trade_action::sell, 1, 1));
  actors::orderbook one_sided;
  one_sided.bids = {{number(99), number(1)}};
  account.on_book(one_sided);
  CAF_CHECK(!trade(trade_action::sell, 1, 1));
  CAF_CHECK_EQUAL(account.quotes, 0u);
}

CAF_TEST(a sale at our bid buys and a purchase at our ask sells) {
  book(99, 101);
  CAF_CHECK(trade(trade_action::sell, 99, 2));
  CAF_CHECK(near(account.position, 2));
  CAF_CHECK(near(account.cash, -198));
  CAF_CHECK(trade(trade_action::buy, 101, 2));
  CAF_CHECK(near(account.position, 0));
  // The spread, twice.
  CAF_CHECK(near(account.profit(), 4));
  CAF_CHECK_EQUAL(account.fills, 2u);
}

CAF_TEST(trades that do not reach our quotes leave them) {
  book(99, 101);
  CAF_CHECK(!trade(trade_action::sell, 99.5, 1));
  CAF_CHECK(!trade(trade_action::buy, 100.5, 1));
  CAF_CHECK(!trade(trade_action::buy, 99, 1));
  CAF_CHECK(!trade(trade_action::sell, 101, 1));
  CAF_CHECK(near(account.position, 0));
}

CAF_TEST(a fill is paid at our price though the trade went deeper) {
  book(99, 101);
  CAF_CHECK(trade(trade_action::sell, 90, 1));
  CAF_CHECK(near(account.cash, -99));
}

CAF_TEST(a fill is no larger than a quote) {
  book(99, 101);
  CAF_CHECK(trade(trade_action::sell, 99, 1'000));
  CAF_CHECK(near(account.position, 10));
}

CAF_TEST(a full position takes no more and can be reduced) {
  book(99, 101);
  for (int i = 0; i < 10; ++i)
    CAF_CHECK(trade(trade_action::sell, 99, 10));
  CAF_CHECK(!trade(trade_action::sell, 99, 10));
  CAF_CHECK(trade(trade_action::buy, 101, 10));
  CAF_CHECK(near(account.position, 90));
  for (int i = 0; i < 19; ++i)
    CAF_CHECK(trade(trade_action::buy, 101, 10));
  CAF_CHECK(!trade(trade_action::buy, 101, 10));
  CAF_CHECK(near(account.position, -100));
}

CAF_TEST(quotes stay while the book moves less than the tolerance) {
  book(99, 101);
  account.tolerance = 1;
  book(99.5, 101.5);
  CAF_CHECK_EQUAL(account.quotes, 1u);
  CAF_CHECK(near(account.bid, 99));
  CAF_CHECK(near(account.mid, 100.5));
  book(101, 103);
  CAF_CHECK_EQUAL(account.quotes, 2u);
  CAF_CHECK(near(account.bid, 101));
  CAF_CHECK(near(account.ask, 103));
}

CAF_TEST(the profit follows the market) {
  book(99, 101);
  CAF_CHECK(trade(trade_action::sell, 99, 1));
  book(199, 201);
  CAF_CHECK(near(account.profit(), 101));
}

CAF_TEST_FIXTURE_SCOPE_END()
