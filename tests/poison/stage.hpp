#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <caf/actor_system.hpp>

#include "actors/event_center.hpp"
#include "actors/relay.hpp"
#include "actors/system_config.hpp"
#include "poison/healthy.hpp"

namespace actors::poison {

/// What a case is played on.
enum class scene : std::uint8_t { memory, rabbitmq, relay };

/// An event center with healthy strategies; and behind a relay, a second host with some.
class stage {
public:
  /// `broker` is what is behind it all, `login` the same as event centers log in there.
  stage(scene what, const amqp::endpoint& broker, const amqp::endpoint& login,
        const std::string& log_folder);

  ~stage();

  stage(const stage&) = delete;
  stage& operator=(const stage&) = delete;

  scene what() const noexcept {
    return what_;
  }

  /// The event center that bad things happen in, beside healthy ones.
  event_center center() const;

  caf::actor_system& system() {
    return hosts_system_;
  }

  /// By a login that may do everything.
  const amqp::endpoint& broker() const noexcept {
    return broker_;
  }

  /// Where the relay listens, on loopback.
  std::uint16_t relay_port() const;

  /// Whether all healthy ones are at work.
  bool starts();

  /// Looks on for so many further events of each host, or as long as the limit.
  void watch(std::uint64_t events, std::chrono::milliseconds limit);

  std::vector<std::string> problems(std::chrono::milliseconds longest_wait);

  std::vector<std::string> finish();

private:
  config settings(const std::string& name, const std::string& log_folder) const;
  void start_relay(const std::string& log_folder);

  scene what_;
  amqp::endpoint broker_;
  amqp::endpoint login_;
  std::string prefix_;
  relay_system_config relay_config_;
  caf::actor_system relay_system_{relay_config_};
  std::unique_ptr<scoped_relay> relay_;
  system_config hosts_config_;
  caf::actor_system hosts_system_{hosts_config_};
  std::vector<std::unique_ptr<scoped_event_center>> centers_;
  std::vector<std::unique_ptr<healthy>> healthy_;
};

} // namespace actors::poison
