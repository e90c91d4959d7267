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
  /// Queues beside it, for retries and dead letters. They outlive the consumer.
  std::vector<amqp::queue> companion_queues = {};
  /// Of the binding's exchange; nothing, if the subscription does not say.
  std::optional<bool> durable_exchange = {};
  /// Says only where a stream is to be read on: what was refused is not asked for again at once.
  bool goes_on = false;
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
  /// Where a stream was to be read on that is not there any more: there is another one, which
  /// is read from its beginning.
  std::optional<std::int64_t> abandoned_offset = {};
  /// The binding is not ours to make: what arrives is what others have bound.
  bool assumed = false;
};

/// The wanted topology of a link, and how far the broker has followed:
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
///
/// RabbitMQ answers some requests by ending the connection, and what is asked for again
/// with each new one would end each. So whom the end of a connection may be about is
/// asked for alone, when all others have their answers; who ends it then as well is
/// asked for by a link apart, where it can harm only its like:
///
///     trusted --(the connection ended, with others)--> suspected --(answered)--> trusted
///                                                          |
///                                         (it ended again) +--> culprit: refused, and
///                                                               asked for apart, rarely
class topology_state {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// The link of all, and the one apart.
  enum class way : std::uint8_t { usual, apart };

  topology_state() = default;
  topology_state(const topology_state&) = delete;
  topology_state& operator=(const topology_state&) = delete;

  /// Numbers its requests from `first` on: ledgers that share a link need ranges of
  /// their own.
  explicit topology_state(amqp::request_id first) : last_request_(first) {
    // nop
  }

  /// The time of what happens next.
  void at(time_point now) noexcept {
    now_ = now;
  }

  // -- what is wanted -----------------------------------------------------------

  /// Wants an exchange; a second time is of no effect.
  void want(amqp::exchange what);

  /// Wants a consumer, or one more binding for it. Answered by news with this
  /// binding. An exchange that nobody wanted so far is wanted as `exchange_named` has it.
  /// The id of a dropped consumer is not used again.
  void want(wanted_consumer what);

  /// Drops a binding of a consumer, and the consumer with its last binding.
  void unwant(amqp::consumer_id id, const amqp::binding& what);

  /// Drops a consumer. Answered by news that it is `retired` once it
  /// gets no more deliveries.
  void unwant(amqp::consumer_id id);

  // -- what happens ---------------------------------------------------------------

  /// The link is up: ask for everything, in order.
  void up(const amqp::broker_limits& limits = {}, way by = way::usual);

  /// The link is about to end, and one of these requests may be why.
  void suspect(const std::vector<amqp::request_id>& xs, way by = way::usual);

  struct end {
    /// The consumers of the link.
    std::vector<amqp::consumer_id> consumers;
    /// It is known whom it may be about: the next link is no repetition of this one.
    bool is_explained = false;
  };

  /// The link is down: whatever ran must be asked for again.
  end down(const failure& reason = {}, way by = way::usual);

  /// It is another broker: what ended connections before is asked for like all else.
  void pardon();

  void replied(const amqp::reply& x);

  /// The broker ended a consumer. Its queue must be declared again.
  void cancelled(amqp::consumer_id id);

  /// A channel of consumers was closed. Those that may be to blame are started again
  /// apart from the others; who is to blame is refused.
  void channel_lost(const amqp::closed_channel& what);

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
    amqp::operation op;
    way by = way::usual;
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

  /// How long what may end the link is left alone with it, unless it is answered before.
  static constexpr std::chrono::milliseconds trial_limit{1'000};

  /// Whether others are waiting while one that may end the link is asked for alone:
  /// `take_requests` after `trial_limit` lets them go.
  bool holds_back() const noexcept {
    return !held_.empty();
  }

  /// Whether it has something on the link apart, or to ask for there now.
  bool needs_link_apart() const;

  // -- inspection ---------------------------------------------------------------------

  /// Whether no exchange is being declared.
  bool exchanges_settled() const noexcept {
    return undecided_ == 0;
  }

  /// Whether this one is not.
  bool is_settled(std::string_view exchange) const;

  bool knows_exchange(std::string_view name) const;

  /// Why an exchange cannot be used, or nothing.
  failure exchange_failure(std::string_view name) const;

  /// What the broker refused, each as one line.
  std::vector<std::string> refused() const;

  /// What ended connections and is on the link apart, each as one line.
  std::vector<std::string> set_apart() const;

  std::size_t running() const noexcept;

private:
  enum class entity_stage : std::uint8_t { wanted, declaring, checking, ready, refused };

  /// How far the end of a connection is laid to an entity.
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
    /// We may not bind, but somebody else may have.
    assumed,
    refused
  };

  struct binding_entry {
    amqp::binding spec; // its queue is the wanted name
    binding_stage stage = binding_stage::wanted;
    /// The request that `asked` waits for.
    amqp::request_id request = 0;
    /// Why it was refused.
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
    /// Nobody wants it any more; it is taken down once it stands.
    bool unwanted = false;
    /// The broker ended it while it ran, as its queue is gone.
    bool cancelled = false;
    /// The queue was, when it was declared. RabbitMQ says so of any stream, for a while after it
    /// was started.
    bool is_empty = false;
    /// To be told.
    std::optional<std::int64_t> abandoned_offset = {};
    /// Attempts to put back what it needs and went missing.
    std::uint32_t restarts = 0;
    /// The broker did not count it at the last look.
    bool missing = false;
  };

  // What a request is about.

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

  struct about_beside {
    amqp::consumer_id id = 0;
    std::string name;
    bool operator==(const about_beside&) const = default;
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

  using subject = std::variant<about_exchange, about_consumer, about_binding, about_beside,
                               about_cancel, about_verify>;

  struct open_request {
    subject about;
    way by = way::usual;
  };

  enum class progress : std::uint8_t { open, worked, failed };

  /// Who is asked for alone, and since when.
  struct trial {
    subject of;
    time_point since;
    /// The others wait no longer.
    bool released = false;
  };

  /// One of the two links.
  struct link_state {
    bool up = false;
    /// Requests that were sent and are not answered.
    std::size_t under_way = 0;
    std::optional<trial> now;
    consumer_groups groups;
    /// Whom the end of the link may be about.
    std::vector<subject> suspects;
  };

  /// A name as texts show it.
  /// Whether an entity that cannot be declared our way may exist another way:
  /// declared differently by somebody else, or by somebody with the right to.
  static bool may_exist(ec code) noexcept;
  /// What to say of one that does, in view of why we cannot declare it.
  static std::string found_text(const failure& reason);

  amqp::request_id ask(amqp::operation what, subject about);
  void ask(amqp::operation what, way by);

  entity_stage judge(entity_stage stage, failure& reason, const std::string& name,
                     const amqp::reply& reply);
  void declare(exchange_entry& x);
  void decide(exchange_entry& x, entity_stage stage);
  void count(exchange_entry& x, bool undecided) noexcept;
  static bool is_unusable(const exchange_entry& x) noexcept;
  void on_reply(const about_exchange& about, const amqp::reply& x);

  void advance(consumer_entry& x);
  void declare(consumer_entry& x);
  void add_companion_queues(consumer_entry& x, std::vector<amqp::queue> queues);
  void declare_beside(consumer_entry& x);
  void declare(const consumer_entry& of, entity<amqp::queue>& x);
  amqp::queue permitted(amqp::queue x) const;
  void bind(consumer_entry& x);
  void bind(consumer_entry& x, binding_entry& about);
  void start(consumer_entry& x);
  void begin_new_stream(consumer_entry& x);
  /// Gives back whether it has one. Else it waits for it, or is refused.
  bool take_place(consumer_entry& x);
  bool may_get_place() const;
  void refuse_for_place(consumer_entry& x);
  void start_waiting();
  void refuse(consumer_entry& x, failure reason);
  void refuse(consumer_entry& x, binding_entry& about, failure reason);
  /// Back to the start of the chain.
  void reset(consumer_entry& x);
  /// Whether to put back what went missing, or that was tried often enough.
  static bool may_restart(const consumer_entry& x) noexcept;
  void restart(consumer_entry& x, const failure& reason);
  void join_again(consumer_entry& x, binding_entry& about, const failure& reason);
  void advance_waiting();
  void on_reply(const about_consumer& about, const amqp::reply& x);
  void on_reply(const about_binding& about, const amqp::reply& x);
  void on_reply(const about_cancel& about, const amqp::reply& x);
  void on_reply(const about_beside& about, const amqp::reply& x);
  void on_reply(const about_verify& about, const amqp::reply& x);
  void tell_retired(amqp::consumer_id id, const std::string& queue);
  void on_declared(consumer_entry& x, const amqp::reply& reply);
  void on_started(consumer_entry& x, const amqp::reply& reply);
  void assume(consumer_entry& x, binding_entry& about, const failure& reason);
  /// Goes on from binding to starting once no answer is missing.
  void continue_binding(consumer_entry& x);
  static bool has_queue(const consumer_entry& x) noexcept;
  bool awaits_exchange(const consumer_entry& x) const;
  void tell(const consumer_entry& x, const binding_entry& about, failure error = {});
  void say(bool warning, std::string text);
  void erase(amqp::consumer_id id);

  // Whom the end of a connection is laid to.

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

  static std::optional<subject> entity_of(const subject& x);
  static amqp::consumer_id consumer_of(const subject& x);
  static bool belongs(const subject& x, const subject& to);
  template <class F>
  void with(const subject& x, F f);
  const standing* trust_of(const subject& x) const;
  standing* trust_of(const subject& x);
  convictions::thing thing_of(const subject& x) const;
  std::string text_of(const subject& x) const;
  /// By which link a request goes.
  way way_of(const subject& x) const;
  /// Whether it may be asked for now.
  bool may_ask(standing trust, const subject& x) const;
  bool is_due(const subject& x) const;
  progress progress_of(const subject& x) const;
  bool is_in_use(const subject& x) const;
  void end_trials();
  void end_trial(way by, const subject& x);
  void begin_trials();
  void begin_trial(way by, const subject& x);
  void release_held();
  void keep(std::vector<subject>& xs, standing as) const;
  bool judge_end(way by, const failure& reason);
  void convict(const subject& x, failure reason);
  void refuse(const subject& x, failure reason);
  void remember(const subject& x);
  void remember(consumer_entry& x, const binding_entry& about, bool is_new);
  std::vector<amqp::consumer_id> reset_consumers(way by);
  void reset_exchanges();
  void reset_apart();
  static failure named(const consumer_entry& x, const failure& reason);

  exchange_entry* find_exchange(std::string_view name);
  const exchange_entry* find_exchange(std::string_view name) const;
  consumer_entry* find_consumer(amqp::consumer_id id);
  const consumer_entry* find_consumer(amqp::consumer_id id) const;
  static binding_entry* find_binding(consumer_entry& x, const amqp::binding& what);
  static entity<amqp::queue>* find_beside(consumer_entry& x, std::string_view name);

  struct name_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view x) const noexcept {
      return std::hash<std::string_view>{}(x);
    }
  };

  time_point now_;
  amqp::broker_limits limits_;
  std::array<link_state, 2> links_;
  /// On the usual link.
  consumer_places places_;
  /// In the order they were wanted.
  std::list<exchange_entry> exchanges_;
  std::unordered_map<std::string, std::list<exchange_entry>::iterator, name_hash, std::equal_to<>>
      exchanges_by_name_;
  std::map<amqp::consumer_id, consumer_entry> consumers_;
  std::unordered_map<amqp::request_id, open_request> asked_;
  amqp::request_id last_request_ = 0;
  std::size_t undecided_ = 0;
  /// Who is to be asked for alone, and who apart, in order.
  std::vector<subject> suspected_;
  std::vector<subject> culprits_;
  convictions convictions_;
  std::vector<request> requests_;
  /// Behind a trial.
  std::vector<request> held_;
  std::vector<consumer_state> news_;
  std::vector<note> notes_;
};

} // namespace actors
