#pragma once

#include <algorithm>
#include <map>
#include <set>

#include "amqp/topic.hpp"
#include "caf/test/unit_test.hpp"
#include "conformance/client.hpp"

using namespace actors;
using namespace actors::amqp;
using namespace actors::amqp::conformance;

namespace {

const char* const binding_keys[] = {
    "",          "#",      "*",          ".",     "*.*",   "#.#",   "*.#",     "#.*",
    "a",         "a.",     ".a",         "a.b",   "a.*",   "*.b",   "a.#",     "#.b",
    "a.#.b",     "a.*.b",  "#.a.#",      "*.a.*", "a.#.#", "a.b.c", "#.b.#.c", "*.*.*",
    "a*",        "a.b#",   "..",         "#.",    ".#",    "*.",    "#.*.b",   "binance.ETH/USDT",
    "binance.#", "#.PERP", "*.ETH/USDT",
};

const char* const routing_keys[] = {
    "",
    ".",
    "..",
    "a",
    "b",
    "a.",
    ".a",
    "a.b",
    "b.a",
    "a.b.c",
    "a.c.b",
    "a.b.b",
    "a.b.a.b",
    "a.x.y.b",
    "a.a",
    "x.a.y",
    "#",
    "*",
    "a.#",
    "a*",
    "a.b#",
    "b.c",
    "b.b.c.c",
    "binance",
    "binance.ETH/USDT",
    "binance.ETH.PERP",
    "okex.ETH/USDT",
    "binance.",
};

using routes = std::map<std::string, std::set<std::string>>;

/// Which routing keys reach a queue that is bound with a key, by binding key.
routes measure(broker_under_test& broker, exchange_type type) {
  client x{broker};
  auto e = x.exchange("e", type);
  auto end = x.exchange("end", exchange_type::fanout);
  consumer_id id = 0;
  for (auto* key : binding_keys) {
    auto q = x.queue(std::to_string(++id));
    x.bind(e, q, key);
    x.bind(end, q, "");
    x.consume({id, q, 0, true});
  }
  for (auto* key : routing_keys)
    x.publish(e, key, key);
  // Each queue keeps the order: what a queue got came before the end.
  x.publish(end, "", "");
  routes result;
  std::size_t ends = 0;
  while (ends < std::size(binding_keys)) {
    auto got = x.take();
    auto& keys = result[binding_keys[got.consumer - 1]];
    if (got.exchange == end)
      ++ends;
    else
      CAF_CHECK(keys.insert(got.routing_key).second);
  }
  return result;
}

template <class Predicate>
void check(const routes& measured, Predicate matches) {
  for (auto* binding_key : binding_keys)
    for (auto* routing_key : routing_keys)
      if (matches(binding_key, routing_key) != (measured.at(binding_key).count(routing_key) > 0))
        CAF_ERROR("wrong: binding key '" << binding_key << "', routing key '" << routing_key
                                         << "'");
  CAF_CHECK_EQUAL(measured.size(), std::size(binding_keys));
}

} // namespace

CONFORMANCE_TEST(a_topic_exchange_routes_as_topic_matches_says) {
  check(measure(broker, exchange_type::topic), topic_matches);
}

CONFORMANCE_TEST(a_direct_exchange_routes_equal_keys) {
  check(measure(broker, exchange_type::direct),
        [](std::string_view x, std::string_view y) { return x == y; });
}

CONFORMANCE_TEST(a_fanout_exchange_routes_everything) {
  check(measure(broker, exchange_type::fanout),
        [](std::string_view, std::string_view) { return true; });
}

CONFORMANCE_TEST(a_headers_exchange_without_arguments_routes_everything) {
  check(measure(broker, exchange_type::headers),
        [](std::string_view, std::string_view) { return true; });
}

CONFORMANCE_TEST(a_queue_gets_a_message_once_however_many_bindings_match) {
  client x{broker};
  auto e = x.exchange("e");
  auto q = x.queue("q");
  for (auto* key : {"#", "a.*", "a.b", "*.b"})
    x.bind(e, q, key);
  x.consume({1, q, 0, true});
  x.publish(e, "a.b", "1");
  x.publish(e, "x.y", "2");
  CAF_CHECK(bodies(x.take_all()) == (std::vector<std::string>{"1", "2"}));
}

CONFORMANCE_TEST(each_bound_queue_gets_a_copy) {
  client x{broker};
  auto e = x.exchange("e");
  for (consumer_id id : {1, 2, 3}) {
    auto q = x.queue(std::to_string(id));
    x.bind(e, q, "k");
    x.consume({id, q, 0, true});
  }
  x.publish(e, "k", "copy");
  std::set<consumer_id> consumers;
  for (auto& got : x.take(3)) {
    CAF_CHECK_EQUAL(got.body, "copy");
    consumers.insert(got.consumer);
  }
  CAF_CHECK_EQUAL(consumers.size(), 3u);
}

CONFORMANCE_TEST(the_default_exchange_routes_by_queue_name) {
  client x{broker};
  auto q = x.queue("a.b");
  x.consume({1, q});
  x.fill(q, {"hello"});
  auto got = x.take();
  CAF_CHECK_EQUAL(got.body, "hello");
  CAF_CHECK_EQUAL(got.exchange, "");
  CAF_CHECK_EQUAL(got.routing_key, q);
}

CONFORMANCE_TEST(a_binding_counts_once_and_ends_with_one_unbind) {
  client x{broker};
  auto e = x.exchange("e");
  auto q = x.queue("q");
  x.bind(e, q, "other");
  x.bind(e, q, "k");
  x.bind(e, q, "k");
  x.consume({1, q, 0, true});
  x.publish(e, "k", "bound");
  CAF_CHECK(!x.call(unbind_queue{{e, q, "k"}}));
  x.publish(e, "k", "unbound");
  x.publish(e, "other", "other");
  CAF_CHECK(bodies(x.take_all()) == (std::vector<std::string>{"bound", "other"}));
}

CONFORMANCE_TEST(the_bindings_of_a_deleted_queue_are_gone) {
  client x{broker};
  auto e = x.exchange("e");
  auto q = x.queue("q");
  auto keeper = x.queue("keeper");
  x.bind(e, keeper, "unused");
  x.bind(e, q, "k");
  CAF_CHECK(!x.call(delete_queue{q}));
  CAF_CHECK_EQUAL(x.queue("q"), q);
  x.publish(e, "k", "not for the new queue");
  x.consume({1, q, 0, true});
  CAF_CHECK(x.take_all().empty());
}
