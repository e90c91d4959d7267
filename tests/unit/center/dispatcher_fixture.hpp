#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/error.hpp"
#include "center/dispatcher.hpp"
#include "support/collector.hpp"
#include "support/scripted_transport.hpp"
#include "wire/payload.hpp"

#include "caf/test/dsl.hpp"

/// A dispatcher between a scripted supervisor, a scripted connection and
/// strategies that do as the test says.
namespace actors::testing {

using verdict = amqp::settlement::verdict;

inline std::string body(std::string_view name, std::string_view data) {
  return payload_encoder{}.encode(name, data);
}

template <class T>
std::string body(const T& x) {
  return body(T::event_name, data_of(x));
}

inline trade some_trade(std::int64_t timestamp = 1) {
  trade result;
  result.platform = "binance";
  result.symbol = "ETH/USDT";
  result.price = decimal::fixed(2683.8, 8);
  result.quantity = decimal::fixed(0.5, 8);
  result.timestamp = timestamp;
  return result;
}

/// What a strategy of the tests has seen, and what it answers.
struct journal {
  std::vector<std::int64_t> trades;
  std::vector<const trade*> addresses;
  std::vector<std::string> events;
  std::vector<std::string> klines;
  std::vector<std::string> queues;
  bool failing = false;
  bool silent = false;
  std::vector<caf::response_promise> open;
};

struct strategy_state {
  std::shared_ptr<journal> seen;
};

inline caf::behavior strategy(caf::stateful_actor<strategy_state>* self,
                              std::shared_ptr<journal> seen) {
  self->state.seen = seen;
  return {
      [=](const trade& x) -> caf::result<void> {
        seen->trades.push_back(x.timestamp);
        seen->addresses.push_back(&x);
        if (seen->failing)
          return make_error(ec::handler_failed, "no");
        if (seen->silent) {
          seen->open.push_back(self->make_response_promise());
          return caf::delegated<void>{};
        }
        return caf::unit;
      },
      [=](const event& x) {
        seen->events.push_back(x.name + " " + x.data.text());
        seen->queues.push_back(x.queue);
      },
      [=](const kline& x) { seen->klines.push_back(x.kline_type); },
      [=](const stream_gap& x) {
        seen->events.push_back("gap " + std::to_string(x.from) + " to " + std::to_string(x.to));
      },
      [=](const stream_restarted& x) {
        seen->events.push_back("restarted " + std::to_string(x.epoch));
      },
      [=](const stream_stale& x) { seen->events.push_back("stale " + x.routing_key); },
      [=](const link_lost& x) { seen->events.push_back("lost " + x.reason); },
      [=](const link_restored&) { seen->events.push_back("restored"); },
      [=](caf::tick_atom) { seen->open.at(0).deliver(caf::unit); },
      [=](caf::ok_atom) {
        for (auto& x : std::exchange(seen->open, {}))
          if (seen->failing)
            x.deliver(make_error(ec::handler_failed, "no"));
          else
            x.deliver(caf::unit);
      },
  };
}

struct dispatcher_fixture : test_coordinator_fixture<> {
  explicit dispatcher_fixture(bool feeds = false)
      : supervisor(
          sys,
          caf::behavior{[](status_atom) { return supervisor_status{}; },
                        [this](unwant_atom, amqp::consumer_id, const amqp::binding& x) {
                          unbound.push_back(x);
                        },
                        [](unwant_atom, amqp::consumer_id id) {
                          return consumer_state{
                              id, "", std::nullopt, {ec::consumer_cancelled, "cancelled"}, true};
                        },
                        [this](close_atom, link_role x) { renewed.push_back(x); },
                        [this](publish_atom, amqp::publication& x) -> caf::result<published> {
                          copies.push_back(std::move(x));
                          if (refusing_copies)
                            return make_error(ec::no_route, "no queue took the message");
                          return published{"id"};
                        }}),
        link(std::make_shared<scripted_link>()),
        out(std::make_shared<scripted_sender>(link)) {
    dispatcher_settings settings;
    settings.server_id = "srv";
    settings.feeds = feeds;
    sut = sys.spawn(dispatcher, settings, supervisor.actor());
  }

  ~dispatcher_fixture() {
    caf::anon_send_exit(sut, caf::exit_reason::kill);
    for (auto& x : journals)
      x->open.clear();
    for (auto& x : strategies)
      caf::anon_send_exit(x, caf::exit_reason::kill);
    sched.run();
  }

  std::shared_ptr<journal> add_strategy() {
    journals.push_back(std::make_shared<journal>());
    strategies.push_back(sys.spawn(strategy, journals.back()));
    return journals.back();
  }

  struct answer {
    std::optional<subscribed> ok;
    caf::error error;
  };

  /// A confirmed subscription of the strategy that was added last.
  void subscribe_and_confirm(subscription what) {
    last_answer = subscribe(std::move(what));
    confirm();
    CAF_REQUIRE(last_answer->ok);
  }

  void unsubscribe(subscription_id id) {
    caf::anon_send(sut, unsubscribe_atom_v, id);
    sched.run();
  }

  void end_last_strategy() {
    caf::anon_send_exit(strategies.back(), caf::exit_reason::user_shutdown);
    sched.run();
  }

  /// Lets the last strategy answer the first message that it has left open.
  void answer_first_at_last() {
    caf::anon_send(strategies.back(), caf::tick_atom::value);
    sched.run();
  }

  /// Lets the last strategy answer what it has left open.
  void answer_at_last() {
    caf::anon_send(strategies.back(), caf::ok_atom::value);
    sched.run();
  }

  std::shared_ptr<answer> subscribe(subscription what) {
    auto result = std::make_shared<answer>();
    sys.spawn([=, this, id = ++last_id, to = strategies.back()](caf::event_based_actor* caller) {
      caller->request(sut, caf::infinite, subscribe_atom_v, id, what, to)
          .then([=](const subscribed& x) { result->ok = x; },
                [=](caf::error& err) { result->error = std::move(err); });
    });
    sched.run();
    return result;
  }

  /// Lets the scripted supervisor confirm whatever consumers are wanted.
  void confirm() {
    for (auto& x : supervisor.take<wanted_consumer>()) {
      consumer_ids.push_back(x.consumer.id);
      wanted.push_back(x);
      auto name = x.queue.name.empty() ? "amq.gen-1" : x.queue.name;
      caf::anon_send(sut, consumer_state{x.consumer.id, name, x.binding, {}});
    }
    sched.run();
  }

  /// A strategy with a confirmed subscription.
  std::shared_ptr<journal> subscribed_strategy(subscription what) {
    auto result = add_strategy();
    last_answer = subscribe(std::move(what));
    confirm();
    return result;
  }

  amqp::delivery delivery(std::uint64_t tag, std::string content,
                          std::string key = "binance.ETH/USDT", std::string exchange = "Trade") {
    amqp::delivery x;
    x.consumer = consumer_ids.back();
    x.tag = tag;
    x.exchange = std::move(exchange);
    x.routing_key = std::move(key);
    x.body = std::move(content);
    return x;
  }

  void deliver(std::vector<amqp::delivery> xs, std::uint32_t generation = 1) {
    caf::anon_send(sut, delivery_batch{out, generation, std::move(xs)});
    sched.run();
  }

  std::vector<amqp::settlement> settled() {
    std::vector<amqp::settlement> result;
    for (auto& x : std::exchange(link->settlements, {}))
      result.insert(result.end(), x.items.begin(), x.items.end());
    return result;
  }

  dispatcher_status status() {
    dispatcher_status result;
    caf::scoped_actor caller{sys};
    auto hdl = caller->request(sut, caf::infinite, status_atom_v);
    sched.run();
    hdl.receive([&](const center_status& x) { result = x.dispatcher; },
                [](const caf::error& err) { CAF_FAIL(text_of(err)); });
    return result;
  }

  void advance(std::chrono::milliseconds by) {
    sched.advance_time(by);
    sched.run();
  }

  /// What was sent to the retries and the dead letters, and whether it arrives.
  std::vector<amqp::publication> copies;
  bool refusing_copies = false;
  /// Links that are to begin anew.
  std::vector<link_role> renewed;
  /// Bindings that are wanted no more.
  std::vector<amqp::binding> unbound;
  collector supervisor;
  std::shared_ptr<scripted_link> link;
  amqp::link_sender_ptr out;
  caf::actor sut;
  std::vector<caf::actor> strategies;
  std::vector<std::shared_ptr<journal>> journals;
  std::vector<amqp::consumer_id> consumer_ids;
  std::vector<wanted_consumer> wanted;
  std::shared_ptr<answer> last_answer;
  subscription_id last_id = 0;
};

inline subscription eth_trades() {
  return trades("binance", "ETH/USDT").prefetch(10);
}

inline amqp::delivery numbered(amqp::delivery x, std::uint64_t sequence, std::uint64_t epoch = 1) {
  x.properties.position = amqp::stream_position{epoch, sequence};
  return x;
}

using list = std::vector<std::int64_t>;

} // namespace actors::testing
