#define CAF_SUITE stream_numbers

#include "publishing/stream_numbers.hpp"

#include <map>
#include <random>
#include <set>

#include "caf/test/dsl.hpp"

using namespace actors;

CAF_TEST(each exchange and routing key is a stream that counts from one) {
  stream_numbers x{7};
  CAF_CHECK((x.next("Trade", "a") == amqp::stream_position{7, 1}));
  CAF_CHECK((x.next("Trade", "b") == amqp::stream_position{7, 1}));
  CAF_CHECK((x.next("Kline", "a") == amqp::stream_position{7, 1}));
  CAF_CHECK((x.next("Trade", "a") == amqp::stream_position{7, 2}));
}

CAF_TEST(a place that was not used is used by the next message) {
  stream_numbers x{7};
  x.next("Trade", "a");
  --x.next("Trade", "a").sequence;
  CAF_CHECK((x.next("Trade", "a") == amqp::stream_position{7, 2}));
}

// Receivers drop what has a place that they have seen.
CAF_TEST(no place comes twice however many streams there are and memory is bounded) {
  std::mt19937 random{1};
  stream_numbers x{7, 10};
  std::set<std::tuple<std::string, std::uint64_t, std::uint64_t>> seen;
  std::map<std::string, amqp::stream_position> last;
  for (auto i = 0; i < 20'000; ++i) {
    const auto key = std::to_string(random() % (random() % 2 ? 30 : 3));
    const auto place = x.next("Trade", key);
    CAF_REQUIRE(seen.emplace(key, place.epoch, place.sequence).second);
    CAF_REQUIRE(x.size() <= 11);
    auto& before = last[key];
    CAF_REQUIRE(place.epoch >= before.epoch);
    CAF_REQUIRE(place.sequence == (place.epoch == before.epoch ? before.sequence + 1 : 1));
    before = place;
  }
}

CAF_TEST(a stream in use goes on while others are forgotten) {
  stream_numbers x{7, 10};
  for (std::uint64_t i = 1; i <= 1'000; ++i) {
    CAF_REQUIRE((x.next("Trade", "busy") == amqp::stream_position{7, i}));
    x.next("Trade", "once " + std::to_string(i));
  }
}

CAF_TEST(epochs grow with each start and two publishers of one moment are two) {
  using namespace std::chrono_literals;
  const auto now = std::chrono::system_clock::time_point{} + 1'790'000'000s;
  CAF_CHECK_NOT_EQUAL(make_epoch(now, 1), make_epoch(now, 2));
  CAF_CHECK_LESS(make_epoch(now, 0xFFFF'FFFF), make_epoch(now + 1us, 0));
  // Former versions wrote microseconds.
  CAF_CHECK_LESS(1'790'000'000'000'000u, make_epoch(now, 0));
  CAF_CHECK_LESS(make_epoch(now, 0), std::uint64_t{1} << 63);
}
