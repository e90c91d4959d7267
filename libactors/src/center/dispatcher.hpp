#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <caf/actor.hpp>
#include <caf/actor_addr.hpp>
#include <caf/behavior.hpp>
#include <caf/error.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/message.hpp>
#include <caf/response_promise.hpp>
#include <caf/result.hpp>
#include <caf/stateful_actor.hpp>

#include "center/messages.hpp"
#include "delivery/circuit_breaker.hpp"
#include "delivery/delivery_decoder.hpp"
#include "delivery/delivery_window.hpp"
#include "delivery/handler_table.hpp"
#include "delivery/open_deliveries.hpp"
#include "delivery/stream_tracker.hpp"
#include "delivery/unmatched_messages.hpp"
#include "wire/payload.hpp"

namespace actors {

struct dispatcher_settings {
  std::string server_id;
  /// Appended to default queue names, see `config::instance`.
  std::string instance;
  payload_limits limits;
  /// Whether the broker is behind a relay, which serves feeds.
  bool feeds = false;
};

/// The queue that a subscription consumes: its own name, or the default one.
/// Empty: one that the broker names.
std::string queue_name(const dispatcher_settings& settings, const subscription& x);

/// The dispatcher's state; see `dispatcher`.
class dispatcher_state {
public:
  explicit dispatcher_state(caf::event_based_actor* self);

  static inline const char* name = "dispatcher";

  void init(dispatcher_settings settings, caf::actor supervisor);

  // -- subscriptions -----------------------------------------------------------------

  caf::result<subscribed> subscribe(subscription what, caf::actor subscriber);
  caf::result<void> unsubscribe(subscription_id id);
  void on_down(const caf::actor_addr& who, const caf::error& reason);
  void on_consumer_state(const consumer_state& x);
  void on_consumers_lost(const consumers_lost& x);

  // -- deliveries --------------------------------------------------------------------

  void on_deliveries(delivery_batch& batch);
  void on_flush();
  void on_pause_over(delivery_key key);
  void on_unasked_error(const caf::error& reason);
  void on_tick();

  // -- looking, ending ---------------------------------------------------------------

  caf::result<center_status> status();
  caf::result<drained> drain(std::chrono::milliseconds limit);
  void on_drain_deadline();
  void stop();
  void on_exit(const caf::error& reason);
  void on_exception(const std::exception_ptr& what);

private:
  using time_point = std::chrono::steady_clock::time_point;

  /// An event on its way to a strategy that is told of its stream as well.
  struct offer {
    caf::message what;
    /// To be told ahead of it.
    std::vector<stream_notice> before;
    /// What is missing if this is dropped; only for a strategy that wants to know.
    std::optional<stream_gap> self;
  };

  /// A message that waits for a strategy to be back, or to answer others.
  struct held_message {
    /// Without its body.
    amqp::delivery about;
    caf::message what;
  };

  /// A row of the handler table.
  struct handler {
    subscription what;
    /// None: it has ended, and its place is kept for a moment.
    caf::actor subscriber;
    amqp::consumer_id consumer = 0;
    /// Waits for the broker's word; not pending afterwards.
    caf::response_promise promise;
    bool established = false;
    /// It was told that its link is lost.
    bool told_lost = false;
    /// No longer in the table: only what its subscriber has not answered yet
    /// keeps it here.
    bool removed = false;
    handler_status counters;
    stream_tracker streams;
    /// Without `ack_policy::on_success`.
    delivery_window<offer> window;
    /// To be told ahead of the next event that comes, ...
    std::vector<stream_notice> arriving;
    /// ... and ahead of the next one that is handed over.
    std::vector<stream_notice> overdue;
    /// What it was too late for.
    std::set<delivery_key> given_up;
    /// Opens when it is late.
    circuit_breaker breaker;
    /// Until when its place is kept.
    time_point kept_until;
    /// What came while it was away or late.
    std::map<delivery_key, held_message> held;
  };

  /// Bindings of one queue, in order.
  struct by_route {
    bool operator()(const amqp::binding& x, const amqp::binding& y) const noexcept {
      return std::tie(x.exchange, x.routing_key) < std::tie(y.exchange, y.routing_key);
    }
  };

  /// A consumer of the broker and the handlers that share it.
  struct consumer {
    /// As wanted; empty for one that the broker names.
    std::string queue;
    /// As the broker names it.
    std::string queue_name;
    /// What the first subscription asks of queue and consumer; all others agree.
    subscription what;
    std::shared_ptr<const failure_plan> plan;
    /// In which it delivers.
    std::uint64_t life = 0;
    unmatched_messages unmatched;
    bool told_unmatched = false;
    /// Since when it has a queue for what no handler is for.
    std::optional<time_point> sets_aside_since;
    bool told_unreadable = false;
    /// Where reading goes on, for a stream.
    std::optional<std::int64_t> next_offset;
    handler_table handlers;
    std::vector<subscription_id> members;
    /// The bindings that the broker has confirmed, ...
    std::set<amqp::binding, by_route> bound;
    /// ... or that are not ours to make.
    std::set<amqp::binding, by_route> assumed;
  };

  using origin_ptr = std::shared_ptr<const message_origin>;

  /// A message that a strategy was asked to handle.
  struct question {
    delivery_key key;
    subscription_id id = 0;
    origin_ptr from;
    /// Of the strategy's circuit breaker.
    std::uint64_t number = 0;
  };

  using verdict = ack_window::verdict;

  /// Why a subscription ends.
  enum class ending : std::uint8_t { asked_for, strategy_ended };

  // -- subscriptions -----------------------------------------------------------------

  static caf::error refusal(const subscription& what, const caf::actor& subscriber);
  caf::error conflict(const subscription& what, const std::string& queue) const;
  amqp::consumer_id add_consumer(const subscription& what, std::string queue);
  subscription_id add_handler(amqp::consumer_id consumer_id, consumer& from,
                              const subscription& what);
  void want(amqp::consumer_id id, const consumer& x, const subscription& what,
            bool goes_on = false);
  void remove(subscription_id id, const caf::error& reason, ending how = ending::asked_for);
  void retire(amqp::consumer_id id, const consumer& x);
  void on_retired(amqp::consumer_id id);
  void forget_queue(amqp::consumer_id id, const std::string& queue);
  void forget(subscription_id id);
  void report_end(const std::set<subscription_id>& gone, const caf::error& reason);
  void give_back_unanswered(const std::set<subscription_id>& gone);
  void establish(handler& x, const consumer& from);
  void fail(subscription_id id, const failure& reason);
  bool is_deserted(const consumer& x) const;
  void on_subscriber_down(const caf::actor_addr& who, const caf::error& reason);
  void tell_all_lost(const failure& reason);
  void lose(amqp::consumer_id id, consumer& x, const failure& reason);
  void resume_stream(amqp::consumer_id id, consumer& x);
  void tell_lost(handler& x, const failure& reason);
  void tell_restored(handler& x);

  // -- places that are kept for strategies that may be back --------------------------------

  void keep_place(subscription_id id);
  subscription_id take_place(const consumer& from, const subscription& what);
  void hold_for(const std::vector<subscription_id>& places, const amqp::delivery& x,
                delivery_key key, open_delivery& open);
  static void hold(handler& to, const amqp::delivery& x, const caf::message& what, delivery_key key,
                   open_delivery& open);
  void hand_over_held(handler& to);
  void hand_over_held(handler& to, delivery_key key, const held_message& x);
  void answer_held(handler& to, verdict what);
  void give_back_held(handler& to, delivery_key key);
  void drop_place(subscription_id id, verdict what);
  void drop_places(const consumer& from, verdict what);
  bool drop_late_places();

  // -- a message comes in --------------------------------------------------------------

  void dispatch(std::uint64_t life, amqp::delivery& x);
  void settle_unknown(std::uint64_t life, const amqp::delivery& x);
  void settle_unreadable(delivery_key key, const amqp::delivery& x, consumer& from);
  void settle_poison(delivery_key key, amqp::consumer_id id, const std::exception_ptr& what);
  void settle_unmatched(delivery_key key, amqp::delivery& x, consumer& from);
  bool dispatch_to(handler& to, const amqp::delivery& x, const caf::message& what, delivery_key key,
                   open_delivery& open);
  void pass_over(handler& to, const amqp::delivery& x);
  void skip(handler& to, const amqp::delivery& x);
  stream_tracker::verdict follow_stream(handler& to, const amqp::delivery& x);
  void report_malformed(const amqp::delivery& x, const consumer& from, const caf::error& reason);

  // -- to a strategy, on dispatch --------------------------------------------------------

  void hand_over(handler& to, const amqp::delivery& x, const caf::message& what);
  void pump(handler& to);
  void send(handler& to, delivery_window<offer>::item x);
  void on_mark(subscription_id id, std::uint64_t mark, const caf::error& err);
  void on_dropped(handler& to, offer dropped);
  void count_failure(handler& x, const caf::error& reason);
  void tell(const handler& to, std::vector<stream_notice>& notices);

  // -- to a strategy, on success ---------------------------------------------------------

  void ask(handler& to, const amqp::delivery& x, const caf::message& what, delivery_key key,
           open_delivery& open);
  static origin_ptr origin_of(const amqp::delivery& x);
  void ask(handler& to, const caf::message& what, delivery_key key, const origin_ptr& from);
  void on_answer(const question& to, const caf::error& err);
  verdict take_answer(handler& x, const question& to, const caf::error& err, verdict outcome);
  void continue_handing_over(subscription_id id);
  void settle_followers(subscription_id id, const origin_ptr& from, verdict what,
                        const std::string& error);
  void count(handler& x, const caf::error& err);

  // -- time ------------------------------------------------------------------------------

  void schedule_tick();
  void give_up_answers();
  void give_up_marks(handler& x);

  // -- its end ---------------------------------------------------------------------------

  void finish(delivery_key key, open_delivery& x);
  void settle_unwanted(delivery_key key, open_delivery& x);
  void pause(delivery_key key, open_deliveries::paused_delivery x, std::chrono::milliseconds time);
  void move(delivery_key key, open_delivery& x);
  void send_copy(delivery_key key, amqp::consumer_id id, amqp::publication copy);
  bool awaits_queue_beside(amqp::consumer_id id) const;
  void on_moved(delivery_key key, const caf::error& err);
  void settle(delivery_key key, amqp::consumer_id id, verdict what);
  void schedule_flush();
  void flush();
  void continue_drain();

  caf::event_based_actor* self_;
  dispatcher_settings settings_;
  caf::actor supervisor_;

  std::map<subscription_id, handler> handlers_;
  std::unordered_map<amqp::consumer_id, consumer> consumers_;
  /// Consumers of named queues, by queue.
  std::unordered_multimap<std::string, amqp::consumer_id> by_queue_;
  /// Former consumers that may still deliver, and their queues. The next consumer
  /// of such a queue waits, so that it cannot overtake what they hand back.
  std::unordered_map<amqp::consumer_id, std::string> retiring_;
  std::unordered_set<std::string> busy_queues_;
  /// The subscriptions of each monitored subscriber.
  std::map<caf::actor_addr, std::set<subscription_id>> subscribers_;
  subscription_id last_subscription_ = 0;
  amqp::consumer_id last_consumer_ = 0;

  open_deliveries deliveries_;
  bool flush_scheduled_ = false;
  bool tick_scheduled_ = false;

  time_point now_;
  delivery_decoder decoder_;
  dispatcher_status counters_;

  bool draining_ = false;
  caf::response_promise drain_promise_;
};

/// Owns the `exchange:routing_key` handler table: it decodes each message once,
/// hands it to every handler that matches, and decides when a delivery is
/// acknowledged.
///
/// | message | answer |
/// | --- | --- |
/// | subscribe_atom, subscription, subscriber | `subscribed`, or an error |
/// | unsubscribe_atom, subscription id | nothing, or an error |
/// | status_atom | `center_status`, with the supervisor's part |
/// | drain_atom, limit | `drained`, when nothing is consumed and all is answered |
/// | stop_atom | ends |
/// | delivery_batch | from a link, settled by its outlet |
/// | consumer_state, consumers_lost | from the supervisor |
caf::behavior dispatcher(caf::stateful_actor<dispatcher_state>* self, dispatcher_settings settings,
                         caf::actor supervisor);

} // namespace actors
