#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "actors/export.hpp"

namespace actors::amqp {

/// An AMQP field value without a type of its own here, such as a table or a list, in AMQP's
/// encoding. Copies of a message carry the value on unchanged.
struct opaque_value {
  /// AMQP's letter for the type, e.g. 'A' for a list, 'F' for a table.
  char kind = 'V';
  std::string bytes;

  bool operator==(const opaque_value&) const = default;
};

/// The value of an AMQP argument or header.
using field_value = std::variant<bool, std::int64_t, double, std::string, opaque_value>;

/// An AMQP field table, which keeps its order.
using field_table = std::vector<std::pair<std::string, field_value>>;

/// Returns the fields of a nested table, or nothing if the value is malformed or no table.
ACTORS_EXPORT std::optional<field_table> as_table(const opaque_value& x);

/// Returns the values of a list, or nothing if the value is malformed or no list.
ACTORS_EXPORT std::optional<std::vector<field_value>> as_list(const opaque_value& x);

enum class exchange_type : std::uint8_t { topic, fanout, direct, headers };

ACTORS_EXPORT std::string_view to_string(exchange_type x) noexcept;

/// An exchange to declare on the broker.
struct exchange {
  std::string name;
  exchange_type type = exchange_type::topic;
  bool durable = false;
  bool auto_delete = false;
  field_table arguments = {};

  bool operator==(const exchange&) const = default;
};

/// A queue to declare on the broker. If the name is empty, the broker makes one.
struct queue {
  std::string name;
  bool durable = false;
  bool exclusive = false;
  bool auto_delete = true;
  field_table arguments = {};

  bool operator==(const queue&) const = default;
};

/// A route from an exchange to a queue, for messages with a matching routing key.
struct binding {
  std::string exchange;
  std::string queue;
  std::string routing_key;

  bool operator==(const binding&) const = default;
};

/// The id of a consumer within one event center, which stays the same over reconnects.
using consumer_id = std::uint32_t;

/// A consumer of a queue.
struct consumer {
  consumer_id id = 0;
  std::string queue;
  /// How many unacknowledged deliveries the broker may have in flight to this
  /// consumer; 0 is without limit. No effect with `no_ack`.
  std::uint16_t prefetch_count = 1;
  bool no_ack = false;
  bool exclusive = false;
  /// AMQP arguments. For a stream, `x-stream-offset` is the position where reading begins:
  /// "first", "last", "next", an offset, or an age such as "1h". A stream needs a prefetch count
  /// and acknowledgements.
  field_table arguments = {};
  /// The group of consumers that share a channel, and so are all lost if the broker closes the
  /// channel. Different groups never share one. Group 0, the usual one, takes several channels
  /// if the broker allows only few consumers on each.
  std::uint32_t group = 0;

  bool operator==(const consumer&) const = default;
};

} // namespace actors::amqp
