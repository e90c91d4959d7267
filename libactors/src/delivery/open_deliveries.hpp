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

/// What becomes of the failed messages of a queue, if more than going back.
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
  /// Who has another copy of it in hand.
  std::vector<subscription_id> following = {};
  /// How many handlers were asked, and how many of them had none for its type.
  std::size_t asked = 0;
  std::size_t unwanted = 0;
  ack_window::verdict outcome = ack_window::verdict::ack;
  amqp::consumer_id consumer = 0;
  /// It came back before: if it goes back again, then not at once.
  bool pause = false;
  std::chrono::steady_clock::time_point since = {};
  std::shared_ptr<const message_origin> from = {};
  /// What a handler answered that failed.
  std::string error = {};
  /// Kept for a copy, if there is a plan.
  std::shared_ptr<const failure_plan> plan = {};
  std::optional<amqp::delivery> original = {};
  /// In a stream.
  std::optional<std::int64_t> offset = {};
};

/// Names a delivery for ever: a tag means something in one generation of one channel only.
struct delivery_key {
  std::uint64_t generation = 0;
  std::uint64_t tag = 0;

  bool operator==(const delivery_key&) const = default;

  bool operator<(const delivery_key& x) const noexcept {
    return std::tie(generation, tag) < std::tie(x.generation, x.tag);
  }
};

/// The verdict on a message that two handlers answered differently: whoever needs it
/// again gets it again.
ack_window::verdict stronger(ack_window::verdict x, ack_window::verdict y) noexcept;

/// The deliveries that the broker waits for, of all channels that deliver, and what to
/// tell it. Several generations of channels may be open at once. When a consumer is lost, the
/// broker takes back what it had delivered: what strategies still have of that is
/// remembered as `hanging` until they answer, and settles nothing. A plain value:
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

  /// Deliveries come by this channel: gives back its generation, a new one if need be, which is
  /// that of the next `arrived`.
  std::uint64_t enter(const amqp::link_sender_ptr& out, std::uint32_t generation);

  /// A consumer delivers in this generation from now on: what it had in a former one is lost.
  void began(amqp::consumer_id id, std::uint64_t generation);

  /// A consumer delivers no more, and the broker takes back what it had: most often its
  /// channel is gone.
  void lost(amqp::consumer_id id);

  /// A consumer delivers no more; what it has delivered can still be settled.
  void retired(amqp::consumer_id id);

  /// How many generations are open.
  std::size_t generations() const noexcept {
    return generations_.size();
  }

  // -- deliveries ------------------------------------------------------------------------

  /// A delivery without a verdict, in the generation entered last; tags ascend.
  void arrived(std::uint64_t tag) {
    current_->window.open(tag);
  }

  /// A delivery has its verdict. False: it is not open, or its generation is over. A stream
  /// takes nothing back, and RabbitMQ ends the connection of whoever tries.
  bool settle(delivery_key key, amqp::consumer_id id, verdict what);

  /// Handlers have been asked.
  void wait(delivery_key key, open_delivery x);

  /// One has answered with this verdict. Gives back the delivery that all have answered
  /// now, unless it hangs.
  std::optional<open_delivery> answered(delivery_key key, subscription_id id, verdict what,
                                        std::string error);

  /// Who is about to answer has no handler for it.
  void unwanted(delivery_key key);

  /// These have ended without an answer: that is no fault of their messages, unless a
  /// handler failed with one. Gives back the deliveries that nobody has any more.
  std::vector<std::pair<delivery_key, open_delivery>>
  give_back(const std::set<subscription_id>& gone);

  /// It gets its verdict later.
  struct paused_delivery {
    amqp::consumer_id consumer = 0;
    verdict outcome = verdict::release;
  };

  void pause(delivery_key key, paused_delivery x);

  /// Its pause is over.
  std::optional<paused_delivery> resume(delivery_key key);

  /// Settles all of a consumer that pause: all at once, so that they take their places in
  /// the queue again.
  void resume_all(amqp::consumer_id id);

  /// Its copy is on its way to one of the queues beside its own.
  struct moving_delivery {
    enum class goal : std::uint8_t { retries, dead_letters, unmatched };

    amqp::consumer_id consumer = 0;
    goal to = goal::retries;
  };

  /// Its copy is under way.
  void move(delivery_key key, moving_delivery x);

  /// Its copy has been answered. Nothing: its generation is over.
  std::optional<moving_delivery> moved(delivery_key key);

  // -- copies of what hangs -------------------------------------------------------------

  /// A delivery is a copy of what this subscription has in hand: it gets the verdict of
  /// that one, if it waited for an answer of its own so far as well.
  void follow(subscription_id id, const message_origin& of, delivery_key copy);

  /// The copies that wait for the verdict on this message; each waits no more.
  std::vector<delivery_key> take_followers(subscription_id id, const message_origin& of);

  /// What a copy was waiting for. Gives back the copy, if nobody is waited for now.
  std::optional<open_delivery> followed(delivery_key copy, subscription_id id, verdict what,
                                        std::string error);

  // -- looking ---------------------------------------------------------------------------

  struct late_answer {
    delivery_key key;
    subscription_id id = 0;
    std::shared_ptr<const message_origin> from;
  };

  /// The answers that have been awaited for longer than the limit of their subscription;
  /// 0 is without one. Of what hangs as well: its time goes on.
  std::vector<late_answer>
  late(time_point now,
       const std::function<std::chrono::milliseconds(subscription_id)>& limit_of) const;

  /// The lowest offset of a stream's consumer that has no answer yet.
  std::optional<std::int64_t> first_offset(amqp::consumer_id id) const;

  /// How many handlers or copies are waited for.
  std::size_t unfinished() const noexcept;

  /// Whether any handler is waited for.
  bool awaits_answers() const noexcept;

  /// Calls `send(link_sender, generation, settlements)` for each generation with verdicts to tell.
  template <class Send>
  void flush(Send send) {
    for (auto& x : generations_)
      if (auto settlements = x->window.flush(); !settlements.empty())
        send(*x->out, x->generation, std::move(settlements));
  }

private:
  using waiting_list = std::vector<subscription_id> open_delivery::*;

  struct channel_generation {
    std::uint64_t id = 0;
    amqp::link_sender_ptr out;
    std::uint32_t generation = 0;
    /// Who delivers in it; none, if all have retired.
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
                                    verdict what, std::string error);
  static in_hand in_hand_of(subscription_id id, const message_origin& x);
  static bool is_idle(const channel_generation& x) noexcept;
  channel_generation* find(std::uint64_t id) noexcept;
  open_delivery* find_open(delivery_key key) noexcept;
  void drop_idle();

  std::uint64_t last_life_ = 0;
  std::vector<std::unique_ptr<channel_generation>> generations_;
  channel_generation* current_ = nullptr;
  std::unordered_map<amqp::consumer_id, std::uint64_t> life_of_;
  /// What strategies have of consumers that are lost.
  std::map<delivery_key, open_delivery> hanging_;
  std::multimap<in_hand, delivery_key> followers_;
};

} // namespace actors
