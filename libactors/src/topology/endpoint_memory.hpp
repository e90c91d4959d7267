#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "actors/amqp/endpoint.hpp"
#include "actors/export.hpp"

namespace actors {

/// Returns the stricter of two limits in each field.
ACTORS_EXPORT amqp::broker_limits tighten(const amqp::broker_limits& one,
                                          const amqp::broker_limits& other) noexcept;

/// Remembers the limits of the brokers behind one endpoint. A load balancer may lead to several
/// brokers, by turns and of different versions: the limits of one are remembered while others
/// answer. A plain value.
class ACTORS_EXPORT endpoint_memory {
public:
  /// A broker that has not answered at this many connections in a row is forgotten.
  static constexpr std::uint64_t patience = 8;

  /// Returns the limits to heed before the broker is known: the strictest of all known brokers.
  /// Transient queues are left to the broker that answers. The limit of message sizes is left out,
  /// as it may have been raised: a new lesson costs only a channel.
  amqp::broker_limits assumed() const noexcept;

  /// A broker, by product and version, has answered. Returns whether brokers are remembered, but
  /// not this one.
  bool met(const std::string& broker);

  /// Returns the limits that this broker was found to have.
  amqp::broker_limits limits_of(const std::string& broker) const;

  /// Records the limits found at a broker while the limits `heeded` applied: those may be of other
  /// brokers, so only the difference is recorded for this one.
  void learned(const std::string& broker, const amqp::broker_limits& heeded,
               const amqp::broker_limits& found);

private:
  struct acquaintance {
    amqp::broker_limits limits;
    /// The number of the connection at which the broker answered last.
    std::uint64_t last = 0;
  };

  std::map<std::string, acquaintance> brokers_;
  std::uint64_t connections_ = 0;
};

} // namespace actors
