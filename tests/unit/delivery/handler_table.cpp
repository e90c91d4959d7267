#define CAF_SUITE handler_table

#include "delivery/handler_table.hpp"

#include <map>
#include <random>

#include "amqp/topic.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;

namespace {

using ids = std::vector<subscription_id>;

} // namespace

CAF_TEST(an empty table matches nothing) {
  handler_table x;
  CAF_CHECK(x.empty());
  CAF_CHECK(x.match("Trade", "binance.ETH/USDT").empty());
  CAF_CHECK(x.bound_to("Trade", "#").empty());
  CAF_CHECK(!x.erase(1, "Trade", "#"));
  CAF_CHECK(!x.erase(1, "Trade", "a.b"));
}

CAF_TEST(exact keys and wildcards match together in the order of ids) {
  handler_table x;
  x.insert(3, "Trade", "binance.ETH/USDT");
  x.insert(1, "Trade", "binance.*");
  x.insert(2, "Trade", "#");
  x.insert(4, "Trade", "okx.#");
  x.insert(5, "Kline", "#");
  CAF_CHECK_EQUAL(x.match("Trade", "binance.ETH/USDT"), (ids{1, 2, 3}));
  CAF_CHECK_EQUAL(x.match("Trade", "okx.ETH/USDT"), (ids{2, 4}));
  CAF_CHECK_EQUAL(x.match("Kline", "okx.ETH/USDT"), (ids{5}));
}

// A fanout exchange delivers whatever the key.
CAF_TEST(an exact key matches itself only) {
  handler_table x;
  x.insert(1, "Trade", "binance.ETH/USDT");
  CAF_CHECK(x.match("Trade", "binance.BTC/USDT").empty());
  CAF_CHECK(x.match("Trade", "binance.ETH").empty());
  CAF_CHECK(x.match("Trade", "").empty());
}

CAF_TEST(several handlers of one key are independent) {
  handler_table x;
  x.insert(1, "Trade", "a.b");
  x.insert(2, "Trade", "a.b");
  CAF_CHECK_EQUAL(x.match("Trade", "a.b"), (ids{1, 2}));
  CAF_CHECK(x.erase(1, "Trade", "a.b"));
  CAF_CHECK(!x.erase(1, "Trade", "a.b"));
  CAF_CHECK_EQUAL(x.bound_to("Trade", "a.b"), (ids{2}));
  CAF_CHECK_EQUAL(x.match("Trade", "a.b"), (ids{2}));
  CAF_CHECK(x.erase(2, "Trade", "a.b"));
  CAF_CHECK(x.bound_to("Trade", "a.b").empty());
  CAF_CHECK(x.empty());
}

// A handler is bound by its own text, not by what it would match.
CAF_TEST(a wildcard is bound to itself only) {
  handler_table x;
  x.insert(1, "Trade", "a.*");
  CAF_CHECK_EQUAL(x.bound_to("Trade", "a.*"), (ids{1}));
  CAF_CHECK(x.bound_to("Trade", "a.b").empty());
  CAF_CHECK(x.bound_to("Trade", "#").empty());
  CAF_CHECK(x.bound_to("Kline", "a.*").empty());
}

// Both names may hold a colon.
CAF_TEST(exchange and key do not run into one another) {
  handler_table x;
  x.insert(1, "a", "b:c");
  x.insert(2, "a:b", "c");
  CAF_CHECK_EQUAL(x.match("a", "b:c"), (ids{1}));
  CAF_CHECK_EQUAL(x.match("a:b", "c"), (ids{2}));
  x.erase(2, "a:b", "c");
  CAF_CHECK(x.bound_to("a:b", "c").empty());
}

CAF_TEST(a random table answers as a search of all patterns does) {
  struct pattern {
    std::string exchange;
    std::string key;
  };
  std::mt19937 random{7};
  auto pick = [&](const std::vector<std::string>& xs) { return xs[random() % xs.size()]; };
  auto key = [&](const std::vector<std::string>& words) {
    auto result = pick(words);
    for (auto i = random() % 3; i > 0; --i)
      result += '.' + pick(words);
    return result;
  };
  const std::vector<std::string> exchanges{"", "a", "b", "a:b"};
  const std::vector<std::string> plain{"", "a", "b", "b:c"};
  const std::vector<std::string> with_wildcards{"a", "b", "b:c", "*", "#", ""};
  handler_table x;
  std::map<subscription_id, pattern> all;
  subscription_id last = 0;
  std::size_t matches = 0;
  for (auto step = 0; step < 20'000; ++step) {
    const auto choice = random() % 6;
    if (choice == 0 || all.size() < 5) {
      pattern what{pick(exchanges), key(with_wildcards)};
      x.insert(++last, what.exchange, what.key);
      all.emplace(last, what);
    } else if (choice == 1) {
      const auto id = 1 + random() % last;
      if (auto i = all.find(id); i != all.end()) {
        CAF_REQUIRE(!x.erase(last + 1, i->second.exchange, i->second.key));
        CAF_REQUIRE(x.erase(id, i->second.exchange, i->second.key));
        CAF_REQUIRE(!x.erase(id, i->second.exchange, i->second.key));
        all.erase(i);
      }
    } else {
      const pattern message{pick(exchanges), key(plain)};
      const pattern binding{pick(exchanges), key(with_wildcards)};
      ids expected;
      ids bound;
      for (auto& [id, what] : all) {
        if (what.exchange == message.exchange && topic_matches(what.key, message.key))
          expected.push_back(id);
        if (what.exchange == binding.exchange && what.key == binding.key)
          bound.push_back(id);
      }
      CAF_REQUIRE_EQUAL(x.match(message.exchange, message.key), expected);
      CAF_REQUIRE_EQUAL(x.bound_to(binding.exchange, binding.key), bound);
      matches += expected.size();
    }
    CAF_REQUIRE_EQUAL(x.size(), all.size());
  }
  CAF_CHECK(matches > 1'000);
}
