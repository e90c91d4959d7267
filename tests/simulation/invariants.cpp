#include "simulation/invariants.hpp"
#include "actors/amqp/memory_broker.hpp"

#include <algorithm>

namespace actors::simulation {

namespace {

using numbers = std::map<std::string, std::set<number>>;

const std::set<number>& of_symbol(const numbers& xs, const std::string& symbol) {
  static const std::set<number> none;
  auto i = xs.find(symbol);
  return i == xs.end() ? none : i->second;
}

std::set<number> handled_of(const journal& x, const std::string& symbol) {
  auto i = x.handled.find(symbol);
  return i == x.handled.end() ? std::set<number>{}
                              : std::set<number>{i->second.begin(), i->second.end()};
}

} // namespace

void check_nothing_lost(const promise_to& x, const sent& from, const dead_letters& dead,
                        violations& out) {
  for (auto& symbol : x.symbols) {
    const auto seen = handled_of(*x.seen, symbol);
    auto check = [&](const std::set<number>& xs, const std::string& what) {
      for (auto number : xs)
        if (!seen.contains(number) && !dead.contains({symbol, number}))
          out.push_back("lost: '" + x.seen->name + "' never handled the " + what + ' ' + symbol
                        + ' ' + to_string(number));
    };
    check(of_symbol(from.confirmed, symbol), "confirmed");
    check(of_symbol(from.kept, symbol), "kept");
  }
}

void check_undelivered(const promise_to& x, const sent& from, violations& out) {
  for (auto& [symbol, xs] : from.undelivered) {
    const auto seen = handled_of(*x.seen, symbol);
    for (auto number : xs)
      if (seen.contains(number))
        out.push_back("denied: '" + x.seen->name + "' handled " + symbol + ' ' + to_string(number)
                      + ", which was told not to be delivered");
  }
}

void check_answers(const sent& from, violations& out) {
  for (auto& what : from.blamed)
    out.push_back("blamed: " + what);
  if (from.confirmed_into_the_void > 0)
    out.push_back("void: " + std::to_string(from.confirmed_into_the_void)
                  + " that no queue took were confirmed");
}

void check_nothing_twice(const promise_to& x, violations& out) {
  if (x.never_twice)
    for (auto& what : x.seen->twice)
      out.push_back("twice: '" + x.seen->name + "' handled " + what + " again");
}

void check_order(const promise_to& x, violations& out) {
  if (x.order == order_promise::none)
    return;
  auto& found = x.order == order_promise::within_a_life ? x.seen->reordered : x.seen->overtaken;
  for (auto& what : found)
    out.push_back("order: '" + x.seen->name + "' handled " + what);
}

void check_topology(const amqp::memory_broker& broker, const std::vector<std::string>& expected,
                    std::size_t bindings, violations& out) {
  std::vector<std::string> found;
  for (auto& x : broker.queues())
    found.push_back(x.name + ' ' + std::to_string(x.consumers));
  if (found != expected) {
    std::string text = "topology: queues and consumers are";
    for (auto& x : found)
      text += " [" + x + ']';
    out.push_back(std::move(text));
  }
  if (broker.bindings().size() != bindings)
    out.push_back("topology: " + std::to_string(broker.bindings().size()) + " bindings");
}

void check_nothing_left(const amqp::memory_broker& broker, const std::set<std::string>& kept,
                        violations& out) {
  for (auto& x : broker.queues())
    if (x.ready + x.unacked > 0 && !kept.contains(x.name))
      out.push_back("left: queue " + x.name + " has " + std::to_string(x.ready) + " ready, "
                    + std::to_string(x.unacked) + " unacknowledged");
}

void check_nothing_left(const center_status& x, violations& out) {
  auto& outbox = x.supervisor.outbox;
  if (outbox.waiting + outbox.unconfirmed + outbox.bytes > 0)
    out.push_back("left: an outbox has " + std::to_string(outbox.waiting) + " waiting, "
                  + std::to_string(outbox.unconfirmed) + " unconfirmed");
  for (auto& row : x.dispatcher.handlers)
    if (row.in_flight > 0 || row.waiting > 0 || !row.consuming)
      out.push_back("left: handler of " + row.queue + " has " + std::to_string(row.in_flight)
                    + " in flight and " + std::to_string(row.waiting) + " waiting"
                    + (row.consuming ? "" : " and does not consume"));
}

void check_bounded(const center_status& x, const bounds& limits, violations& out) {
  if (x.supervisor.outbox.waiting > limits.outbox)
    out.push_back("memory: an outbox has " + std::to_string(x.supervisor.outbox.waiting)
                  + " waiting");
  for (auto& row : x.dispatcher.handlers) {
    auto limit = limits.windows.find(row.queue);
    if (limit != limits.windows.end() && row.waiting > limit->second)
      out.push_back("memory: handler of " + row.queue + " has " + std::to_string(row.waiting)
                    + " waiting");
  }
}

} // namespace actors::simulation
