#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "actors/amqp/endpoint.hpp"
#include "actors/amqp/topology.hpp"
#include "actors/ec.hpp"
#include "actors/export.hpp"
#include "runtime/run_queue.hpp"

/// The only interface to a broker. RabbitMQ (`rabbitmq/transport.hpp`), a relay
/// (`relay/transport.hpp`) and the in-process `memory_broker` (`memory/transport.hpp`) implement
/// it; one conformance suite runs on all three.
namespace actors::amqp {

// -- messages -------------------------------------------------------------------

/// The place of a message in its stream, which is one publisher's messages to one exchange with
/// one routing key. The position travels as the header `x-la`, a long string
/// "{epoch}:{sequence}" in decimal.
struct stream_position {
  /// Microseconds since 1970 at the start of the publisher, so that each start has a higher
  /// epoch; the lowest 12 bits are random, so that publishers that start together have different
  /// epochs.
  std::uint64_t epoch = 0;
  /// Counts messages from 1 within epoch, exchange and routing key.
  std::uint64_t sequence = 0;

  bool operator==(const stream_position&) const = default;
};

/// The AMQP properties that libactors neither needs nor changes; copies of a message keep them.
/// `user_id` is left out, because a broker accepts only the name of its own user there.
struct other_properties {
  std::string content_type;
  std::string content_encoding;
  std::string correlation_id;
  std::string reply_to;
  std::string type;
  std::string app_id;
  std::optional<std::uint8_t> priority;

  bool operator==(const other_properties&) const = default;
};

/// The AMQP properties of a message.
struct properties {
  std::string message_id;
  /// Seconds since 1970, 0 is absent.
  std::uint64_t timestamp = 0;
  bool persistent = false;
  /// How long a queue keeps the message; 0 is absent. A publication that waits longer is not
  /// sent.
  std::chrono::milliseconds expiration{0};
  std::optional<stream_position> position;
  /// All other headers.
  field_table headers;
  /// Null if the message has no such properties.
  std::shared_ptr<const other_properties> others;

  bool operator==(const properties& other) const;
};

/// A message body that is shared, never changed.
using body_ptr = std::shared_ptr<const std::string>;

/// A message on its way to the broker.
struct publication {
  /// The sender's ascending number for the message, which comes back in
  /// `link_listener::confirmed`.
  std::uint64_t id = 0;
  std::string exchange;
  std::string routing_key;
  /// The subject of the event beyond its routing key (`subject_of`); not sent.
  std::string subject = {};
  amqp::properties properties;
  body_ptr body;
  /// Whether the broker returns the message (`link_listener::returned`) if no queue takes it.
  bool mandatory = false;
  /// Whether `check` has passed the message already, so that a link need not repeat it. Not
  /// sent.
  bool checked = false;
  /// The durability with which to declare the exchange, if nothing has declared it yet. Not
  /// sent.
  std::optional<bool> durable_exchange = {};
};

/// A message on its way to a consumer.
struct delivery {
  consumer_id consumer = 0;
  std::uint64_t tag = 0;
  bool redelivered = false;
  std::string exchange;
  std::string routing_key;
  amqp::properties properties;
  std::string body;
  /// The reason, if properties or body exceed the limits of a link; both are empty then.
  std::shared_ptr<const failure> unreadable = {};
};

/// The outcome of a delivery. `multiple` includes all earlier unsettled deliveries. Deliveries
/// of a stream can only be acknowledged, which makes room for more; any other verdict ends the
/// link (`ec::not_implemented`).
struct settlement {
  enum class verdict : std::uint8_t {
    ack,
    /// The handler failed: the message goes back to its queue (basic.reject) and counts towards
    /// a delivery limit.
    requeue,
    /// The message is dropped or dead-lettered.
    reject,
    /// The message goes back untouched (basic.nack); RabbitMQ 4.3 does not count that.
    release,
  };

  std::uint64_t tag = 0;
  verdict outcome = verdict::ack;
  bool multiple = false;

  bool operator==(const settlement&) const = default;
};

// -- requests -------------------------------------------------------------------

/// Declares an exchange; passive only checks that it exists.
struct declare_exchange {
  exchange spec;
  bool passive = false;
};

/// Declares a queue; passive only checks that it exists.
struct declare_queue {
  queue spec;
  bool passive = false;
};

struct delete_queue {
  std::string name;
};

struct bind_queue {
  binding spec;
};

struct unbind_queue {
  binding spec;
};

struct start_consumer {
  consumer spec;
};

struct cancel_consumer {
  consumer_id id = 0;
};

/// A request to a transport. Requests about exchanges are carried out in order, and so are
/// requests about one queue, and requests about consumers; a caller that needs the outcome of
/// another kind waits for its reply. A refused request does not affect the others.
using operation = std::variant<declare_exchange, declare_queue, delete_queue, bind_queue,
                               unbind_queue, start_consumer, cancel_consumer>;

/// Returns one line for a log, e.g. "declare exchange 'Orderbook' (topic)".
std::string to_string(const operation& x);

using request_id = std::uint64_t;

/// The broker's answer to a request.
struct reply {
  request_id id = 0;
  /// Set if the broker refused; its text names the entity.
  failure error;
  /// The queue's name, for `declare_queue`.
  std::string queue;
  /// The number of messages that wait in the queue, unacknowledged ones not counted, for
  /// `declare_queue`.
  std::uint64_t messages = 0;
  /// The number of consumers of the queue on all links, for `declare_queue`. RabbitMQ reports 0
  /// for every stream.
  std::uint64_t consumers = 0;
};

// -- events ---------------------------------------------------------------------

/// The channels of a link. A channel that the broker closes is opened again without affecting
/// the others. `topology` stands for several channels when many requests wait.
enum class channel : std::uint8_t { topology = 1, deliveries = 2, publishing = 3 };

std::string_view to_string(channel which) noexcept;

/// A mandatory publication that no queue took.
struct returned_message {
  failure reason;
  std::string exchange;
  std::string routing_key;
  amqp::properties properties;
};

/// A channel that the broker closed.
struct closed_channel {
  channel which = channel::topology;
  failure reason;
  /// For `channel::deliveries`: the generation that ended, and its consumers, running or
  /// requested. Requests to start these consumers are not answered any more.
  std::uint32_t generation = 0;
  std::vector<consumer_id> consumers = {};
};

/// The broker's answer to a publication.
struct confirmation {
  /// The `publication::id` of the publication.
  std::uint64_t id = 0;
  /// False for basic.nack: the broker could not take responsibility for the message.
  bool accepted = true;

  bool operator==(const confirmation&) const = default;
};

/// Receives the events of one link, in order. One thread at a time makes the calls, the link's
/// own thread if `transport::has_thread`; an implementation must not block.
class link_listener {
public:
  virtual ~link_listener();

  /// The actors that the link is to run; null if the link runs none. Every call returns the
  /// same.
  virtual run_queue* runnable_actors() noexcept {
    return nullptr;
  }

  /// The link is logged in; `broker` is its product and version.
  virtual void up(std::string broker) = 0;

  virtual void replied(reply answer) = 0;

  /// `deliveries` is never empty. `generation` identifies one life of one channel `deliveries`
  /// within the link; settlements repeat it, because each life has tags of its own.
  virtual void delivered(std::uint32_t generation, std::vector<delivery> deliveries) = 0;

  /// `confirmations` is never empty, and in the order of the broker's answers.
  virtual void confirmed(std::vector<confirmation> confirmations) = 0;

  /// This event precedes the confirmation of the same message.
  virtual void returned(returned_message message) = 0;

  /// A publication cannot be sent, e.g. because its headers do not fit into a frame; no
  /// confirmation follows.
  virtual void refused(std::uint64_t publication, failure reason) = 0;

  /// The broker takes no publications for now (connection.blocked).
  virtual void blocked(std::string reason) = 0;

  virtual void unblocked() = 0;

  /// The broker ended a consumer, most often because its queue is gone.
  virtual void cancelled(consumer_id consumer) = 0;

  /// The broker closed a channel. The channel is usable again at once, but the consumers
  /// (`deliveries`) or unconfirmed publications (`publishing`) of its former life are gone:
  /// start or send them again in its next life. This event never comes for `topology`, whose
  /// open requests the link repeats itself.
  virtual void channel_closed(closed_channel channel) = 0;

  /// The broker ends the connection, perhaps because of one of these requests; only `down`
  /// follows.
  virtual void suspected(std::vector<request_id> requests) = 0;

  /// The broker's limits are lower than the link assumed.
  virtual void learned(broker_limits limits) = 0;

  /// The link has ended; no event follows. The reason is `ec::none` after a requested `close`.
  virtual void down(failure reason) = 0;
};

/// The thread-safe sending half of a link. Actors hold it directly; messages do not pass through
/// the connection actor. Calls return at once, and do nothing once the link has ended.
class ACTORS_EXPORT link_sender {
public:
  virtual ~link_sender();

  /// Sends messages in order; `link_listener::confirmed` answers each of them. `generation`
  /// counts the lives of the channel `publishing`: the first is 1, and each
  /// `link_listener::channel_closed` for it begins the next. Messages of a former life are
  /// dropped without an answer: they were under way when the channel closed, and the handler of
  /// that event sends them again, in order.
  virtual void publish(std::uint32_t generation, std::vector<publication> publications) = 0;

  /// Settles deliveries of one life of a channel `deliveries`; settlements of a former life are
  /// ignored.
  virtual void settle(std::uint32_t generation, std::vector<settlement> settlements) = 0;
};

using link_sender_ptr = std::shared_ptr<link_sender>;

/// One connection to a broker, for that connection's life; a transport never reconnects. All
/// calls return at once and never fail: problems arrive as events. The listener is not called
/// after the destructor has returned.
class ACTORS_EXPORT transport {
public:
  virtual ~transport();

  /// Must be called once, before any request. The outcome is `link_listener::up` or
  /// `link_listener::down`.
  virtual void connect(const endpoint& where, std::shared_ptr<link_listener> events) = 0;

  /// Makes a request, which `link_listener::replied` answers. A refusal leaves all other
  /// requests in place, on the channels `deliveries` and `topology` alike.
  virtual void request(request_id id, operation wanted) = 0;

  /// Returns the sending half, which takes publications and settlements even before `connect`.
  virtual link_sender_ptr out() = 0;

  /// Whether the link calls its listener from a thread of its own.
  virtual bool has_thread() const noexcept = 0;

  /// Sends everything that was handed over before, closes the connection in good order, then
  /// raises `link_listener::down`.
  virtual void close() = 0;
};

using transport_ptr = std::unique_ptr<transport>;

} // namespace actors::amqp
