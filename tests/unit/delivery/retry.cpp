#define CAF_SUITE retry

#include "delivery/retry.hpp"

#include <algorithm>

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace std::chrono_literals;

namespace {

const amqp::queue orders{.name = "orders", .durable = true, .auto_delete = false};
const amqp::queue quorum_orders{.name = "orders",
                                .durable = true,
                                .auto_delete = false,
                                .arguments = {{"x-queue-type", std::string{"quorum"}}}};

amqp::field_value argument(const amqp::field_table& xs, std::string_view name) {
  auto i = std::find_if(xs.begin(), xs.end(), [&](auto& x) { return x.first == name; });
  return i == xs.end() ? amqp::field_value{std::string{"none"}} : i->second;
}

amqp::delivery some_delivery() {
  amqp::delivery result;
  result.exchange = "Trade";
  result.routing_key = "a.b";
  result.body = "body";
  result.properties.message_id = "m";
  result.properties.position = amqp::stream_position{1, 2};
  result.properties.headers = {{"mine", std::int64_t{7}}};
  return result;
}

} // namespace

CAF_TEST(delays grow up to the longest) {
  retry_policy x{.delay = 100ms, .factor = 2, .max_delay = 500ms};
  CAF_CHECK(delay_of(x, 1) == 100ms);
  CAF_CHECK(delay_of(x, 2) == 200ms);
  CAF_CHECK(delay_of(x, 3) == 400ms);
  CAF_CHECK(delay_of(x, 4) == 500ms);
  CAF_CHECK(delay_of(x, 100'000) == 500ms);
}

CAF_TEST(there is one queue for each delay) {
  auto names = [](const retry_policy& x) {
    std::vector<std::string> result;
    for (auto& queue : retry_queues(orders, x))
      result.push_back(queue.name);
    return result;
  };
  using strings = std::vector<std::string>;
  CAF_CHECK(names({.delay = 1s, .factor = 2, .max_delay = 3s, .max_retries = 9})
            == (strings{"orders.retry.1000", "orders.retry.2000", "orders.retry.3000"}));
  CAF_CHECK(names({.delay = 1s, .factor = 1, .max_retries = 9}) == strings{"orders.retry.1000"});
  CAF_CHECK(names({.delay = 1s, .max_retries = 1}) == strings{"orders.retry.1000"});
}

CAF_TEST(the broker moves what has waited back to its queue) {
  auto x = retry_queues(orders, {.delay = 250ms}).at(0);
  CAF_CHECK(x.durable && !x.auto_delete && !x.exclusive);
  CAF_CHECK(argument(x.arguments, "x-message-ttl") == amqp::field_value{std::int64_t{250}});
  CAF_CHECK(argument(x.arguments, "x-dead-letter-exchange") == amqp::field_value{std::string{}});
  CAF_CHECK(argument(x.arguments, "x-dead-letter-routing-key")
            == amqp::field_value{std::string{"orders"}});
}

CAF_TEST(beside a quorum queue there are quorum queues) {
  for (auto& x : retry_queues(quorum_orders, {}))
    CAF_CHECK(argument(x.arguments, "x-queue-type") == amqp::field_value{std::string{"quorum"}});
  CAF_CHECK(argument(dead_letter_queue(quorum_orders).arguments, "x-queue-type")
            == amqp::field_value{std::string{"quorum"}});
  CAF_CHECK(argument(dead_letter_queue(orders).arguments, "x-queue-type")
            == amqp::field_value{std::string{"classic"}});
}

CAF_TEST(a copy says where it came from and why it failed) {
  auto x = copy_for("orders.dead", some_delivery(), 3, "no");
  CAF_CHECK_EQUAL(x.exchange, "");
  CAF_CHECK_EQUAL(x.routing_key, "orders.dead");
  CAF_CHECK(x.mandatory && x.properties.persistent);
  CAF_CHECK_EQUAL(x.properties.message_id, "m");
  CAF_CHECK((x.properties.position == amqp::stream_position{1, 2}));
  CAF_CHECK(argument(x.properties.headers, "mine") == amqp::field_value{std::int64_t{7}});
  CAF_CHECK(argument(x.properties.headers, "x-la-error") == amqp::field_value{std::string{"no"}});
  CAF_CHECK_EQUAL(attempts_of(x.properties), 3u);
  CAF_CHECK_EQUAL(*x.body, "body");
}

CAF_TEST(a copy keeps all properties and never expires) {
  auto x = some_delivery();
  x.properties.expiration = 5s;
  x.properties.others = std::make_shared<const amqp::other_properties>(amqp::other_properties{
      .content_type = "application/json", .correlation_id = "c", .reply_to = "r", .priority = 3});
  x.properties.headers.emplace_back("nested", amqp::opaque_value{'F', "bytes"});
  const auto copy = copy_for("orders.dead", x, 1, "no").properties;
  CAF_CHECK_EQUAL(copy.expiration.count(), 0);
  CAF_CHECK(argument(copy.headers, "x-la-expiration") == amqp::field_value{std::int64_t{5'000}});
  CAF_REQUIRE(copy.others);
  CAF_CHECK(*copy.others == *x.properties.others);
  CAF_CHECK(argument(copy.headers, "nested")
            == (amqp::field_value{amqp::opaque_value{'F', "bytes"}}));
}

CAF_TEST(a copy that no handler was for counts its rounds and no attempts) {
  auto x = unmatched_copy_for("orders", some_delivery(), 7);
  CAF_CHECK_EQUAL(unmatched_rounds_of(x.properties), 7u);
  CAF_CHECK_EQUAL(attempts_of(x.properties), 0u);
  CAF_CHECK(argument(x.properties.headers, "x-la-exchange")
            == amqp::field_value{std::string{"Trade"}});
}

CAF_TEST(a copy that comes back is what it was) {
  auto copy = copy_for("orders.retry.1000", some_delivery(), 1, "no");
  amqp::delivery x;
  x.routing_key = "orders";
  x.properties = copy.properties;
  restore_origin(x);
  CAF_CHECK_EQUAL(x.exchange, "Trade");
  CAF_CHECK_EQUAL(x.routing_key, "a.b");
  // Its next copy has each header once.
  auto next = copy_for("orders.retry.2000", x, 2, "again");
  CAF_CHECK_EQUAL(next.properties.headers.size(), copy.properties.headers.size());
  CAF_CHECK_EQUAL(attempts_of(next.properties), 2u);
}

// Somebody else's message to our queue has no origin to restore; one that came by
// an exchange has the one it came by.
CAF_TEST(other messages are left as they are) {
  amqp::delivery direct;
  direct.routing_key = "orders";
  restore_origin(direct);
  CAF_CHECK_EQUAL(direct.exchange, "");
  auto published = some_delivery();
  published.properties.headers = {{"x-la-exchange", std::string{"Order"}},
                                  {"x-la-routing-key", std::string{"x"}}};
  restore_origin(published);
  CAF_CHECK_EQUAL(published.exchange, "Trade");
  CAF_CHECK_EQUAL(attempts_of(published.properties), 0u);
}

// A header of any length would travel with each further delivery.
CAF_TEST(a long error is cut between its characters) {
  std::string error;
  while (error.size() < 5'000)
    error += "\xE2\x82\xAC"; // the euro sign, three bytes
  auto x = copy_for("q", some_delivery(), 1, error);
  auto kept = std::get<std::string>(argument(x.properties.headers, "x-la-error"));
  CAF_CHECK(kept.size() <= 1'000 && kept.size() % 3 == 0);
  CAF_CHECK(error.starts_with(kept));
}

namespace {

// AMQP's encoding of what RabbitMQ says of a message that it has moved.

std::string number(std::size_t x) {
  std::string result;
  for (auto shift : {24, 16, 8, 0})
    result += static_cast<char>(x >> shift & 0xFF);
  return result;
}

std::string long_text(const std::string& x) {
  return 'S' + number(x.size()) + x;
}

std::string sized(const std::string& x) {
  return number(x.size()) + x;
}

std::string entry(const std::string& key, const std::string& value) {
  return static_cast<char>(key.size()) + key + value;
}

std::string death(const std::string& exchange, const std::string& routing_key) {
  return 'F'
         + sized(entry("exchange", long_text(exchange)) + entry("queue", long_text("orders"))
                 + entry("routing-keys", 'A' + sized(long_text(routing_key))));
}

} // namespace

// By the delivery limit or their expiration, and back by whoever looked at them.
CAF_TEST(a dead letter of the broker that is moved back is what it was) {
  amqp::delivery x;
  x.routing_key = "orders";
  x.properties.headers = {
      {"x-first-death-exchange", std::string{"Trade"}},
      {"x-death", amqp::opaque_value{'A', sized(death("", "orders") + death("Trade", "a.b"))}}};
  restore_origin(x);
  CAF_CHECK_EQUAL(x.exchange, "Trade");
  CAF_CHECK_EQUAL(x.routing_key, "a.b");
  amqp::delivery odd;
  odd.properties.headers = {{"x-first-death-exchange", std::string{"Trade"}},
                            {"x-death", amqp::opaque_value{'A', "no list"}}};
  restore_origin(odd);
  CAF_CHECK_EQUAL(odd.exchange, "");
}
