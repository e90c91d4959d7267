#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "actors/policies.hpp"
#include "amqp/transport.hpp"

namespace actors {

/// A header that tells copies of one message apart: those for retries and dead letters.
inline constexpr std::string_view copy_header = "x-la-copy";

/// The messages that the broker has not confirmed yet, in order: first those on
/// the wire, then those that wait, last those kept aside, which enter at the
/// end, one exchange's in order, as soon as it has room. A plain value: it
/// sends nothing.
///
/// It finds the culprit when the broker closes the channel or the connection with several
/// messages in flight. RabbitMQ handles them in order: it has taken some, one is to blame,
/// and those behind it were not looked at. All are *suspects*, and are sent again by halves,
/// each when nothing else is in flight: those that are answered are not to blame, and one
/// that is alone when the broker closes again is the culprit.
///
/// It also keeps persistent messages from vanishing while bindings are still to be made, after
/// a start or a restart of the broker (`restore`): of each routing key one is sent ahead, and
/// the others follow once a queue took it. Until then it is tried again. Where no queue took
/// anything before, they may fill half of their exchange's limits, so that they are in nobody's
/// way. One that no queue takes after all is never taken for published.
///
/// And it knows the exchanges that *hang*: a queue of theirs takes messages and does not answer,
/// and with them RabbitMQ holds up whatever comes behind them by the same channel.
class outbox {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// Without `confirms` nobody hears what the broker makes of a message, so that nothing is
  /// to be given back that its publisher does not ask for.
  explicit outbox(outbox_limits limits, bool confirms = true);

  outbox(outbox&&) = default;
  outbox& operator=(outbox&&) = default;

  /// What became of the messages that were not kept: `ec::outbox_full`,
  /// `ec::outbox_dropped`, `ec::expired`, or `ec::in_doubt` for one that has been on the
  /// wire, as the broker may have it.
  struct dropped {
    std::uint64_t id = 0;
    ec reason = ec::none;
    /// A newer one took its place (`overflow_policy::latest_per_key`).
    bool replaced = false;
    /// Where it was to go. The id alone says which it is.
    std::string exchange = {};
    std::string routing_key = {};

    bool operator==(const dropped& x) const noexcept {
      return id == x.id && reason == x.reason && replaced == x.replaced;
    }
  };

  /// Whether the message is worth sending for a limited time only. Then `push` is to be
  /// told the time.
  bool expires(const amqp::publication& x) const;

  /// How a message is sent.
  enum class manner : std::uint8_t {
    usual,
    /// With nothing else in flight beside it.
    alone,
    /// If it is persistent, it waits for a queue even if it is mandatory: nobody waits for the
    /// answer.
    patient,
  };

  /// Takes a message with an id above all earlier ones. Gives back those that
  /// the overflow policy dropped for it, itself perhaps. Messages in flight
  /// are never dropped.
  std::vector<dropped> push(amqp::publication x, time_point now = {}, manner how = manner::usual);

  /// Whether nothing would be dropped for a message now, or it can never have any room.
  bool has_room(const amqp::publication& x);

  /// Whether messages to an exchange may leave.
  using gate = std::function<bool(const std::string& exchange)>;

  /// The waiting messages that the window has room for; they are in flight from now on.
  /// Those that are persistent are to be given back if no queue takes them. What expired
  /// meanwhile is left to `take_dropped`. Those to an exchange that is not `open` yet are
  /// overtaken by those to others.
  std::vector<amqp::publication> take(time_point now = {}, const gate& open = nullptr);

  /// What `take` and `expire` have dropped.
  std::vector<dropped> take_dropped();

  /// Drops what waits and is not worth sending any more. Linear in what waits.
  void expire(time_point now);

  /// Whether any message waits or is in flight that can expire.
  bool has_deadlines() const noexcept {
    return deadlines_ > 0;
  }

  /// What became of a message that the broker has confirmed.
  enum class outcome : std::uint8_t {
    /// It was not in flight.
    unknown,
    published,
    /// No queue took it, which is certain; and it is persistent, or its publisher wants to
    /// know.
    unroutable,
    /// No queue took it; but it was in flight before, and may have been taken then.
    in_doubt,
    /// No queue took it, and it will be tried again.
    held,
  };

  /// The broker has taken a message, or given it back before.
  outcome confirm(std::uint64_t id);

  /// What becomes of a message that the broker could not take.
  enum class rejection : std::uint8_t {
    /// It was not in flight.
    unknown,
    /// It was the first time: `send_again` has it wait ahead of all others. Nothing else leaves
    /// to its exchange before; this once in 10 s, so that a full queue that rejects all slows
    /// nobody down.
    again,
    /// It is removed.
    final,
    /// The same, and it was in flight before a link was lost, and may have been taken then.
    in_doubt,
  };

  /// The broker could not take a message. Once that may be chance: RabbitMQ rejects what
  /// goes to a queue that is just being deleted, though other queues have it.
  rejection reject(std::uint64_t id, time_point again);

  /// Has those wait that are to be sent again by now.
  void send_again(time_point now);

  /// Whether any is to be sent again.
  bool has_rejected() const noexcept {
    return !rejected_.empty();
  }

  /// The broker gave back a message that no queue took: notes it for `confirm`. Gives back
  /// the message that it is, if it is in flight.
  const amqp::publication* returned(const amqp::returned_message& x);

  /// A message in flight; none if it is not there.
  const amqp::publication* in_flight(std::uint64_t id) const;

  /// Whether a message in flight is tried again if no queue takes it.
  bool tries_again(std::uint64_t id) const;

  /// A message that was never confirmed.
  struct remainder {
    amqp::publication message;
    /// It has been in flight: the broker may have it.
    bool in_doubt = false;
    /// When it expires, if it does.
    std::optional<time_point> deadline;
  };

  /// Removes a message in flight, which was refused now, and lets those in that were kept
  /// aside for want of its room. Gives it back, if it was there: in doubt, if it was on the
  /// wire before and may have been taken then.
  std::optional<remainder> settle(std::uint64_t id);

  /// The link is lost, or the channel: what was in flight waits again, ahead of the rest.
  void rewind();

  /// The same, when the broker closed channel or connection with these words, because of a
  /// message: gives it back, removed, if it is known which. The broker has neither that one
  /// nor those behind it, if the rights of users and the like did not change meanwhile.
  std::optional<remainder> accuse(const failure& words);

  /// Whether messages are suspected that are to be sent before all others.
  bool has_suspects() const noexcept;

  /// Has the exchanges that the broker took nothing for yet go to another outbox, with all
  /// that waits in them, and suspects nobody else any more. Gives back whether there are any
  /// that may be to blame; without them nothing changes.
  bool move_unproven(outbox& to);

  /// Has the exchanges that the broker takes messages for, and of which none is suspected any
  /// more, go to another outbox, as soon as nothing of theirs is in flight.
  void move_proven(outbox& to, const gate& stays = nullptr);

  /// Has all that waits go to another outbox. Nothing may be in flight.
  void move_all(outbox& to);

  /// Whether anything is remembered of an exchange, and whether the broker took any message
  /// for it.
  bool knows(const std::string& exchange) const;
  bool is_proven(const std::string& exchange) const;

  /// Whether an exchange is to go with the next `move_proven`, by what the last one saw.
  bool returns(const std::string& exchange) const;

  /// Messages to an exchange will come here.
  void remember(const std::string& exchange);

  /// Forgets all exchanges that nothing is on its way to.
  void forget_idle();

  /// Forgets an exchange, if nothing is on its way to it. Gives back whether it did.
  bool forget(const std::string& exchange);

  /// The first link is up, or one was lost: from now on persistent messages that no queue
  /// takes are held.
  void restore();

  /// Tries held messages again, the first of each routing key.
  void probe();

  /// The topology is as it will be: what no queue takes is refused.
  void end_restore();

  bool restoring() const noexcept {
    return restoring_;
  }

  /// Which message has been in flight for longest: a number that no other has, and no
  /// other time that it was sent. 0: none.
  std::uint64_t oldest_in_flight() const noexcept;

  /// How long that message may have no answer: twice as long each time that another link did
  /// not help.
  std::chrono::milliseconds patience() const noexcept;

  /// How many answers there were.
  std::uint64_t answers() const noexcept {
    return answers_;
  }

  /// Whether messages to other exchanges than that message's have no answer either, or wait for
  /// room in flight.
  bool holds_up_others() const;

  /// An exchange of which a queue takes messages and does not answer.
  struct hung_exchange {
    std::string name;
    /// It was so within the last minute.
    bool again = false;
    /// After which time it is tried again: longer each time, as it holds up others by then.
    std::chrono::milliseconds pause{0};
  };

  /// Nothing is answered: the exchange that younger messages to others were answered before, or
  /// the only one that the link has never answered, hangs until its oldest message is answered.
  /// None, if it may be any of several.
  std::optional<hung_exchange> hang_culprit(time_point now, bool goes_apart);

  /// Those that hang are not tried before.
  void postpone_turns(time_point until);

  /// By the next link one message to each exchange is sent alone before all others.
  void try_each_alone();

  /// Whether only messages to exchanges that hang are there.
  bool has_hanging_alone_in_flight() const;

  /// Whether there are exchanges that are not always to be sent to, and whether one is now.
  bool has_turns() const noexcept {
    return hanging_ > 0 || each_alone_;
  }
  bool has_turn(const std::string& exchange, time_point now) const;

  /// Whether anything is there to an exchange that does not hang.
  bool is_moving() const;

  /// Has the exchanges that hang go to another outbox, with all that waits in them, if nothing of
  /// theirs is in flight. Gives back whether there are any.
  bool move_hanging(outbox& to);

  /// Removes everything and gives it back, ascending by id.
  std::vector<remainder> clear();

  std::size_t waiting() const noexcept {
    return waiting_.size() + parked_;
  }

  std::size_t unconfirmed() const noexcept {
    return in_flight_.size();
  }

  /// How many are kept aside. None, if nothing waits, is held or in flight.
  std::size_t blocked() const noexcept {
    return blocked_;
  }

  /// How many wait for a queue that takes them, or to be sent again.
  std::size_t held() const noexcept {
    return held_;
  }

  bool empty() const noexcept {
    return waiting() == 0 && in_flight_.empty() && held_ == 0 && blocked_ == 0;
  }

  /// Of all messages that are not kept aside.
  std::size_t bytes() const noexcept {
    return bytes_;
  }

  /// Of how many exchanges something is remembered.
  std::size_t exchanges() const noexcept {
    return lanes_.size();
  }

private:
  struct exchange_queue;

  struct queued_message {
    amqp::publication message;
    std::size_t size = 0;
    exchange_queue* home = nullptr;
    time_point deadline = time_point::max();
    /// Counts all that were put in flight; 0 before that.
    std::uint64_t sent = 0;
    manner how = manner::usual;
    /// It was in flight when a link or channel ended, and was not given back.
    bool in_doubt = false;
    /// The same, when the broker closed because of one of those in flight: no longer once
    /// that turns out to be this one, or one before it.
    bool in_doubt_as_suspect = false;
    /// The broker gave it back, in this life of the channel.
    bool returned = false;
    /// To be sent when nothing else but suspects is in flight.
    bool suspect = false;
    /// The last time that the broker closed channel or link because of a message while this
    /// one was in flight, 0 for never: the culprit is among those of one time.
    std::uint32_t accused = 0;
    /// Sent ahead of others of its routing key.
    bool probe = false;
    /// It waits in `exchange_queue::parked`, for its exchange.
    bool parked = false;
    /// The broker could not take it, though some queues may have it; and when it is sent again.
    bool rejected = false;
    time_point again = {};

    bool expires() const noexcept {
      return deadline != time_point::max();
    }

    bool is_in_doubt() const noexcept {
      return in_doubt || in_doubt_as_suspect || rejected;
    }
  };

  using entries = std::list<queued_message>;
  using place = entries::iterator;

  /// The messages of one exchange.
  struct exchange_queue {
    exchange_limits limits;
    /// Those that wait, in order.
    std::deque<place> waiting;
    /// The first of them, while the exchange is not open.
    entries parked;
    /// Those of `waiting` that were never in flight, by routing key and subject;
    /// kept for `latest_per_key` only.
    std::unordered_map<std::string, place> latest;
    std::deque<queued_message> blocked;
    std::size_t blocked_bytes = 0;
    /// On the wire, held and waiting.
    std::size_t messages = 0;
    std::size_t bytes = 0;
    /// Held ones as well: what cannot be dropped.
    std::size_t messages_in_flight = 0;
    std::size_t bytes_in_flight = 0;
    std::size_t held = 0;
    std::size_t held_bytes = 0;
    /// Whether queues took persistent messages; and whether they had when the bindings were
    /// lost.
    bool routed = false;
    bool was_routed = false;
    /// Whether the broker took any.
    bool proven = false;
    /// Whether the broker leaves it without an answer, how often another link was tried for that
    /// in a minute, when for the last time, and when it is tried again.
    bool hangs = false;
    std::uint8_t silences = 0;
    time_point last_hang = {};
    time_point next_turn = {};
    /// Whether the broker has answered a message of it by this link.
    bool answered = false;
    /// Until when those that the broker could not take wait to be sent again, and all behind
    /// them; and from when on that may be so another time.
    std::optional<time_point> paused_until;
    time_point next_pause = {};
    /// It goes to another outbox when nothing of it is in flight.
    bool returns = false;
    /// On its way to another outbox.
    bool leaves = false;
    /// Routing keys of persistent messages that no queue took in ordinary times, or that were
    /// given up.
    std::unordered_set<std::string> unroutable;

    /// Whether this many messages and bytes are within the limits.
    bool allows(std::size_t messages, std::size_t bytes) const noexcept {
      return messages <= limits.max_messages && bytes <= limits.max_bytes;
    }

    bool has_room(std::size_t size) const noexcept {
      return allows(messages + 1, bytes + size);
    }

    /// Whether there is room beside the messages in flight: without it nothing
    /// is gained by a drop.
    bool may_make_room(std::size_t size) const noexcept {
      return allows(messages_in_flight + 1, bytes_in_flight + size);
    }

    /// Whether more is held than may be where nobody may ever bind a queue.
    bool holds_too_much() const noexcept {
      return !was_routed && (held > limits.max_messages / 2 || held_bytes > limits.max_bytes / 2);
    }

    bool is_empty() const noexcept {
      return messages == 0 && blocked.empty();
    }

    /// Whether any of it has no answer, or waits for room in flight alone.
    bool needs_wire() const noexcept {
      return messages_in_flight > held || (!waiting.empty() && parked.empty());
    }

    /// Of those that wait or are kept aside.
    std::size_t deadlines() const noexcept;
  };

  /// A routing key after a loss: whether a queue takes its messages is not known until
  /// the first was answered.
  struct watched_key {
    enum class stage : std::uint8_t { probing, paused, open };

    stage at = stage::probing;
    entries held;
  };

  exchange_queue& lane_of(const std::string& exchange);
  /// Has the lanes for which `which` holds, and of which nothing is in flight, go to another
  /// outbox. Gives back whether there are any.
  template <class Which>
  bool move_lanes(outbox& to, Which which);
  void adopt(entries xs);
  /// Has messages wait that are held and whose exchange is to go.
  void release_returning();
  /// It is not the one that the broker closed channel or link for.
  static void acquit(queued_message& x) noexcept;
  std::vector<dropped> push_blocking(queued_message x);
  std::vector<dropped> push_dropping_oldest(queued_message x);
  std::vector<dropped> push_latest(queued_message x);
  place append(queued_message x);
  static dropped drop_of(const queued_message& x, ec reason);
  /// Drops the oldest that wait, but not `spared`, until the limits hold.
  void shrink(exchange_queue& x, place spared, std::vector<dropped>& out);
  /// Takes one out that waits, for good.
  void remove_waiting(place x);
  void admit_blocked(exchange_queue& x);
  /// A newer message does not replace it any more.
  void freeze(place x);

  void park_closed(const gate& open);
  void park(place x);
  /// Has those wait among all others again whose exchange is open.
  void unpark();
  void unpark_open(const gate& open);
  template <class Which>
  void unpark_if(Which which);
  /// Whether messages like it may not leave now.
  static bool is_closed(const queued_message& x, const gate& open);
  /// Has what is to be sent again wait in its place among those in flight.
  void return_rejected();
  std::size_t trial_size();
  /// Whether it must not leave before another of its routing key was answered.
  bool must_wait(place x);
  bool is_watched(const queued_message& x) const;
  static std::string watch_key_of(const amqp::publication& x);
  void put_in_flight(place x, time_point now, std::vector<amqp::publication>& out);
  void note_answer(const queued_message& x) noexcept;
  place find_culprit_of_silence();
  /// The link has answered none to its exchange.
  static bool has_no_answer(const queued_message& x) noexcept;
  /// Its exchange hangs no longer, if it is the oldest of it.
  void end_hang(const queued_message& x) noexcept;
  /// Whether it may be what the broker closes channel or link for.
  bool may_be_refused(const queued_message& x, ec words) const noexcept;
  outcome take_back(place x);
  void forget_route(const queued_message& x);
  void hold(place x);
  void count_held(const queued_message& x) noexcept;
  void count_released(const queued_message& x) noexcept;
  /// Sends what is held of the routing key that has the most.
  void give_up_most_held(const exchange_queue& x);
  /// Has those before `last` wait again, ahead of the rest.
  void release(entries& xs, place last);
  void release_all();
  void take_back_probes();
  /// Has held messages wait in which one has expired.
  void release_expired(time_point now);
  void acquit_suspects();
  /// Who is to blame for sure, if anyone.
  place culprit_of(const failure& words);
  void finish_probe(const queued_message& x, bool routed);
  /// Takes one off the wire, for good.
  void remove_from_wire(std::unordered_map<std::uint64_t, place>::iterator found);

  outbox_limits limits_;
  bool confirms_ = true;
  /// Whether an exchange has a default for `amqp::properties::expiration`.
  bool has_ttl_ = false;
  std::unordered_map<std::string, exchange_queue> lanes_;
  /// How many lanes there may be before empty ones are forgotten.
  std::size_t max_lanes_;
  entries in_flight_;
  entries waiting_;
  /// Those that the broker could not take, in order.
  entries rejected_;
  /// Those with messages that are parked, and how many these are.
  std::vector<exchange_queue*> parked_lanes_;
  std::size_t parked_ = 0;
  /// Of `in_flight_`, by id.
  std::unordered_map<std::uint64_t, place> places_;
  /// The message that was given back last: they come in order.
  std::uint64_t last_returned_ = 0;
  std::uint64_t last_sent_ = 0;
  /// Up to which of them the broker has handled all.
  std::uint64_t handled_ = 0;
  std::uint64_t answers_ = 0;
  /// How many exchanges hang.
  std::size_t hanging_ = 0;
  bool each_alone_ = false;
  std::size_t bytes_ = 0;
  std::size_t blocked_ = 0;
  /// How many entries have a deadline.
  std::size_t deadlines_ = 0;
  std::vector<dropped> expired_;
  /// How often the broker has closed channel or link because of a message.
  std::uint32_t accusations_ = 0;
  /// The first suspect that the broker's words speak of, 0 for none.
  std::uint64_t named_suspect_ = 0;
  bool restoring_ = false;
  std::size_t held_ = 0;
  std::unordered_map<std::string, watched_key> keys_;
};

} // namespace actors
