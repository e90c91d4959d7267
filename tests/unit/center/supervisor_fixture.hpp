#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/error.hpp"
#include "center/connection.hpp"
#include "center/supervisor.hpp"
#include "support/collector.hpp"
#include "support/scripted_transport.hpp"

#include "caf/test/dsl.hpp"

namespace actors::testing {

using namespace std::chrono_literals;

inline amqp::publication message(std::string key, std::string exchange = "Trade") {
  amqp::publication result;
  result.exchange = std::move(exchange);
  result.routing_key = std::move(key);
  result.body = std::make_shared<const std::string>("body");
  return result;
}

/// A supervisor over links that the test scripts, on CAF's deterministic scheduler.
struct supervisor_fixture : test_coordinator_fixture<> {
  supervisor_fixture() : dispatcher(sys) {
    settings.config.reconnect.jitter = 0;
    settings.config.endpoints = {amqp::endpoint{.host = "a"}, amqp::endpoint{.host = "b"}};
    settings.epoch = 77;
    settings.start_connection = connections_over([this](const amqp::endpoint&) {
      links.push_back(std::make_shared<scripted_link>());
      return std::make_unique<scripted_transport>(links.back());
    });
  }

  ~supervisor_fixture() {
    caf::anon_send_exit(sut, caf::exit_reason::kill);
    sched.run();
    for (auto& x : links)
      x->events = nullptr;
    settings = {};
  }

  /// Starts the supervisor; its consuming link is the first to connect.
  void start() {
    sut = sys.spawn(supervisor, settings);
    caf::anon_send(sut, start_atom_v, dispatcher.actor());
    sched.run();
  }

  /// Brings a link up and answers what it asks for, until it asks no more.
  void bring_up(scripted_link& x) {
    x.events->up("RabbitMQ");
    settle(x);
  }

  void settle(scripted_link& x) {
    do
      sched.run();
    while (x.events && x.answer_all() > 0);
  }

  void start_up() {
    start();
    bring_up(consuming());
    bring_up(publishing());
  }

  scripted_link& consuming() {
    return *links.at(0);
  }

  scripted_link& publishing() {
    return *links.at(1);
  }

  /// The third link is the one apart, if nothing was lost before.
  scripted_link& apart() {
    return *links.at(2);
  }

  void confirm(scripted_link& by, std::uint64_t id) {
    by.events->confirmed({{id, true}});
    sched.run();
  }

  void want(amqp::consumer_id id, std::string queue, std::string key) {
    wanted_consumer x;
    x.consumer.id = id;
    x.consumer.queue = queue;
    x.queue.name = queue;
    x.binding = {"Trade", queue, std::move(key)};
    caf::anon_send(sut, x);
    sched.run();
  }

  /// Publishes and gives back the answer as it comes.
  auto publish(amqp::publication x) {
    struct answer {
      bool published = false;
      caf::error error;
    };
    auto result = std::make_shared<answer>();
    sys.spawn([=, this](caf::event_based_actor* publisher) {
      publisher->request(sut, caf::infinite, publish_atom_v, x)
          .then([=](const actors::published&) { result->published = true; },
                [=](caf::error& err) { result->error = std::move(err); });
    });
    sched.run();
    return result;
  }

  /// Brings both links up, by which the broker takes what is published to "Trade".
  void start_up_trading() {
    start_up();
    publish(message("first"));
    confirm(publishing(), 1);
    publishing().published.clear();
  }

  /// Stops the supervisor and gives back the answer as it comes.
  auto stop(std::chrono::milliseconds limit = 500ms) {
    struct answer {
      std::optional<stopped> ok;
      caf::error error;
    };
    auto result = std::make_shared<answer>();
    sys.spawn([=, this](caf::event_based_actor* owner) {
      owner->request(sut, caf::infinite, stop_atom_v, static_cast<std::uint64_t>(limit.count()))
          .then([=](const stopped& x) { result->ok = x; },
                [=](caf::error& err) { result->error = std::move(err); });
    });
    sched.run();
    return result;
  }

  void advance(std::chrono::milliseconds by) {
    sched.advance_time(by);
    sched.run();
  }

  supervisor_settings settings;
  collector dispatcher;
  std::vector<std::shared_ptr<scripted_link>> links;
  caf::actor sut;
};

template <class T>
std::vector<std::string> names(const scripted_link& x) {
  std::vector<std::string> result;
  for (auto& [id, what] : x.requests)
    if (auto y = std::get_if<T>(&what))
      result.push_back(y->spec.name);
  return result;
}

inline std::vector<std::string> keys(const scripted_link& x) {
  std::vector<std::string> result;
  for (auto& y : x.published)
    result.push_back(y.routing_key);
  return result;
}

using strings = std::vector<std::string>;

} // namespace actors::testing
