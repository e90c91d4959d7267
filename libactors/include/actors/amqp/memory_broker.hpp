#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "actors/amqp/topology.hpp"
#include "actors/ec.hpp"
#include "actors/export.hpp"

namespace actors::amqp {

/// What RabbitMQs of different versions and settings do otherwise. RabbitMQ 3.10, if
/// nothing else is said.
struct ACTORS_EXPORT memory_semantics {
  /// As Debian has it: what it deprecates is still permitted.
  static memory_semantics rabbitmq_4_3();

  /// As links are told it.
  std::string version = "3.10";
  /// How often a message may come back to a quorum queue whose declaration does not say;
  /// nothing is without limit. Then `x-delivery-limit` -1 is without limit too.
  std::optional<std::int64_t> delivery_limit;
  /// Whether a message that is only given back (`settlement::verdict::release`) counts
  /// towards the delivery limit, as one that a handler failed with does.
  bool counts_releases = true;
  /// Whether giving back a message of a stream ends the link; else it acknowledges.
  bool streams_take_acks_only = true;
  /// Whether queues may be declared that are neither durable nor exclusive.
  bool transient_queues = true;
  /// Consumers of one channel; 0 is without limit. One more ends the link, unless its
  /// endpoint knows of the limit.
  std::uint32_t consumers_per_channel = 0;
  /// The largest body, in bytes.
  std::size_t max_message_size = 134'217'728;

  bool operator==(const memory_semantics&) const = default;
};

/// A broker inside the process, with the semantics of AMQP 0-9-1 as RabbitMQ
/// has them (which one: `memory_semantics`): topic, fanout and direct exchanges, the default
/// exchange and the predeclared `amq.*`, named and server-named queues, auto-delete, exclusive,
/// prefetch, acknowledgement, requeue with the redelivered flag, round robin
/// among consumers, no_ack, returns of unroutable messages, publisher
/// confirms, consumer cancel.
///
/// Queues are classic, quorum or stream (`x-queue-type`). These arguments have
/// their effect: `x-message-ttl`, `x-expires`, `x-dead-letter-exchange`,
/// `x-dead-letter-routing-key`, `x-max-length`, `x-max-length-bytes`,
/// `x-overflow`, `x-delivery-limit`, and `x-stream-offset` of a consumer. Others
/// that RabbitMQ knows are checked and compared, but have none. What RabbitMQ
/// adds to messages are the headers `x-first-death-*`, `x-delivery-count` and
/// `x-stream-offset`; `x-death` is not there, as a field table here has no
/// arrays.
///
/// Nothing is stored on disk: durable entities survive `restart`, the messages
/// in them if persistent, those of quorum queues and streams in any case.
///
/// Links call it from any thread. Every event is raised before the call that
/// caused it returns, in the caller's thread, so that tests on a deterministic
/// scheduler see no other thread. With `time_source::system` there is one more:
/// what time brings about (messages and queues that expire) happens on a thread
/// of the broker's own, which is started with the first deadline, sleeps until
/// the next and ends with the broker. A call that is due later does it as well.
class ACTORS_EXPORT memory_broker {
public:
  enum class time_source : std::uint8_t {
    /// Time passes by `advance` alone.
    manual,
    system,
  };

  explicit memory_broker(time_source time = time_source::manual, memory_semantics semantics = {});

  explicit memory_broker(memory_semantics semantics);

  ~memory_broker();

  memory_broker(const memory_broker&) = delete;
  memory_broker& operator=(const memory_broker&) = delete;

  /// The broker of this process behind the URL `memory:NAME`, with the system's
  /// time. It lives as long as somebody holds it.
  static std::shared_ptr<memory_broker> named(const std::string& name);

  /// Lets manual time pass: what is due on the way happens in its order, before
  /// this returns.
  void advance(std::chrono::milliseconds by);

  // -- faults, for tests --------------------------------------------------------

  /// Ends all links with the given reason, as `close_all_connections` does.
  void drop_links(ec reason = ec::connection_lost);

  /// Drops all links and all that is not durable.
  void restart();

  /// Refuses new links with the given reason until `accept`.
  void refuse_links(ec reason = ec::connect_failed);

  void accept_links();

  /// From now on nothing happens and nothing is answered, even if it is due:
  /// calls are queued until `resume` carries them out in order. A link that is dropped or
  /// closed meanwhile loses its queued calls.
  void stall();

  void resume();

  /// Tells all publishing links, and those to come, that the broker takes no
  /// publications; publications are queued until `unblock`.
  void block(std::string reason);

  void unblock();

  /// Refuses the next request whose entity (exchange or queue) has this name.
  void refuse_next(std::string entity, ec reason);

  /// Puts the next message that is published to this queue in twice, as if its
  /// publisher had sent it again.
  void duplicate_next(std::string queue);

  /// Confirms the next messages that are published, and loses them.
  void lose_next(std::size_t messages);

  /// While it is on, messages stay in their queues, and all else goes on.
  void delay_deliveries(bool on);

  /// Loses all consumers of a queue and tells nobody; gives back how many. Their
  /// links go on to believe in them: they can be cancelled, and what they hold
  /// can be settled.
  std::size_t forget_consumers(const std::string& queue);

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
  friend class memory_link;

  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace actors::amqp
