#pragma once

#include <chrono>
#include <cstdint>
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

#include "actors/ack_window.hpp"
#include "actors/delivery_window.hpp"
#include "actors/handler_table.hpp"
#include "actors/messages.hpp"
#include "actors/payload.hpp"
#include "actors/stream_tracker.hpp"

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
  void on_subscriber_down(const caf::actor_addr& who);
  void on_consumer_state(const consumer_state& x);
  void on_consumers_lost(const consumers_lost& x);

  // -- deliveries --------------------------------------------------------------------

  void on_deliveries(delivery_batch& batch);
  void on_flush();
  void on_requeue(std::uint64_t life, std::uint64_t tag);
  void on_unasked_error(const caf::error& reason);
  void on_tick();

  // -- looking, ending ---------------------------------------------------------------

  caf::result<center_status> status();
  caf::result<drained> drain(std::chrono::milliseconds limit);
  void on_drain_deadline();
  void stop();

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

  /// A row of the handler table.
  struct handler {
    subscription what;
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
    /// Life of the channel and tag of what it was too late for.
    std::set<std::pair<std::uint64_t, std::uint64_t>> given_up;
  };

  /// What becomes of the failed messages of a queue, if more than going back.
  struct failure_plan {
    std::string queue;
    error_policy policy = error_policy::requeue;
    retry_policy retry;
  };

  using failure_plan_ptr = std::shared_ptr<const failure_plan>;

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
    failure_plan_ptr plan;
    /// Where reading goes on, for a stream.
    std::optional<std::int64_t> next_offset;
    handler_table handlers;
    std::vector<subscription_id> members;
    /// The bindings that the broker has confirmed.
    std::set<amqp::binding, by_route> bound;
  };

  /// Where a message stands in its stream.
  struct origin {
    std::string exchange;
    std::string routing_key;
    std::optional<amqp::stream_position> position;
  };

  using origin_ptr = std::shared_ptr<const origin>;

  /// A delivery whose handlers have not all answered yet.
  struct unanswered {
    std::vector<subscription_id> waiting;
    ack_window::verdict outcome = ack_window::verdict::ack;
    amqp::consumer_id consumer = 0;
    /// It came back before: if it goes back again, then not at once.
    bool pause = false;
    time_point since;
    origin_ptr from;
    /// What a handler answered that failed.
    std::string error;
    /// Kept for a copy, if there is a plan.
    failure_plan_ptr plan;
    std::optional<amqp::delivery> original;
    /// In a stream.
    std::optional<std::int64_t> offset;
  };

  /// One message in the forms that its handlers want, each made once.
  struct decoded {
    event_codec codec;
    caf::expected<caf::message> message;
  };

  // The lowest bits of a consumer's id say how it is settled, so that this is known
  // of what a former consumer still delivers as well.
  static bool is_no_ack(amqp::consumer_id id) noexcept;
  static bool reads_stream(amqp::consumer_id id) noexcept;

  // -- subscriptions -----------------------------------------------------------------

  caf::error refusal(const subscription& what, const caf::actor& subscriber,
                     const std::string& queue) const;
  amqp::consumer_id add_consumer(const subscription& what, std::string queue);
  void want(amqp::consumer_id id, const consumer& x, const subscription& what);
  void remove(subscription_id id, const caf::error& reason);
  void retire(amqp::consumer_id id, const consumer& x);
  void on_retired(amqp::consumer_id id);
  void forget(subscription_id id);
  void requeue_unanswered(const std::set<subscription_id>& gone);
  void establish(handler& x, const consumer& from);
  void fail(subscription_id id, const failure& reason);
  void resume_stream(amqp::consumer_id id, consumer& x);
  void tell_lost(handler& x, const failure& reason);
  void tell_restored(handler& x);

  // -- a message comes in --------------------------------------------------------------

  void open_window(const delivery_batch& batch);
  void dispatch(amqp::delivery& x);
  void settle_unknown(const amqp::delivery& x);
  void give_back_paused(amqp::consumer_id id);
  const caf::expected<caf::message>& message_for(const event_codec& codec, const amqp::delivery& x,
                                                 const consumer& from);
  caf::error open_body(const amqp::delivery& x, const consumer& from);
  caf::expected<caf::message> decode(const event_codec& codec);
  static bool wants(const handler& x, const caf::message& what);
  void dispatch_to(handler& to, const amqp::delivery& x, const caf::message& what,
                   unanswered& open);
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

  void ask(handler& to, const amqp::delivery& x, const caf::message& what, unanswered& open);
  void on_answer(std::uint64_t life, std::uint64_t tag, subscription_id id, const origin_ptr& from,
                 const caf::error& err);
  void count(handler& x, const caf::error& err);

  // -- time ------------------------------------------------------------------------------

  void schedule_tick();
  bool needs_tick() const;
  void give_up_answers();
  void give_up_marks(handler& x);

  // -- its end ---------------------------------------------------------------------------

  void finish(std::uint64_t tag, unanswered& x);
  void pause(std::uint64_t tag, amqp::consumer_id id);
  void move(std::uint64_t tag, unanswered& x);
  void on_moved(std::uint64_t life, std::uint64_t tag, const caf::error& err);
  void settle(std::uint64_t tag, amqp::consumer_id id, ack_window::verdict what);
  void schedule_flush();
  void flush();
  void continue_drain();

  caf::event_based_actor* self_;
  dispatcher_settings settings_;
  caf::actor supervisor_;

  std::map<subscription_id, handler> handlers_;
  std::unordered_map<amqp::consumer_id, consumer> consumers_;
  /// Consumers of named queues, by queue.
  std::unordered_map<std::string, amqp::consumer_id> by_queue_;
  /// Former consumers that may still deliver, and their queues. The next consumer
  /// of such a queue waits, so that it cannot overtake what they hand back.
  std::unordered_map<amqp::consumer_id, std::string> retiring_;
  std::unordered_set<std::string> busy_queues_;
  /// The subscriptions of each monitored subscriber.
  std::map<caf::actor_addr, std::set<subscription_id>> subscribers_;
  subscription_id last_subscription_ = 0;
  amqp::consumer_id last_consumer_ = 0;

  // One life of the consuming channel: tags mean nothing outside of it.
  amqp::outlet_ptr out_;
  std::uint32_t incarnation_ = 0;
  std::uint64_t life_ = 0;
  ack_window window_;
  std::unordered_map<std::uint64_t, unanswered> unanswered_;
  /// Deliveries that go back after a pause, or with the end of their consumer, and
  /// whose they are.
  std::unordered_map<std::uint64_t, amqp::consumer_id> paused_;
  /// Deliveries whose copy for a retry or the dead letters is not confirmed yet.
  std::unordered_map<std::uint64_t, amqp::consumer_id> moving_;
  bool flush_scheduled_ = false;
  bool tick_scheduled_ = false;

  // The message being dispatched.
  time_point now_;
  payload_decoder decoder_;
  received_event received_;
  bool opened_ = false;
  caf::error unreadable_;
  bool checked_ = false;
  std::vector<decoded> decoded_;

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
