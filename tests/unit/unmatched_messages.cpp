#define CAF_SUITE unmatched_messages

#include "actors/unmatched_messages.hpp"

#include <string>

#include "actors/retry.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace std::chrono_literals;

namespace {

using fate = unmatched_messages::fate;

constexpr auto start = unmatched_messages::time_point{};

amqp::delivery message(std::string body, std::uint32_t round = 0) {
  amqp::delivery result;
  result.exchange = "Trade";
  result.routing_key = "k";
  result.body = std::move(body);
  if (round > 0)
    result.properties = unmatched_copy_for("q", result, round).properties;
  return result;
}

} // namespace

CAF_TEST(the first time another consumer may have it at once) {
  unmatched_messages x;
  for (auto body : {"a", "b"}) {
    const auto what = x.judge(message(body), false, start);
    CAF_CHECK(what.what == fate::release && what.pause == 0ms);
  }
}

CAF_TEST(what comes back goes behind all others soon) {
  unmatched_messages x;
  auto now = start;
  auto total = 0ms;
  auto what = x.judge(message("a"), false, now);
  while (what.what == fate::release) {
    what = x.judge(message("a"), false, now);
    total += what.pause;
    now += what.pause;
  }
  CAF_CHECK(what.what == fate::end_of_queue);
  CAF_CHECK_EQUAL(what.round, 1u);
  CAF_CHECK(total > 0ms && total <= 100ms);
}

CAF_TEST(round and round it goes slowly) {
  unmatched_messages x;
  auto last = 0ms;
  for (auto i = 0; i < 10; ++i) {
    const auto what = x.judge(message(std::to_string(i), 1), false, start);
    CAF_CHECK(what.what == fate::end_of_queue && what.round == 2);
    CAF_CHECK(what.pause >= last + 100ms);
    last = what.pause;
  }
}

CAF_TEST(it ends in the dead letters if there are any) {
  unmatched_messages x;
  CAF_CHECK(x.judge(message("a", 300), true, start).what == fate::dead_letter);
  CAF_CHECK(x.judge(message("a", 300), false, start).what == fate::end_of_queue);
}

CAF_TEST(a flood of different ones costs bounded memory and loses none) {
  unmatched_messages x;
  for (auto i = 0; i < 100'000; ++i)
    CAF_REQUIRE(x.judge(message(std::to_string(i)), true, start).what == fate::release);
}
