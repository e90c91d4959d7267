#include "amqp/rabbitmq_requests.hpp"

#include <charconv>

#include <amqp_framing.h>

namespace actors::amqp {

namespace {

constexpr std::string_view tag_prefix = "la-";

struct write_methods {
  frame_writer& out;
  std::uint16_t number;

  bool operator()(const declare_exchange& x) const {
    table_view arguments{x.what.arguments};
    amqp_exchange_declare_t method{};
    method.exchange = bytes_of(x.what.name);
    method.type = bytes_of(to_string(x.what.type));
    method.passive = x.passive;
    method.durable = x.what.durable;
    method.auto_delete = x.what.auto_delete;
    method.arguments = arguments.get();
    return out.method(number, AMQP_EXCHANGE_DECLARE_METHOD, method);
  }

  bool operator()(const declare_queue& x) const {
    table_view arguments{x.what.arguments};
    amqp_queue_declare_t method{};
    method.queue = bytes_of(x.what.name);
    method.passive = x.passive;
    method.durable = x.what.durable;
    method.exclusive = x.what.exclusive;
    method.auto_delete = x.what.auto_delete;
    method.arguments = arguments.get();
    return out.method(number, AMQP_QUEUE_DECLARE_METHOD, method);
  }

  bool operator()(const delete_queue& x) const {
    amqp_queue_delete_t method{};
    method.queue = bytes_of(x.name);
    return out.method(number, AMQP_QUEUE_DELETE_METHOD, method);
  }

  bool operator()(const bind_queue& x) const {
    amqp_queue_bind_t method{};
    method.queue = bytes_of(x.what.queue);
    method.exchange = bytes_of(x.what.exchange);
    method.routing_key = bytes_of(x.what.routing_key);
    return out.method(number, AMQP_QUEUE_BIND_METHOD, method);
  }

  bool operator()(const unbind_queue& x) const {
    amqp_queue_unbind_t method{};
    method.queue = bytes_of(x.what.queue);
    method.exchange = bytes_of(x.what.exchange);
    method.routing_key = bytes_of(x.what.routing_key);
    return out.method(number, AMQP_QUEUE_UNBIND_METHOD, method);
  }

  bool operator()(const start_consumer& x) const {
    auto tag = consumer_tag(x.what.id);
    table_view arguments{x.what.arguments};
    amqp_basic_consume_t method{};
    method.queue = bytes_of(x.what.queue);
    method.consumer_tag = bytes_of(tag);
    method.no_ack = x.what.no_ack;
    method.exclusive = x.what.exclusive;
    method.arguments = arguments.get();
    return out.method(number, AMQP_BASIC_CONSUME_METHOD, method);
  }

  bool operator()(const cancel_consumer& x) const {
    auto tag = consumer_tag(x.id);
    amqp_basic_cancel_t method{};
    method.consumer_tag = bytes_of(tag);
    return out.method(number, AMQP_BASIC_CANCEL_METHOD, method);
  }
};

struct request_method {
  amqp_method_number_t operator()(const declare_exchange&) const noexcept {
    return AMQP_EXCHANGE_DECLARE_METHOD;
  }

  amqp_method_number_t operator()(const declare_queue&) const noexcept {
    return AMQP_QUEUE_DECLARE_METHOD;
  }

  amqp_method_number_t operator()(const delete_queue&) const noexcept {
    return AMQP_QUEUE_DELETE_METHOD;
  }

  amqp_method_number_t operator()(const bind_queue&) const noexcept {
    return AMQP_QUEUE_BIND_METHOD;
  }

  amqp_method_number_t operator()(const unbind_queue&) const noexcept {
    return AMQP_QUEUE_UNBIND_METHOD;
  }

  amqp_method_number_t operator()(const start_consumer&) const noexcept {
    return AMQP_BASIC_CONSUME_METHOD;
  }

  amqp_method_number_t operator()(const cancel_consumer&) const noexcept {
    return AMQP_BASIC_CANCEL_METHOD;
  }
};

struct named_queue {
  std::string_view operator()(const declare_queue& x) const noexcept {
    return x.what.name;
  }

  std::string_view operator()(const delete_queue& x) const noexcept {
    return x.name;
  }

  std::string_view operator()(const bind_queue& x) const noexcept {
    return x.what.queue;
  }

  std::string_view operator()(const unbind_queue& x) const noexcept {
    return x.what.queue;
  }

  std::string_view operator()(const auto&) const noexcept {
    return {};
  }
};

} // namespace

channel channel_of(const operation& x) noexcept {
  auto consumes =
      std::holds_alternative<start_consumer>(x) || std::holds_alternative<cancel_consumer>(x);
  return consumes ? channel::deliveries : channel::topology;
}

std::string_view queue_of(const operation& x) {
  return std::visit(named_queue{}, x);
}

bool write_request(frame_writer& out, std::uint16_t number, const operation& x) {
  return std::visit(write_methods{out, number}, x);
}

void write_prefetch(frame_writer& out, std::uint16_t count) {
  amqp_basic_qos_t method{};
  method.prefetch_count = count;
  out.method(number_of(channel::deliveries), AMQP_BASIC_QOS_METHOD, method);
}

amqp_method_number_t answer_to(const operation& x) {
  // AMQP numbers each answer one after its request.
  return std::visit(request_method{}, x) + 1;
}

bool is_made_with(const operation& x, amqp_method_number_t method) {
  return method == std::visit(request_method{}, x)
         || (method == AMQP_BASIC_QOS_METHOD && std::holds_alternative<start_consumer>(x));
}

std::string consumer_tag(consumer_id x) {
  return std::string{tag_prefix} + std::to_string(x);
}

std::optional<consumer_id> parse_consumer_tag(std::string_view text) noexcept {
  if (!text.starts_with(tag_prefix))
    return std::nullopt;
  text.remove_prefix(tag_prefix.size());
  consumer_id result = 0;
  auto last = text.data() + text.size();
  auto [end, error] = std::from_chars(text.data(), last, result);
  if (error != std::errc{} || end != last)
    return std::nullopt;
  return result;
}

} // namespace actors::amqp
