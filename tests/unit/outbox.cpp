#define CAF_SUITE outbox

#include "actors/outbox.hpp"

#include <algorithm>
#include <random>
#include <set>
#include <string>

#include "caf/test/dsl.hpp"

using namespace actors;

namespace {

using ids = std::vector<std::uint64_t>;
using drops = std::vector<outbox::dropped>;

/// A message of `size` bytes.
amqp::publication message(std::uint64_t id, std::size_t size = 10) {
  amqp::publication result;
  result.id = id;
  result.properties.message_id = "m" + std::to_string(id);
  result.body = std::make_shared<const std::string>(size, 'x');
  return result;
}

ids ids_of(const std::vector<amqp::publication>& xs) {
  ids result;
  for (auto& x : xs)
    result.push_back(x.id);
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
  auto x = filled({.max_messages = 2, .overflow = overflow_policy::reject}, 2);
  CAF_CHECK((x.push(message(3)) == drops{{3, ec::outbox_full}}));
  CAF_CHECK_EQUAL(x.waiting(), 2u);
}

CAF_TEST(a full outbox drops the new message) {
  auto x = filled({.max_messages = 2, .overflow = overflow_policy::drop_newest}, 2);
  CAF_CHECK((x.push(message(3)) == drops{{3, ec::outbox_dropped}}));
  CAF_CHECK_EQUAL(ids_of(x.take()), (ids{1, 2}));
}

CAF_TEST(a full outbox drops the oldest that wait and spares the wire) {
  auto x = filled({.max_bytes = 40, .overflow = overflow_policy::drop_oldest, .window = 1}, 4);
  x.take();
  CAF_CHECK((x.push(message(5, 15)) == drops{{2, ec::outbox_dropped}, {3, ec::outbox_dropped}}));
  CAF_CHECK_EQUAL(x.bytes(), 35u);
  x.settle(1);
  CAF_CHECK_EQUAL(ids_of(x.take()), (ids{4}));
}

// To drop others for a message that cannot be kept would lose them for nothing.
CAF_TEST(nothing is dropped for a message that has no room beside the wire) {
  auto x = filled({.max_bytes = 40, .overflow = overflow_policy::drop_oldest, .window = 2}, 4);
  x.take();
  CAF_CHECK((x.push(message(5, 21)) == drops{{5, ec::outbox_dropped}}));
  CAF_CHECK((x.push(message(6, 41)) == drops{{6, ec::outbox_dropped}}));
  CAF_CHECK_EQUAL(x.waiting(), 2u);
  CAF_CHECK((x.push(message(7, 20)) == drops{{3, ec::outbox_dropped}, {4, ec::outbox_dropped}}));
}

// One late confirmation must not make the outbox look full.
CAF_TEST(confirmed messages take no room) {
  auto x = filled({.max_messages = 3, .max_bytes = 30}, 3);
  x.take();
  x.settle(2);
  x.settle(3);
  CAF_CHECK_EQUAL(x.bytes(), 10u);
  CAF_CHECK(x.push(message(4)).empty());
  CAF_CHECK(x.push(message(5)).empty());
  CAF_CHECK((x.push(message(6)) == drops{{6, ec::outbox_full}}));
}

CAF_TEST(returned messages are found by their message id while on the wire) {
  auto x = filled({.window = 2}, 3);
  CAF_CHECK(x.on_wire("m1") == nullptr);
  x.take();
  CAF_REQUIRE(x.on_wire("m2") != nullptr);
  CAF_CHECK_EQUAL(x.on_wire("m2")->id, 2u);
  CAF_CHECK(x.on_wire("m3") == nullptr);
  x.settle(2);
  CAF_CHECK(x.on_wire("m2") == nullptr);
}

CAF_TEST(the oldest on the wire is not confirmed yet) {
  auto x = filled({.window = 3}, 4);
  CAF_CHECK(x.oldest_on_wire() == nullptr);
  x.take();
  x.settle(1);
  x.settle(3);
  CAF_REQUIRE(x.oldest_on_wire() != nullptr);
  CAF_CHECK_EQUAL(x.oldest_on_wire()->id, 2u);
  x.settle(2);
  CAF_CHECK(x.oldest_on_wire() == nullptr);
}

CAF_TEST(clearing gives back what was not confirmed) {
  auto x = filled({.window = 3}, 5);
  x.take();
  x.settle(2);
  CAF_CHECK_EQUAL(x.clear(), (ids{1, 3, 4, 5}));
  CAF_CHECK_EQUAL(x.waiting() + x.unconfirmed() + x.bytes(), 0u);
  CAF_CHECK(x.push(message(6)).empty());
  CAF_CHECK_EQUAL(ids_of(x.take()), (ids{6}));
}

// Against two plain lists: what is on the wire and what waits.
CAF_TEST(every message is confirmed or dropped exactly once and none overtakes) {
  for (auto seed = 0u; seed < 60; ++seed) {
    std::mt19937 random{seed};
    const outbox_limits limits{.max_messages = 12,
                               .max_bytes = 150,
                               .overflow = overflow_policy{static_cast<std::uint8_t>(seed % 3)},
                               .window = 1 + seed % 16};
    outbox x{limits};
    std::vector<amqp::publication> wire;
    std::vector<amqp::publication> waiting;
    std::set<std::uint64_t> ended;
    std::uint64_t last_id = 0;
    auto end = [&](std::uint64_t id) { CAF_REQUIRE(ended.insert(id).second); };
    auto bytes_of = [](const std::vector<amqp::publication>& xs) {
      std::size_t result = 0;
      for (auto& y : xs)
        result += y.body->size();
      return result;
    };
    auto fits = [&](std::size_t size) {
      return wire.size() + waiting.size() < limits.max_messages
             && bytes_of(wire) + bytes_of(waiting) + size <= limits.max_bytes;
    };
    for (auto step = 0; step < 1'500; ++step) {
      const auto choice = random() % 16;
      if (choice < 8) {
        auto y = message(++last_id, random() % 50);
        const auto size = y.body->size();
        drops expected;
        auto before = waiting;
        if (limits.overflow == overflow_policy::drop_oldest)
          while (!fits(size) && !waiting.empty()) {
            expected.push_back({waiting.front().id, ec::outbox_dropped});
            waiting.erase(waiting.begin());
          }
        if (fits(size)) {
          waiting.push_back(y);
        } else {
          waiting = before;
          expected = {{y.id, limits.overflow == overflow_policy::reject ? ec::outbox_full
                                                                        : ec::outbox_dropped}};
        }
        for (auto& z : expected)
          end(z.id);
        CAF_REQUIRE(x.push(std::move(y)) == expected);
      } else if (choice < 11) {
        ids expected;
        while (!waiting.empty() && wire.size() < limits.window) {
          expected.push_back(waiting.front().id);
          wire.push_back(waiting.front());
          waiting.erase(waiting.begin());
        }
        CAF_REQUIRE_EQUAL(ids_of(x.take()), expected);
      } else if (choice < 15) {
        const auto id = wire.empty() || random() % 8 == 0 ? random() % (last_id + 2)
                                                          : wire[random() % wire.size()].id;
        const auto i = std::find_if(wire.begin(), wire.end(),
                                    [id](const amqp::publication& y) { return y.id == id; });
        CAF_REQUIRE_EQUAL(x.settle(id), i != wire.end());
        if (i != wire.end()) {
          end(id);
          wire.erase(i);
        }
      } else {
        x.rewind();
        waiting.insert(waiting.begin(), wire.begin(), wire.end());
        wire.clear();
      }
      CAF_REQUIRE_EQUAL(x.waiting(), waiting.size());
      CAF_REQUIRE_EQUAL(x.unconfirmed(), wire.size());
      CAF_REQUIRE_EQUAL(x.bytes(), bytes_of(wire) + bytes_of(waiting));
      CAF_REQUIRE_EQUAL(x.oldest_on_wire() ? x.oldest_on_wire()->id : 0,
                        wire.empty() ? 0 : wire.front().id);
    }
    for (auto id : x.clear())
      end(id);
    CAF_CHECK_EQUAL(ended.size(), last_id);
  }
}
