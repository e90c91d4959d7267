#define CAF_SUITE sequence_set

#include "delivery/sequence_set.hpp"

#include <limits>
#include <random>
#include <set>

#include "caf/test/dsl.hpp"

using namespace actors;

CAF_TEST(numbers that follow one another are one range) {
  sequence_set x;
  for (std::uint64_t i = 1; i <= 1'000'000; ++i)
    x.insert(i);
  CAF_CHECK_EQUAL(x.ranges(), 1u);
  CAF_CHECK(x.contains(1) && x.contains(1'000'000));
  CAF_CHECK(!x.contains(0) && !x.contains(1'000'001));
}

CAF_TEST(a hole that is filled costs nothing any more) {
  sequence_set x;
  for (auto i : {1u, 2u, 4u, 6u})
    x.insert(i);
  CAF_CHECK_EQUAL(x.ranges(), 3u);
  x.insert(5);
  x.insert(3);
  CAF_CHECK_EQUAL(x.ranges(), 1u);
}

CAF_TEST(the lowest ranges can be forgotten) {
  sequence_set x;
  for (auto i : {1u, 2u, 4u, 6u})
    x.insert(i);
  x.erase_lowest(2);
  CAF_CHECK(!x.contains(1) && !x.contains(2) && !x.contains(4) && x.contains(6));
  x.erase_lowest(9);
  CAF_CHECK(x.empty());
}

CAF_TEST(the highest number is one like any other) {
  const auto last = std::numeric_limits<std::uint64_t>::max();
  sequence_set x;
  x.insert(last);
  x.insert(last - 1);
  x.insert(last);
  CAF_CHECK_EQUAL(x.ranges(), 1u);
  x.erase(last);
  CAF_CHECK(x.contains(last - 1) && !x.contains(last));
}

CAF_TEST(it holds what a plain set holds) {
  for (auto seed = 0u; seed < 50; ++seed) {
    std::mt19937 random{seed};
    sequence_set x;
    std::set<std::uint64_t> plain;
    for (auto step = 0; step < 2'000; ++step) {
      const std::uint64_t number = 1 + random() % 60;
      if (random() % 3 == 0) {
        x.erase(number);
        plain.erase(number);
      } else {
        x.insert(number);
        plain.insert(number);
      }
      std::size_t ranges = 0;
      for (auto i : plain)
        ranges += plain.count(i - 1) == 0;
      CAF_REQUIRE_EQUAL(x.ranges(), ranges);
      const std::uint64_t asked = random() % 62;
      CAF_REQUIRE_EQUAL(x.contains(asked), plain.count(asked) == 1);
    }
  }
}
