#define CAF_SUITE outbox

#include "publishing/outbox.hpp"

#include <algorithm>
#include <random>
#include <set>
#include <string>

#include "outbox_messages.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;

namespace {

using testing::ids;
using testing::ids_of;
using drops = std::vector<outbox::dropped>;

/// A message of `size` bytes.
amqp::publication message(std::uint64_t id, std::size_t size = 10) {
  amqp::publication result;
  result.id = id;
  result.properties.message_id = "m" + std::to_string(id);
  result.body = std::make_shared<const std::string>(size, 'x');
  return result;
}

/// A message of `size` bytes in all to an exchange, with a routing key.
amqp::publication message_to(std::string exchange, std::string routing_key, std::uint64_t id,
                             std::size_t size = 10) {
  auto result = message(id, size - exchange.size() - routing_key.size());
  result.exchange = std::move(exchange);
  result.routing_key = std::move(routing_key);
  return result;
}

outbox filled(outbox_limits limits, std::uint64_t count) {
  outbox result{limits};
  for (std::uint64_t id = 1; id <= count; ++id)
    result.push(message(id));
  return result;
}

} // namespace

CAF_TEST(messages leave in order as far as the window goes) {
  auto x = filled({.window = 2}, 5);
  CAF_CHECK_EQUAL(ids_of(x.take()), (ids{1, 2}));
  CAF_CHECK(x.take().empty());
  CAF_CHECK(x.settle(2));
  CAF_CHECK_EQUAL(ids_of(x.take()), (ids{3}));
  CAF_CHECK(x.settle(1));
  CAF_CHECK(x.settle(3));
  CAF_CHECK_EQUAL(ids_of(x.take()), (ids{4, 5}));
  CAF_CHECK_EQUAL(x.waiting(), 0u);
  CAF_CHECK_EQUAL(x.unconfirmed(), 2u);
}

CAF_TEST(only a message on the wire is settled and only once) {
  auto x = filled({.window = 2}, 3);
  CAF_CHECK(!x.settle(1));
  x.take();
  CAF_CHECK(x.settle(2));
  CAF_CHECK(!x.settle(2));
  CAF_CHECK(!x.settle(3));
  CAF_CHECK(!x.settle(9));
  CAF_CHECK(x.settle(1));
  CAF_CHECK(!x.settle(1));
}

CAF_TEST(after a loss the unconfirmed go again ahead of the rest) {
  auto x = filled({.window = 3}, 5);
  x.take();
  x.settle(2);
  x.rewind();
  CAF_CHECK_EQUAL(x.unconfirmed(), 0u);
  CAF_CHECK_EQUAL(x.waiting(), 4u);
  CAF_CHECK_EQUAL(x.bytes(), 40u);
  auto again = x.take();
  CAF_CHECK_EQUAL(ids_of(again), (ids{1, 3, 4}));
  CAF_CHECK_EQUAL(again.front().body->size(), 10u);
}

CAF_TEST(a full outbox refuses the new message) {
  auto x = filled({.each = {.max_messages = 2, .overflow = overflow_policy::reject}}, 2);
  CAF_CHECK((x.push(message(3)) == drops{{3, ec::outbox_full}}));
  CAF_CHECK_EQUAL(x.waiting(), 2u);
}

CAF_TEST(a full outbox drops the new message) {
  auto x = filled({.each = {.max_messages = 2, .overflow = overflow_policy::drop_newest}}, 2);
  CAF_CHECK((x.push(message(3)) == drops{{3, ec::outbox_dropped}}));
  CAF_CHECK_EQUAL(ids_of(x.take()), (ids{1, 2}));
}

CAF_TEST(a full outbox drops the oldest that wait and spares the wire) {
  auto x =
      filled({.each = {.max_bytes = 40, .overflow = overflow_policy::drop_oldest}, .window = 1}, 4);
  x.take();
  CAF_CHECK((x.push(message(5, 15)) == drops{{2, ec::outbox_dropped}, {3, ec::outbox_dropped}}));
  CAF_CHECK_EQUAL(x.bytes(), 35u);
  x.settle(1);
  CAF_CHECK_EQUAL(ids_of(x.take()), (ids{4}));
}

// To drop others for a message that cannot be kept would lose them for nothing.
CAF_TEST(nothing is dropped for a message that has no room beside the wire) {
  auto x =
      filled({.each = {.max_bytes = 40, .overflow = overflow_policy::drop_oldest}, .window = 2}, 4);
  x.take();
  CAF_CHECK((x.push(message(5, 21)) == drops{{5, ec::outbox_dropped}}));
  CAF_CHECK((x.push(message(6, 41)) == drops{{6, ec::outbox_dropped}}));
  CAF_CHECK_EQUAL(x.waiting(), 2u);
  CAF_CHECK((x.push(message(7, 20)) == drops{{3, ec::outbox_dropped}, {4, ec::outbox_dropped}}));
}

// One late confirmation must not make the outbox look full.
CAF_TEST(confirmed messages take no room) {
  auto x = filled({.each = {.max_messages = 3, .max_bytes = 30}}, 3);
  x.take();
  x.settle(2);
  x.settle(3);
  CAF_CHECK_EQUAL(x.bytes(), 10u);
  CAF_CHECK(x.push(message(4)).empty());
  CAF_CHECK(x.push(message(5)).empty());
  CAF_CHECK((x.push(message(6)) == drops{{6, ec::outbox_full}}));
}

CAF_TEST(the oldest on the wire is not confirmed yet) {
  auto x = filled({.window = 3}, 4);
  CAF_CHECK_EQUAL(x.oldest_in_flight(), 0u);
  x.take();
  const auto first = x.oldest_in_flight();
  CAF_CHECK_NOT_EQUAL(first, 0u);
  x.settle(1);
  x.settle(3);
  const auto second = x.oldest_in_flight();
  CAF_CHECK_NOT_EQUAL(second, first);
  // Sent again it is another time.
  x.rewind();
  x.take();
  CAF_CHECK_NOT_EQUAL(x.oldest_in_flight(), second);
}

CAF_TEST(clearing gives back what was not confirmed) {
  auto x = filled({.window = 3}, 5);
  x.take();
  x.settle(2);
  CAF_CHECK_EQUAL(ids_of(x.clear()), (ids{1, 3, 4, 5}));
  CAF_CHECK_EQUAL(x.waiting() + x.unconfirmed() + x.bytes(), 0u);
  CAF_CHECK(x.push(message(6)).empty());
  CAF_CHECK_EQUAL(ids_of(x.take()), (ids{6}));
}

CAF_TEST(a full exchange affects no other) {
  for (auto policy : {overflow_policy::reject, overflow_policy::drop_oldest,
                      overflow_policy::drop_newest, overflow_policy::block}) {
    outbox x{{.each = {.max_messages = 2, .overflow = policy}}};
    x.push(message_to("Trade", "k", 1));
    x.push(message_to("Kline", "k", 2));
    x.push(message_to("Trade", "k", 3));
    x.push(message_to("Trade", "k", 4));
    CAF_CHECK(x.push(message_to("Kline", "k", 5)).empty());
    const auto drops_oldest = policy == overflow_policy::drop_oldest;
    CAF_CHECK_EQUAL(ids_of(x.take()), (drops_oldest ? ids{2, 3, 4, 5} : ids{1, 2, 3, 5}));
  }
}

// Room on the wire of one exchange is no room for another.
CAF_TEST(a message finds no room beside the wire of its own exchange only) {
  outbox x{{.each = {.max_messages = 1, .overflow = overflow_policy::drop_oldest}, .window = 1}};
  x.push(message_to("Trade", "k", 1));
  x.take();
  CAF_CHECK((x.push(message_to("Trade", "k", 2)) == drops{{2, ec::outbox_dropped}}));
  CAF_CHECK(x.push(message_to("Kline", "k", 3)).empty());
  CAF_CHECK((x.push(message_to("Kline", "k", 4)) == drops{{3, ec::outbox_dropped}}));
}

CAF_TEST(messages kept aside enter in order as soon as there is room) {
  auto x = filled({.each = {.max_messages = 2, .overflow = overflow_policy::block}}, 4);
  CAF_CHECK_EQUAL(x.waiting(), 2u);
  CAF_CHECK_EQUAL(x.blocked(), 2u);
  CAF_CHECK_EQUAL(x.bytes(), 20u);
  x.take();
  CAF_CHECK_EQUAL(x.blocked(), 2u);
  x.settle(2);
  CAF_CHECK_EQUAL(x.blocked(), 1u);
  CAF_CHECK_EQUAL(ids_of(x.take()), (ids{3}));
  x.settle(1);
  x.settle(3);
  CAF_CHECK_EQUAL(x.blocked(), 0u);
  CAF_CHECK_EQUAL(ids_of(x.take()), (ids{4}));
}

// A small message would fit at once, ahead of the large one before it.
CAF_TEST(no message overtakes one of its exchange that is kept aside) {
  outbox x{{.each = {.max_bytes = 30, .overflow = overflow_policy::block}}};
  x.push(message_to("Trade", "k", 1, 20));
  x.push(message_to("Trade", "k", 2, 20));
  x.push(message_to("Trade", "k", 3, 10));
  x.push(message_to("Kline", "k", 4, 10));
  CAF_CHECK_EQUAL(x.blocked(), 2u);
  CAF_CHECK_EQUAL(ids_of(x.take()), (ids{1, 4}));
  x.settle(4);
  CAF_CHECK_EQUAL(x.blocked(), 2u);
  x.settle(1);
  CAF_CHECK_EQUAL(ids_of(x.take()), (ids{2, 3}));
}

// It would wait for ever, and all behind it.
CAF_TEST(a message beyond the limit by itself is refused and blocks nobody) {
  auto x = filled({.each = {.max_bytes = 20, .overflow = overflow_policy::block}}, 1);
  CAF_CHECK((x.push(message(2, 21)) == drops{{2, ec::outbox_full}}));
  CAF_CHECK(x.push(message(3)).empty());
  CAF_CHECK_EQUAL(x.blocked(), 0u);
}

// Publishers that wait for no answer must not fill the memory.
CAF_TEST(as much is kept aside as fits into the outbox) {
  auto x = filled({.each = {.max_messages = 2, .overflow = overflow_policy::block}}, 4);
  CAF_CHECK((x.push(message(5)) == drops{{5, ec::outbox_full}}));
  auto y = filled({.each = {.max_bytes = 30, .overflow = overflow_policy::block}}, 5);
  CAF_CHECK((y.push(message(6, 11)) == drops{{6, ec::outbox_full}}));
  CAF_CHECK(y.push(message(7, 10)).empty());
  CAF_CHECK_EQUAL(y.blocked(), 3u);
}

CAF_TEST(clearing gives back what was kept aside) {
  outbox x{{.each = {.max_messages = 1, .overflow = overflow_policy::block}}};
  x.push(message_to("Trade", "k", 1));
  x.push(message_to("Trade", "k", 2));
  x.push(message_to("Kline", "k", 3));
  CAF_CHECK_EQUAL(ids_of(x.clear()), (ids{1, 2, 3}));
  CAF_CHECK_EQUAL(x.blocked(), 0u);
  CAF_CHECK(x.push(message_to("Trade", "k", 4)).empty());
  CAF_CHECK_EQUAL(ids_of(x.take()), (ids{4}));
}

CAF_TEST(the newest of a key takes the place of the one that waits) {
  outbox x{{.each = {.overflow = overflow_policy::latest_per_key}}};
  x.push(message_to("Kline", "eth", 1));
  x.push(message_to("Kline", "btc", 2));
  x.push(message_to("Trade", "eth", 3));
  CAF_CHECK((x.push(message_to("Kline", "eth", 4, 15)) == drops{{1, ec::outbox_dropped, true}}));
  CAF_CHECK_EQUAL(x.bytes(), 35u);
  CAF_CHECK_EQUAL(ids_of(x.take()), (ids{4, 2, 3}));
  // What is on the wire is not replaced.
  CAF_CHECK(x.push(message_to("Kline", "eth", 5)).empty());
  CAF_CHECK((x.push(message_to("Kline", "eth", 6)) == drops{{5, ec::outbox_dropped, true}}));
  CAF_CHECK_EQUAL(ids_of(x.take()), (ids{6}));
}

// A kline of five minutes says nothing about the hour.
CAF_TEST(messages of one key about several subjects do not replace each other) {
  outbox x{{.each = {.overflow = overflow_policy::latest_per_key}}};
  for (std::uint64_t id = 1; id <= 3; ++id) {
    auto kline = message_to("Kline", "eth", id);
    kline.subject = id == 2 ? "kline_1h" : "kline_5m";
    x.push(std::move(kline));
  }
  CAF_CHECK_EQUAL(ids_of(x.take()), (ids{3, 2}));
}

CAF_TEST(an exchange may have limits of its own) {
  outbox x{
      {.each = {.max_messages = 1},
       .exchanges = {{"Kline", {.max_messages = 2, .overflow = overflow_policy::drop_oldest}}}}};
  CAF_CHECK(x.push(message_to("Trade", "k", 1)).empty());
  CAF_CHECK((x.push(message_to("Trade", "k", 2)) == drops{{2, ec::outbox_full}}));
  CAF_CHECK(x.push(message_to("Kline", "k", 3)).empty());
  CAF_CHECK(x.push(message_to("Kline", "k", 4)).empty());
  CAF_CHECK((x.push(message_to("Kline", "k", 5)) == drops{{3, ec::outbox_dropped}}));
}

// The broker may have it already: to tell its publisher that it was dropped
// might be wrong.
CAF_TEST(a message that was on the wire is sent again ahead of the newest of its key) {
  outbox x{{.each = {.overflow = overflow_policy::latest_per_key}}};
  x.push(message_to("Kline", "eth", 1));
  x.take();
  x.push(message_to("Kline", "eth", 2));
  x.rewind();
  CAF_CHECK((x.push(message_to("Kline", "eth", 3)) == drops{{2, ec::outbox_dropped, true}}));
  CAF_CHECK_EQUAL(ids_of(x.take()), (ids{1, 3}));
}

CAF_TEST(without room for one more key the oldest makes room) {
  outbox x{
      {.each = {.max_messages = 2, .max_bytes = 40, .overflow = overflow_policy::latest_per_key}}};
  x.push(message_to("Kline", "a", 1));
  x.push(message_to("Kline", "b", 2));
  CAF_CHECK((x.push(message_to("Kline", "c", 3)) == drops{{1, ec::outbox_dropped}}));
  // The dropped key begins anew.
  CAF_CHECK((x.push(message_to("Kline", "a", 4)) == drops{{2, ec::outbox_dropped}}));
  // A replacement that grew makes room as well, but never drops itself.
  CAF_CHECK((x.push(message_to("Kline", "c", 5, 35))
             == drops{{3, ec::outbox_dropped, true}, {4, ec::outbox_dropped}}));
  CAF_CHECK_EQUAL(ids_of(x.take()), (ids{5}));
}

namespace {

/// What an outbox does, written down as plainly as can be: every question is
/// answered by a look at all messages.
struct plain_outbox {
  outbox_limits limits;
  std::vector<amqp::publication> wire;
  std::vector<amqp::publication> waiting;
  std::vector<amqp::publication> blocked;
  /// Ids that were on the wire once.
  std::set<std::uint64_t> sent;

  using list = std::vector<amqp::publication>;

  static std::size_t size_of(const amqp::publication& x) {
    return x.body->size() + x.exchange.size() + x.routing_key.size();
  }

  static std::size_t bytes_of(const list& xs) {
    std::size_t result = 0;
    for (auto& x : xs)
      result += size_of(x);
    return result;
  }

  static list of(const std::string& exchange, const list& xs) {
    list result;
    for (auto& x : xs)
      if (x.exchange == exchange)
        result.push_back(x);
    return result;
  }

  bool within(const list& xs) const {
    return xs.size() <= limits.each.max_messages && bytes_of(xs) <= limits.each.max_bytes;
  }

  bool fits(const amqp::publication& x) const {
    list all{x};
    for (auto* part : {&wire, &waiting})
      for (auto& y : of(x.exchange, *part))
        all.push_back(y);
    return within(all);
  }

  bool fits_beside_wire(const amqp::publication& x) const {
    auto all = of(x.exchange, wire);
    all.push_back(x);
    return within(all);
  }

  static list::iterator oldest_of(const std::string& exchange, list& xs) {
    return std::find_if(xs.begin(), xs.end(),
                        [&](const amqp::publication& y) { return y.exchange == exchange; });
  }

  list::iterator replaceable(const amqp::publication& x) {
    return std::find_if(waiting.begin(), waiting.end(), [&](const amqp::publication& y) {
      return y.exchange == x.exchange && y.routing_key == x.routing_key && !sent.count(y.id);
    });
  }

  drops push(const amqp::publication& x) {
    const auto latest = limits.each.overflow == overflow_policy::latest_per_key;
    switch (limits.each.overflow) {
    case overflow_policy::block: {
      auto aside = of(x.exchange, blocked);
      if (aside.empty() && fits(x)) {
        waiting.push_back(x);
        return {};
      }
      aside.push_back(x);
      if (!within({x}) || !within(aside))
        return {{x.id, ec::outbox_full}};
      blocked.push_back(x);
      return {};
    }
    case overflow_policy::reject:
    case overflow_policy::drop_newest:
      if (fits(x)) {
        waiting.push_back(x);
        return {};
      }
      return {{x.id, limits.each.overflow == overflow_policy::reject ? ec::outbox_full
                                                                     : ec::outbox_dropped}};
    default:
      break;
    }
    if (!fits_beside_wire(x))
      return {{x.id, ec::outbox_dropped}};
    drops result;
    auto place = waiting.size();
    if (auto old = replaceable(x); latest && old != waiting.end()) {
      result.push_back({old->id, ec::outbox_dropped, true});
      place = static_cast<std::size_t>(old - waiting.begin());
      waiting.erase(old);
    }
    while (!fits(x)) {
      auto i = oldest_of(x.exchange, waiting);
      if (static_cast<std::size_t>(i - waiting.begin()) < place)
        --place;
      result.push_back({i->id, sent.count(i->id) ? ec::in_doubt : ec::outbox_dropped});
      waiting.erase(i);
    }
    waiting.insert(waiting.begin() + static_cast<std::ptrdiff_t>(place), x);
    return result;
  }

  ids take() {
    ids result;
    while (!waiting.empty() && wire.size() < limits.window) {
      result.push_back(waiting.front().id);
      sent.insert(result.back());
      wire.push_back(waiting.front());
      waiting.erase(waiting.begin());
    }
    return result;
  }

  bool settle(std::uint64_t id) {
    auto i = std::find_if(wire.begin(), wire.end(),
                          [id](const amqp::publication& y) { return y.id == id; });
    if (i == wire.end())
      return false;
    const auto exchange = i->exchange;
    wire.erase(i);
    for (auto j = oldest_of(exchange, blocked); j != blocked.end() && fits(*j);
         j = oldest_of(exchange, blocked)) {
      waiting.push_back(*j);
      blocked.erase(j);
    }
    return true;
  }

  void rewind() {
    waiting.insert(waiting.begin(), wire.begin(), wire.end());
    wire.clear();
  }
};

} // namespace

// Random steps, each compared with the plain outbox.
CAF_TEST(every message is confirmed or dropped exactly once and none overtakes) {
  for (auto seed = 0u; seed < 100; ++seed) {
    std::mt19937 random{seed};
    const outbox_limits limits{
        .each = {.max_messages = 6,
                 .max_bytes = 150,
                 .overflow = overflow_policy{static_cast<std::uint8_t>(seed % 5)}},
        .window = 1 + seed % 16};
    outbox x{limits};
    plain_outbox model{.limits = limits};
    std::set<std::uint64_t> ended;
    std::uint64_t last_id = 0;
    auto end = [&](std::uint64_t id) { CAF_REQUIRE(ended.insert(id).second); };
    for (auto step = 0; step < 1'500; ++step) {
      const auto choice = random() % 16;
      if (choice < 8) {
        auto y = message_to(random() % 3 == 0 ? "A" : "B", std::string(1, "klmn"[random() % 4]),
                            ++last_id, 2 + random() % (random() % 16 == 0 ? 160 : 50));
        const auto expected = model.push(y);
        for (auto& z : expected)
          end(z.id);
        CAF_REQUIRE(x.push(std::move(y)) == expected);
      } else if (choice < 11) {
        CAF_REQUIRE_EQUAL(ids_of(x.take()), model.take());
      } else if (choice < 15) {
        const auto id = model.wire.empty() || random() % 8 == 0
                            ? random() % (last_id + 2)
                            : model.wire[random() % model.wire.size()].id;
        const auto settled = model.settle(id);
        CAF_REQUIRE_EQUAL(x.settle(id).has_value(), settled);
        if (settled)
          end(id);
      } else {
        x.rewind();
        model.rewind();
      }
      CAF_REQUIRE_EQUAL(x.waiting(), model.waiting.size());
      CAF_REQUIRE_EQUAL(x.unconfirmed(), model.wire.size());
      CAF_REQUIRE_EQUAL(x.blocked(), model.blocked.size());
      CAF_REQUIRE_EQUAL(x.bytes(),
                        plain_outbox::bytes_of(model.wire) + plain_outbox::bytes_of(model.waiting));
      CAF_REQUIRE((x.oldest_in_flight() == 0) == model.wire.empty());
      CAF_REQUIRE(x.blocked() == 0 || x.waiting() + x.unconfirmed() > 0);
    }
    for (auto id : ids_of(x.clear()))
      end(id);
    CAF_CHECK_EQUAL(ended.size(), last_id);
  }
}

// Whoever publishes to ever new exchanges must not fill the memory.
CAF_TEST(exchanges to which nothing is on its way are forgotten) {
  outbox x{{}};
  for (std::uint64_t id = 1; id <= 10'000; ++id) {
    x.push(message_to("E" + std::to_string(id), "k", id));
    x.take();
    x.settle(id);
  }
  CAF_CHECK_LESS_OR_EQUAL(x.exchanges(), 1'000u);
}

// -- time to live ---------------------------------------------------------------------------

CAF_TEST(what is older than its time to live is not sent and its publisher is told) {
  using namespace std::chrono_literals;
  outbox x{{.each = {.ttl = 10s}}};
  const auto start = outbox::time_point{} + 1h;
  auto brief = message(1);
  brief.properties.expiration = 2s;
  CAF_CHECK(x.expires(brief));
  x.push(std::move(brief), start);
  x.push(message(2), start); // the default of its exchange
  x.push(message(3), start + 5s);
  CAF_CHECK(x.take(start + 3s).front().id == 2);
  CAF_CHECK((x.take_dropped() == drops{{1, ec::expired}}));
  x.rewind();
  x.expire(start + 12s);
  // The broker may have taken it.
  CAF_CHECK((x.take_dropped() == drops{{2, ec::in_doubt}}));
  auto sent = x.take(start + 12s);
  CAF_REQUIRE_EQUAL(ids_of(sent), ids{3});
  CAF_CHECK(sent[0].properties.expiration == 3s);
  CAF_CHECK(x.has_deadlines());
  x.settle(3);
  CAF_CHECK(!x.has_deadlines());
  CAF_CHECK(x.empty());
}

CAF_TEST(what is kept aside expires as well and what is behind it moves up) {
  using namespace std::chrono_literals;
  outbox x{{.each = {.max_messages = 2, .overflow = overflow_policy::block}}};
  const auto start = outbox::time_point{} + 1h;
  for (std::uint64_t id = 1; id <= 4; ++id) {
    auto y = message(id);
    y.properties.expiration = id == 4 ? 9s : 1s;
    CAF_CHECK(x.push(std::move(y), start).empty());
  }
  x.expire(start + 2s);
  CAF_CHECK((x.take_dropped() == drops{{1, ec::expired}, {2, ec::expired}, {3, ec::expired}}));
  CAF_CHECK_EQUAL(ids_of(x.take(start + 2s)), ids{4});
  CAF_CHECK_EQUAL(x.blocked(), 0u);
}
