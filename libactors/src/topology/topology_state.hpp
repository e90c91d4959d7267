#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "actors/ec.hpp"
#include "amqp/transport.hpp"
#include "topology/consumer_groups.hpp"
#include "topology/consumer_places.hpp"
#include "topology/convictions.hpp"

namespace actors {

/// A consumer, its queue, and one binding that feeds the queue.
struct wanted_consumer {
  amqp::consumer consumer;
  amqp::queue queue;
  amqp::binding binding;
  /// Companion queues for retries and dead letters. They outlive the consumer.
  std::vector<amqp::queue> companion_queues = {};
  /// Whether the binding's exchange is durable; empty, if the subscription does not say.
  std::optional<bool> durable_exchange = {};
  /// The request only moves the offset at which to resume a stream: a refused consumer is not asked
  /// for again at once.
  bool goes_on = false;
};

/// The state of a consumer on the broker: it runs (again), or the reason why it does not.
struct consumer_state {
  amqp::consumer_id id = 0;
  /// The queue's name on the broker.
  std::string queue;
  /// The binding that the news is about; empty for the consumer as a whole.
  std::optional<amqp::binding> binding;
  failure error;
  /// The consumer was dropped and delivers no more: this is its last news.
  bool retired = false;
  /// The offset at which a stream should have been resumed, if that stream is gone. The new stream
  /// is read from its beginning.
  std::optional<std::int64_t> abandoned_offset = {};
  /// The event center may not make the binding: only messages that others have bound arrive.
  bool assumed = false;
};

/// The wanted topology of a link, and its progress on the broker:
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
/// A plain value that sends nothing: events go in, requests and news come out. Entities are
/// independent of one another: a refused one stops no other. An entity that another process
/// declared differently is used as it is, with a warning.
///
/// RabbitMQ answers some requests by ending the connection, and such a request would end every
/// further connection as well. A suspect of a connection's end is therefore asked for alone, when
/// all other requests have their answers. A suspect that ends a connection again is a culprit: it
/// is asked for by a link apart, where it can harm only other culprits:
///
///     trusted --(the connection ended, with others)--> suspected --(answered)--> trusted
///                                                          |
///                                         (it ended again) +--> culprit: refused, and
///                                                               asked for apart, rarely
class topology_state {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// The link that all requests use, and the link apart.
  enum class way : std::uint8_t { usual, apart };

  topology_state() = default;
  topology_state(const topology_state&) = delete;
  topology_state& operator=(const topology_state&) = delete;

  /// Numbers its requests from `first` on: topologies that share a link need separate ranges.
  explicit topology_state(amqp::request_id first) : last_request_(first) {
    // nop
  }

  /// Sets the time for the calls that follow.
  void at(time_point now) noexcept {
    now_ = now;
  }

  // -- what is wanted -----------------------------------------------------------

  /// Wants an exchange; of no effect for one that is wanted already.
  void want(amqp::exchange spec);

  /// Wants a consumer, or one more binding for it. News with this binding is the answer. An
  /// exchange that nobody wanted so far is wanted with the properties of `exchange_named`. The id
  /// of a dropped consumer is not used again.
  void want(wanted_consumer wanted);

  /// Drops a binding of a consumer, and the consumer with its last binding.
  void unwant(amqp::consumer_id id, const amqp::binding& binding);

  /// Drops a consumer. News that it is `retired` follows once it gets no more deliveries.
  void unwant(amqp::consumer_id id);

  // -- what happens ---------------------------------------------------------------

  /// The link is up: everything is asked for, in order.
  void up(const amqp::broker_limits& limits = {}, way by = way::usual);

  /// The link is about to end, and one of these requests may be the reason.
  void suspect(const std::vector<amqp::request_id>& requests, way by = way::usual);

  struct end {
    /// The consumers of the link.
    std::vector<amqp::consumer_id> consumers;
    /// The suspect or culprit is known: the next link will not repeat the end.
    bool is_explained = false;
  };

  /// The link is down: everything that ran must be asked for again.
  end down(const failure& reason = {}, way by = way::usual);

  /// Another broker has answered: culprits are asked for like all other entities.
  void pardon();

  void replied(const amqp::reply& reply);

  /// The broker ended a consumer. Its queue must be declared again.
  void cancelled(amqp::consumer_id id);

  /// A channel of consumers was closed. The suspects are started again apart from the others; the
  /// culprit, once found, is refused.
  void channel_lost(const amqp::closed_channel& lost);

  /// Asks again for refused entities.
  void retry();

  /// Declares exchanges and bindings again. Brokers do not report bindings lost with a deleted
  /// exchange.
  void redeclare_exchanges();

  /// A companion queue is gone: asks for it again.
  void queue_missing(std::string_view name);

  /// Checks that the running entities still exist: binds again, which restores bindings lost with a
  /// deleted exchange, and counts the consumers of each queue. A consumer that is missing twice in
  /// a row is reported and started anew.
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
    amqp::operation op;
    way by = way::usual;
  };

  /// Returns the requests to send now, in order.
  std::vector<request> take_requests();

  /// Returns the news for the dispatcher.
  std::vector<consumer_state> take_news();

  /// A line for the log.
  struct note {
    bool warning = false;
    std::string text;
  };

  std::vector<note> take_notes();

  /// A request on trial is left alone with the link for this time, unless it is answered before.
  static constexpr std::chrono::milliseconds trial_limit{1'000};

  /// Whether requests wait while a suspect is asked for alone: `take_requests` after `trial_limit`
  /// releases them.
  bool holds_back() const noexcept {
    return !held_.empty();
  }

  /// Whether the link apart has a request or entity of this topology, or is to get one now.
  bool needs_link_apart() const;

  // -- inspection ---------------------------------------------------------------------

  /// Whether no exchange is being declared.
  bool exchanges_settled() const noexcept {
    return undecided_ == 0;
  }

  /// Whether this exchange is not being declared.
  bool is_settled(std::string_view exchange) const;

  bool knows_exchange(std::string_view name) const;

  /// Returns why an exchange cannot be used, or no failure.
  failure exchange_failure(std::string_view name) const;

  /// Returns the refused entities, each as one line.
  std::vector<std::string> refused() const;

  /// Returns the culprits on the link apart, each as one line.
  std::vector<std::string> set_apart() const;

  std::size_t running() const noexcept;

private:
  enum class entity_stage : std::uint8_t { wanted, declaring, checking, ready, refused };

  /// How far an entity is suspected of ending a connection.
  enum class standing : std::uint8_t { trusted, suspected, culprit };

  /// An exchange, or a queue that nobody consumes.
  template <class T>
  struct entity {
    T spec;
    entity_stage stage = entity_stage::wanted;
    failure reason = {};
    standing trust = standing::trusted;
  };

  struct exchange_entry : entity<amqp::exchange> {
    /// Counted in `undecided_`.
    bool undecided = false;
  };

  enum class binding_stage : std::uint8_t {
    wanted,
    asked,
    bound,
    /// The event center may not bind, but somebody else may have.
    assumed,
    refused
  };

  struct binding_entry {
    amqp::binding spec; // its queue is the wanted name
    binding_stage stage = binding_stage::wanted;
    /// The request that `asked` waits for.
    amqp::request_id request = 0;
    /// The broker's reason, if the binding was refused.
    failure reason = {};
    standing trust = standing::trusted;

    bool stands() const noexcept {
      return stage == binding_stage::bound || stage == binding_stage::assumed;
    }
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
    std::vector<entity<amqp::queue>> companion_queues;
    consumer_stage stage = consumer_stage::waiting;
    standing trust = standing::trusted;
    /// The queue's name on the broker.
    std::string queue_name;
    failure reason;
    /// The request that `starting` waits for.
    amqp::request_id request = 0;
    /// The queue was there, declared by somebody else.
    bool found = false;
    /// The consumer is not wanted any more; it is taken down once it runs.
    bool unwanted = false;
    /// The broker ended the consumer while it ran, as its queue is gone.
    bool cancelled = false;
    /// The queue was empty when it was declared. RabbitMQ says so of any stream, for a while after
    /// the broker was started.
    bool is_empty = false;
    /// The offset to report with the next news.
    std::optional<std::int64_t> abandoned_offset = {};
    /// The number of restarts after its queue or exchange went missing.
    std::uint32_t restarts = 0;
    /// The broker did not count the consumer at the last check.
    bool missing = false;
  };

  // The subject of a request:

  struct about_exchange {
    std::string name;
    bool operator==(const about_exchange&) const = default;
  };

  struct about_consumer {
    amqp::consumer_id id = 0;
    bool operator==(const about_consumer&) const = default;
  };

  struct about_binding {
    amqp::consumer_id id = 0;
    amqp::binding spec;
    bool operator==(const about_binding&) const = default;
  };

  struct about_companion {
    amqp::consumer_id id = 0;
    std::string name;
    bool operator==(const about_companion&) const = default;
  };

  struct about_cancel {
    amqp::consumer_id id = 0;
    std::string queue;
    bool operator==(const about_cancel&) const = default;
  };

  struct about_verify {
    amqp::consumer_id id = 0;
    bool operator==(const about_verify&) const = default;
  };

  using subject = std::variant<about_exchange, about_consumer, about_binding, about_companion,
                               about_cancel, about_verify>;

  struct open_request {
    subject about;
    way by = way::usual;
  };

  enum class progress : std::uint8_t { open, worked, failed };

  /// The subject that is asked for alone, and the start of its trial.
  struct trial {
    subject of;
    time_point since;
    /// The other requests wait no longer.
    bool released = false;
  };

  /// One of the two links.
  struct link_state {
    bool up = false;
    /// Requests that were sent and are not answered.
    std::size_t under_way = 0;
    std::optional<trial> now;
    consumer_groups groups;
    /// Subjects that may have ended the link.
    std::vector<subject> suspects;
  };

  /// Whether an entity that cannot be declared our way may exist another way: declared differently
  /// by somebody else, or by somebody with the permission.
  static bool may_exist(ec code) noexcept;
  /// Returns the text about such an entity, by the reason why it cannot be declared.
  static std::string found_text(const failure& reason);

  amqp::request_id ask(amqp::operation op, subject about);
  void ask(amqp::operation op, way by);

  entity_stage judge(entity_stage stage, failure& reason, const std::string& name,
                     const amqp::reply& reply, bool says_refusal = true);
  void declare(exchange_entry& exchange);
  void decide(exchange_entry& exchange, entity_stage stage);
  void count(exchange_entry& exchange, bool undecided) noexcept;
  static bool is_unusable(const exchange_entry& exchange) noexcept;
  void on_reply(const about_exchange& about, const amqp::reply& reply);

  void advance(consumer_entry& consumer);
  void declare(consumer_entry& consumer);
  void add_companion_queues(consumer_entry& consumer, std::vector<amqp::queue> queues);
  void declare_companions(consumer_entry& consumer);
  void declare(const consumer_entry& of, entity<amqp::queue>& queue);
  amqp::queue permitted(amqp::queue queue) const;
  void bind(consumer_entry& consumer);
  void bind(consumer_entry& consumer, binding_entry& about);
  void start(consumer_entry& consumer);
  void begin_new_stream(consumer_entry& consumer);
  /// Returns whether the consumer has a place. Without one, it waits or is refused.
  bool take_place(consumer_entry& consumer);
  bool may_get_place() const;
  void refuse_for_place(consumer_entry& consumer);
  void start_waiting();
  void refuse(consumer_entry& consumer, failure reason);
  void refuse(consumer_entry& consumer, binding_entry& about, failure reason);
  /// Puts a consumer back to the start of its chain.
  void reset(consumer_entry& consumer);
  /// Whether a consumer whose queue or exchange went missing may be restarted once more.
  static bool may_restart(const consumer_entry& consumer) noexcept;
  void restart(consumer_entry& consumer, const failure& reason);
  void join_again(consumer_entry& consumer, binding_entry& about, const failure& reason);
  void advance_waiting();
  void on_reply(const about_consumer& about, const amqp::reply& reply);
  void on_reply(const about_binding& about, const amqp::reply& reply);
  void on_reply(const about_cancel& about, const amqp::reply& reply);
  void on_reply(const about_companion& about, const amqp::reply& reply);
  void on_reply(const about_verify& about, const amqp::reply& reply);
  void tell_retired(amqp::consumer_id id, const std::string& queue);
  void on_declared(consumer_entry& consumer, const amqp::reply& reply);
  void on_started(consumer_entry& consumer, const amqp::reply& reply);
  void assume(consumer_entry& consumer, binding_entry& about, const failure& reason);
  /// Goes on from binding to starting once all answers are there.
  void continue_binding(consumer_entry& consumer);
  static bool has_queue(const consumer_entry& consumer) noexcept;
  bool awaits_exchange(const consumer_entry& consumer) const;
  void tell(const consumer_entry& consumer, const binding_entry& about, failure error = {});
  void say(bool warning, std::string text);
  void erase(amqp::consumer_id id);

  // These functions find and try the entities that end connections.

  static way way_of(standing x) noexcept {
    return x == standing::culprit ? way::apart : way::usual;
  }

  link_state& link(way x) noexcept {
    return links_[static_cast<std::size_t>(x)];
  }

  const link_state& link(way x) const noexcept {
    return links_[static_cast<std::size_t>(x)];
  }

  consumer_groups& groups(const consumer_entry& x) noexcept {
    return link(way_of(x.trust)).groups;
  }

  static std::optional<subject> entity_of(const subject& target);
  static amqp::consumer_id consumer_of(const subject& target);
  static bool belongs(const subject& part, const subject& to);
  template <class F>
  void with(const subject& target, F f);
  const standing* trust_of(const subject& target) const;
  standing* trust_of(const subject& target);
  convictions::thing thing_of(const subject& target) const;
  std::string text_of(const subject& target) const;
  /// Returns the link that a request goes by.
  way way_of(const subject& target) const;
  /// Whether the subject may be asked for now.
  bool may_ask(standing trust, const subject& target) const;
  bool is_due(const subject& target) const;
  progress progress_of(const subject& target) const;
  bool is_in_use(const subject& target) const;
  void end_trials();
  void end_trial(way by, const subject& target);
  void begin_trials();
  void begin_trial(way by, const subject& target);
  void release_held();
  void keep(std::vector<subject>& subjects, standing as) const;
  bool judge_end(way by, const failure& reason);
  void convict(const subject& target, failure reason);
  void refuse(const subject& target, failure reason);
  void remember(const subject& target);
  void remember(consumer_entry& consumer, const binding_entry& about, bool is_new);
  std::vector<amqp::consumer_id> reset_consumers(way by);
  void reset_exchanges();
  void reset_apart();
  static failure named(const consumer_entry& consumer, const failure& reason);

  exchange_entry* find_exchange(std::string_view name);
  const exchange_entry* find_exchange(std::string_view name) const;
  consumer_entry* find_consumer(amqp::consumer_id id);
  const consumer_entry* find_consumer(amqp::consumer_id id) const;
  static binding_entry* find_binding(consumer_entry& consumer, const amqp::binding& spec);
  static entity<amqp::queue>* find_companion(consumer_entry& consumer, std::string_view name);

  struct name_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view x) const noexcept {
      return std::hash<std::string_view>{}(x);
    }
  };

  time_point now_;
  amqp::broker_limits limits_;
  std::array<link_state, 2> links_;
  /// The places on the usual link.
  consumer_places places_;
  /// The exchanges in the order in which they were wanted.
  std::list<exchange_entry> exchanges_;
  std::unordered_map<std::string, std::list<exchange_entry>::iterator, name_hash, std::equal_to<>>
      exchanges_by_name_;
  std::map<amqp::consumer_id, consumer_entry> consumers_;
  std::unordered_map<amqp::request_id, open_request> asked_;
  amqp::request_id last_request_ = 0;
  std::size_t undecided_ = 0;
  /// The subjects to be asked for alone, and those to be asked for apart, in order.
  std::vector<subject> suspected_;
  std::vector<subject> culprits_;
  convictions convictions_;
  std::vector<request> requests_;
  /// Requests that wait behind a trial.
  std::vector<request> held_;
  std::vector<consumer_state> news_;
  std::vector<note> notes_;
};

} // namespace actors
