#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "actors/amqp/memory_broker.hpp"
#include "amqp/memory/transport.hpp"
#include "amqp/transport.hpp"

namespace actors::amqp {

/// A link through the door of an in-process broker: all calls that the fuzzer
/// makes of `transport`, in its own few terms.
class door {
public:
  door(std::shared_ptr<memory_broker> broker, std::shared_ptr<link_listener> events)
      : link_(make_memory_transport(std::move(broker))) {
    link_->connect(*parse_endpoint("memory:fuzz"), std::move(events));
  }

  void request(request_id id, operation what) {
    link_->request(id, std::move(what));
  }

  void publish(std::uint32_t generation, std::uint64_t id, const std::string& exchange,
               const std::string& key, std::string body, bool mandatory) {
    publication x;
    x.id = id;
    x.exchange = exchange;
    x.routing_key = key;
    x.body = std::make_shared<const std::string>(std::move(body));
    x.mandatory = mandatory;
    x.properties.message_id = std::to_string(id);
    x.properties.persistent = id % 2 == 0;
    std::vector<publication> xs;
    xs.push_back(std::move(x));
    link_->out()->publish(generation, std::move(xs));
  }

  void settle(std::uint32_t generation, settlement x) {
    link_->out()->settle(generation, {x});
  }

  void close() {
    link_->close();
  }

private:
  transport_ptr link_;
};

} // namespace actors::amqp
