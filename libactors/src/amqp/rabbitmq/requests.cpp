#include "amqp/rabbitmq/requests.hpp"

#include <charconv>

#include <amqp_framing.h>

namespace actors::amqp {

namespace {

constexpr std::string_view tag_prefix = "la-";

/// Packs flags in the order of AMQP's bits.
std::uint8_t bits(std::initializer_list<bool> flags) noexcept {
  unsigned result = 0;
  auto next = 0u;
  for (auto flag : flags)
    result |= static_cast<unsigned>(flag) << next++;
  return static_cast<std::uint8_t>(result);
}

struct write_methods {
  frame_writer& out;
  std::uint16_t number;
  /// The name of the request's consumer, if it has one.
  std::string_view tag;

  // AMQP reserves the first number of each method.

  bool operator()(const declare_exchange& wanted) const {
    return out.method_with(number, AMQP_EXCHANGE_DECLARE_METHOD, [&](field_writer& to) {
      to.number(std::uint16_t{0});
      to.short_string(wanted.spec.name);
      to.short_string(to_string(wanted.spec.type));
      to.number(bits({wanted.passive, wanted.spec.durable, wanted.spec.auto_delete}));
      to.table(wanted.spec.arguments);
    });
  }

  bool operator()(const declare_queue& wanted) const {
    return out.method_with(number, AMQP_QUEUE_DECLARE_METHOD, [&](field_writer& to) {
      to.number(std::uint16_t{0});
      to.short_string(wanted.spec.name);
      to.number(bits(
          {wanted.passive, wanted.spec.durable, wanted.spec.exclusive, wanted.spec.auto_delete}));
      to.table(wanted.spec.arguments);
    });
  }

  bool operator()(const delete_queue& x) const {
    amqp_queue_delete_t method{};
    method.queue = bytes_of(x.name);
    return out.method(number, AMQP_QUEUE_DELETE_METHOD, method);
  }

  bool operator()(const bind_queue& wanted) const {
    amqp_queue_bind_t method{};
    method.queue = bytes_of(wanted.spec.queue);
    method.exchange = bytes_of(wanted.spec.exchange);
    method.routing_key = bytes_of(wanted.spec.routing_key);
    return out.method(number, AMQP_QUEUE_BIND_METHOD, method);
  }

  bool operator()(const unbind_queue& wanted) const {
    amqp_queue_unbind_t method{};
    method.queue = bytes_of(wanted.spec.queue);
    method.exchange = bytes_of(wanted.spec.exchange);
    method.routing_key = bytes_of(wanted.spec.routing_key);
    return out.method(number, AMQP_QUEUE_UNBIND_METHOD, method);
  }

  bool operator()(const start_consumer& wanted) const {
    return out.method_with(number, AMQP_BASIC_CONSUME_METHOD, [&](field_writer& to) {
      constexpr auto no_local = false;
      to.number(std::uint16_t{0});
      to.short_string(wanted.spec.queue);
      to.short_string(tag);
      to.number(bits({no_local, wanted.spec.no_ack, wanted.spec.exclusive}));
      to.table(wanted.spec.arguments);
    });
  }

  bool operator()(const cancel_consumer&) const {
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
    return x.spec.name;
  }

  std::string_view operator()(const delete_queue& x) const noexcept {
    return x.name;
  }

  std::string_view operator()(const bind_queue& x) const noexcept {
    return x.spec.queue;
  }

  std::string_view operator()(const unbind_queue& x) const noexcept {
    return x.spec.queue;
  }

  std::string_view operator()(const auto&) const noexcept {
    return {};
  }
};

} // namespace

std::string_view queue_of(const operation& x) {
  return std::visit(named_queue{}, x);
}

std::optional<consumer_id> consumer_of(const operation& x) noexcept {
  if (auto start = std::get_if<start_consumer>(&x))
    return start->spec.id;
  if (auto cancel = std::get_if<cancel_consumer>(&x))
    return cancel->id;
  return std::nullopt;
}

bool write_request(frame_writer& out, std::uint16_t number, const operation& x,
                   std::string_view tag) {
  return std::visit(write_methods{out, number, tag}, x);
}

void write_prefetch(frame_writer& out, std::uint16_t number, std::uint16_t count) {
  amqp_basic_qos_t method{};
  method.prefetch_count = count;
  out.method(number, AMQP_BASIC_QOS_METHOD, method);
}

amqp_method_number_t answer_to(const operation& x) {
  // The number of each answer is that of its request plus one.
  return std::visit(request_method{}, x) + 1;
}

bool is_made_with(const operation& x, amqp_method_number_t method) {
  return method == std::visit(request_method{}, x)
         || (method == AMQP_BASIC_QOS_METHOD && std::holds_alternative<start_consumer>(x));
}

std::string to_tag(const consumer_name& x) {
  auto result = std::string{tag_prefix} + std::to_string(x.id);
  return x.start <= 1 ? result : result + "." + std::to_string(x.start);
}

std::optional<consumer_name> parse_tag(std::string_view text) noexcept {
  if (!text.starts_with(tag_prefix))
    return std::nullopt;
  consumer_name result;
  auto last = text.data() + text.size();
  auto id = std::from_chars(text.data() + tag_prefix.size(), last, result.id);
  if (id.ec != std::errc{} || id.ptr == last)
    return id.ec == std::errc{} ? std::optional{result} : std::nullopt;
  auto start = *id.ptr == '.' ? std::from_chars(id.ptr + 1, last, result.start)
                              : std::from_chars_result{id.ptr, std::errc::invalid_argument};
  return start.ec == std::errc{} && start.ptr == last ? std::optional{result} : std::nullopt;
}

} // namespace actors::amqp
