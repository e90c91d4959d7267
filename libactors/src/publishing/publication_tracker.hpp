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

/// A publication's way: into an outbox, to a link, and its answer. A plain value that sends
/// nothing: events go in, answers, lines for the log and orders come out.
///
/// Messages go by the publishing link. What may be why that was lost, or is silent, is set *aside*
/// and goes by the link apart, until the broker has said so or has taken it:
///
///     new --> usual outbox --(may be to blame)--> outbox aside --(the broker takes it)--+
///                  ^                                                                    |
///                  +--------------------------------------------------------------------+
class publication_tracker {
public:
  using time_point = outbox::time_point;

  struct settings {
    outbox_limits outbox;
    /// Whether the broker is asked to answer each.
    bool confirms = true;
    /// When what was refused is tried again, and when a link apart is looked for again.
    std::chrono::milliseconds pause{10'000};
    std::string server_id;
    std::uint64_t epoch = 0;
    /// Of an earlier run, and for what is unsent at the end; null: there is none.
    std::shared_ptr<actors::unsent_file> unsent_file;
  };

  /// The links live longer. They are looked at and not changed.
  publication_tracker(settings x, const link_set& links);

  // -- what follows, in order --------------------------------------------------------------

  /// What became of a message: it is published, if there is no reason.
  struct answer {
    std::uint64_t id = 0;
    failure reason = {};
    /// Whether it is to be logged (`unpublished`) if nobody asked for the answer.
    bool is_logged = false;
    std::string exchange = {};
  };

  /// One that found no room, or made room for a newer one: its publisher is told why
  /// (`failure_of`), if there is one.
  using overflow = outbox::dropped;

  using news_item = std::variant<answer, overflow, log_line>;

  /// Messages for a link that is open.
  struct batch {
    link_role by = link_role::publishing;
    std::vector<amqp::publication> messages;
  };

  /// `link_set::redeclare_exchanges` and `link_set::renew_apart` are to be called.
  struct redeclare_exchanges {};
  struct renew_apart {};

  /// `flush`, `probe`, `expire` or `look` is to be called.
  struct wake {
    enum class reason : std::uint8_t { flush, probe, expire, look };

    reason why = reason::flush;
    std::chrono::milliseconds after{0};
    link_role role = link_role::publishing;
  };

  using order = std::variant<batch, link_set::close_link, redeclare_exchanges, renew_apart, wake>;

  /// Whoever calls carries them out, the news first, and removes them.
  std::vector<news_item> news;
  std::vector<order> orders;

  /// Whether publications may need the link apart since the last call, or no longer.
  bool take_apart_changed() noexcept {
    return std::exchange(apart_changed_, false);
  }

  /// Of each exchange a line, whatever else is in the texts, as sizes are.
  static log_line unpublished(const failure& reason, std::string_view exchange);

  // -- what is published ---------------------------------------------------------------------

  /// The time of what happens next. Before what happens for each message it is needed only if
  /// `heeds_time` says so.
  void at(time_point now) noexcept {
    now_ = now;
  }

  bool heeds_time() const;
  bool heeds_time(const amqp::publication& x) const;
  bool heeds_time(const std::vector<amqp::confirmation>& xs) const;

  /// What an earlier run could not send: goes ahead of all else.
  void send_first(std::vector<amqp::publication> xs);

  /// How a new message is taken.
  struct admission {
    /// Set, if it is not taken.
    failure refused = {};
    outbox::manner how = outbox::manner::usual;
    /// Nobody wanted its exchange so far.
    bool is_exchange_new = false;
    /// The place in its stream that is its own.
    amqp::stream_position* place = nullptr;
  };

  admission judge(amqp::publication& x);

  /// Gives an admitted message its id and whatever else it needs.
  void stamp(amqp::publication& x, admission& how);
  void push(amqp::publication&& x, const admission& how);

  /// It is not taken: gives back what its publisher is to be told.
  failure refuse(failure reason, const amqp::publication& x);

  /// Hands what may leave to the links. Many publications become one batch.
  void flush();

  // -- what the broker says ------------------------------------------------------------------

  void on_answers(const std::vector<amqp::confirmation>& xs);
  void on_returned(const amqp::returned_message& x);

  /// The link could not send it.
  void on_refused(std::uint64_t id, const failure& reason);

  /// It closed the channel, or the connection, because of a publication.
  void blame(link_role by, const failure& words);

  // -- what happens to links -------------------------------------------------------------------

  void on_up(link_role role);

  /// Gives back whether the next link is needed at once, to find out who is to blame.
  bool on_down(const link_set::link_end& x);

  void on_unblocked();

  /// Exchanges may have been declared, or refused.
  void on_exchanges_changed();

  /// Something failed: what is to be done soon may be forgotten.
  void on_fault() noexcept {
    flush_scheduled_ = false;
  }

  // -- what time brings --------------------------------------------------------------------------

  /// Tries again what no queue took, as long as bindings may still be made.
  void probe();

  /// Drops what is not worth sending any more.
  void expire();

  /// Looks whether the broker answers by a link.
  void look(link_role by);

  // -- the end -----------------------------------------------------------------------------------

  /// Whether nothing is left to be published.
  bool is_drained() const noexcept;

  /// Gives back what is unsent, for the file and for whoever stops; its publishers are told.
  std::vector<amqp::publication> take_unsent();

  // -- inspection --------------------------------------------------------------------------------

  /// It must not take the place of another link, where a user may have few.
  bool needs_apart() const;

  /// In the outboxes.
  std::size_t waiting() const noexcept {
    return usual_.messages.waiting() + aside_.messages.waiting();
  }

  outbox_status status() const;

private:
  /// The publications that go by one link, and how the broker takes them.
  struct outbound {
    link_role by;
    outbox messages;
    rejection_watch rejections;
    answer_watch answers;
    bool is_watched = false;
    /// Whether the broker has taken one since it last refused one for good.
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
  /// Gives back whether there was room for any.
  bool send_rest();
  /// Puts a message into an outbox. Gives back those that had to go for it.
  std::vector<outbox::dropped> put(outbox& to, amqp::publication&& x, outbox::manner how);
  outbound& way_of(const amqp::publication& x);
  void schedule(wake::reason why, std::chrono::milliseconds after, link_role role);
  void schedule_flush();
  void schedule_flush(std::chrono::milliseconds after);
  void schedule_expiry();
  void schedule_probe();

  // To the link.

  void flush(outbound& x);
  void flush_aside();
  outbox::gate gate_of(const outbound& x) const;
  std::vector<amqp::publication> take_batch(outbound& x);
  bool awaits_exchanges();

  // Answers.

  void on_confirmed(std::uint64_t id);
  void on_rejected(std::uint64_t id);
  void lift_quarantine(std::uint64_t id);
  void doubt(outbound& x);
  failure take_returned(std::uint64_t id, outbox::outcome what);
  void forget(std::uint64_t id, const failure& reason);
  /// A message is not in the outbox any more: its publisher is told, and the file.
  void finish(std::uint64_t id, failure reason);
  /// The same with a line in the log, if nobody asked for the answer.
  void give_up(std::uint64_t id, failure reason, std::string_view exchange);
  void answer_dropped(std::vector<outbox::dropped> xs);
  void answer_overflow(outbox::dropped x);
  /// Gives back the message, if it was in flight.
  std::optional<outbox::remainder> refuse_in_flight(outbound& from, std::uint64_t id,
                                                    const failure& reason);
  void free_place(const outbox::remainder& x);
  void blame(outbound& from, const failure& words);
  void convict(outbound& from, const outbox::remainder& culprit, const failure& words);
  bool on_lost(outbound& x, const failure& reason, bool is_explained);
  void restore_routes();
  void log_kept(const former_messages::keeping& x, std::size_t count);

  // Aside, and silent links.

  /// Whether messages may go by the link apart.
  bool may_set_aside() const;
  /// Nobody waits behind those that may be to blame.
  void set_aside();
  void set_aside_hanging();
  void postpone_hanging(std::chrono::milliseconds pause);
  /// Those that the broker takes need it no more.
  void bring_back();
  void give_up_apart(const failure& reason);
  void watch_answers(outbound& x);
  bool may_leave(const outbound& x) const;
  bool others_answer(outbound& x);
  void leave_silent_link(outbound& x, std::chrono::milliseconds silence);

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
  /// Until when nothing is set aside, as there was no link apart.
  time_point no_apart_until_;
  /// The largest body that the broker takes, as it said; 0 is unknown.
  std::uint64_t max_body_ = 0;
  /// Until when messages without a queue are tried again.
  time_point restore_until_;
  /// Since when messages wait for exchanges that are being declared.
  std::optional<time_point> awaiting_since_;
  outbox_status counters_;
  /// Why messages in flight have come back, until the broker confirms them.
  std::map<std::uint64_t, failure> returned_;
  bool flush_scheduled_ = false;
  bool expiry_scheduled_ = false;
  bool probe_scheduled_ = false;
  bool apart_changed_ = false;
};

} // namespace actors
