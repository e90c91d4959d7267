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

// -- refusals, worded as RabbitMQ does -------------------------------------------

failure not_found(const std::string& text);

failure access_refused(const std::string& text);

failure resource_locked(const std::string& text);

failure precondition_failed(const std::string& text);

failure not_allowed(const std::string& text);

failure no_route(const std::string& exchange, const std::string& routing_key);

/// Names in RabbitMQ's own name space are not for clients to create.
bool is_reserved(std::string_view name) noexcept;

/// The refusal of a declaration that contradicts what is there, e.g. "exchange
/// 'Trade'" is `entity`.
failure inequivalent(std::string_view argument, const std::string& entity,
                     std::string_view received, std::string_view current);

// -- exchanges --------------------------------------------------------------------

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
    exchange what;
    /// Queue names by binding key.
    std::map<std::string, std::set<std::string>, std::less<>> routes;
  };

  using entry_map = std::map<std::string, entry>;

  /// Returns the next exchange.
  entry_map::iterator erase_if_unused(entry_map::iterator i);

  entry_map entries_;
};

} // namespace actors::amqp::memory
