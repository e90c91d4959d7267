#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "actors/ec.hpp"
#include "actors/policies.hpp"
#include "actors/status.hpp"
#include "amqp/transport.hpp"
#include "publishing/answer_watch.hpp"
#include "publishing/former_messages.hpp"
#include "publishing/outbox.hpp"
#include "publishing/publication_quarantine.hpp"
#include "publishing/publication_stamp.hpp"
#include "publishing/rejection_watch.hpp"
#include "publishing/unsent_file.hpp"
#include "runtime/log_line.hpp"
#include "topology/link_set.hpp"

namespace actors {

/// Follows each publication into an outbox, to a link and to its answer. The tracker is a plain
/// value that sends nothing: events go in; answers, log lines and orders come out.
///
/// Messages go by the publishing link. Messages that may be the reason for a lost or silent link
/// are set *aside*: they go by the link apart until the broker has refused or taken them:
///
///     new --> usual outbox --(may be to blame)--> outbox aside --(the broker takes it)--+
///                  ^                                                                    |
///                  +--------------------------------------------------------------------+
class publication_tracker {
public:
  using time_point = outbox::time_point;

  struct settings {
    outbox_limits outbox;
    /// Whether the broker confirms publications.
    bool confirms = true;
    /// The time until refused kinds are tried again, and until a lost link apart is used again.
    std::chrono::milliseconds pause{10'000};
    std::uint64_t epoch = 0;
    /// The file with the messages of an earlier run, which also takes the unsent ones at the end;
    /// may be null.
    std::shared_ptr<actors::unsent_file> unsent_file;
  };

  /// `links` must outlive the tracker, which only reads the links.
  publication_tracker(settings options, const link_set& links);

  // -- output, in order --------------------------------------------------------------------

  /// The result for a message, which is published if there is no reason.
  struct answer {
    std::uint64_t id = 0;
    failure reason = {};
    /// Whether the answer is logged (`unpublished`) if nobody asked for it.
    bool is_logged = false;
    std::string exchange = {};
  };

  /// A message that the outbox dropped for want of room. Its publisher, if any waits, gets the
  /// reason (`failure_of`).
  using overflow = outbox::dropped;

  using news_item = std::variant<answer, overflow, log_line>;

  /// Messages for a link that is open.
  struct batch {
    link_role by = link_role::publishing;
    std::vector<amqp::publication> messages;
  };

  /// Orders to call `link_set::redeclare_exchanges` and `link_set::renew_apart`.
  struct redeclare_exchanges {};
  struct renew_apart {};

  /// An order to call `flush`, `probe`, `expire` or `look` after a time.
  struct wake {
    enum class reason : std::uint8_t { flush, probe, expire, look };

    reason why = reason::flush;
    std::chrono::milliseconds after{0};
    link_role role = link_role::publishing;
  };

  using order = std::variant<batch, link_set::close_link, redeclare_exchanges, renew_apart, wake>;

  /// The output of the last calls. The caller carries it out, news first, and removes it.
  std::vector<news_item> news;
  std::vector<order> orders;

  /// Whether the need for the link apart may have changed since the last call.
  bool take_apart_changed() noexcept {
    return std::exchange(apart_changed_, false);
  }

  /// Makes the log line for an unpublished message. Lines are repeated by exchange and error code,
  /// because texts differ in details such as sizes.
  static log_line unpublished(const failure& reason, std::string_view exchange);

  // -- publications --------------------------------------------------------------------------

  /// Sets the time for the next calls. The functions that are called for each message need the
  /// time only if `heeds_time` says so.
  void at(time_point now) noexcept {
    now_ = now;
  }

  bool heeds_time() const;
  bool heeds_time(const amqp::publication& x) const;
  bool heeds_time(const std::vector<amqp::confirmation>& answers) const;

  /// Takes the unsent messages of an earlier run, which go ahead of all others.
  void send_first(std::vector<amqp::publication> messages);

  /// The decision about a new message.
  struct admission {
    /// Set if the message is not taken.
    failure refused = {};
    outbox::manner how = outbox::manner::usual;
    /// Whether the message is the first one for its exchange.
    bool is_exchange_new = false;
    /// The message's own place in its stream; null if it has none.
    amqp::stream_position* place = nullptr;
  };

  admission judge(amqp::publication& message);

  /// Gives an admitted message its id and its other marks.
  void stamp(amqp::publication& x, admission& how);
  void push(amqp::publication&& message, const admission& how);

  /// Refuses a message. Returns the error for its publisher.
  failure refuse(failure reason, const amqp::publication& x);

  /// Hands all messages that may leave to the links, as one batch per link.
  void flush();

  // -- answers of the broker -----------------------------------------------------------------

  void on_answers(const std::vector<amqp::confirmation>& answers);
  void on_returned(const amqp::returned_message& answer);

  /// Handles a message that the link could not send.
  void on_refused(std::uint64_t id, const failure& reason);

  /// Handles that the broker closed the channel or connection because of a publication.
  void blame(link_role by, const failure& words);

  // -- events of links -------------------------------------------------------------------------

  void on_up(link_role role);

  /// Returns whether the next link is needed at once, to find the culprit.
  bool on_down(const link_set::link_end& end);

  void on_unblocked();

  /// Handles that exchanges may have been declared or refused.
  void on_exchanges_changed();

  /// Handles an internal error: a scheduled flush may have been lost.
  void on_fault() noexcept {
    flush_scheduled_ = false;
  }

  // -- timers ------------------------------------------------------------------------------------

  /// Tries held messages again while bindings may still be made.
  void probe();

  /// Drops expired messages.
  void expire();

  /// Looks whether the broker answers on a link.
  void look(link_role by);

  // -- the end -----------------------------------------------------------------------------------

  /// Whether nothing is left to be published.
  bool is_drained() const noexcept;

  /// Removes and returns all unsent messages, after writing them to the file. Their publishers get
  /// their answers.
  std::vector<amqp::publication> take_unsent();

  // -- inspection --------------------------------------------------------------------------------

  /// Whether the link apart is needed. It waits for the other links, because a user may have few
  /// connections.
  bool needs_apart() const;

  /// How many messages wait in the outboxes.
  std::size_t waiting() const noexcept {
    return usual_.messages.waiting() + aside_.messages.waiting();
  }

  outbox_status status() const;

private:
  /// The publications of one link, and the broker's behaviour towards them.
  struct outbound {
    link_role by;
    outbox messages;
    rejection_watch rejections;
    answer_watch answers;
    bool is_watched = false;
    /// Whether the broker has taken a message since it last refused one for good.
    bool broker_takes = true;
  };

  outbound make_outbound(link_role by) const;

  outbound& sent_by(link_role role) noexcept {
    return role == link_role::quarantine ? aside_ : usual_;
  }

  outbound& other(const outbound& x) noexcept {
    return &x == &usual_ ? aside_ : usual_;
  }

  const supervised_link& link_of(const outbound& x) const noexcept {
    return links_.link(x.by);
  }

  // Into the outbox.

  failure refusal(const amqp::publication& x) const;
  /// Puts former messages into the outbox. Returns whether there was room for any.
  bool send_rest();
  /// Puts a message into an outbox. Returns the messages that were dropped.
  std::vector<outbox::dropped> put(outbox& to, amqp::publication&& x, outbox::manner how);
  outbound& way_of(const amqp::publication& x);
  void schedule(wake::reason why, std::chrono::milliseconds after, link_role role);
  void schedule_flush();
  void schedule_flush(std::chrono::milliseconds after);
  void schedule_expiry();
  void schedule_probe();

  // To the link.

  void flush(outbound& from);
  void flush_aside();
  outbox::gate gate_of(const outbound& x) const;
  std::vector<amqp::publication> take_batch(outbound& from);
  bool awaits_exchanges();

  // Answers.

  void on_confirmed(std::uint64_t id);
  void on_rejected(std::uint64_t id);
  void lift_quarantine(std::uint64_t id);
  void doubt(outbound& by);
  failure take_returned(std::uint64_t id, outbox::outcome result);
  void forget(std::uint64_t id, const failure& reason);
  /// Answers the publisher of a message that has left the outbox, and updates the file.
  void finish(std::uint64_t id, failure reason);
  /// Does the same, with a line in the log if nobody asked for the answer.
  void give_up(std::uint64_t id, failure reason, std::string_view exchange);
  void answer_dropped(std::vector<outbox::dropped> drops);
  void answer_overflow(outbox::dropped drop);
  /// Returns the message, if it was in flight.
  std::optional<outbox::remainder> refuse_in_flight(outbound& from, std::uint64_t id,
                                                    const failure& reason);
  void free_place(const outbox::remainder& x);
  void blame(outbound& from, const failure& words);
  void convict(outbound& from, const outbox::remainder& culprit, const failure& words);
  bool on_lost(outbound& from, const failure& reason, bool is_explained);
  void restore_routes();
  void log_kept(const former_messages::keeping& x, std::size_t count);

  // Aside, and silent links.

  /// Whether messages may go by the link apart.
  bool may_set_aside() const;
  /// Moves exchanges with suspects to the outbox aside, so that no other messages wait for them.
  void set_aside();
  void set_aside_hanging();
  void postpone_hanging(std::chrono::milliseconds pause);
  /// Moves exchanges that the broker takes back to the usual outbox.
  void bring_back();
  void give_up_apart(const failure& reason);
  void watch_answers(outbound& x);
  bool may_leave(const outbound& x) const;
  bool others_answer(outbound& silent);
  void leave_silent_link(outbound& from, std::chrono::milliseconds silence);

  settings settings_;
  const link_set& links_;
  time_point now_;
  publication_stamp stamp_;
  former_messages former_;
  outbound usual_;
  outbound aside_;
  publication_quarantine quarantine_;
  /// Whether the publishing link was lost because of a message, or left for one.
  bool keeps_quarantine_ = false;
  /// The time before which nothing is set aside, because there was no link apart.
  time_point no_apart_until_;
  /// The largest body by the broker's own words; 0 is unknown.
  std::uint64_t max_body_ = 0;
  /// The time until which messages without a queue are tried again.
  time_point restore_until_;
  /// The time since which messages wait for exchanges that are being declared.
  std::optional<time_point> awaiting_since_;
  outbox_status counters_;
  /// The reasons of returned messages, by id, until the broker confirms them.
  std::map<std::uint64_t, failure> returned_;
  bool flush_scheduled_ = false;
  bool expiry_scheduled_ = false;
  bool probe_scheduled_ = false;
  bool apart_changed_ = false;
};

} // namespace actors
