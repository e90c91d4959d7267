#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "actors/amqp/transport.hpp"
#include "actors/ec.hpp"

namespace actors {

/// A consumer, its queue, and one binding that feeds the queue.
struct wanted_consumer {
  amqp::consumer consumer;
  amqp::queue queue;
  amqp::binding binding;
  /// Queues beside it, for retries and dead letters. They outlive the consumer.
  std::vector<amqp::queue> beside = {};
};

/// What became of a consumer on the broker: it runs (again), or why it does not.
struct consumer_state {
  amqp::consumer_id id = 0;
  /// The queue's name on the broker.
  std::string queue;
  /// The binding that this is about; none for the consumer as a whole.
  std::optional<amqp::binding> binding;
  failure error;
  /// It was dropped, and delivers no more: the last that is heard of it.
  bool retired = false;
};

/// The wanted topology of one link, and how far the broker has followed:
///
///     exchange:  wanted -> declaring -> ready
///                             |  (refused)
///                             +-> checking -> ready (as the broker has it)
///                                    |
///                                    +-> refused
///
///     consumer:  waiting -> declaring -> binding -> starting -> running
///                   ^           |           |          |           |
///                   +-- retry --+-----------+----------+-- gone ---+
///
/// A plain value that sends nothing: events go in, requests and news come out.
/// Entities are independent of one another: a refused one stops no other. An
/// entity that another declared differently is taken as it is, with a warning.
class ledger {
public:
  // -- what is wanted -----------------------------------------------------------

  /// Wants an exchange; a second time is of no effect.
  void want(amqp::exchange what);

  /// Wants a consumer, or one more binding for it. Answered by news with this
  /// binding. An exchange that nobody wanted so far is wanted as a topic. The
  /// id of a dropped consumer is not used again.
  void want(wanted_consumer what);

  /// Drops a binding of a consumer, and the consumer with its last binding.
  void unwant(amqp::consumer_id id, const amqp::binding& what);

  /// Drops a consumer. Answered by news that it is `retired` once it
  /// gets no more deliveries.
  void unwant(amqp::consumer_id id);

  // -- what happens ---------------------------------------------------------------

  /// The link is up: ask for everything, in order.
  void up();

  /// The link is down: whatever ran must be asked for again.
  void down();

  void replied(const amqp::reply& x);

  /// The broker ended a consumer. Its queue must be declared again.
  void cancelled(amqp::consumer_id id);

  /// The channel of all consumers was closed.
  void consumers_lost();

  /// Publishing to this exchange is not possible until `retry` or `up`.
  void refuse_exchange(std::string_view name, failure reason);

  /// Asks again for what was refused.
  void retry();

  /// Asks for all exchanges again, and for all bindings: one of the exchanges is gone,
  /// and its bindings with it, of which the broker tells nobody.
  void redeclare_exchanges();

  /// A queue beside a consumer's is gone: asks for it again.
  void queue_missing(std::string_view name);

  /// Asks the broker whether what runs is still there: binds again, which restores
  /// what went with a deleted exchange, and counts the consumers of each queue. A
  /// consumer that is missing twice in a row is wedged: told, and started anew.
  void verify();

  /// Whether a consumer was missing at the last `verify`.
  bool suspects() const noexcept;

  /// Whether answers are still to come.
  bool is_asking() const noexcept {
    return !asked_.empty();
  }

  // -- what follows -----------------------------------------------------------------

  struct request {
    amqp::request_id id = 0;
    amqp::operation what;
  };

  /// What to send now, in order.
  std::vector<request> take_requests();

  /// What to tell the dispatcher.
  std::vector<consumer_state> take_news();

  /// A line for the log.
  struct note {
    bool warning = false;
    std::string text;
  };

  std::vector<note> take_notes();

  // -- inspection ---------------------------------------------------------------------

  /// Whether no exchange is being declared.
  bool exchanges_settled() const noexcept {
    return undecided_ == 0;
  }

  bool knows_exchange(std::string_view name) const;

  /// Why an exchange cannot be used, or nothing.
  failure exchange_failure(std::string_view name) const;

  /// What the broker refused, each as one line.
  std::vector<std::string> refused() const;

  std::size_t running() const noexcept;

private:
  enum class entity_stage : std::uint8_t { wanted, declaring, checking, ready, refused };

  /// An exchange, or a queue that nobody consumes.
  template <class T>
  struct entity {
    T what;
    entity_stage stage = entity_stage::wanted;
    failure reason;
  };

  using exchange_entry = entity<amqp::exchange>;

  enum class binding_stage : std::uint8_t { wanted, asked, bound, refused };

  struct binding_entry {
    amqp::binding what; // its queue is the wanted name
    binding_stage stage = binding_stage::wanted;
    /// The request that `asked` waits for.
    amqp::request_id request = 0;
    /// Why it was refused.
    failure reason;
  };

  enum class consumer_stage : std::uint8_t {
    waiting,
    declaring,
    checking,
    binding,
    starting,
    running,
    refused
  };

  struct consumer_entry {
    amqp::consumer consumer;
    amqp::queue queue;
    std::vector<binding_entry> bindings;
    std::vector<entity<amqp::queue>> beside;
    consumer_stage stage = consumer_stage::waiting;
    /// The queue's name on the broker.
    std::string queue_name;
    failure reason;
    /// Nobody wants it any more; it is taken down once it stands.
    bool unwanted = false;
    /// Attempts to put back what it needs and went missing.
    std::uint32_t restarts = 0;
    /// The broker did not count it at the last look.
    bool missing = false;
  };

  struct exchange_request {
    std::string name;
  };

  struct consumer_request {
    amqp::consumer_id id = 0;
  };

  struct binding_request {
    amqp::consumer_id id = 0;
  };

  struct cancel_request {
    amqp::consumer_id id = 0;
    std::string queue;
  };

  struct beside_request {
    amqp::consumer_id id = 0;
    std::string name;
  };

  struct verify_request {
    amqp::consumer_id id = 0;
  };

  using subject = std::variant<exchange_request, consumer_request, binding_request, cancel_request,
                               beside_request, verify_request>;

  /// A name as texts show it.
  static std::string quoted(std::string_view name);
  /// Whether an entity that cannot be declared our way may exist another way:
  /// declared differently by somebody else, or by somebody with the right to.
  static bool may_exist(ec code) noexcept;

  amqp::request_id ask(amqp::operation what, subject about);
  void ask(amqp::operation what);

  entity_stage judge(entity_stage stage, failure& reason, const std::string& name,
                     const amqp::reply& reply);
  void declare(exchange_entry& x);
  void decide(exchange_entry& x, entity_stage stage);
  void on_reply(const exchange_request& about, const amqp::reply& x);

  void advance(consumer_entry& x);
  void declare(consumer_entry& x);
  void declare_beside(consumer_entry& x);
  void declare(amqp::consumer_id id, entity<amqp::queue>& x);
  void bind(consumer_entry& x);
  void start(consumer_entry& x);
  void refuse(consumer_entry& x, failure reason);
  void refuse(consumer_entry& x, binding_entry& about, failure reason);
  /// Back to the start of the chain.
  void reset(consumer_entry& x);
  /// Whether to put back what went missing, or that was tried often enough.
  static bool may_restart(const consumer_entry& x) noexcept;
  void restart(consumer_entry& x, const failure& reason);
  void join_again(consumer_entry& x, binding_entry& about, const failure& reason);
  void advance_waiting();
  void on_reply(const consumer_request& about, const amqp::reply& x);
  void on_reply(const binding_request& about, const amqp::reply& x);
  void on_reply(const cancel_request& about, const amqp::reply& x);
  void on_reply(const beside_request& about, const amqp::reply& x);
  void on_reply(const verify_request& about, const amqp::reply& x);
  void tell_retired(amqp::consumer_id id, const std::string& queue);
  void on_declared(consumer_entry& x, const amqp::reply& reply);
  void on_started(consumer_entry& x, const amqp::reply& reply);
  /// Goes on from binding to starting once no answer is missing.
  void continue_binding(consumer_entry& x);
  static bool has_queue(const consumer_entry& x) noexcept;
  bool awaits_exchange(const consumer_entry& x) const;
  void tell(const consumer_entry& x, const binding_entry& about, failure error = {});
  void say(bool warning, std::string text);

  exchange_entry* find_exchange(std::string_view name);
  const exchange_entry* find_exchange(std::string_view name) const;
  consumer_entry* find_consumer(amqp::consumer_id id);

  bool up_ = false;
  /// In the order they were wanted.
  std::vector<exchange_entry> exchanges_;
  std::map<amqp::consumer_id, consumer_entry> consumers_;
  std::unordered_map<amqp::request_id, subject> asked_;
  amqp::request_id last_request_ = 0;
  std::size_t undecided_ = 0;
  std::vector<request> requests_;
  std::vector<consumer_state> news_;
  std::vector<note> notes_;
};

} // namespace actors
