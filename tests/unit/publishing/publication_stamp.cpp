#define CAF_SUITE publication_stamp

#include "publishing/publication_stamp.hpp"

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>

#include "outbox_messages.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;

namespace {

using testing::message;

/// A copy for a retry: it goes to its queue, and says where it came from.
amqp::publication copy() {
  auto result = message(0, "");
  result.properties.headers.emplace_back("x-la-exchange", std::string{"Trade"});
  return result;
}

struct fixture {
  amqp::publication marked(amqp::publication x) {
    sut.mark(x);
    return x;
  }

  /// The place of one more message in its stream.
  std::uint64_t next_place() {
    return marked(message(0)).properties.position->sequence;
  }

  publication_stamp sut{0x77};
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(publication_stamp_tests, fixture)

CAF_TEST(messages are numbered and each stream by itself) {
  const auto first = marked(message(0));
  const auto second = marked(message(0, "Kline"));
  const auto third = marked(message(0));
  CAF_CHECK_EQUAL(sut.last(), 3u);
  CAF_CHECK_EQUAL(third.id, 3u);
  CAF_CHECK(first.properties.position == (amqp::stream_position{0x77, 1}));
  CAF_CHECK(second.properties.position == (amqp::stream_position{0x77, 1}));
  CAF_CHECK(third.properties.position == (amqp::stream_position{0x77, 2}));
}

CAF_TEST(a message without an id or a time gets one) {
  const auto x = marked(message(0));
  CAF_CHECK_EQUAL(x.properties.message_id, "0000001v1");
  CAF_CHECK(x.properties.timestamp > 1'600'000'000);
}

CAF_TEST(what a message has it keeps) {
  auto x = message(0);
  x.properties.message_id = "own";
  x.properties.timestamp = 7;
  x.properties.position = amqp::stream_position{5, 9};
  CAF_CHECK(sut.mark(x) == nullptr);
  CAF_CHECK_EQUAL(x.properties.message_id, "own");
  CAF_CHECK_EQUAL(x.properties.timestamp, 7u);
  CAF_CHECK(x.properties.position == (amqp::stream_position{5, 9}));
}

CAF_TEST(a copy has no place in our streams and a mark of its own) {
  const auto x = marked(copy());
  CAF_CHECK(!x.properties.position);
  const auto& headers = x.properties.headers;
  CAF_CHECK(
      std::any_of(headers.begin(), headers.end(), [](auto& y) { return y.first == copy_header; }));
}

CAF_TEST(a place that nobody has seen is used again) {
  marked(message(0));
  const auto refused = marked(message(0));
  sut.give_back(refused);
  CAF_CHECK_EQUAL(next_place(), 2u);
  sut.give_back(refused); // it is the last one's by now, and free another time
  CAF_CHECK_EQUAL(next_place(), 2u);
  marked(message(0));
  sut.give_back(refused); // others are behind it
  CAF_CHECK_EQUAL(next_place(), 4u);
}

CAF_TEST(a place that was not used is counted down) {
  auto x = message(0);
  auto* place = sut.mark(x);
  CAF_REQUIRE(place != nullptr);
  --place->sequence;
  CAF_CHECK_EQUAL(next_place(), 1u);
}

CAF_TEST(an id is short and another for each message and start) {
  constexpr auto start = std::uint64_t{1'795'000'000'000'000} << 12; // in 2026
  publication_stamp x{start};
  publication_stamp y{start + 1};
  std::set<std::string> ids;
  for (auto i = 0; i < 5'000; ++i)
    for (auto* sut : {&x, &y}) {
      auto of = message(0);
      sut->mark(of);
      CAF_REQUIRE(of.properties.message_id.size() <= 11);
      ids.insert(of.properties.message_id);
    }
  CAF_CHECK_EQUAL(ids.size(), 10'000u);
}

CAF_TEST_FIXTURE_SCOPE_END()
