#pragma once

#include <charconv>
#include <compare>
#include <string_view>

namespace actors::testing {

/// The version of a RabbitMQ. Where brokers differ, a test says by it which answer is whose.
struct broker_version {
  int major = 0;
  int minor = 0;

  auto operator<=>(const broker_version&) const = default;

  /// The first number with a dot in a text, as "RabbitMQ 4.3.6".
  static broker_version of(std::string_view text) {
    constexpr std::string_view digits = "0123456789";
    broker_version result;
    auto first = text.find_first_of(digits);
    if (first == std::string_view::npos)
      return result;
    auto* end = text.data() + text.size();
    auto [dot, problem] = std::from_chars(text.data() + first, end, result.major);
    if (problem == std::errc{} && dot != end && *dot == '.')
      std::from_chars(dot + 1, end, result.minor);
    return result;
  }
};

/// Sorts headers of messages, counts returns of messages to a quorum queue otherwise, and
/// takes back messages of a stream.
constexpr broker_version rabbitmq_4{4, 0};

/// Tells messages that a handler failed with from those that are only given back, and has
/// exchanges that are not durable back after a crash, with their bindings.
constexpr broker_version rabbitmq_4_3{4, 3};

} // namespace actors::testing
