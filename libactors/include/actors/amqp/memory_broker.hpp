#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "actors/amqp/transport.hpp"

namespace actors::amqp {

/// A broker inside the process, with the semantics of AMQP 0-9-1 as RabbitMQ
/// has them: topic, fanout and direct exchanges, the default exchange and the
/// predeclared `amq.*`, named and server-named queues, auto-delete, exclusive,
/// prefetch, acknowledgement, requeue with the redelivered flag, round robin
/// among consumers, no_ack, returns of unroutable messages, publisher
/// confirms, consumer cancel. Nothing is stored on disk: durable entities
/// survive `restart`, the messages in them if persistent. The arguments of
/// queues are compared on a second declaration, but have no effect.
///
/// Links call it from any thread. Every event is raised before the call that
/// caused it returns, in the caller's thread, so that tests on a deterministic
/// scheduler see no other thread.
class memory_broker {
public:
  memory_broker();

  ~memory_broker();

  memory_broker(const memory_broker&) = delete;
  memory_broker& operator=(const memory_broker&) = delete;

  /// The broker of this process behind the URL `memory:NAME`. It lives as long
  /// as somebody holds it.
  static std::shared_ptr<memory_broker> named(const std::string& name);

  // -- faults, for tests --------------------------------------------------------

  /// Ends all links with the given reason, as `close_all_connections` does.
  void drop_links(ec reason = ec::connection_lost);

  /// Drops all links and all that is not durable.
  void restart();

  /// Refuses new links with the given reason until `accept`.
  void refuse_links(ec reason = ec::connect_failed);

  void accept_links();

  /// From now on nothing happens and nothing is answered: calls are queued
  /// until `resume` carries them out in order. A link that is dropped or
  /// closed meanwhile loses its queued calls.
  void stall();

  void resume();

  /// Tells all publishing links, and those to come, that the broker takes no
  /// publications; publications are queued until `unblock`.
  void block(std::string reason);

  void unblock();

  /// Refuses the next request whose entity (exchange or queue) has this name.
  void refuse_next(std::string entity, ec reason);

  /// Deletes a queue as an operator would: its consumers are cancelled.
  bool delete_queue(const std::string& name);

  bool delete_exchange(const std::string& name);

  // -- inspection ---------------------------------------------------------------

  struct queue_info {
    std::string name;
    std::size_t ready = 0;
    std::size_t unacked = 0;
    std::size_t consumers = 0;
  };

  /// All queues, by name.
  std::vector<queue_info> queues() const;

  /// All bindings to exchanges with a name, by exchange, queue, routing key.
  std::vector<binding> bindings() const;

  std::size_t links() const;

private:
  friend class memory_transport;

  struct impl;
  std::unique_ptr<impl> impl_;
};

/// A link to an in-process broker.
transport_ptr make_memory_transport(std::shared_ptr<memory_broker> broker);

} // namespace actors::amqp
