#include "simulation/operator_link.hpp"

#include <utility>

#include "actors/amqp/memory_broker.hpp"
#include "amqp/memory/transport.hpp"
#include "support/silent_listener.hpp"

namespace actors::simulation {

struct operator_link::collecting_listener : testing::silent_listener {
  std::vector<amqp::delivery> deliveries;

  void delivered(std::uint32_t, std::vector<amqp::delivery> xs) override {
    for (auto& x : xs)
      deliveries.push_back(std::move(x));
  }
};

operator_link::operator_link(std::shared_ptr<amqp::memory_broker> broker)
    : sink_(std::make_shared<collecting_listener>()),
      link_(amqp::make_memory_transport(std::move(broker))) {
  link_->connect({}, sink_);
}

void operator_link::declare_durable_exchange(std::string name) {
  link_->request(1, amqp::declare_exchange{{.name = std::move(name), .durable = true}});
}

void operator_link::publish(const std::string& exchange, const std::string& routing_key,
                            std::string body) {
  amqp::publication x;
  x.id = 1;
  x.exchange = exchange;
  x.routing_key = routing_key;
  x.body = std::make_shared<const std::string>(std::move(body));
  std::vector<amqp::publication> xs;
  xs.push_back(std::move(x));
  link_->out()->publish(1, std::move(xs));
}

std::vector<amqp::delivery> operator_link::take_all(const std::string& queue) {
  link_->request(2, amqp::start_consumer{{.id = 1, .queue = queue, .no_ack = true}});
  link_->request(3, amqp::cancel_consumer{1});
  return std::exchange(sink_->deliveries, {});
}

} // namespace actors::simulation
