#define CAF_SUITE audit

// The books on numbered events find what they are kept for.

#include "support/audit.hpp"

#include <atomic>
#include <thread>

#include "caf/test/dsl.hpp"

using namespace actors::testing;
using namespace std::chrono_literals;

namespace {

struct fixture {
  fixture() {
    books.wants("s", "k.#");
  }

  /// Publishes so many events, all confirmed.
  std::vector<numbered> publish(std::size_t count, const std::string& key = "k.a") {
    std::vector<numbered> result;
    for (std::size_t i = 0; i < count; ++i) {
      result.push_back(books.next("p", key));
      books.confirmed(result.back());
    }
    return result;
  }

  audit books;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(audit_tests, fixture)

CAF_TEST(what was handled once and in order is clean) {
  for (auto& x : publish(3))
    books.handled("s", x);
  const auto verdict = books.judge();
  CAF_CHECK_EQUAL(verdict.confirmed, 3u);
  CAF_CHECK_EQUAL(verdict.handled, 3u);
  CAF_CHECK_EQUAL(verdict.lost + verdict.twice + verdict.reordered, 0u);
  CAF_CHECK(verdict.examples.empty());
}

CAF_TEST(what was confirmed and not handled is lost) {
  auto xs = publish(3);
  books.handled("s", xs[0]);
  books.handled("s", xs[2]);
  publish(1, "other");                   // nobody wants it
  books.refused(books.next("p", "k.a")); // nothing is promised
  CAF_CHECK_EQUAL(books.judge().lost, 1u);
  CAF_CHECK(books.judge().examples == std::vector<std::string>{"s: p's k.a 2 lost"});
  books.handled("s", xs[1]);
  CAF_CHECK_EQUAL(books.judge().lost, 0u);
}

CAF_TEST(what comes again within a life is handled twice) {
  auto xs = publish(2);
  books.handled("s", xs[0]);
  books.handled("s", xs[1]);
  books.handled("s", xs[1]);
  CAF_CHECK_EQUAL(books.judge().twice, 1u);
  books.started("s");
  books.handled("s", xs[1]);
  CAF_CHECK_EQUAL(books.judge().twice, 1u);
  CAF_CHECK_EQUAL(books.judge().reordered, 0u);
}

CAF_TEST(what comes first after a later one is reordered) {
  auto xs = publish(3);
  books.handled("s", xs[0]);
  books.handled("s", xs[2]);
  books.handled("s", xs[1]);
  CAF_CHECK_EQUAL(books.judge().reordered, 1u);
  // Copies in another order are no first time.
  books.started("s");
  books.handled("s", xs[2]);
  books.handled("s", xs[1]);
  CAF_CHECK_EQUAL(books.judge().reordered, 1u);
}

CAF_TEST(what is promised less is judged so) {
  books.wants("newest", "k.#", {.newest_only = true});
  books.wants("failing", "k.#", {.in_order_over_failures = false});
  books.wants("linked", "k.#", {.in_order_over_links = false});
  auto xs = publish(3);
  books.handled("newest", xs[1]);
  CAF_CHECK_EQUAL(books.judge("newest").lost, 1u);
  books.handled("newest", xs[2]);
  CAF_CHECK_EQUAL(books.judge("newest").lost, 0u);
  books.failed("failing", xs[0]);
  for (auto name : {"failing", "linked"}) {
    books.handled(name, xs[2]);
    books.handled(name, xs[0]);
    CAF_CHECK_EQUAL(books.judge(name).reordered, name == std::string{"linked"} ? 1u : 0u);
  }
  books.handled("failing", xs[1]); // which has not failed
  CAF_CHECK_EQUAL(books.judge("failing").reordered, 1u);
  CAF_CHECK_EQUAL(books.judge("failing").excused, 1u);
  books.excuse_order(true);
  books.handled("linked", xs[1]);
  CAF_CHECK_EQUAL(books.judge("linked").reordered, 1u);
  CAF_CHECK_EQUAL(books.judge("linked").excused, 1u);
  CAF_CHECK_EQUAL(books.judge("linked").confirmed, 3u);
  CAF_CHECK_EQUAL(books.judge().reordered, 2u);
}

CAF_TEST(of the newest a new life may get copies of what was replaced in the last one) {
  books.wants("newest", "k.#", {.newest_only = true});
  auto xs = publish(4);
  books.handled("newest", xs[0]);
  books.handled("newest", xs[3]); // which has replaced two
  books.started("newest");
  books.handled("newest", xs[1]);
  CAF_CHECK_EQUAL(books.judge("newest").reordered, 0u);
  books.handled("newest", xs[3]);
  books.handled("newest", xs[2]);
  CAF_CHECK_EQUAL(books.judge("newest").reordered, 1u);
}

CAF_TEST(streams are judged each by itself) {
  auto a = publish(2, "k.a");
  auto b = publish(2, "k.b");
  for (auto& x : {b[0], a[0], b[1], a[1]})
    books.handled("s", x);
  CAF_CHECK_EQUAL(books.judge().reordered, 0u);
  CAF_CHECK_EQUAL(books.judge().twice, 0u);
}

CAF_TEST(it settles when all is answered and handled) {
  auto open = books.next("p", "k.a");
  CAF_CHECK(!books.settles(0ms));
  CAF_CHECK_EQUAL(books.open("p"), 1u);
  books.confirmed(open);
  CAF_CHECK(!books.settles(0ms));
  books.handled("s", open);
  CAF_CHECK(books.settles(0ms));
  CAF_CHECK(books.catches_up("s", 0ms));
}

CAF_TEST(fresh events are those that are published later) {
  books.handled("s", publish(1).front());
  CAF_CHECK(!books.all_handle_fresh_events(0ms));
  std::atomic<bool> over = false;
  std::thread other{[&] {
    while (!over)
      for (auto& x : publish(1))
        books.handled("s", x);
  }};
  CAF_CHECK(books.all_handle_fresh_events(10s));
  over = true;
  other.join();
}

CAF_TEST_FIXTURE_SCOPE_END()
