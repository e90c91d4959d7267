#define CAF_SUITE delivery_window

#include "delivery/delivery_window.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "caf/test/dsl.hpp"

using namespace actors;

namespace {

using namespace std::chrono_literals;
using window = delivery_window<int>;

const window::time_point now{};

struct handed_over {
  std::vector<int> what;
  std::uint64_t last_mark = 0;
};

/// All that may be handed over now.
handed_over run_inline(window& x) {
  handed_over result;
  while (auto item = x.next(now)) {
    result.what.push_back(item->value);
    result.last_mark = std::max(result.last_mark, item->mark);
  }
  return result;
}

} // namespace

// A strategy that answers never waits, and is asked for few answers.
CAF_TEST(a fast strategy gets everything in order) {
  window x;
  auto marks = 0;
  for (auto i = 0; i < 10'000; ++i) {
    CAF_CHECK(!x.push("k", i));
    auto item = x.next(now);
    CAF_REQUIRE(item);
    CAF_REQUIRE_EQUAL(item->value, i);
    if (item->mark != 0) {
      ++marks;
      x.handled(item->mark);
    }
  }
  CAF_CHECK(marks > 0 && marks < 1'000);
  CAF_CHECK_EQUAL(x.waiting(), 0u);
  CAF_CHECK_EQUAL(x.drops().total(), 0u);
}

CAF_TEST(a strategy that does not answer holds no more than its limits) {
  window x{{.policy = delivery_policy::drop_oldest, .max_waiting = 10}};
  std::size_t handed = 0;
  for (auto i = 0; i < 10'000; ++i) {
    x.push("k", i);
    handed += run_inline(x).what.size();
  }
  CAF_CHECK_EQUAL(x.in_hand(), handed);
  CAF_CHECK_EQUAL(x.waiting(), 10u);
  CAF_CHECK_EQUAL(x.drops().oldest, 10'000 - handed - 10);
}

CAF_TEST(answers make room for what waits) {
  window x{{.policy = delivery_policy::drop_newest, .max_waiting = 1'000}};
  for (auto i = 0; i < 1'000; ++i)
    x.push("k", i);
  std::vector<int> got;
  for (auto more = run_inline(x); !more.what.empty(); more = run_inline(x)) {
    CAF_REQUIRE(more.last_mark != 0 || x.waiting() == 0);
    got.insert(got.end(), more.what.begin(), more.what.end());
    x.handled(more.last_mark);
  }
  CAF_REQUIRE_EQUAL(got.size(), 1'000u);
  for (auto i = 0; i < 1'000; ++i)
    CAF_CHECK_EQUAL(got[static_cast<std::size_t>(i)], i);
}

// What waits in a mailbox cannot be replaced any more: so nothing waits there.
CAF_TEST(with latest_per_key a slow strategy has one message and then the newest of each key) {
  window x{{.policy = delivery_policy::latest_per_key}};
  for (auto i = 0; i < 10; ++i) {
    x.push("a", i);
    CAF_CHECK_EQUAL(run_inline(x).what.size(), i == 0 ? 1u : 0u);
    x.push("b", 100 + i);
  }
  CAF_CHECK_EQUAL(x.in_hand(), 1u);
  CAF_CHECK_EQUAL(x.waiting(), 2u);
  // "b" came first: "a" was in hand then.
  x.handled(1);
  CAF_CHECK_EQUAL(run_inline(x).what, std::vector{109});
  x.handled(2);
  CAF_CHECK_EQUAL(run_inline(x).what, std::vector{9});
}

// One that was given up already may still be answered.
CAF_TEST(a mark counts once) {
  window x{{.policy = delivery_policy::latest_per_key}};
  for (auto i = 0; i < 3; ++i)
    x.push("k" + std::to_string(i), i);
  CAF_CHECK_EQUAL(run_inline(x).what, std::vector{0});
  x.handled(1);
  CAF_CHECK_EQUAL(run_inline(x).what, std::vector{1});
  x.handled(1);
  CAF_CHECK(run_inline(x).what.empty());
  CAF_CHECK_EQUAL(x.in_hand(), 1u);
}

// It may be silent for ever.
CAF_TEST(a mark that is never answered is given up) {
  window x{{.policy = delivery_policy::latest_per_key}};
  x.push("a", 1);
  x.push("b", 2);
  CAF_CHECK_EQUAL(run_inline(x).what, std::vector{1});
  CAF_CHECK_EQUAL(x.give_up(now), 0u);
  CAF_CHECK_EQUAL(x.give_up(now + 1s), 1u);
  CAF_CHECK_EQUAL(run_inline(x).what, std::vector{2});
}
