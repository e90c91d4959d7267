#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "actors/amqp/endpoint.hpp"
#include "actors/export.hpp"

namespace actors {

/// As much as both allow.
ACTORS_EXPORT amqp::broker_limits tighten(const amqp::broker_limits& x,
                                          const amqp::broker_limits& y) noexcept;

/// What was found out about the brokers that one endpoint leads to. There may be several,
/// by turns and of different versions, behind a load balancer: what one does not allow is
/// remembered while others answer. A plain value.
class ACTORS_EXPORT endpoint_memory {
public:
  /// A broker that has not answered at so many connections in a row is forgotten.
  static constexpr std::uint64_t patience = 8;

  /// What to heed before it is known who answers: what each of them allows. Transient
  /// queues are for whoever has answered to decide. Nor is a size of messages assumed,
  /// which may have been raised: to learn it again costs a channel.
  amqp::broker_limits assumed() const noexcept;

  /// This broker, by product and version, has answered. Whether it is another one than
  /// all that have done so before.
  bool met(const std::string& broker);

  /// What it was found to allow.
  amqp::broker_limits limits_of(const std::string& broker) const;

  /// It was found to allow this, where these limits were heeded: those of others, perhaps,
  /// so that the difference alone is its own.
  void learned(const std::string& broker, const amqp::broker_limits& heeded,
               const amqp::broker_limits& found);

private:
  struct acquaintance {
    amqp::broker_limits limits;
    /// The number of the connection at which it answered last.
    std::uint64_t last = 0;
  };

  std::map<std::string, acquaintance> brokers_;
  std::uint64_t connections_ = 0;
};

} // namespace actors
