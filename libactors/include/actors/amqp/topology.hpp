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

/// The value of an AMQP field that is a table, a list or anything else that is none of
/// our types, as AMQP encodes it: a copy of a message carries it on as it came.
struct opaque_value {
  /// AMQP's letter for the type, e.g. 'A' for a list, 'F' for a table.
  char kind = 'V';
  std::string bytes;

  bool operator==(const opaque_value&) const = default;
};

/// The value of an AMQP argument or header.
using field_value = std::variant<bool, std::int64_t, double, std::string, opaque_value>;

/// An AMQP field table. Order is kept.
using field_table = std::vector<std::pair<std::string, field_value>>;

/// The fields of a nested table; nothing, if it is none or malformed.
ACTORS_EXPORT std::optional<field_table> as_table(const opaque_value& x);

/// The values of a list; nothing, if it is none or malformed.
ACTORS_EXPORT std::optional<std::vector<field_value>> as_list(const opaque_value& x);

enum class exchange_type : std::uint8_t { topic, fanout, direct, headers };

ACTORS_EXPORT std::string_view to_string(exchange_type x) noexcept;

/// An exchange as we want it on the broker.
struct exchange {
  std::string name;
  exchange_type type = exchange_type::topic;
  bool durable = false;
  bool auto_delete = false;
  field_table arguments = {};

  bool operator==(const exchange&) const = default;
};

/// A queue as we want it on the broker. An empty name asks the broker for one.
struct queue {
  std::string name;
  bool durable = false;
  bool exclusive = false;
  bool auto_delete = true;
  field_table arguments = {};

  bool operator==(const queue&) const = default;
};

/// Routes what arrives at an exchange with a matching routing key to a queue.
struct binding {
  std::string exchange;
  std::string queue;
  std::string routing_key;

  bool operator==(const binding&) const = default;
};

/// Names a consumer within one event center, over all reconnects.
using consumer_id = std::uint32_t;

/// A consumer of a queue.
struct consumer {
  consumer_id id = 0;
  std::string queue;
  /// How many unacknowledged deliveries the broker may have in flight to this
  /// consumer; 0 is without limit. Has no effect with `no_ack`.
  std::uint16_t prefetch_count = 1;
  bool no_ack = false;
  bool exclusive = false;
  /// For a stream, `x-stream-offset` says where it begins: "first", "last",
  /// "next", an offset, or an age as "1h". A stream needs a prefetch count and
  /// acknowledgements.
  field_table arguments = {};
  /// Consumers of one group share a channel, so what the broker closes it for costs all
  /// of them; those of different groups never do. 0 is the group of most, which takes
  /// several channels where the broker allows few consumers on one.
  std::uint32_t group = 0;

  bool operator==(const consumer&) const = default;
};

} // namespace actors::amqp
