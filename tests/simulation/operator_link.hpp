#pragma once

#include <memory>
#include <string>
#include <vector>

#include "actors/amqp/memory_broker.hpp"
#include "amqp/transport.hpp"

namespace actors::simulation {

/// What an operator does by hand on a broker: declares what outlives its restarts,
/// and reads a queue.
class operator_link {
public:
  explicit operator_link(std::shared_ptr<amqp::memory_broker> broker);

  void declare_durable_exchange(std::string name);

  /// Publishes a body that need not be one of ours.
  void publish(const std::string& exchange, const std::string& routing_key, std::string body);

  /// Takes all messages of a queue.
  std::vector<amqp::delivery> take_all(const std::string& queue);

private:
  struct collecting_listener;

  std::shared_ptr<collecting_listener> sink_;
  amqp::transport_ptr link_;
};

} // namespace actors::simulation
