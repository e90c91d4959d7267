#include "soak/rows.hpp"

#include <chrono>
#include <utility>

#include "support/numbered.hpp"
#include "support/numbered_actors.hpp"

namespace actors::soak {

namespace {

using namespace std::chrono_literals;
using testing::every_numbered;
using testing::numbered;
using testing::promise;

/// As those of market data, which a fleet of AIOQuant's declares so: gone with the broker, and
/// the bindings with it.
amqp::exchange as_aioquants(std::string name) {
  return {.name = std::move(name), .durable = false};
}

subscription numbered_of(const row& x, std::string key) {
  auto result = subscription::to<numbered>(std::move(key));
  result.exchange = x.exchange.name;
  return result;
}

/// Every one, once, in order, whatever happens. A handler that fails keeps its order with prefetch
/// count 1 only, as the messages behind the one that goes back are on their way already. The two
/// of a pair share a queue.
row desks() {
  row result;
  result.name = "desks";
  result.exchange = exchange_named(std::string{numbered::exchange});
  result.options = {.mandatory = true, .persistent = true};
  result.keys = {"desks.A", "desks.B", "desks.C"};
  result.strategies = {
      {"desks: all", 0, every_numbered("desks.#", "all")},
      {"desks: all-wide", 1, every_numbered("desks.#", "all-wide").prefetch(100), false},
      {"desks: a", 0, every_numbered("desks.A", "a")},
      {"desks: a-wide", 0, every_numbered("desks.A", "a-wide").prefetch(20), false},
      {"desks: b", 1, every_numbered("desks.B", "b")},
      {"desks: c", 1, every_numbered("*.C", "c")},
      {"desks: pair-b", 1, every_numbered("desks.B", "pair")},
      {"desks: pair-all", 1, every_numbered("desks.#", "pair")},
  };
  return result;
}

row quotes() {
  row result;
  result.name = "quotes";
  result.exchange = as_aioquants("NumberedQuotes");
  result.own_keys = true;
  result.keys = {"quotes.A", "quotes.B"};
  result.promised.newest_only = true;
  result.promised.in_order_over_links = false;
  auto newest = [&](const char* key) {
    return numbered_of(result, key).multi().keeping(delivery_policy::latest_per_key);
  };
  result.strategies = {{"quotes: a", 0, newest("quotes.A.#")},
                       {"quotes: b", 1, newest("quotes.B.#")}};
  return result;
}

/// A queue for each key: its exchange goes with the broker, and what a second queue misses that
/// binds later than a first one is not held.
row trades() {
  row result;
  result.name = "trades";
  result.exchange = as_aioquants("NumberedTrades");
  result.options = {.persistent = true};
  result.keys = {"trades.A", "trades.B"};
  result.promised.in_order_over_failures = false;
  result.promised.in_order_over_links = false;
  auto every = [&](const char* key, const char* queue) {
    return numbered_of(result, key)
        .on_durable_queue(queue)
        .prefetch(100)
        .acked(ack_policy::on_success);
  };
  result.strategies = {{"trades: a", 0, every("trades.A", "trades-a")},
                       {"trades: b", 1, every("trades.B", "trades-b")}};
  return result;
}

row orders() {
  row result;
  result.name = "orders";
  result.exchange = exchange_named("NumberedOrders");
  result.options = {.mandatory = true, .persistent = true};
  result.keys = {"orders.A", "orders.B"};
  result.promised.in_order_over_failures = false;
  result.strategies = {{"orders: all", 0,
                        numbered_of(result, "orders.#")
                            .on_quorum_queue("orders")
                            .single_active_consumer()
                            .retried()}};
  return result;
}

/// What fails here is not read again.
row tape() {
  row result;
  result.name = "tape";
  result.exchange = exchange_named("NumberedTape");
  result.options = {.persistent = true};
  result.keys = {"tape.A", "tape.B"};
  result.strategies = {
      {"tape: all", 1, numbered_of(result, "tape.#").on_stream("tape", "first"), false}};
  return result;
}

} // namespace

std::vector<std::string> row::keys_of(const std::string& publisher) const {
  auto result = keys;
  if (own_keys)
    for (auto& x : result)
      x += '.' + publisher;
  return result;
}

const std::vector<row>& all_rows() {
  static const std::vector<row> result{desks(), quotes(), trades(), orders(), tape()};
  return result;
}

} // namespace actors::soak
