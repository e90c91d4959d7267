#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "actors/amqp/memory_broker.hpp"
#include "actors/error.hpp"
#include "actors/event_center.hpp"
#include "amqp/memory/transport.hpp"
#include "center/connection.hpp"
#include "center/dispatcher.hpp"
#include "center/supervisor.hpp"

#include "caf/test/dsl.hpp"

namespace actors::testing {

inline trade some_trade(std::int64_t timestamp, std::string symbol = "ETH/USDT") {
  trade result;
  result.platform = "binance";
  result.symbol = std::move(symbol);
  result.timestamp = timestamp;
  return result;
}

/// The three actors on an in-process broker, on the deterministic scheduler.
struct memory_center_fixture : test_coordinator_fixture<> {
  memory_center_fixture() : broker(std::make_shared<amqp::memory_broker>()) {
    std::tie(dispatcher_actor, supervisor_actor) = spawn_center("");
    center = event_center{dispatcher_actor, supervisor_actor};
  }

  ~memory_center_fixture() {
    caf::anon_send_exit(supervisor_actor, caf::exit_reason::kill);
    caf::anon_send_exit(dispatcher_actor, caf::exit_reason::kill);
    for (auto& x : strategies)
      caf::anon_send_exit(x, caf::exit_reason::kill);
    sched.run();
  }

  std::pair<caf::actor, caf::actor> spawn_center(std::string instance, outbox_limits outbox = {}) {
    supervisor_settings settings;
    settings.config.outbox = std::move(outbox);
    settings.config.reconnect.jitter = 0;
    settings.start_connection = connections_over(
        [b = broker](const amqp::endpoint&) { return amqp::make_memory_transport(b); });
    settings.epoch = 1;
    auto links = sys.spawn(supervisor, settings);
    dispatcher_settings queues;
    queues.server_id = "srv";
    queues.instance = std::move(instance);
    return {sys.spawn(dispatcher, queues, links), links};
  }

  void start() {
    caf::anon_send(supervisor_actor, start_atom_v, dispatcher_actor);
    sched.run();
  }

  template <class T>
  void publish(const T& x) {
    center.publish(x);
    sched.run();
  }

  /// Time passes for us and for the broker.
  void advance(std::chrono::milliseconds by) {
    sched.advance_time(by);
    sched.run();
    broker->advance(by);
    sched.run();
  }

  /// Lets the supervisor reconnect after a first loss.
  void reconnect() {
    sched.run();
    sched.advance_time(std::chrono::milliseconds{0});
    sched.run();
  }

  std::shared_ptr<amqp::memory_broker> broker;
  caf::actor supervisor_actor;
  caf::actor dispatcher_actor;
  event_center center;
  std::vector<caf::actor> strategies;
};

} // namespace actors::testing
