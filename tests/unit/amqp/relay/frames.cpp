#define CAF_SUITE amqp.relay.frames

#include "amqp/relay/frames.hpp"

#include <bit>
#include <limits>
#include <memory>

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::amqp;

namespace {

template <class Frame>
std::string bytes_of(const Frame& x) {
  std::string result;
  append(result, x);
  return result;
}

/// What arrives of a frame.
template <class T>
T sent_to_relay(T x) {
  frame_reader in{default_relay_frame};
  in.add(bytes_of(host_frame{std::move(x)}));
  auto bytes = in.next();
  CAF_REQUIRE(bytes);
  auto result = decode_host_frame(*bytes);
  CAF_REQUIRE(result);
  CAF_REQUIRE(std::holds_alternative<T>(*result));
  return std::get<T>(*result);
}

template <class T>
T sent_to_host(T x) {
  frame_reader in{default_relay_frame};
  in.add(bytes_of(relay_frame{std::move(x)}));
  auto bytes = in.next();
  CAF_REQUIRE(bytes);
  auto result = decode_relay_frame(*bytes);
  CAF_REQUIRE(result);
  CAF_REQUIRE(std::holds_alternative<T>(*result));
  return std::get<T>(*result);
}

delivery some_delivery() {
  delivery x;
  x.consumer = 7;
  x.tag = 1ull << 63;
  x.redelivered = true;
  x.exchange = "Trade";
  x.routing_key = "binance.ETH/USDT";
  x.properties.message_id = "id";
  x.properties.timestamp = 1'723'075'200;
  x.properties.persistent = true;
  x.properties.position = stream_position{5, 6};
  x.properties.headers = {{"text", std::string{"a\0b", 3}}, {"yes", true}, {"n", std::int64_t{-1}}};
  x.body = std::string(100'000, '\xff');
  return x;
}

} // namespace

CAF_TEST(a delivery arrives as it was) {
  const auto x = some_delivery();
  const auto y = sent_to_host(relay_deliveries{3, {x, delivery{}}});
  CAF_CHECK_EQUAL(y.generation, 3u);
  CAF_REQUIRE_EQUAL(y.items.size(), 2u);
  const auto& z = y.items[0];
  CAF_CHECK_EQUAL(z.consumer, x.consumer);
  CAF_CHECK_EQUAL(z.tag, x.tag);
  CAF_CHECK(z.redelivered);
  CAF_CHECK_EQUAL(z.exchange, x.exchange);
  CAF_CHECK_EQUAL(z.routing_key, x.routing_key);
  CAF_CHECK(z.properties == x.properties);
  CAF_CHECK(z.body == x.body);
}

CAF_TEST(messages alike share their other properties) {
  auto x = some_delivery();
  other_properties with;
  with.content_type = "application/json";
  with.priority = 3;
  x.properties.others = std::make_shared<const other_properties>(with);
  const auto first = sent_to_host(relay_deliveries{1, {x}}).items.at(0).properties.others;
  const auto second = sent_to_host(relay_deliveries{1, {x}}).items.at(0).properties.others;
  CAF_REQUIRE(first);
  CAF_CHECK(*first == with);
  CAF_CHECK(first == second);
  with.correlation_id = "1";
  x.properties.others = std::make_shared<const other_properties>(with);
  const auto own = sent_to_host(relay_deliveries{1, {x}}).items.at(0).properties.others;
  CAF_REQUIRE(own);
  CAF_CHECK(*own == with);
}

CAF_TEST(odd doubles arrive exactly) {
  using limits = std::numeric_limits<double>;
  for (auto x : {limits::quiet_NaN(), limits::infinity(), -limits::infinity(), -0.0,
                 limits::denorm_min(), limits::max(), 0.1}) {
    publication sent;
    sent.body = std::make_shared<const std::string>("x");
    sent.properties.headers = {{"x", x}};
    const auto arrived = sent_to_relay(publish_command{1, {sent}});
    const auto y = std::get<double>(arrived.items[0].properties.headers[0].second);
    CAF_CHECK_EQUAL(std::bit_cast<std::uint64_t>(y), std::bit_cast<std::uint64_t>(x));
  }
}

CAF_TEST(each request arrives as it was) {
  const std::vector<operation> all{
      declare_exchange{{"Trade", exchange_type::fanout, true, true, {{"a", 1.5}}}, true},
      declare_queue{{"q", true, true, false, {{"x-max-length", std::int64_t{5}}}}, true},
      delete_queue{"q"},
      bind_queue{{"Trade", "q", "#"}},
      unbind_queue{{"Trade", "q", "#"}},
      start_consumer{{1, "q", 500, true, true, {{"x-stream-offset", std::string{"first"}}}}},
      cancel_consumer{9}};
  for (const auto& x : all) {
    const auto y = sent_to_relay(request_command{77, x});
    CAF_CHECK_EQUAL(y.id, 77u);
    CAF_CHECK_EQUAL(to_string(y.op), to_string(x));
  }
  const auto queue = std::get<declare_queue>(sent_to_relay(request_command{1, all[1]}).op);
  CAF_CHECK(queue.spec == std::get<declare_queue>(all[1]).spec);
  CAF_CHECK(queue.passive);
}

CAF_TEST(settlements and answers arrive as they were) {
  using verdict = settlement::verdict;
  const std::vector<settlement> all{
      {1, verdict::ack, true}, {2, verdict::requeue}, {3, verdict::reject}};
  CAF_CHECK(sent_to_relay(settle_command{2, all}).items == all);
  const std::vector<confirmation> answers{{1, true}, {2, false}};
  CAF_CHECK(sent_to_host(relay_confirmations{answers}).items == answers);
  reply refused;
  refused.id = 3;
  refused.error = {ec::not_found, "no queue 'q'"};
  CAF_CHECK_EQUAL(to_string(sent_to_host(refused).error), to_string(refused.error));
  const auto closed = sent_to_host(closed_channel{channel::publishing, refused.error});
  CAF_CHECK(closed.which == channel::publishing);
}

CAF_TEST(frames come in pieces and together) {
  const auto one = bytes_of(relay_frame{relay_cancelled{1}});
  const auto two = bytes_of(relay_frame{relay_blocked{"low on memory"}});
  frame_reader in{1'000};
  for (auto c : one + two) {
    CAF_CHECK(!in.next());
    in.add({&c, 1});
    CAF_CHECK(!in.wrong_size());
    if (auto x = in.next())
      CAF_CHECK(decode_relay_frame(*x));
  }
  in.add(one + two + one);
  for (auto i = 0; i < 3; ++i)
    CAF_CHECK(in.next());
  CAF_CHECK(!in.next());
}

CAF_TEST(a frame that is too large is not waited for) {
  frame_reader in{100};
  in.add({"\0\0\0\x65", 4});
  CAF_CHECK(!in.next());
  CAF_CHECK(in.wrong_size() == std::size_t{0x65});
  frame_reader empty{100};
  empty.add({"\0\0\0\0", 4});
  CAF_CHECK(empty.wrong_size() == std::size_t{0});
}

CAF_TEST(what was cut short or changed makes no sense or another frame) {
  const auto whole = bytes_of(relay_frame{relay_deliveries{1, {some_delivery()}}}).substr(4, 200);
  for (std::size_t i = 0; i < whole.size(); ++i)
    CAF_CHECK(!decode_relay_frame(whole.substr(0, i)));
  const auto hello = bytes_of(host_frame{relay_hello{}}).substr(4);
  CAF_CHECK(decode_host_frame(hello));
  CAF_CHECK(!decode_host_frame(hello + "x"));
  CAF_CHECK(!decode_host_frame({"\xff", 1}));
  // A list of four billion.
  CAF_CHECK(!decode_relay_frame({"\x04\xff\xff\xff\xff", 5}));
  // Verdict 9.
  CAF_CHECK(!decode_host_frame({"\x03\0\0\0\1\0\0\0\1\0\0\0\0\0\0\0\1\x09\0", 19}));
}
