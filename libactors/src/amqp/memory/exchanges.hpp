#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "actors/amqp/topology.hpp"
#include "actors/ec.hpp"

namespace actors::amqp::memory {

/// Names in RabbitMQ's own name space are not for clients to create.
bool is_reserved(std::string_view name) noexcept;

/// The exchanges of an in-process broker and what is bound to them. The default
/// exchange is not here: it is the queues by their names.
class exchanges {
public:
  /// Holds the predeclared `amq.*` exchanges.
  exchanges();

  failure declare(const exchange& wanted, bool passive);

  bool erase(const std::string& name);

  /// Whether the exchange is there, and clients may bind to it.
  failure check(const std::string& name) const;

  /// Needs an exchange that passed `check`.
  void bind(const binding& x);

  /// Does nothing if there is no such binding.
  void unbind(const binding& x);

  /// Removes all bindings of a queue.
  void unbind_queue(const std::string& queue);

  /// Removes all exchanges that do not survive a restart.
  void keep_durable();

  /// The queues that a message goes to, each once; nothing if the exchange is
  /// missing. The views hold until the next change.
  std::optional<std::vector<std::string_view>> route(const std::string& exchange,
                                                     std::string_view routing_key) const;

  /// All bindings by exchange, queue, routing key.
  std::vector<binding> bindings() const;

private:
  struct entry {
    exchange spec;
    /// Queue names by binding key.
    std::map<std::string, std::set<std::string>, std::less<>> routes;
  };

  using entry_map = std::map<std::string, entry>;

  /// Returns the next exchange.
  entry_map::iterator erase_if_unused(entry_map::iterator i);

  entry_map entries_;
};

} // namespace actors::amqp::memory
