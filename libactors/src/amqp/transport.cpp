#include "amqp/transport.hpp"

#include "amqp/wire_rules.hpp"

namespace actors::amqp {

namespace {

std::string queue_text(const std::string& name) {
  return name.empty() ? "a server-named queue" : "queue " + quoted(name);
}

std::string binding_text(const binding& x, std::string_view preposition) {
  auto result = queue_text(x.queue);
  result += preposition;
  return result + quoted(x.exchange) + " with routing key " + quoted(x.routing_key);
}

struct describe {
  std::string operator()(const declare_exchange& x) const {
    if (x.passive)
      return "check exchange " + quoted(x.spec.name);
    return "declare exchange " + quoted(x.spec.name) + " (" + std::string{to_string(x.spec.type)}
           + ")";
  }

  std::string operator()(const declare_queue& x) const {
    return (x.passive ? "check " : "declare ") + queue_text(x.spec.name);
  }

  std::string operator()(const amqp::delete_queue& x) const {
    return "delete " + queue_text(x.name);
  }

  std::string operator()(const bind_queue& x) const {
    return "bind " + binding_text(x.spec, " to exchange ");
  }

  std::string operator()(const unbind_queue& x) const {
    return "unbind " + binding_text(x.spec, " from exchange ");
  }

  std::string operator()(const start_consumer& x) const {
    return "start consumer " + std::to_string(x.spec.id) + " on " + queue_text(x.spec.queue);
  }

  std::string operator()(const cancel_consumer& x) const {
    return "cancel consumer " + std::to_string(x.id);
  }
};

} // namespace

std::string to_string(const operation& x) {
  return std::visit(describe{}, x);
}

std::string_view to_string(channel which) noexcept {
  switch (which) {
  case channel::topology:
    return "topology";
  case channel::deliveries:
    return "deliveries";
  case channel::publishing:
    return "publishing";
  }
  return "unknown";
}

bool properties::operator==(const properties& other) const {
  const auto same_others =
      others == other.others || (others && other.others && *others == *other.others);
  return same_others && message_id == other.message_id && timestamp == other.timestamp
         && persistent == other.persistent && expiration == other.expiration
         && position == other.position && headers == other.headers;
}

link_listener::~link_listener() = default;

link_sender::~link_sender() = default;

transport::~transport() = default;

} // namespace actors::amqp
