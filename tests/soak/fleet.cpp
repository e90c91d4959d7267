#include "soak/fleet.hpp"

#include <algorithm>
#include <thread>

#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include "actors/error.hpp"
#include "center/messages.hpp"

namespace actors::soak {

namespace {

using namespace std::chrono_literals;
using testing::audit;
using testing::mood;
using testing::numbered;
using testing::numbered_publisher;
using testing::numbered_publisher_settings;
using testing::numbered_strategy;
using testing::numbered_strategy_settings;

/// How often each publishes one event with each of its keys.
constexpr auto pace = 100ms;

subscription subscription_for(const plan& x, defect what) {
  auto result = x.what;
  if (what == defect::no_deduplication)
    result.deduplicate = false;
  if (what == defect::early_acknowledgement && result.error == error_policy::requeue)
    result.ack = ack_policy::on_dispatch;
  if (what == defect::wide_prefetch && result.single_active)
    result.prefetch_count = 100;
  return result;
}

caf::behavior keeper(caf::event_based_actor* self, event_center center,
                     numbered_strategy_settings what, std::shared_ptr<audit> books,
                     std::shared_ptr<mood> its_mood) {
  auto start = [=] {
    auto strategy = self->system().spawn(numbered_strategy, center, what, books, its_mood);
    self->monitor(strategy);
    return strategy;
  };
  auto present = std::make_shared<caf::actor>(start());
  self->set_down_handler([=](caf::down_msg&) { *present = start(); });
  return {[=](stop_atom) {
    self->set_down_handler([](caf::down_msg&) {});
    caf::anon_send_exit(*present, caf::exit_reason::user_shutdown);
    self->quit();
  }};
}

config config_for(const fleet_settings& settings, const std::string& name) {
  config result;
  result.server_id = name;
  result.endpoints = {*amqp::parse_endpoint(settings.url)};
  result.endpoints[0].heartbeat = settings.heartbeat;
  result.reconnect.limit = settings.reconnect_limit;
  result.log.level = settings.log;
  for (auto& x : all_rows())
    result.exchanges.push_back(x.exchange);
  return result;
}

} // namespace

fleet::fleet(const fleet_settings& settings) : system_(config_) {
  add_strategies(settings);
  add_publishers(settings);
}

fleet::~fleet() {
  for (auto& x : keepers_)
    caf::anon_send(x, stop_atom_v);
  for (auto& x : publishers_)
    caf::anon_send_exit(x, caf::exit_reason::user_shutdown);
}

void fleet::add_strategies(const fleet_settings& settings) {
  for (auto name : {"desk-1", "desk-2"})
    consuming_.push_back(
        {name, std::make_unique<scoped_event_center>(system_, config_for(settings, name))});
  for (auto& row : all_rows())
    for (auto& x : row.strategies)
      add(row, x, settings.defect);
}

void fleet::add(const row& from, const plan& x, defect what) {
  auto its_mood = std::make_shared<mood>();
  books_->wants(x.name, x.what.routing_key, from.promised);
  strategies_.push_back({x.name, x.may_fail, its_mood});
  keepers_.push_back(system_.spawn(keeper, event_center{*consuming_[x.center].center},
                                   numbered_strategy_settings{x.name, subscription_for(x, what)},
                                   books_, its_mood));
}

void fleet::add_publishers(const fleet_settings& settings) {
  for (std::string name : {"publisher-1", "publisher-2", "publisher-3", "publisher-4"}) {
    publishing_.push_back(
        {name, std::make_unique<scoped_event_center>(system_, config_for(settings, name))});
    for (auto& x : all_rows()) {
      numbered_publisher_settings what{name, x.keys_of(name), pace};
      what.exchange = x.exchange.name;
      what.options = x.options;
      publishers_.push_back(system_.spawn(
          numbered_publisher, event_center{*publishing_.back().center}, std::move(what), books_));
    }
  }
}

std::vector<std::string> fleet::queues() {
  std::vector<std::string> result;
  for (auto& x : consuming_)
    for (auto& row : status_of(x).dispatcher.handlers)
      if (std::find(result.begin(), result.end(), row.queue) == result.end())
        result.push_back(row.queue);
  return result;
}

bool fleet::consumes() {
  return eventually([this] {
    std::size_t consuming = 0;
    for (auto& x : consuming_)
      for (auto& row : status_of(x).dispatcher.handlers)
        if (row.consuming)
          ++consuming;
    return consuming == strategies_.size();
  });
}

void fleet::resume_publishing() {
  for (auto& x : publishers_)
    caf::anon_send(x, start_atom_v);
}

void fleet::pause_publishing() {
  for (auto& x : publishers_)
    caf::anon_send(x, stop_atom_v);
}

// -- the links ------------------------------------------------------------------------

std::vector<link_status> fleet::links() {
  std::vector<link_status> result;
  auto add = [&](const std::vector<desk>& desks, link_role role) {
    for (auto& x : desks)
      for (auto& link : status_of(x).supervisor.links)
        if (link.role == role)
          result.push_back(link);
  };
  add(consuming_, link_role::consuming);
  add(publishing_, link_role::publishing);
  return result;
}

std::vector<std::string> fleet::link_names() const {
  std::vector<std::string> result;
  for (auto& x : consuming_)
    result.push_back(x.name + ' ' + std::string{to_string(link_role::consuming)});
  for (auto& x : publishing_)
    result.push_back(x.name + ' ' + std::string{to_string(link_role::publishing)});
  return result;
}

std::uint64_t fleet::waiting() {
  std::uint64_t result = 0;
  for (auto& x : publishing_)
    result += status_of(x).supervisor.outbox.waiting;
  return result;
}

center_status fleet::status_of(const desk& x) {
  center_status result;
  caf::scoped_actor self{system_};
  x.center->status(self).receive([&](center_status& y) { result = std::move(y); },
                                 [](const caf::error&) {});
  return result;
}

bool eventually(const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline)
      return false;
    std::this_thread::sleep_for(10ms);
  }
  return true;
}

} // namespace actors::soak
