#pragma once

#include <memory>
#include <string>

#include "actors/amqp/endpoint.hpp"
#include "amqp/transport.hpp"

namespace actors::poison {

/// Somebody else at the broker, with a link of their own, who does what they like. What
/// the broker refuses is their own affair.
class peer {
public:
  explicit peer(const amqp::endpoint& where);

  ~peer();

  peer(const peer&) = delete;
  peer& operator=(const peer&) = delete;

  /// Asks and waits; whether it was granted.
  bool ask(amqp::operation what);

  /// Publishes and waits for the broker's answer; whether it has the message.
  bool publish(amqp::publication x);

  /// To a queue by its name.
  bool publish_to(const std::string& queue, std::string body, amqp::properties properties = {});

private:
  class recorder;

  std::shared_ptr<recorder> events_;
  amqp::transport_ptr link_;
  amqp::request_id last_request_ = 0;
  std::uint64_t last_publication_ = 0;
};

} // namespace actors::poison
