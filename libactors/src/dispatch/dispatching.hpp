#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <caf/error.hpp>

#include "actors/status.hpp"
#include "delivery/delivery_decoder.hpp"
#include "delivery/open_deliveries.hpp"
#include "dispatch/door.hpp"
#include "dispatch/subscription_table.hpp"

namespace actors {

/// The dispatcher's decisions: this class finds the strategies for a message, hands the message
/// over, takes their answers, and decides how the broker's delivery is settled:
///
///     delivery -> decoded once -> each handler: hand over | ask | hold | pass over
///                                                   |
///                        settle | move a copy <- all have answered
///
/// A value that reaches the outside by its door alone.
class dispatching {
public:
  explicit dispatching(dispatch_door& door, const dispatcher_settings& settings = {});

  // -- subscriptions ---------------------------------------------------------------------

  /// Returns why a subscription is refused, or no error; the log says so as well.
  caf::error refusal(const subscription& spec, bool has_strategy) const;

  /// Adds a subscription that `refusal` accepts. `named` is called with its handler; after that,
  /// the door's `grant` or `refuse` answers it, perhaps within this call.
  template <class Named>
  void subscribe(subscription spec, subscriber_id who, subscription_id known_as, Named named) {
    auto& handler = table_.add(std::move(spec), who, known_as);
    named(handler);
    begin(handler);
  }

  caf::error unsubscribe(subscription_id known_as);
  void on_strategy_down(subscriber_id who, const caf::error& reason);
  void on_consumer_state(const consumer_state& state);
  void on_consumers_lost(const std::vector<amqp::consumer_id>& ids, const failure& reason);

  // -- deliveries ------------------------------------------------------------------------

  /// Takes deliveries of one generation of a link's consuming channel. The sender of the link
  /// settles them.
  void on_deliveries(const amqp::link_sender_ptr& out, std::uint32_t generation,
                     std::vector<amqp::delivery>& batch);
  void on_answer(const question& to, const caf::error& err);
  void on_mark(subscription_id id, std::uint64_t mark, const caf::error& err);
  /// A strategy failed with a message that it was not asked to answer.
  void on_unasked_error(subscriber_id who, const caf::error& reason);
  void on_moved(delivery_key key, const caf::error& err);
  void on_pause_over(delivery_key key);
  void on_flush();
  void on_tick();

  // -- looking, ending -------------------------------------------------------------------

  dispatcher_status status();

  /// Stops handing out new messages. The door's `end_drain` follows.
  void drain();

  bool is_draining() const noexcept {
    return draining_;
  }

  /// The events that strategies have not answered.
  std::uint64_t unhandled();

  /// Tells all strategies that their consumers are lost, until these are started again.
  void tell_all_lost(const failure& reason);

  /// A message made the dispatcher throw: all links are renewed, and their open deliveries come
  /// again.
  void on_exception(const failure& reason);

private:
  using time_point = std::chrono::steady_clock::time_point;
  using origin_ptr = std::shared_ptr<const message_origin>;
  using verdict = ack_window::verdict;
  using ending = subscription_table::ending;

  // -- subscriptions ---------------------------------------------------------------------

  void begin(event_handler& handler);
  void follow();
  void remove(subscription_id id, const caf::error& reason, ending kind = ending::asked_for);
  void forget(subscription_id id);
  void report_end(const std::set<subscription_id>& gone, const caf::error& reason);
  void give_back_unanswered(const std::set<subscription_id>& gone);
  void on_retired(amqp::consumer_id id);
  void establish(event_handler& handler);
  void fail(subscription_id id, const failure& reason);
  void lose(amqp::consumer_id id, shared_consumer& consumer, const failure& reason);
  void tell_lost(event_handler& handler, const failure& reason);
  void tell_restored(event_handler& handler);

  // -- places that are kept for strategies that may be back ----------------------------------

  void hold_for(const std::vector<subscription_id>& places, const amqp::delivery& delivery,
                delivery_key key, open_delivery& open);
  void deliver_held(event_handler& to);
  void deliver_held(event_handler& to, delivery_key key, const held_message& message);
  void answer_held(event_handler& to, verdict outcome);
  void give_back_held(event_handler& to, delivery_key key);
  void drop_places(const shared_consumer& from, verdict outcome);
  bool drop_late_places();

  // -- a message comes in ------------------------------------------------------------------

  void dispatch(std::uint64_t generation, amqp::delivery& delivery);
  void settle_unknown(std::uint64_t generation, const amqp::delivery& delivery);
  void settle_unreadable(delivery_key key, const amqp::delivery& delivery, shared_consumer& from);
  void settle_poison(delivery_key key, amqp::consumer_id id, const std::exception_ptr& thrown);
  void settle_unmatched(delivery_key key, amqp::delivery& delivery, shared_consumer& from);
  bool dispatch_to(event_handler& to, const amqp::delivery& delivery, const caf::message& event,
                   delivery_key key, open_delivery& open);
  void pass_over(event_handler& to, const amqp::delivery& delivery);
  void skip(event_handler& to, const amqp::delivery& delivery);
  stream_tracker::verdict arrive(event_handler& to, const amqp::delivery& delivery);
  void tell_arriving(event_handler& to);
  void report_malformed(const amqp::delivery& delivery, const shared_consumer& from,
                        const caf::error& reason);

  // -- to a strategy, on dispatch ----------------------------------------------------------

  void offer_event(event_handler& to, const amqp::delivery& delivery, const caf::message& event);
  void pump(event_handler& to);
  void count_failure(event_handler& handler, const caf::error& reason);
  void tell(const event_handler& to, std::vector<stream_notice>& notices);

  // -- to a strategy, on success -----------------------------------------------------------

  void ask(event_handler& to, const caf::message& event, delivery_key key, const origin_ptr& from);
  verdict take_answer(event_handler& handler, const question& to, const caf::error& err,
                      verdict outcome);
  void continue_handing_over(subscription_id id);
  void settle_followers(subscription_id id, const origin_ptr& from, verdict outcome,
                        const std::string& error);
  void count(event_handler& handler, const caf::error& err);

  // -- time --------------------------------------------------------------------------------

  void schedule_tick();
  void give_up_answers();
  void give_up_marks(event_handler& handler);

  // -- a message's end ---------------------------------------------------------------------

  void finish(delivery_key key, open_delivery& delivery);
  void settle_unwanted(delivery_key key, open_delivery& delivery);
  void pause(delivery_key key, open_deliveries::paused_delivery paused,
             std::chrono::milliseconds time);
  void move(delivery_key key, open_delivery& delivery);
  void send_copy(delivery_key key, open_deliveries::moving_delivery moving, amqp::publication copy);
  void count(open_deliveries::moving_delivery::goal to) noexcept;
  /// What failures must share for the log to count them as one.
  static std::string kind_of(const event_handler& handler, const caf::error& reason);
  void report_failure(const event_handler& handler, const caf::error& reason,
                      std::string_view fate);
  void settle_uncopied(delivery_key key, amqp::consumer_id id, const caf::error& why);
  bool awaits_queue_beside(amqp::consumer_id id);
  void settle(delivery_key key, amqp::consumer_id id, verdict outcome);
  void schedule_flush();
  void flush();
  void continue_drain();

  dispatch_door* door_;
  subscription_table table_;
  open_deliveries deliveries_;
  delivery_decoder decoder_;
  dispatcher_status counters_;
  time_point now_;
  bool flush_scheduled_ = false;
  bool tick_scheduled_ = false;
  bool draining_ = false;
};

} // namespace actors
