#include "amqp/memory/arguments.hpp"

#include <algorithm>
#include <charconv>
#include <variant>

#include "amqp/memory/refusals.hpp"
#include "amqp/overloaded.hpp"

namespace actors::amqp::memory {

namespace {

/// RabbitMQ's limit for times, ten years in milliseconds.
constexpr std::int64_t longest_time = 315'360'000'000;

// -- one argument -----------------------------------------------------------------

/// Returns RabbitMQ's name of the value's type.
std::string type_of(const field_value& value) {
  auto visitor = overloaded{
      [](bool) { return "bool"; },
      [](std::int64_t) { return "long"; },
      [](double) { return "double"; },
      [](const opaque_value&) { return "opaque"; },
      [](const std::string&) { return "longstr"; },
  };
  return std::visit(visitor, value);
}

std::string text_of(const field_value& value) {
  auto visitor = overloaded{
      [](bool x) { return std::string{x ? "true" : "false"}; },
      [](const std::string& x) { return x; },
      [](const opaque_value&) { return std::string{"opaque"}; },
      [](auto x) { return std::to_string(x); },
  };
  return std::visit(visitor, value);
}

// Each of the following functions returns the problem of a value, or an empty text.

std::string count(const field_value& x) {
  auto* number = std::get_if<std::int64_t>(&x);
  if (!number)
    return "\"expected integer, got " + type_of(x) + "\"";
  return *number < 0 ? "{value_negative," + text_of(x) + "}" : std::string{};
}

std::string time(const field_value& x) {
  auto problem = count(x);
  if (problem.empty() && std::get<std::int64_t>(x) > longest_time)
    return "{value_too_large," + text_of(x) + "}";
  return problem;
}

std::string time_above_zero(const field_value& x) {
  auto problem = time(x);
  return problem.empty() && std::get<std::int64_t>(x) == 0 ? "{value_zero,0}" : problem;
}

template <class T>
std::string is(const field_value& x) {
  return std::holds_alternative<T>(x) ? std::string{} : "{unacceptable_type," + type_of(x) + "}";
}

std::optional<overflow_policy> parse_overflow(std::string_view text) {
  if (text == "drop-head")
    return overflow_policy::drop_head;
  if (text == "reject-publish")
    return overflow_policy::reject_publish;
  if (text == "reject-publish-dlx")
    return overflow_policy::reject_publish_dlx;
  return std::nullopt;
}

std::optional<queue_kind> parse_kind(std::string_view text) {
  if (text == "classic")
    return queue_kind::classic;
  if (text == "quorum")
    return queue_kind::quorum;
  if (text == "stream")
    return queue_kind::stream;
  return std::nullopt;
}

std::string overflow(const field_value& x) {
  auto problem = is<std::string>(x);
  if (problem.empty() && !parse_overflow(std::get<std::string>(x)))
    return "invalid_overflow";
  return problem;
}

std::string kind(const field_value& x) {
  auto problem = is<std::string>(x);
  if (problem.empty() && !parse_kind(std::get<std::string>(x)))
    return "\"unsupported queue type '" + text_of(x) + "'\"";
  return problem;
}

std::string age(const field_value& x) {
  auto problem = is<std::string>(x);
  return problem.empty() && !parse_age(std::get<std::string>(x)) ? "invalid_max_age" : problem;
}

std::string anything(const field_value&) {
  return {};
}

// -- all arguments ----------------------------------------------------------------

constexpr unsigned on(queue_kind x) {
  return 1U << static_cast<unsigned>(x);
}

constexpr auto classic = on(queue_kind::classic);
constexpr auto quorum = on(queue_kind::quorum);
constexpr auto stream = on(queue_kind::stream);

struct argument {
  std::string_view name;
  /// The kinds of queues that take the argument, as bits.
  unsigned kinds;
  std::string (*problem)(const field_value&);
  /// Whether a second declaration must repeat the argument.
  bool compared;
};

/// RabbitMQ ignores all other arguments.
constexpr argument known_arguments[] = {
    {"x-dead-letter-exchange", classic | quorum, is<std::string>, true},
    {"x-dead-letter-routing-key", classic | quorum, is<std::string>, true},
    {"x-dead-letter-strategy", quorum, is<std::string>, false},
    {"x-delivery-limit", quorum, anything, true},
    {"x-expires", classic | quorum, time_above_zero, true},
    {"x-max-age", stream, age, true},
    {"x-max-length", classic | quorum, count, true},
    {"x-max-length-bytes", classic | quorum | stream, count, true},
    {"x-max-priority", classic, count, true},
    {"x-message-ttl", classic | quorum, time, true},
    {"x-overflow", classic | quorum, overflow, true},
    {"x-queue-mode", classic, is<std::string>, false},
    {"x-queue-type", classic | quorum | stream, kind, true},
    {"x-single-active-consumer", classic | quorum, is<bool>, true},
    {"x-stream-max-segment-size-bytes", stream, count, false},
};

const argument* find_known(std::string_view name) {
  auto i = std::find_if(std::begin(known_arguments), std::end(known_arguments),
                        [&](auto& x) { return x.name == name; });
  return i == std::end(known_arguments) ? nullptr : i;
}

std::string module_of(queue_kind x) {
  switch (x) {
  case queue_kind::classic:
    return "rabbit_classic_queue";
  case queue_kind::quorum:
    return "rabbit_quorum_queue";
  case queue_kind::stream:
    return "rabbit_stream_queue";
  }
  return "";
}

failure invalid(std::string_view argument, const std::string& queue, const std::string& problem) {
  std::string text = "invalid arg '";
  text += argument;
  return precondition_failed(text + "' for " + describe_queue(queue) + problem);
}

failure invalid(std::string_view argument, const std::string& queue, queue_kind kind) {
  return invalid(argument, queue, " of queue type " + module_of(kind));
}

failure check_values(const queue& declared) {
  for (auto& [name, value] : declared.arguments)
    if (auto* known = find_known(name))
      if (auto problem = known->problem(value); !problem.empty())
        return invalid(name, declared.name, ": " + problem);
  constexpr std::string_view key = "x-dead-letter-routing-key";
  if (find_field(declared.arguments, key)
      && !find_field(declared.arguments, "x-dead-letter-exchange"))
    return invalid(key, declared.name, ": routing_key_but_no_dlx_defined");
  return {};
}

failure check_kind(const queue& declared, queue_kind kind) {
  for (auto& [name, value] : declared.arguments)
    if (auto* known = find_known(name); known && (known->kinds & on(kind)) == 0)
      return invalid(name, declared.name, kind);
  if (kind == queue_kind::classic)
    return {};
  auto impossible = [&](const std::string& property) {
    return precondition_failed("invalid property '" + property + "' for "
                               + describe_queue(declared.name));
  };
  if (declared.auto_delete)
    return impossible("auto-delete");
  if (declared.exclusive)
    return impossible("exclusive-owner");
  if (!declared.durable)
    return impossible("non-durable");
  return {};
}

queue_kind kind_of(const queue& x) {
  auto* text = find_field(x.arguments, "x-queue-type");
  return text ? *parse_kind(std::get<std::string>(*text)) : queue_kind::classic;
}

// -- a second declaration -----------------------------------------------------------

/// Words a value of two that differ, as RabbitMQ does; `both` says whether both are set.
std::string one_of_two(const field_value* x, bool both) {
  if (!x)
    return "none";
  auto text = "'" + text_of(*x) + "'";
  return both ? text : "the value " + text + " of type '" + type_of(*x) + "'";
}

failure compare_arguments(const queue& wanted, const queue& current) {
  const field_value plain = std::string{"classic"};
  for (auto& known : known_arguments) {
    if (!known.compared)
      continue;
    auto* received = find_field(wanted.arguments, known.name);
    auto* kept = find_field(current.arguments, known.name);
    auto both = received && kept;
    if (known.name == "x-queue-type" && !both) {
      auto* given = received ? received : kept;
      if (!given || *given == plain)
        continue;
    }
    if ((received || kept) && !(both && *received == *kept))
      return inequivalent(known.name, describe_queue(wanted.name), one_of_two(received, both),
                          one_of_two(kept, both));
  }
  return {};
}

} // namespace

failure check(const queue& x) {
  auto problem = check_values(x);
  return problem ? problem : check_kind(x, kind_of(x));
}

failure check(const consumer& x, queue_kind kind) {
  constexpr std::string_view offset = "x-stream-offset";
  if (kind != queue_kind::stream && find_field(x.arguments, offset))
    return invalid(offset, x.queue, kind);
  return {};
}

queue_rules rules_of(const queue& declared) {
  auto find = [&](std::string_view name) { return find_field(declared.arguments, name); };
  auto number = [&](std::string_view name) -> std::optional<std::int64_t> {
    auto* value = find(name);
    auto* result = value ? std::get_if<std::int64_t>(value) : nullptr;
    return result ? std::optional{*result} : std::nullopt;
  };
  auto time = [&](std::string_view name) -> std::optional<std::chrono::milliseconds> {
    auto value = number(name);
    return value ? std::optional{std::chrono::milliseconds{*value}} : std::nullopt;
  };
  auto size = [&](std::string_view name) -> std::optional<std::size_t> {
    auto value = number(name);
    return value ? std::optional{static_cast<std::size_t>(*value)} : std::nullopt;
  };
  auto text = [&](std::string_view name) -> std::optional<std::string> {
    auto* value = find(name);
    return value ? std::optional{std::get<std::string>(*value)} : std::nullopt;
  };
  queue_rules result;
  result.kind = kind_of(declared);
  result.message_ttl = time("x-message-ttl");
  result.expires = time("x-expires");
  result.dead_letter_exchange = text("x-dead-letter-exchange");
  result.dead_letter_routing_key = text("x-dead-letter-routing-key");
  result.max_length = size("x-max-length");
  result.max_length_bytes = size("x-max-length-bytes");
  result.delivery_limit = number("x-delivery-limit");
  if (auto policy = text("x-overflow"))
    result.overflow = *parse_overflow(*policy);
  // A quorum queue accepts this policy, but drops the oldest message instead.
  if (result.kind == queue_kind::quorum && result.overflow == overflow_policy::reject_publish_dlx)
    result.overflow = overflow_policy::drop_head;
  return result;
}

failure compare(const queue& wanted, const queue& current) {
  auto entity = describe_queue(wanted.name);
  auto text = [](bool x) { return x ? "'true'" : "'false'"; };
  if (wanted.durable != current.durable)
    return inequivalent("durable", entity, text(wanted.durable), text(current.durable));
  if (wanted.auto_delete != current.auto_delete)
    return inequivalent("auto_delete", entity, text(wanted.auto_delete), text(current.auto_delete));
  return compare_arguments(wanted, current);
}

std::optional<std::chrono::seconds> parse_age(std::string_view text) {
  constexpr std::pair<char, std::int64_t> units[] = {
      {'Y', 365 * 86'400}, {'M', 30 * 86'400}, {'D', 86'400}, {'h', 3'600}, {'m', 60}, {'s', 1},
  };
  std::int32_t number = 0;
  auto* last = text.data() + text.size();
  auto [end, error] = std::from_chars(text.data(), last, number);
  if (error != std::errc{} || number < 0 || end == last || end + 1 != last)
    return std::nullopt;
  for (auto& [name, seconds] : units)
    if (name == *end)
      return std::chrono::seconds{std::min(number * seconds, longest_time / 1'000)};
  return std::nullopt;
}

} // namespace actors::amqp::memory
