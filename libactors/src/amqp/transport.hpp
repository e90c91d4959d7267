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

/// The one narrow door to a broker. There are two behind it, RabbitMQ
/// (`rabbitmq.hpp`) and the in-process `memory_broker`; one conformance suite
/// runs on both.
namespace actors::amqp {

// -- messages -------------------------------------------------------------------

/// A message's place in its stream: the stream is one publisher's messages to
/// one exchange with one routing key. Travels as the header `x-la`, a long
/// string "{epoch}:{sequence}" in decimal.
struct stream_position {
  /// Grows with every start of a publisher: microseconds since 1970, of which the lowest 12
  /// bits are random, so that no two that start together have the same.
  std::uint64_t epoch = 0;
  /// Counts from 1 within epoch, exchange and routing key.
  std::uint64_t sequence = 0;

  bool operator==(const stream_position&) const = default;
};

/// The AMQP properties that libactors neither needs nor changes: a copy of a message
/// carries them on. `user_id` is not among them, as a broker takes it from its own user
/// only.
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
  /// How long a queue keeps it, 0 is absent. Of a publication also how long it is worth
  /// sending.
  std::chrono::milliseconds expiration{0};
  std::optional<stream_position> position;
  /// All other headers.
  field_table headers;
  /// Null, if there are none.
  std::shared_ptr<const other_properties> others;

  bool operator==(const properties& x) const;
};

/// A message body that is shared, never changed.
using body_ptr = std::shared_ptr<const std::string>;

/// A message on its way to the broker.
struct publication {
  /// Chosen by the sender, ascending; comes back in `link_listener::confirmed`.
  std::uint64_t id = 0;
  std::string exchange;
  std::string routing_key;
  /// What it is about beyond its routing key (`subject_of`); not sent.
  std::string subject = {};
  amqp::properties properties;
  body_ptr body;
  /// Ask for the message back (`link_listener::returned`) if no queue takes it.
  bool mandatory = false;
  /// `check` has found nothing against it: a link need not look again. Not sent.
  bool checked = false;
  /// How its exchange is declared, if nobody has said so yet. Not sent.
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
  /// Set, if properties or body are beyond what a link takes: why. They are empty then.
  std::shared_ptr<const failure> unreadable = {};
};

/// What becomes of a delivery. `multiple` includes all earlier unsettled ones.
/// Deliveries of a stream can only be acknowledged, which makes room for more:
/// anything else ends the link (`ec::not_implemented`).
struct settlement {
  enum class verdict : std::uint8_t {
    ack,
    /// A handler failed with it: back to its queue (basic.reject), which counts towards
    /// a delivery limit.
    requeue,
    /// Dropped, or to the dead letters.
    reject,
    /// Given back untouched (basic.nack): RabbitMQ 4.3 does not count it.
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

/// What a transport can be asked for. Requests about exchanges are carried out in
/// order, and so are those about one queue, and those about consumers; whatever
/// needs the outcome of another kind waits for its reply. A refused request does
/// not touch the others.
using operation = std::variant<declare_exchange, declare_queue, delete_queue, bind_queue,
                               unbind_queue, start_consumer, cancel_consumer>;

/// One line for a log, e.g. "declare exchange 'Orderbook' (topic)".
std::string to_string(const operation& x);

using request_id = std::uint64_t;

/// The broker's answer to a request.
struct reply {
  request_id id = 0;
  /// Set if the broker refused; its text names the entity.
  failure error;
  /// The queue's name, for `declare_queue`.
  std::string queue;
  /// What waits in the queue and is in nobody's hands, for `declare_queue`.
  std::uint64_t messages = 0;
  /// Who consumes from the queue, all links together, for `declare_queue`.
  /// RabbitMQ says 0 for streams, whoever reads them.
  std::uint64_t consumers = 0;
};

// -- events ---------------------------------------------------------------------

/// The channels of a link: one that is closed by the broker is opened again
/// without touching the others. `topology` is several if much is asked for.
enum class channel : std::uint8_t { topology = 1, deliveries = 2, publishing = 3 };

std::string_view to_string(channel x) noexcept;

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
  /// For `channel::deliveries`: which life ended, and whose it was, running or asked for.
  /// Requests to start these are not answered any more.
  std::uint32_t generation = 0;
  std::vector<consumer_id> consumers = {};
};

/// The broker's answer to a publication.
struct confirmation {
  /// `publication::id`.
  std::uint64_t id = 0;
  /// False for basic.nack: the broker could not take responsibility.
  bool accepted = true;

  bool operator==(const confirmation&) const = default;
};

/// Takes the events of one link, in their order. The calls come from one
/// thread at a time, not the caller's: they must not block.
class link_listener {
public:
  virtual ~link_listener();

  /// Whom the link is to run; null, if it is not to run anybody. Always the same.
  virtual run_queue* runnable_actors() noexcept {
    return nullptr;
  }

  /// The link is logged in; `broker` is its product and version.
  virtual void up(std::string broker) = 0;

  virtual void replied(reply x) = 0;

  /// Never empty. `generation` names one life of one channel `deliveries`, within the
  /// link: settlements go back with it, as each life has tags of its own.
  virtual void delivered(std::uint32_t generation, std::vector<delivery> xs) = 0;

  /// Never empty, in the order of the broker's answers.
  virtual void confirmed(std::vector<confirmation> xs) = 0;

  /// Comes before the confirmation of the same message.
  virtual void returned(returned_message x) = 0;

  /// A publication that cannot be sent, e.g. as its headers fit no frame: it was not, and
  /// is not confirmed.
  virtual void refused(std::uint64_t publication, failure reason) = 0;

  /// The broker takes no publications for now (connection.blocked).
  virtual void blocked(std::string reason) = 0;

  virtual void unblocked() = 0;

  /// The broker ended a consumer, most often because its queue is gone.
  virtual void cancelled(consumer_id x) = 0;

  /// The broker closed a channel. It is usable again at once, but the
  /// consumers (`deliveries`) or unconfirmed publications (`publishing`) of
  /// its former life are gone: start or send them again, in its next life.
  /// Never called for `topology`, whose open requests the link repeats itself.
  virtual void channel_closed(closed_channel x) = 0;

  /// The broker ends the connection, and one of these requests may be why; the last
  /// event but `down`.
  virtual void suspected(std::vector<request_id> xs) = 0;

  /// The broker was found to allow less than was assumed.
  virtual void learned(broker_limits x) = 0;

  /// The last event of a link; `ec::none` after a `close` that was asked for.
  virtual void down(failure reason) = 0;
};

/// What a link is told with every message: the part of it that is shared, so that
/// whoever has something to send needs nobody in between. Its calls may come from
/// any thread, return at once, and do nothing once the link has ended.
class ACTORS_EXPORT link_sender {
public:
  virtual ~link_sender();

  /// Sends messages in order, each answered by `link_listener::confirmed`. `generation`
  /// counts the lives of the channel `publishing`: the first is 1, each
  /// `link_listener::channel_closed` for it begins the next. Messages for a former life
  /// are dropped without an answer: they were on their way here when the channel
  /// closed, so that whoever handles that event sends them again, in order.
  virtual void publish(std::uint32_t generation, std::vector<publication> xs) = 0;

  /// Settles deliveries of the given life of the channel `deliveries`; those of
  /// a former life are ignored.
  virtual void settle(std::uint32_t generation, std::vector<settlement> xs) = 0;
};

using link_sender_ptr = std::shared_ptr<link_sender>;

/// One connection to a broker, for that connection's life; it never retries.
/// All calls return at once and never fail: what goes wrong is an event. After
/// the destructor returns the listener is not called again.
class ACTORS_EXPORT transport {
public:
  virtual ~transport();

  /// Called once, first. Ends in `link_listener::up` or `link_listener::down`.
  virtual void connect(const endpoint& where, std::shared_ptr<link_listener> events) = 0;

  /// Answered by `link_listener::replied`. For `deliveries` and `topology` alike: a
  /// refusal of one request leaves all others in place.
  virtual void request(request_id id, operation what) = 0;

  /// Takes publications and settlements, from before `connect` on.
  virtual link_sender_ptr out() = 0;

  /// Whether the listener is called from a thread that this link has to itself.
  virtual bool has_thread() const noexcept = 0;

  /// Sends what was handed over before, closes in good order, then `down`.
  virtual void close() = 0;
};

using transport_ptr = std::unique_ptr<transport>;

} // namespace actors::amqp
