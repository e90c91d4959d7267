#include "settings/subscription_queues.hpp"

#include <cstdint>
#include <utility>

#include "delivery/retry.hpp"

namespace actors {

namespace {

constexpr auto delivery_limit_argument = "x-delivery-limit";

void add_limit(amqp::field_table& out, const char* name, std::int64_t value) {
  if (value > 0)
    out.emplace_back(name, value);
}

/// The type is always stated, because a vhost may have another default type with other limits.
std::string_view type_of(queue_kind x) noexcept {
  return x == queue_kind::quorum ? "quorum" : x == queue_kind::stream ? "stream" : "classic";
}

} // namespace

bool is_kept(const subscription& x) noexcept {
  return x.kind != queue_kind::transient;
}

bool moves_failures(const subscription& x) noexcept {
  return x.ack == ack_policy::on_success
         && (x.error == error_policy::dead_letter || x.error == error_policy::retry);
}

bool share_consumer(const subscription& x, const subscription& y) {
  return x.kind == y.kind && x.prefetch_count == y.prefetch_count && x.no_ack == y.no_ack
         && x.limits == y.limits && x.single_active == y.single_active && x.offset == y.offset
         && moves_failures(x) == moves_failures(y)
         && (!moves_failures(x) || (x.error == y.error && x.retry == y.retry));
}

amqp::queue queue_for(const subscription& x, std::string name) {
  amqp::queue result;
  result.exclusive = name.empty();
  result.name = std::move(name);
  result.durable = is_kept(x);
  result.auto_delete = !is_kept(x);
  auto& arguments = result.arguments;
  if (is_kept(x))
    arguments = {{"x-queue-type", std::string{type_of(x.kind)}}};
  add_limit(arguments, "x-max-length", static_cast<std::int64_t>(x.limits.max_length));
  add_limit(arguments, "x-max-length-bytes", static_cast<std::int64_t>(x.limits.max_length_bytes));
  add_limit(arguments, "x-message-ttl", x.limits.message_ttl.count());
  add_limit(arguments, "x-expires", x.limits.expires.count());
  if (x.kind == queue_kind::quorum)
    arguments.emplace_back(delivery_limit_argument,
                           std::int64_t{x.limits.delivery_limit > 0 ? x.limits.delivery_limit
                                                                    : queue_limits::without_limit});
  if (x.single_active)
    arguments.emplace_back("x-single-active-consumer", true);
  if (has_dead_letters(x) && x.kind != queue_kind::stream)
    for (auto& argument : dead_letter_arguments(result.name))
      arguments.push_back(std::move(argument));
  return result;
}

bool has_dead_letters(const subscription& x) noexcept {
  return moves_failures(x) || x.limits.delivery_limit > 0;
}

std::vector<amqp::queue> companion_queues(const subscription& x, const amqp::queue& queue) {
  std::vector<amqp::queue> result;
  if (!has_dead_letters(x))
    return result;
  if (moves_failures(x) && x.error == error_policy::retry)
    result = retry_queues(queue, x.retry);
  result.push_back(dead_letter_queue(queue));
  return result;
}

} // namespace actors
