#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "actors/subscription.hpp"
#include "amqp/transport.hpp"
#include "delivery/ack_window.hpp"

namespace actors {

/// The policy for failed messages of a queue, if more is to be done than a requeue.
struct failure_plan {
  std::string queue;
  error_policy policy = error_policy::requeue;
  retry_policy retry;
};

/// Where a message stands in its stream.
struct message_origin {
  std::string exchange;
  std::string routing_key;
  std::optional<amqp::stream_position> position;
};

/// A delivery whose handlers have not all answered yet.
struct open_delivery {
  std::vector<subscription_id> waiting = {};
  /// Handlers that have another copy of the message in hand.
  std::vector<subscription_id> following = {};
  /// The number of handlers that were asked; `unwanted` counts those that do not know its type.
  std::size_t asked = 0;
  std::size_t unwanted = 0;
  ack_window::verdict outcome = ack_window::verdict::ack;
  amqp::consumer_id consumer = 0;
  /// The message was redelivered: if it goes back again, then after a pause.
  bool pause = false;
  std::chrono::steady_clock::time_point since = {};
  std::shared_ptr<const message_origin> from = {};
  /// The error text of a handler that failed.
  std::string error = {};
  /// The plan for a failure; with a plan, `original` is kept for the copy.
  std::shared_ptr<const failure_plan> plan = {};
  std::optional<amqp::delivery> original = {};
  /// The message's offset in a stream.
  std::optional<std::int64_t> offset = {};
};

/// The unique key of a delivery: a tag is unique only within one channel generation.
struct delivery_key {
  std::uint64_t generation = 0;
  std::uint64_t tag = 0;

  bool operator==(const delivery_key&) const = default;

  bool operator<(const delivery_key& x) const noexcept {
    return std::tie(generation, tag) < std::tie(x.generation, x.tag);
  }
};

/// Returns the stronger of two handlers' verdicts on one message: a handler that needs the message
/// again gets it again.
ack_window::verdict stronger(ack_window::verdict one, ack_window::verdict other) noexcept;

/// The unsettled deliveries of all channels, and the settlements to send. Several channel
/// generations may be open at once. When a consumer is lost, the broker takes its deliveries back:
/// messages that strategies still have in hand are remembered as `hanging` until they answer, and
/// settle nothing. A plain value:
///
///              +-> waiting for answers --+
///     arrived -+                         +-> moving (a copy is under way) -+
///              +------------ paused <----+                                 |
///                               +-------------------> settled <------------+
class open_deliveries {
public:
  using time_point = std::chrono::steady_clock::time_point;
  using verdict = ack_window::verdict;

  // -- generations ---------------------------------------------------------------------------

  /// Selects the generation of a channel that delivers, a new one if need be, for the next
  /// `arrived`. Returns its number.
  std::uint64_t enter(const amqp::link_sender_ptr& out, std::uint32_t generation);

  /// A consumer delivers in this generation from now on: its deliveries of a former generation are
  /// lost.
  void began(amqp::consumer_id id, std::uint64_t generation);

  /// A consumer delivers no more, and the broker takes its deliveries back: most often its channel
  /// is gone.
  void lost(amqp::consumer_id id);

  /// A consumer delivers no more; its deliveries can still be settled.
  void retired(amqp::consumer_id id);

  /// The number of open generations.
  std::size_t generations() const noexcept {
    return generations_.size();
  }

  // -- deliveries ------------------------------------------------------------------------

  /// Adds a delivery without a verdict to the selected generation; tags ascend.
  void arrived(std::uint64_t tag) {
    current_->window.open(tag);
  }

  /// Gives a delivery its verdict. False: the delivery is not open, or its generation is over. A
  /// stream's delivery is always acknowledged: RabbitMQ ends a connection that gives one back.
  bool settle(delivery_key key, amqp::consumer_id id, verdict outcome);

  /// Adds a delivery whose handlers have been asked.
  void wait(delivery_key key, open_delivery delivery);

  /// A handler has answered. Returns the delivery, if that was the last answer and the delivery
  /// does not hang.
  std::optional<open_delivery> answered(delivery_key key, subscription_id id, verdict outcome,
                                        std::string error);

  /// The handler that is about to answer has no handler for the message's type.
  void unwanted(delivery_key key);

  /// These subscriptions have ended without an answer, which is no failure of their messages unless
  /// a handler failed with one. Returns the deliveries that nobody has in hand any more.
  std::vector<std::pair<delivery_key, open_delivery>>
  give_back(const std::set<subscription_id>& gone);

  /// A delivery that gets its verdict after a pause.
  struct paused_delivery {
    amqp::consumer_id consumer = 0;
    verdict outcome = verdict::release;
    /// No copy of the message can be made.
    bool uncopied = false;
  };

  void pause(delivery_key key, paused_delivery paused);

  /// Ends a pause. Returns nothing if the delivery is not paused, or its generation is over.
  std::optional<paused_delivery> resume(delivery_key key);

  /// Settles all paused deliveries of a consumer at once, so that they take their places in the
  /// queue again.
  void resume_all(amqp::consumer_id id);

  /// The number of a consumer's paused messages of which no copy can be made.
  std::size_t uncopied(amqp::consumer_id id) const noexcept;

  /// A delivery whose copy is on its way to a companion queue.
  struct moving_delivery {
    enum class goal : std::uint8_t { retries, dead_letters, unmatched };

    amqp::consumer_id consumer = 0;
    goal to = goal::retries;
  };

  /// The delivery's copy is on its way to the broker.
  void move(delivery_key key, moving_delivery moving);

  /// The broker has answered the copy. Returns nothing if the generation is over.
  std::optional<moving_delivery> moved(delivery_key key);

  // -- copies of hanging deliveries ------------------------------------------------------

  /// Marks a delivery as a copy of a message that this subscription has in hand. The copy gets the
  /// verdict of that message, instead of an answer of its own.
  void follow(subscription_id id, const message_origin& of, delivery_key copy);

  /// Takes out the copies that wait for the verdict on this message.
  std::vector<delivery_key> take_followers(subscription_id id, const message_origin& of);

  /// The message of a copy has its verdict. Returns the copy, if that was the last answer.
  std::optional<open_delivery> followed(delivery_key copy, subscription_id id, verdict outcome,
                                        std::string error);

  // -- looking ---------------------------------------------------------------------------

  struct late_answer {
    delivery_key key;
    subscription_id id = 0;
    std::shared_ptr<const message_origin> from;
  };

  /// Returns the answers that are later than the limit of their subscription; a limit of 0 is none.
  /// Hanging deliveries are included: their time goes on.
  std::vector<late_answer>
  late(time_point now,
       const std::function<std::chrono::milliseconds(subscription_id)>& limit_of) const;

  /// Returns the lowest unanswered offset of a stream's consumer.
  std::optional<std::int64_t> first_offset(amqp::consumer_id id) const;

  /// The number of deliveries that wait for handlers or for their copies.
  std::size_t unfinished() const noexcept;

  /// Whether an answer of any handler is awaited.
  bool awaits_answers() const noexcept;

  /// Calls `send(link_sender, generation, settlements)` for each generation with verdicts to tell.
  template <class Send>
  void flush(Send send) {
    for (auto& channel : generations_)
      if (auto settlements = channel->window.flush(); !settlements.empty())
        send(*channel->out, channel->generation, std::move(settlements));
  }

private:
  using waiting_list = std::vector<subscription_id> open_delivery::*;

  struct channel_generation {
    std::uint64_t id = 0;
    amqp::link_sender_ptr out;
    std::uint32_t generation = 0;
    /// The consumers that deliver in it; empty, if all have retired.
    std::set<amqp::consumer_id> consumers;
    ack_window window;
    std::unordered_map<std::uint64_t, open_delivery> waiting;
    std::unordered_map<std::uint64_t, paused_delivery> paused;
    std::unordered_map<std::uint64_t, moving_delivery> moving;
  };

  /// A message that a subscription has in hand.
  using in_hand =
      std::tuple<subscription_id, std::string, std::string, std::uint64_t, std::uint64_t>;

  std::optional<open_delivery> take(delivery_key key, waiting_list list, subscription_id id,
                                    verdict outcome, std::string error);
  static in_hand in_hand_of(subscription_id id, const message_origin& origin);
  static bool is_idle(const channel_generation& x) noexcept;
  channel_generation* find(std::uint64_t id) noexcept;
  open_delivery* find_open(delivery_key key) noexcept;
  void drop_idle();

  std::uint64_t last_life_ = 0;
  std::vector<std::unique_ptr<channel_generation>> generations_;
  channel_generation* current_ = nullptr;
  std::unordered_map<amqp::consumer_id, std::uint64_t> life_of_;
  /// Deliveries of lost consumers that strategies still have in hand.
  std::map<delivery_key, open_delivery> hanging_;
  std::multimap<in_hand, delivery_key> followers_;
};

} // namespace actors
