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

/// The messages that the broker has not confirmed, in order: unconfirmed, waiting, blocked.
/// Blocked messages move to the end of `waiting` when their exchange has room. An outbox is a
/// plain value that sends nothing.
///
/// The outbox finds the *culprit* when the broker closes the channel or the connection with
/// several messages in flight. RabbitMQ handles messages in order: it has taken the first ones,
/// one message is to blame, and the messages behind the culprit were not looked at. All messages
/// in flight become *suspects* and are sent again by halves, each half with nothing else in
/// flight. An answered suspect is not to blame; a suspect that is alone when the broker closes
/// again is the culprit.
///
/// The outbox also keeps persistent messages from vanishing while bindings are still missing,
/// after a start or a restart of the broker (`restore`). One message of each routing key is sent
/// ahead as a *probe*, and is tried again until a queue takes it; the other messages are *held*
/// until then. If no queue took anything from an exchange before, held messages may fill only
/// half of that exchange's limits, so that they do not crowd out others. A message that no queue
/// takes in the end never counts as published.
///
/// Finally the outbox knows the exchanges that *hang*: one of their queues takes messages without
/// an answer, so RabbitMQ holds up everything behind those messages on the same channel.
class outbox {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// Without `confirms` the broker does not answer publications, so only mandatory messages are
  /// returned.
  explicit outbox(outbox_limits limits, bool confirms = true);

  outbox(outbox&&) = default;
  outbox& operator=(outbox&&) = default;

  /// A message that was not kept, and why: `ec::outbox_full`, `ec::outbox_dropped`,
  /// `ec::expired`, or `ec::in_doubt` for a message that has been in flight, because the broker
  /// may have it.
  struct dropped {
    std::uint64_t id = 0;
    ec reason = ec::none;
    /// A newer message took the place (`overflow_policy::latest_per_key`).
    bool replaced = false;
    /// The destination, for error texts; the id alone identifies the message.
    std::string exchange = {};
    std::string routing_key = {};

    bool operator==(const dropped& x) const noexcept {
      return id == x.id && reason == x.reason && replaced == x.replaced;
    }
  };

  /// Whether the message has a time to live. If so, `push` needs the time.
  bool expires(const amqp::publication& x) const;

  /// How a message is sent.
  enum class manner : std::uint8_t {
    usual,
    /// The message is sent when nothing else is in flight.
    alone,
    /// A persistent message waits for a queue even if it is mandatory, because nobody waits for
    /// the answer.
    patient,
  };

  /// Takes a message whose id must be above all earlier ids. Returns the messages that the
  /// overflow policy dropped, which may include the new one. Messages in flight are never
  /// dropped.
  std::vector<dropped> push(amqp::publication message, time_point now = {},
                            manner how = manner::usual);

  /// Whether `push` would drop nothing for the message, or the message can never fit.
  bool has_room(const amqp::publication& x);

  /// Decides whether messages to an exchange may leave.
  using gate = std::function<bool(const std::string& exchange)>;

  /// Puts as many waiting messages in flight as the window has room for, and returns them.
  /// Persistent ones are made mandatory, so that the broker returns them if no queue takes them.
  /// Messages that have expired go to `take_dropped`. Messages to an exchange that is not `open`
  /// keep waiting while others overtake them.
  std::vector<amqp::publication> take(time_point now = {}, const gate& open = nullptr);

  /// Returns the messages that `take` and `expire` have dropped.
  std::vector<dropped> take_dropped();

  /// Drops expired messages that wait. Takes time linear in the number of waiting messages.
  void expire(time_point now);

  /// Whether a message with a deadline waits or is in flight.
  bool has_deadlines() const noexcept {
    return deadlines_ > 0;
  }

  /// The result of a confirmation by the broker.
  enum class outcome : std::uint8_t {
    /// The message was not in flight.
    unknown,
    published,
    /// Certainly no queue took the message, which is persistent or mandatory.
    unroutable,
    /// No queue took the message this time; but it was in flight before, and a queue may have
    /// taken it then.
    in_doubt,
    /// No queue took the message, which will be tried again.
    held,
  };

  /// Handles a confirmation: the broker has taken the message, or has returned it before.
  outcome confirm(std::uint64_t id);

  /// The result of a rejection by the broker.
  enum class rejection : std::uint8_t {
    /// The message was not in flight.
    unknown,
    /// The message was rejected for the first time: `send_again` puts it ahead of all others.
    /// Until then nothing else leaves to its exchange. Such a pause occurs at most once in 10 s,
    /// so that a full queue that rejects everything slows nobody down.
    again,
    /// The message is removed.
    final,
    /// The message is removed; but it was in flight when an earlier link was lost, and the broker
    /// may have taken it then.
    in_doubt,
  };

  /// Handles a rejection (basic.nack). The first one may be chance: RabbitMQ rejects a message for
  /// a queue that is just being deleted, although other queues have the message.
  rejection reject(std::uint64_t id, time_point again);

  /// Puts the rejected messages whose time has come back among those that wait.
  void send_again(time_point now);

  /// Whether a rejected message is still to be sent again.
  bool has_rejected() const noexcept {
    return !rejected_.empty();
  }

  /// Notes for `confirm` that the broker returned a message because no queue took it. Returns the
  /// message, or null if it is not in flight.
  const amqp::publication* returned(const amqp::returned_message& answer);

  /// Returns a message in flight, or null if there is none with this id.
  const amqp::publication* in_flight(std::uint64_t id) const;

  /// Whether a message in flight is tried again if no queue takes it.
  bool tries_again(std::uint64_t id) const;

  /// A message that was never confirmed.
  struct remainder {
    amqp::publication message;
    /// Whether the message has been in flight, so that the broker may have it.
    bool in_doubt = false;
    /// The time at which the message expires, if it does.
    std::optional<time_point> deadline;
  };

  /// Removes a message in flight that was refused, and lets blocked messages into the freed room.
  /// Returns the message, if it was in flight: in doubt, if the broker may have taken it at an
  /// earlier attempt.
  std::optional<remainder> settle(std::uint64_t id);

  /// Handles the loss of the link or channel: messages in flight wait again, ahead of the rest.
  void rewind();

  /// Does the same as `rewind` after the broker closed the channel or connection with these words
  /// because of a message. Removes and returns the culprit, if it is known. The broker has neither
  /// the culprit nor the messages behind it, unless users' rights and the like changed meanwhile.
  std::optional<remainder> accuse(const failure& words);

  /// Whether there are suspects, which are sent before all other messages.
  bool has_suspects() const noexcept;

  /// Moves the exchanges for which the broker has taken nothing yet to another outbox, with all
  /// their waiting messages, and clears all other suspects. Returns false and changes nothing if
  /// none of these exchanges may be to blame.
  bool move_unproven(outbox& to);

  /// Moves the exchanges for which the broker takes messages, and which have no suspects left, to
  /// another outbox, as soon as they have nothing in flight.
  void move_proven(outbox& to, const gate& stays = nullptr);

  /// Moves everything to another outbox. Nothing may be in flight.
  void move_all(outbox& to);

  /// Whether the outbox remembers an exchange, and whether the broker took any message for it.
  bool knows(const std::string& exchange) const;
  bool is_proven(const std::string& exchange) const;

  /// Whether the last `move_proven` selected an exchange, which then moves with the next call.
  bool returns(const std::string& exchange) const;

  /// Assigns an exchange to this outbox before its first message.
  void remember(const std::string& exchange);

  /// Forgets all exchanges without messages.
  void forget_idle();

  /// Forgets an exchange, if it has no messages. Returns whether the exchange is forgotten.
  bool forget(const std::string& exchange);

  /// Starts to hold persistent messages that no queue takes: the first link is up, or a link was
  /// lost.
  void restore();

  /// Tries the first held message of each routing key again.
  void probe();

  /// Ends `restore`: all bindings should exist by now, so a message that no queue takes is
  /// refused.
  void end_restore();

  bool restoring() const noexcept {
    return restoring_;
  }

  /// Returns the send number of the message that has been in flight longest; 0 if there is none.
  /// Each attempt to send a message has its own number.
  std::uint64_t oldest_in_flight() const noexcept;

  /// How long the oldest message in flight may be without an answer. The time doubles each time
  /// that another link did not help.
  std::chrono::milliseconds patience() const noexcept;

  /// How many answers the broker has given.
  std::uint64_t answers() const noexcept {
    return answers_;
  }

  /// Whether messages to exchanges other than that of the oldest message in flight lack an answer
  /// too, or wait for room in flight.
  bool holds_up_others() const;

  /// An exchange with a queue that takes messages without an answer.
  struct hung_exchange {
    std::string name;
    /// Whether the exchange hung before within the last minute.
    bool again = false;
    /// The time until the exchange is tried again. It grows each time, because an attempt holds
    /// up other exchanges.
    std::chrono::milliseconds pause{0};
  };

  /// Finds the exchange that hangs while nothing is answered: the one that younger messages to
  /// other exchanges have overtaken, or the only one without any answer on this link. It hangs
  /// until its oldest message is answered. Returns nothing if several exchanges qualify.
  std::optional<hung_exchange> hang_culprit(time_point now, bool goes_apart);

  /// Delays the next turn of all hanging exchanges.
  void postpone_turns(time_point until);

  /// Makes the next link start with one message to each exchange, each sent alone.
  void try_each_alone();

  /// Whether all messages in flight are for exchanges that hang.
  bool has_hanging_alone_in_flight() const;

  /// Whether some exchanges must wait for their turn, and whether an exchange has its turn now.
  bool has_turns() const noexcept {
    return hanging_ > 0 || each_alone_;
  }
  bool has_turn(const std::string& exchange, time_point now) const;

  /// Whether there are messages for an exchange that does not hang.
  bool is_moving() const;

  /// Moves the hanging exchanges that have nothing in flight to another outbox, with all their
  /// waiting messages. Returns whether any moved.
  bool move_hanging(outbox& to);

  /// Removes and returns all messages, ascending by id.
  std::vector<remainder> clear();

  std::size_t waiting() const noexcept {
    return waiting_.size() + parked_;
  }

  std::size_t unconfirmed() const noexcept {
    return in_flight_.size();
  }

  /// How many messages are blocked; 0 if none waits, is held or is in flight.
  std::size_t blocked() const noexcept {
    return blocked_;
  }

  /// How many messages wait for a queue that takes them, or for another attempt after a rejection.
  std::size_t held() const noexcept {
    return held_;
  }

  bool empty() const noexcept {
    return waiting() == 0 && in_flight_.empty() && held_ == 0 && blocked_ == 0;
  }

  /// The size of all messages that are not blocked.
  std::size_t bytes() const noexcept {
    return bytes_;
  }

  /// How many exchanges the outbox remembers.
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
    /// The send number: a count of all messages put in flight. 0 before the first attempt.
    std::uint64_t sent = 0;
    manner how = manner::usual;
    /// The message was in flight, and not returned, when a link or channel ended.
    bool in_doubt = false;
    /// The message was in flight when the broker closed because of some message. The doubt ends
    /// once the culprit turns out to be this message or one before it.
    bool in_doubt_as_suspect = false;
    /// The broker returned the message in this generation of the channel.
    bool returned = false;
    /// The message may only be sent while nothing but suspects is in flight.
    bool suspect = false;
    /// The number of the last accusation (a close by the broker because of a message) while this
    /// message was in flight; 0 for never. Each accusation has one culprit.
    std::uint32_t accused = 0;
    /// The message is sent ahead of others of its routing key.
    bool probe = false;
    /// The message waits in `exchange_queue::parked`, for its exchange.
    bool parked = false;
    /// The broker rejected the message, though some queues may have it; `again` is the time of
    /// the next attempt.
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
    /// The waiting messages, in order.
    std::deque<place> waiting;
    /// The first messages of `waiting`, while the exchange is not open.
    entries parked;
    /// The messages of `waiting` that were never in flight, by routing key and subject; used for
    /// `latest_per_key` only.
    std::unordered_map<std::string, place> latest;
    std::deque<queued_message> blocked;
    std::size_t blocked_bytes = 0;
    /// Count and size of the messages in flight, held and waiting.
    std::size_t messages = 0;
    std::size_t bytes = 0;
    /// Count and size of the messages in flight and held, which cannot be dropped.
    std::size_t messages_in_flight = 0;
    std::size_t bytes_in_flight = 0;
    std::size_t held = 0;
    std::size_t held_bytes = 0;
    /// Whether a queue has taken persistent messages, now and at the last `restore`.
    bool routed = false;
    bool was_routed = false;
    /// Whether the broker has taken any message.
    bool proven = false;
    /// Whether the exchange hangs, how often another link was tried for that reason within a
    /// minute, the time of the last attempt, and the time of the exchange's next turn.
    bool hangs = false;
    std::uint8_t silences = 0;
    time_point last_hang = {};
    time_point next_turn = {};
    /// Whether the broker has answered a message of the exchange on this link.
    bool answered = false;
    /// The end of the present pause after a rejection, in which rejected messages and all behind
    /// them wait; and the earliest time of the next pause.
    std::optional<time_point> paused_until;
    time_point next_pause = {};
    /// The exchange moves to another outbox when it has nothing in flight.
    bool returns = false;
    /// The exchange is moving to another outbox now.
    bool leaves = false;
    /// Routing keys of persistent messages that no queue took outside of `restore`, or that were
    /// given up.
    std::unordered_set<std::string> unroutable;

    /// Whether this many messages and bytes are within the limits.
    bool allows(std::size_t messages, std::size_t bytes) const noexcept {
      return messages <= limits.max_messages && bytes <= limits.max_bytes;
    }

    bool has_room(std::size_t size) const noexcept {
      return allows(messages + 1, bytes + size);
    }

    /// Whether drops can make room: messages in flight cannot be dropped.
    bool may_make_room(std::size_t size) const noexcept {
      return allows(messages_in_flight + 1, bytes_in_flight + size);
    }

    /// Whether too much is held for an exchange to which nobody may ever bind a queue.
    bool holds_too_much() const noexcept {
      return !was_routed && (held > limits.max_messages / 2 || held_bytes > limits.max_bytes / 2);
    }

    bool is_empty() const noexcept {
      return messages == 0 && blocked.empty();
    }

    /// Whether a message of the exchange lacks an answer, or waits only for room in flight.
    bool needs_wire() const noexcept {
      return messages_in_flight > held || (!waiting.empty() && parked.empty());
    }

    /// How many waiting and blocked messages have a deadline.
    std::size_t deadlines() const noexcept;
  };

  /// A routing key after a loss. Whether a queue takes its messages is unknown until the probe is
  /// answered.
  struct watched_key {
    enum class stage : std::uint8_t { probing, paused, open };

    stage at = stage::probing;
    entries held;
  };

  exchange_queue& lane_of(const std::string& exchange);
  /// Moves the lanes for which `which` holds, and which have nothing in flight, to another outbox.
  /// Returns whether any moved.
  template <class Which>
  bool move_lanes(outbox& to, Which which);
  void adopt(entries messages);
  /// Puts held messages whose exchange is about to move back among those that wait.
  void release_returning();
  /// Clears a message of the suspicion that it made the broker close a channel or link.
  static void acquit(queued_message& queued) noexcept;
  std::vector<dropped> push_blocking(queued_message queued);
  std::vector<dropped> push_dropping_oldest(queued_message queued);
  std::vector<dropped> push_latest(queued_message added);
  place append(queued_message queued);
  static dropped drop_of(const queued_message& x, ec reason);
  /// Drops the oldest waiting messages, except `spared`, until the limits hold.
  void shrink(exchange_queue& home, place spared, std::vector<dropped>& out);
  /// Removes a waiting message for good.
  void remove_waiting(place queued);
  void admit_blocked(exchange_queue& home);
  /// Protects a message from being replaced by a newer one.
  void freeze(place queued);

  void park_closed(const gate& open);
  void park(place x);
  /// The next functions put parked messages back among all others that wait: all of them, those
  /// of open exchanges, or those of a choice.
  void unpark();
  void unpark_open(const gate& open);
  template <class Which>
  void unpark_if(Which which);
  /// Whether messages to the same exchange may not leave now.
  static bool is_closed(const queued_message& x, const gate& open);
  /// Puts the rejected messages back into their places among those in flight.
  void return_rejected();
  std::size_t trial_size();
  /// Whether the message must not leave before the probe of its routing key is answered. If so,
  /// the message is held from then on.
  bool must_wait(place queued);
  bool is_watched(const queued_message& x) const;
  static std::string watch_key_of(const amqp::publication& x);
  void put_in_flight(place queued, time_point now, std::vector<amqp::publication>& out);
  void note_answer(const queued_message& x) noexcept;
  place find_culprit_of_silence();
  /// Whether the link has answered no message to the same exchange.
  static bool has_no_answer(const queued_message& x) noexcept;
  /// Ends the hang of the message's exchange, if the message is the exchange's oldest in flight.
  void end_hang(const queued_message& queued) noexcept;
  /// Whether the broker may have closed the channel or link because of the message.
  bool may_be_refused(const queued_message& x, ec words) const noexcept;
  outcome take_back(place returned);
  void forget_route(const queued_message& x);
  void hold(place queued);
  void count_held(const queued_message& x) noexcept;
  void count_released(const queued_message& x) noexcept;
  /// Gives up the routing key with the most held messages, which are sent.
  void give_up_most_held(const exchange_queue& home);
  /// Puts the held messages before `last` back among those that wait, ahead of the rest.
  void release(entries& held, place last);
  void release_all();
  void take_back_probes();
  /// Releases the held messages of each routing key with an expired one.
  void release_expired(time_point now);
  void acquit_suspects();
  /// Returns the message that is certainly to blame, or the end of `in_flight_`.
  place culprit_of(const failure& words);
  void finish_probe(const queued_message& probe, bool routed);
  /// Removes a message in flight for good.
  void remove_from_wire(std::unordered_map<std::uint64_t, place>::iterator found);

  outbox_limits limits_;
  bool confirms_ = true;
  /// Whether any exchange has a default time to live.
  bool has_ttl_ = false;
  std::unordered_map<std::string, exchange_queue> lanes_;
  /// The number of lanes at which empty ones are forgotten.
  std::size_t max_lanes_;
  entries in_flight_;
  entries waiting_;
  /// The messages that the broker rejected, in order.
  entries rejected_;
  /// The exchanges with parked messages, and the number of these messages.
  std::vector<exchange_queue*> parked_lanes_;
  std::size_t parked_ = 0;
  /// The messages of `in_flight_`, by id.
  std::unordered_map<std::uint64_t, place> places_;
  /// The id of the last returned message, behind which the search for the next one starts:
  /// returns come in order.
  std::uint64_t last_returned_ = 0;
  std::uint64_t last_sent_ = 0;
  /// The highest send number with an answer; the broker has handled all lower ones.
  std::uint64_t handled_ = 0;
  std::uint64_t answers_ = 0;
  /// The number of exchanges that hang.
  std::size_t hanging_ = 0;
  bool each_alone_ = false;
  std::size_t bytes_ = 0;
  std::size_t blocked_ = 0;
  /// The number of messages with a deadline.
  std::size_t deadlines_ = 0;
  std::vector<dropped> expired_;
  /// The number of times that the broker closed a channel or link because of a message.
  std::uint32_t accusations_ = 0;
  /// The id of the first suspect that fits the broker's words, 0 for none.
  std::uint64_t named_suspect_ = 0;
  bool restoring_ = false;
  std::size_t held_ = 0;
  std::unordered_map<std::string, watched_key> keys_;
};

} // namespace actors
