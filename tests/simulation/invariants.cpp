#include "simulation/invariants.hpp"

#include <algorithm>

namespace actors::simulation {

void check_nothing_lost(const promise_to& x, const sent& from, const dead_letters& dead,
                        violations& out) {
  for (auto& symbol : x.symbols) {
    auto numbers = from.confirmed.find(symbol);
    if (numbers == from.confirmed.end())
      continue;
    auto handled = x.seen->handled.find(symbol);
    std::set<number> seen;
    if (handled != x.seen->handled.end())
      seen.insert(handled->second.begin(), handled->second.end());
    for (auto number : numbers->second)
      if (!seen.contains(number) && !dead.contains({symbol, number}))
        out.push_back("lost: '" + x.seen->name + "' never handled the confirmed " + symbol + ' '
                      + to_string(number));
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

void check_nothing_left(const amqp::memory_broker& broker, const std::string& dead_letter_queue,
                        violations& out) {
  for (auto& x : broker.queues())
    if (x.ready + x.unacked > 0 && x.name != dead_letter_queue)
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
