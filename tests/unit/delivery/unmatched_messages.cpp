#define CAF_SUITE unmatched_messages

#include "delivery/unmatched_messages.hpp"

#include <string>

#include "delivery/retry.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;

namespace {

using fate = unmatched_messages::fate;

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

CAF_TEST(the first times another consumer may have it) {
  unmatched_messages x;
  for (auto i = 0; i < 3; ++i)
    for (auto body : {"a", "b"})
      CAF_CHECK(x.judge(message(body), false).outcome == fate::release);
}

CAF_TEST(what comes back is set aside soon) {
  unmatched_messages x;
  auto what = x.judge(message("a"), false);
  auto count = 1;
  for (; what.outcome == fate::release && count < 10; ++count)
    what = x.judge(message("a"), false);
  CAF_CHECK(what.outcome == fate::set_aside);
  CAF_CHECK_EQUAL(what.round, 1u);
  CAF_CHECK_EQUAL(count, 4);
  // From then on at once.
  what = x.judge(message("a", 1), false);
  CAF_CHECK(what.outcome == fate::set_aside);
  CAF_CHECK_EQUAL(what.round, 2u);
}

CAF_TEST(it ends in the dead letters if there are any) {
  unmatched_messages x;
  CAF_CHECK(x.judge(message("a", 59), true).outcome == fate::set_aside);
  CAF_CHECK(x.judge(message("a", 60), true).outcome == fate::dead_letter);
  CAF_CHECK(x.judge(message("a", 60), false).outcome == fate::set_aside);
}

CAF_TEST(a flood of different ones costs bounded memory and loses none) {
  unmatched_messages x;
  for (auto i = 0; i < 100'000; ++i)
    CAF_REQUIRE(x.judge(message(std::to_string(i)), true).outcome == fate::release);
}
