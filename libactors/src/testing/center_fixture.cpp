#include "actors/testing/center_fixture.hpp"

#include <algorithm>
#include <utility>

#include <caf/actor_system_config.hpp>
#include <caf/after.hpp>
#include <caf/exit_reason.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include "actors/error.hpp"
#include "amqp/memory/transport.hpp"
#include "center/connection.hpp"
#include "center/spawn_center.hpp"

namespace actors::testing {

namespace {

using std::chrono::milliseconds;

/// The longest step by which time passes, because the broker does not tell its next deadline.
constexpr milliseconds longest_step{100};

class test_config : public caf::actor_system_config {
public:
  test_config() {
    set("scheduler.policy", caf::atom("testing"));
    set("logger.verbosity", caf::atom("quiet"));
  }
};

config settings_for_test(config settings, std::string server_id) {
  settings.endpoints = {*amqp::parse_endpoint("memory:")};
  settings.reconnect.jitter = 0;
  settings.server_id = std::move(server_id);
  settings.heartbeat = {};
  settings.instance = ""; // queues have the names that a test expects
  return settings;
}

} // namespace

struct center_fixture::impl {
  impl(amqp::memory_semantics semantics, config settings)
      : broker(std::make_shared<amqp::memory_broker>(std::move(semantics))),
        system(settings_of_system),
        scheduler(dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler())),
        strategies_center(add_center(settings_for_test(settings, "test"), 1)),
        market_center(add_center(settings_for_test(std::move(settings), "market"), 2)) {
    // nop
  }

  event_center add_center(const config& settings, std::uint64_t epoch) {
    supervisor_settings links;
    links.config = settings;
    links.epoch = epoch;
    links.start_connection = connections_over(
        [to = broker](const amqp::endpoint&) { return amqp::make_memory_transport(to); });
    auto added = spawn_center(system, settings, std::move(links));
    centers.push_back(added.dispatcher);
    centers.push_back(added.supervisor);
    return {added.dispatcher, added.supervisor};
  }

  /// Returns the time until the next timeout of an actor, but at most one step.
  milliseconds next_step(milliseconds left) const {
    const auto longest = std::clamp(left / 1'000, milliseconds{1}, longest_step);
    const auto& due = scheduler.clock().schedule();
    if (due.empty())
      return std::min(left, longest);
    const auto until =
        std::chrono::ceil<milliseconds>(due.begin()->first - scheduler.clock().now());
    return std::clamp(until, milliseconds{1}, std::min(left, longest));
  }

  std::shared_ptr<amqp::memory_broker> broker;
  test_config settings_of_system;
  caf::actor_system system;
  caf::scheduler::test_coordinator& scheduler;
  std::vector<caf::actor> centers;
  std::vector<caf::actor> strategies;
  event_center strategies_center;
  event_center market_center;
};

center_fixture::center_fixture(amqp::memory_semantics semantics, config settings)
    : impl_(std::make_unique<impl>(std::move(semantics), std::move(settings))) {
  run();
}

center_fixture::~center_fixture() {
  impl_->broker->resume();
  impl_->strategies_center = {};
  impl_->market_center = {};
  for (auto& x : std::exchange(impl_->strategies, {}))
    caf::anon_send_exit(x, caf::exit_reason::kill);
  run();
  for (auto& x : std::exchange(impl_->centers, {}))
    caf::anon_send_exit(x, caf::exit_reason::user_shutdown);
  run();
}

caf::actor_system& center_fixture::system() noexcept {
  return impl_->system;
}

const event_center& center_fixture::center() const noexcept {
  return impl_->strategies_center;
}

const event_center& center_fixture::market() const noexcept {
  return impl_->market_center;
}

amqp::memory_broker& center_fixture::broker() noexcept {
  return *impl_->broker;
}

caf::actor center_fixture::started(caf::actor strategy) {
  impl_->strategies.push_back(strategy);
  run();
  return strategy;
}

bool center_fixture::is_running(const caf::actor& strategy) {
  caf::scoped_actor self{impl_->system};
  auto result = true;
  self->monitor(strategy);
  run();
  self->receive([&](const caf::down_msg&) { result = false; },
                caf::after(milliseconds{0}) >> [] {});
  return result;
}

void center_fixture::publish(const event& x, publish_options options) {
  market().publish(x, std::move(options));
  run();
}

void center_fixture::run() {
  impl_->scheduler.run();
}

void center_fixture::advance(milliseconds by) {
  run();
  impl_->scheduler.advance_time(milliseconds{0});
  run();
  while (by.count() > 0) {
    const auto step = impl_->next_step(by);
    impl_->scheduler.advance_time(step);
    run();
    impl_->broker->advance(step);
    run();
    by -= step;
  }
}

void center_fixture::drop_links(ec reason) {
  impl_->broker->drop_links(reason);
  run();
}

void center_fixture::restart_broker() {
  impl_->broker->restart();
  run();
}

void center_fixture::refuse_next(std::string entity, ec reason) {
  impl_->broker->refuse_next(std::move(entity), reason);
}

void center_fixture::stall_broker() {
  impl_->broker->stall();
}

void center_fixture::resume_broker() {
  impl_->broker->resume();
  run();
}

void center_fixture::lose_next(std::size_t messages) {
  impl_->broker->lose_next(messages);
}

center_status center_fixture::status() {
  caf::scoped_actor self{impl_->system};
  auto answer = center().status(self);
  run();
  center_status result;
  answer.receive([&](center_status& x) { result = std::move(x); }, [](const caf::error&) {});
  return result;
}

} // namespace actors::testing
