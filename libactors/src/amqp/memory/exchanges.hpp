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

/// Whether the name is in RabbitMQ's own name space, where clients may create nothing.
bool is_reserved(std::string_view name) noexcept;

/// The exchanges of an in-process broker and their bindings. The default exchange is not among
/// them: its routing keys are the names of queues.
class exchanges {
public:
  /// Creates the predeclared `amq.*` exchanges.
  exchanges();

  failure declare(const exchange& wanted, bool passive);

  bool erase(const std::string& name);

  /// Returns why clients may not bind to the exchange (e.g. it does not exist), if so.
  failure check(const std::string& name) const;

  /// Binds to an exchange that passed `check`.
  void bind(const binding& x);

  /// Does nothing if there is no such binding.
  void unbind(const binding& removed);

  /// Removes all bindings of a queue.
  void unbind_queue(const std::string& queue);

  /// Removes all exchanges that do not survive a restart.
  void keep_durable();

  /// Returns the queues that a message goes to, each once; nothing if the exchange is missing.
  /// The views are valid until the next change.
  std::optional<std::vector<std::string_view>> route(const std::string& exchange,
                                                     std::string_view routing_key) const;

  /// Returns all bindings, sorted by exchange, queue and routing key.
  std::vector<binding> bindings() const;

private:
  struct entry {
    exchange spec;
    /// Queue names by binding key.
    std::map<std::string, std::set<std::string>, std::less<>> routes;
  };

  using entry_map = std::map<std::string, entry>;

  /// Erases an auto-delete exchange without bindings; returns the next exchange.
  entry_map::iterator erase_if_unused(entry_map::iterator i);

  entry_map entries_;
};

} // namespace actors::amqp::memory
