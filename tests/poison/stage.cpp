#include "poison/stage.hpp"

#include <random>
#include <stdexcept>

#include "actors/error.hpp"
#include "publishing/unsent_file.hpp"

namespace actors::poison {

using namespace std::chrono_literals;

namespace {

constexpr auto patience = 30s;

std::string fresh_prefix() {
  return "poison-" + std::to_string(std::random_device{}() % 1'000'000);
}

} // namespace

stage::stage(scene what, const amqp::endpoint& broker, const amqp::endpoint& login,
             const std::string& log_folder)
    : what_(what), broker_(broker), login_(login), prefix_(fresh_prefix()) {
  if (what == scene::relay)
    start_relay(log_folder);
  const auto hosts = what == scene::relay ? 2 : 1;
  for (auto i = 1; i <= hosts; ++i) {
    const auto name = prefix_ + "-host-" + std::to_string(i);
    centers_.push_back(
        std::make_unique<scoped_event_center>(hosts_system_, settings(name, log_folder)));
    healthy_.push_back(std::make_unique<healthy>(hosts_system_, *centers_.back(), name));
  }
}

stage::~stage() {
  healthy_.clear();
  centers_.clear();
}

config stage::settings(const std::string& name, const std::string& log_folder) const {
  config result;
  if (relay_)
    result = event_center::remote(
        {*amqp::parse_endpoint("relay://127.0.0.1:" + std::to_string(relay_->port()))});
  else
    result.endpoints = {login_};
  result.server_id = name;
  result.instance = unique_instance();
  result.reconnect.limit = 500ms;
  result.log.console = false;
  result.log.path = log_folder;
  result.log.name = "poison.log";
  result.log.level = log_level::info;
  result.log.max_bytes = 1'000'000'000;
  return result;
}

void stage::start_relay(const std::string& log_folder) {
  relay_settings result;
  result.center = settings(prefix_ + "-relay", log_folder);
  result.port = 0;
  result.limits.handshake_timeout = 2s;
  relay_ = std::make_unique<scoped_relay>(relay_system_, std::move(result));
  if (auto err = relay_->start())
    throw std::runtime_error(text_of(err));
}

event_center stage::center() const {
  return *centers_.front();
}

std::uint16_t stage::relay_port() const {
  return relay_ ? relay_->port() : 0;
}

bool stage::starts() {
  for (auto& x : healthy_)
    if (!x->starts_within(patience))
      return false;
  return true;
}

void stage::watch(std::uint64_t events, std::chrono::milliseconds limit) {
  for (auto& x : healthy_)
    x->watch(events, limit);
}

std::vector<std::string> stage::problems(std::chrono::milliseconds longest_wait) {
  std::vector<std::string> result;
  for (auto& x : healthy_)
    for (auto& y : x->problems(longest_wait))
      result.push_back(std::move(y));
  return result;
}

std::vector<std::string> stage::finish() {
  std::vector<std::string> result;
  for (auto& x : healthy_)
    for (auto& y : x->finish(patience))
      result.push_back(std::move(y));
  return result;
}

} // namespace actors::poison
