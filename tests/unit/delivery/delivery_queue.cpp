#define CAF_SUITE delivery_queue

#include "delivery/delivery_queue.hpp"

#include <algorithm>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "caf/test/dsl.hpp"

using namespace actors;

namespace {

using queue = delivery_queue<int>;

std::vector<int> drain(queue& x) {
  std::vector<int> result;
  while (auto item = x.pop())
    result.push_back(*item);
  return result;
}

} // namespace

CAF_TEST(messages leave in order) {
  queue x;
  CAF_CHECK(x.empty());
  CAF_CHECK(!x.pop());
  for (auto i : {1, 2, 3})
    CAF_CHECK(!x.push("k", i));
  CAF_CHECK_EQUAL(x.size(), 3u);
  CAF_CHECK_EQUAL(drain(x), (std::vector{1, 2, 3}));
  CAF_CHECK(x.drops() == delivery_drops{});
}

CAF_TEST(without room the oldest is dropped) {
  queue x{{.policy = delivery_policy::drop_oldest, .max_waiting = 2}};
  x.push("a", 1);
  x.push("a", 2);
  CAF_CHECK(x.push("a", 3) == 1);
  CAF_CHECK(x.push("b", 4) == 2);
  CAF_CHECK_EQUAL(drain(x), (std::vector{3, 4}));
  CAF_CHECK((x.drops() == delivery_drops{.oldest = 2}));
}

CAF_TEST(without room the new one is dropped) {
  queue x{{.policy = delivery_policy::drop_newest, .max_waiting = 2}};
  x.push("a", 1);
  x.push("a", 2);
  CAF_CHECK(x.push("a", 3) == 3);
  CAF_CHECK_EQUAL(drain(x), (std::vector{1, 2}));
  CAF_CHECK((x.drops() == delivery_drops{.newest = 1}));
}

// A key that changes all the time must neither wait for ever nor go first.
CAF_TEST(the newest of a key waits in the place of its first) {
  queue x{{.policy = delivery_policy::latest_per_key}};
  x.push("a", 1);
  x.push("b", 2);
  CAF_CHECK(x.push("a", 3) == 1);
  CAF_CHECK(x.push("b", 4) == 2);
  CAF_CHECK(x.push("a", 5) == 3);
  CAF_CHECK_EQUAL(x.size(), 2u);
  CAF_CHECK(x.pop() == 5);
  // What the handler has is not replaced: the key waits anew, at the end.
  CAF_CHECK(!x.push("a", 6));
  CAF_CHECK_EQUAL(drain(x), (std::vector{4, 6}));
  CAF_CHECK((x.drops() == delivery_drops{.replaced = 3}));
  CAF_CHECK_EQUAL(x.drops().total(), 3u);
}

CAF_TEST(without room for one more key the oldest is dropped) {
  queue x{{.policy = delivery_policy::latest_per_key, .max_waiting = 2}};
  x.push("a", 1);
  x.push("b", 2);
  CAF_CHECK(x.push("a", 3) == 1);
  CAF_CHECK(x.push("c", 4) == 3);
  // The dropped key begins anew.
  CAF_CHECK(x.push("a", 5) == 2);
  CAF_CHECK_EQUAL(drain(x), (std::vector{4, 5}));
  CAF_CHECK((x.drops() == delivery_drops{.oldest = 2, .replaced = 1}));
}

CAF_TEST(a limit of 0 is 1) {
  queue x{{.policy = delivery_policy::drop_oldest, .max_waiting = 0}};
  CAF_CHECK(!x.push("a", 1));
  CAF_CHECK(x.push("a", 2) == 1);
  CAF_CHECK_EQUAL(drain(x), (std::vector{2}));
}

CAF_TEST(a queue of what only moves is moved with its keys) {
  using pointer = std::unique_ptr<int>;
  delivery_queue<pointer> x{{.policy = delivery_policy::latest_per_key}};
  x.push("a", std::make_unique<int>(1));
  x.push("b", std::make_unique<int>(2));
  auto y = std::move(x);
  auto replaced = y.push("a", std::make_unique<int>(3));
  CAF_REQUIRE(replaced.has_value());
  CAF_CHECK_EQUAL(**replaced, 1);
  auto first = y.pop();
  CAF_REQUIRE(first.has_value());
  CAF_CHECK_EQUAL(**first, 3);
  CAF_CHECK_EQUAL(y.size(), 1u);
}

// Random steps, each compared with a plain list of keys and messages.
CAF_TEST(a queue behaves as a plain list) {
  for (auto seed = 0u; seed < 60; ++seed) {
    std::mt19937 random{seed};
    const delivery_limits limits{.policy = delivery_policy{static_cast<std::uint8_t>(seed % 3)},
                                 .max_waiting = 1 + random() % 8};
    queue x{limits};
    std::vector<std::pair<char, int>> model;
    delivery_drops drops;
    for (auto step = 1; step < 1'000; ++step) {
      if (random() % 5 < 2) {
        std::optional<int> expected;
        if (!model.empty()) {
          expected = model.front().second;
          model.erase(model.begin());
        }
        CAF_REQUIRE(x.pop() == expected);
      } else {
        const auto key = "abcdefghijkl"[random() % 12];
        std::optional<int> expected;
        auto same = std::find_if(model.begin(), model.end(),
                                 [key](const auto& y) { return y.first == key; });
        if (limits.policy == delivery_policy::latest_per_key && same != model.end()) {
          expected = std::exchange(same->second, step);
          ++drops.replaced;
        } else if (model.size() < limits.max_waiting) {
          model.emplace_back(key, step);
        } else if (limits.policy == delivery_policy::drop_newest) {
          expected = step;
          ++drops.newest;
        } else {
          expected = model.front().second;
          model.erase(model.begin());
          model.emplace_back(key, step);
          ++drops.oldest;
        }
        CAF_REQUIRE(x.push(std::string_view{&key, 1}, step) == expected);
      }
      CAF_REQUIRE_EQUAL(x.size(), model.size());
      CAF_REQUIRE(x.drops() == drops);
    }
    CAF_CHECK(x.drops().total() > 0);
  }
}
