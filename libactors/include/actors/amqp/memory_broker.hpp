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

/// The behaviour that differs between versions and settings of RabbitMQ. The defaults are those of
/// RabbitMQ 3.10.
struct ACTORS_EXPORT memory_semantics {
  /// RabbitMQ 4.3 as Debian configures it: deprecated features are still permitted.
  static memory_semantics rabbitmq_4_3();

  /// The version that the broker reports to links.
  std::string version = "3.10";
  /// How often a message may come back to a quorum queue whose declaration sets no limit; unset
  /// is without limit. If set, a queue with `x-delivery-limit` -1 is without limit.
  std::optional<std::int64_t> delivery_limit;
  /// Whether a message that is only given back (`settlement::verdict::release`) counts towards
  /// the delivery limit, as a message does whose handler failed.
  bool counts_releases = true;
  /// Whether giving back a message of a stream ends the link; if not, the message is acknowledged.
  bool streams_take_acks_only = true;
  /// Whether queues that are neither durable nor exclusive may be declared.
  bool transient_queues = true;
  /// The number of consumers per channel; 0 is without limit. One more consumer ends the link,
  /// unless the link's endpoint knows the limit.
  std::uint32_t consumers_per_channel = 0;
  /// The largest body, in bytes.
  std::size_t max_message_size = 134'217'728;

  bool operator==(const memory_semantics&) const = default;
};

/// A broker inside the process with RabbitMQ's semantics of AMQP 0-9-1 (`memory_semantics` selects
/// the version): topic, fanout and direct exchanges, the default exchange and the predeclared
/// `amq.*`, named and server-named queues, auto-delete, exclusive, prefetch, acknowledgement,
/// requeue with the redelivered flag, round robin among consumers, no_ack, returns of unroutable
/// messages, publisher confirms, consumer cancel.
///
/// Queues are classic, quorum or stream (`x-queue-type`). The broker supports these arguments:
/// `x-message-ttl`, `x-expires`, `x-dead-letter-exchange`, `x-dead-letter-routing-key`,
/// `x-max-length`, `x-max-length-bytes`, `x-overflow`, `x-delivery-limit`, and the consumer's
/// `x-stream-offset`. Other arguments that RabbitMQ knows are checked and compared, but have no
/// effect. The broker adds RabbitMQ's headers `x-first-death-*`, `x-delivery-count` and
/// `x-stream-offset` to messages, but not `x-death`, because a field table here has no arrays.
///
/// Nothing is stored on disk. Durable entities survive `restart`, together with persistent
/// messages in classic queues and all messages in quorum queues and streams.
///
/// Links call the broker from any thread. Every event is raised in the caller's thread before
/// the call that caused the event returns, so that tests on a deterministic scheduler see no other
/// thread. With `time_source::system` the broker has a thread of its own, on which messages and
/// queues expire. That thread starts with the first deadline, sleeps until the next one, and ends
/// with the broker; a call that comes after a deadline also handles the expiry.
class ACTORS_EXPORT memory_broker {
public:
  enum class time_source : std::uint8_t {
    /// Time passes only by `advance`.
    manual,
    system,
  };

  explicit memory_broker(time_source time = time_source::manual, memory_semantics semantics = {});

  explicit memory_broker(memory_semantics semantics);

  ~memory_broker();

  memory_broker(const memory_broker&) = delete;
  memory_broker& operator=(const memory_broker&) = delete;

  /// Returns this process's broker for the URL `memory:NAME`, with the system's time. The broker
  /// lives while somebody holds the pointer.
  static std::shared_ptr<memory_broker> named(const std::string& name);

  /// Lets manual time pass. All events due in that time happen in order before `advance` returns.
  void advance(std::chrono::milliseconds by);

  // -- faults, for tests --------------------------------------------------------

  /// Ends all links with the given reason, as `close_all_connections` does.
  void drop_links(ec reason = ec::connection_lost);

  /// Drops all links, and all entities and messages that are not durable.
  void restart();

  /// Refuses new links with the given reason until `accept_links`.
  void refuse_links(ec reason = ec::connect_failed);

  void accept_links();

  /// Stops all activity and all answers, even expiries that are due. Calls are queued until
  /// `resume` carries them out in order. A link that is dropped or closed meanwhile loses its
  /// queued calls.
  void stall();

  void resume();

  /// Takes no publications. Each link is told so when it publishes, as by RabbitMQ.
  /// Publications are queued until `unblock`.
  void block(std::string reason);

  void unblock();

  /// Refuses the next request whose entity (exchange or queue) has this name.
  void refuse_next(std::string entity, ec reason);

  /// Puts the next message for this queue in twice, as if its publisher had sent the message
  /// again.
  void duplicate_next(std::string queue);

  /// Confirms the next published messages, but loses them.
  void lose_next(std::size_t messages);

  /// Keeps messages in their queues while `on`; everything else continues.
  void delay_deliveries(bool on);

  /// Loses all consumers of a queue without telling anyone, and returns their number. Links still
  /// take these consumers for alive: links can cancel them and settle their deliveries.
  std::size_t forget_consumers(const std::string& queue);

  /// Deletes a queue as an operator would: the queue's consumers are cancelled.
  bool delete_queue(const std::string& name);

  bool delete_exchange(const std::string& name);

  // -- inspection ---------------------------------------------------------------

  struct queue_info {
    std::string name;
    std::size_t ready = 0;
    std::size_t unacked = 0;
    std::size_t consumers = 0;
  };

  /// All queues, sorted by name.
  std::vector<queue_info> queues() const;

  /// All bindings except those of the default exchange, sorted by exchange, queue, routing key.
  std::vector<binding> bindings() const;

  std::size_t links() const;

private:
  friend class memory_link;

  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace actors::amqp
