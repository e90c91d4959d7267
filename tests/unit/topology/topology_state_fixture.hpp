#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "topology/topology_state.hpp"

#include "caf/test/dsl.hpp"

/// A topology state, a broker that answers it, and what a dispatcher learns.
namespace topology_state_test {

using namespace actors;

using lines = std::vector<std::string>;

// -- a broker that fits on a page -------------------------------------------------

using event = std::variant<amqp::reply, amqp::consumer_id, amqp::closed_channel>;

/// The broker and the link to it: requests on a channel for declarations and one for each
/// group of consumers, events in one order. A refused start closes the channel of its group.
struct model_broker {
  struct queue_state {
    bool auto_delete = true;
    bool exclusive = false;
    std::set<std::pair<std::string, std::string>> bindings;
    std::set<amqp::consumer_id> consumers;
    std::uint64_t messages = 0;
  };

  std::map<std::string, amqp::exchange_type> exchanges;
  std::map<std::string, queue_state> queues;
  std::map<amqp::consumer_id, std::string> consumers;
  amqp::consumer last_start;
  std::map<amqp::consumer_id, std::uint32_t> groups;
  /// All consumers share one, whatever was asked for.
  bool single_channel = false;
  /// How many channels of consumers it has closed.
  std::size_t closed = 0;
  /// What the broker refuses for no reason of its own.
  std::function<ec(const amqp::operation&)> fault = [](const auto&) { return ec::none; };
  /// The channel of declarations, then those of groups.
  std::map<std::size_t, std::deque<topology_state::request>> channels;
  std::deque<event> events;
  int last_name = 0;
  /// A mistake for which a real broker ends the whole connection.
  std::string fatal;

  std::size_t channel_of(const amqp::operation& x) {
    if (auto start = std::get_if<amqp::start_consumer>(&x))
      return 1 + (groups[start->spec.id] = single_channel ? 0 : start->spec.group);
    if (auto cancel = std::get_if<amqp::cancel_consumer>(&x))
      return 1 + groups[cancel->id];
    return 0;
  }

  void serve(std::size_t channel) {
    auto request = std::move(channels[channel].front());
    channels[channel].pop_front();
    amqp::reply reply{request.id, {}, {}};
    auto code = fault(request.op);
    if (code == ec::none)
      code = std::visit([&](const auto& x) { return apply(x, reply); }, request.op);
    if (code != ec::none)
      reply.error = {code, amqp::to_string(request.op)};
    auto start = std::get_if<amqp::start_consumer>(&request.op);
    if (reply.error && start)
      close(groups[start->spec.id], {code, "no"}, start->spec.id);
    else
      events.emplace_back(reply);
  }

  /// Closes the channel of a group, with `starting` and what waits on it.
  void close(std::uint32_t group, failure reason, amqp::consumer_id starting = 0) {
    ++closed;
    amqp::closed_channel result{amqp::channel::deliveries, std::move(reason), 1, {}};
    if (starting != 0)
      result.consumers.push_back(starting);
    std::vector<amqp::reply> cancels;
    for (auto& request : std::exchange(channels[1 + group], {})) {
      if (auto start = std::get_if<amqp::start_consumer>(&request.op))
        result.consumers.push_back(start->spec.id);
      else
        cancels.push_back({request.id, {}, {}});
    }
    const auto running = consumers;
    for (auto& [id, queue] : running)
      if (groups[id] == group) {
        result.consumers.push_back(id);
        end_consumer(id);
      }
    if (!result.consumers.empty())
      events.emplace_back(std::move(result));
    for (auto& x : cancels)
      events.emplace_back(std::move(x));
  }

  ec apply(const amqp::declare_exchange& x, amqp::reply&) {
    const auto known = exchanges.find(x.spec.name);
    if (x.passive)
      return known == exchanges.end() ? ec::not_found : ec::none;
    if (known == exchanges.end())
      exchanges.emplace(x.spec.name, x.spec.type);
    else if (known->second != x.spec.type)
      return ec::precondition_failed;
    return ec::none;
  }

  ec apply(const amqp::declare_queue& x, amqp::reply& reply) {
    reply.queue = x.spec.name.empty() ? "generated-" + std::to_string(++last_name) : x.spec.name;
    const auto known = queues.find(reply.queue);
    if (known != queues.end()) {
      reply.consumers = known->second.consumers.size();
      reply.messages = known->second.messages;
    }
    if (x.passive)
      return known == queues.end() ? ec::not_found : ec::none;
    if (known == queues.end())
      queues[reply.queue] = {x.spec.auto_delete, x.spec.exclusive, {}, {}};
    else if (known->second.auto_delete != x.spec.auto_delete)
      return ec::precondition_failed;
    return ec::none;
  }

  ec apply(const amqp::bind_queue& x, amqp::reply&) {
    const auto queue = queues.find(x.spec.queue);
    if (queue == queues.end() || exchanges.count(x.spec.exchange) == 0)
      return ec::not_found;
    queue->second.bindings.emplace(x.spec.exchange, x.spec.routing_key);
    return ec::none;
  }

  ec apply(const amqp::unbind_queue& x, amqp::reply&) {
    if (const auto queue = queues.find(x.spec.queue); queue != queues.end())
      queue->second.bindings.erase({x.spec.exchange, x.spec.routing_key});
    return ec::none;
  }

  ec apply(const amqp::start_consumer& x, amqp::reply&) {
    if (consumers.count(x.spec.id) > 0)
      fatal = amqp::to_string(x) + ": it runs already";
    const auto queue = queues.find(x.spec.queue);
    if (queue == queues.end())
      return ec::not_found;
    last_start = x.spec;
    queue->second.consumers.insert(x.spec.id);
    consumers.emplace(x.spec.id, x.spec.queue);
    return ec::none;
  }

  ec apply(const amqp::cancel_consumer& x, amqp::reply&) {
    end_consumer(x.id);
    return ec::none;
  }

  ec apply(const amqp::delete_queue&, amqp::reply&) {
    return ec::not_implemented;
  }

  void end_consumer(amqp::consumer_id id) {
    const auto i = consumers.find(id);
    if (i == consumers.end())
      return;
    const auto queue = queues.find(i->second);
    consumers.erase(i);
    queue->second.consumers.erase(id);
    if (queue->second.auto_delete && queue->second.consumers.empty())
      queues.erase(queue);
  }

  void drop_consumers() {
    while (!consumers.empty())
      end_consumer(consumers.begin()->first);
  }

  /// A consumer that the broker loses without a word.
  void forget_consumer(amqp::consumer_id id) {
    queues.at(consumers.at(id)).consumers.erase(id);
  }

  void delete_exchange(const std::string& name) {
    exchanges.erase(name);
    for (auto& [queue, x] : queues)
      std::erase_if(x.bindings, [&](auto& y) { return y.first == name; });
  }

  void delete_queue(const std::string& name) {
    for (auto id : queues[name].consumers) {
      consumers.erase(id);
      events.emplace_back(id);
    }
    queues.erase(name);
  }

  void lose_link() {
    drop_consumers();
    std::erase_if(queues, [](const auto& x) { return x.second.exclusive; });
    channels = {};
    events.clear();
  }
};

// -- the topology state, its broker, and who listens to the news ------------------------------

inline wanted_consumer wanted(amqp::consumer_id id, const std::string& exchange,
                              const std::string& key) {
  const auto queue = "q" + std::to_string(id);
  return {{.id = id, .queue = queue}, {.name = queue}, {exchange, queue, key}};
}

/// What a dispatcher knows: which bindings of a consumer work.
using known_bindings = std::map<amqp::consumer_id, std::set<std::pair<std::string, std::string>>>;

struct fixture {
  topology_state x;
  model_broker broker;
  known_bindings bound;
  /// All requests and news since they were last asked for.
  lines requests;
  lines news;
  lines notes;
  /// Of the last news.
  std::optional<std::int64_t> abandoned_offset;
  std::size_t rounds = 0;
  topology_state::time_point now;

  void follow() {
    for (auto& request : x.take_requests()) {
      requests.push_back(amqp::to_string(request.op));
      const auto channel = broker.channel_of(request.op);
      broker.channels[channel].push_back(std::move(request));
    }
    for (auto& y : x.take_news())
      on_news(y);
    for (auto& y : x.take_notes())
      notes.push_back(y.text);
  }

  void on_news(const consumer_state& y) {
    abandoned_offset = y.abandoned_offset;
    auto line = std::to_string(y.id) + (y.binding ? " " + y.binding->routing_key : "") + ": ";
    line += y.error ? std::string{to_string(y.error.code)} : "on " + y.queue;
    news.push_back(line + (y.assumed ? ", bound by others" : ""));
    if (!y.error && y.binding)
      bound[y.id].emplace(y.binding->exchange, y.binding->routing_key);
    else if (y.binding)
      bound[y.id].erase({y.binding->exchange, y.binding->routing_key});
    else
      bound[y.id].clear();
    // A consumer as a whole has news only of its end.
    CAF_CHECK(y.binding || y.error);
  }

  void up(const amqp::broker_limits& limits = {}) {
    x.up(limits);
    follow();
  }

  void down() {
    broker.lose_link();
    x.down();
    bound.clear();
    follow();
  }

  void want(amqp::consumer_id id, const std::string& exchange, const std::string& key) {
    x.want(wanted(id, exchange, key));
    follow();
  }

  void unwant(amqp::consumer_id id) {
    x.unwant(id);
    bound.erase(id);
    follow();
  }

  void unwant(amqp::consumer_id id, const std::string& exchange, const std::string& key) {
    x.unwant(id, {exchange, "q" + std::to_string(id), key});
    bound[id].erase({exchange, key});
    follow();
  }

  /// The next event reaches the topology_state.
  void deliver() {
    auto next = std::move(broker.events.front());
    broker.events.pop_front();
    if (auto reply = std::get_if<amqp::reply>(&next)) {
      x.replied(*reply);
    } else if (auto id = std::get_if<amqp::consumer_id>(&next)) {
      x.cancelled(*id);
    } else {
      auto& closed = std::get<amqp::closed_channel>(next);
      for (auto lost : closed.consumers)
        bound[lost].clear();
      x.channel_lost(closed);
    }
    follow();
  }

  void pass(std::chrono::milliseconds time) {
    x.at(now += time);
  }

  void verify() {
    x.verify();
    follow();
    run();
  }

  /// The broker carries out what it was asked and all answers arrive. False:
  /// there was nothing to do.
  bool round() {
    auto result = !broker.events.empty();
    const auto channels = broker.channels;
    for (auto& [channel, waiting] : channels)
      for (auto n = waiting.size(); n > 0 && !broker.channels[channel].empty(); --n, result = true)
        broker.serve(channel);
    while (!broker.events.empty())
      deliver();
    return result;
  }

  void run() {
    for (rounds = 0; rounds < 1'000 && round(); ++rounds)
      ;
    CAF_REQUIRE(rounds < 1'000);
    CAF_REQUIRE_EQUAL(broker.fatal, "");
  }

  /// Requests that hold `text` are refused.
  void refuse(const std::string& text, ec code) {
    broker.fault = [=, before = broker.fault](const amqp::operation& y) {
      return amqp::to_string(y).find(text) != std::string::npos ? code : before(y);
    };
  }

  void heal() {
    broker.fault = [](const auto&) { return ec::none; };
  }

  lines take(lines& xs) {
    return std::exchange(xs, {});
  }

  /// Runs consumer 1 with `key` of exchange E.
  void start_one(const std::string& key = "a") {
    up();
    want(1, "E", key);
    run();
    CAF_REQUIRE_EQUAL(x.running(), 1u);
    requests.clear();
    news.clear();
    notes.clear();
  }

  std::size_t bindings(amqp::consumer_id id) const {
    const auto i = broker.consumers.find(id);
    return i == broker.consumers.end() ? 0 : broker.queues.at(i->second).bindings.size();
  }
};

} // namespace topology_state_test
