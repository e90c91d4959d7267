#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <caf/actor.hpp>
#include <caf/behavior.hpp>
#include <caf/error.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/response_promise.hpp>
#include <caf/stateful_actor.hpp>

#include "actors/config.hpp"
#include "amqp/transport.hpp"
#include "center/messages.hpp"
#include "delivery/stream_numbers.hpp"
#include "publishing/outbox.hpp"
#include "publishing/publication_quarantine.hpp"
#include "publishing/unsent_file.hpp"
#include "topology/backoff.hpp"
#include "topology/endpoint_memory.hpp"
#include "topology/endpoint_rotation.hpp"
#include "topology/ledger.hpp"

namespace actors {

struct supervisor_settings {
  actors::config config;
  connection_starter start_connection;
  /// Grows with each start: `amqp::stream_position::epoch`, and the seed of the
  /// back-off's jitter.
  std::uint64_t epoch = 0;
  /// What an earlier event center could not send: goes ahead of all else.
  std::vector<amqp::publication> unsent;
  /// Where that came from, and where goes what we cannot send; null: nowhere.
  std::shared_ptr<actors::unsent_file> unsent_file;
};

/// One of the links, over all its connections:
///
///             connect_atom                 link_up
///     down ------------------> connecting ---------> up
///       ^                          |                  |
///       +--- the connection ends --+------------------+
///            (back-off, connect_atom)
struct supervised_link {
  explicit supervised_link(link_role role) : role(role) {
    // nop
  }

  link_role role;
  caf::actor connection;
  /// Of the connection, once it is up.
  amqp::outlet_ptr out;
  bool up = false;
  bool closing = false;
  bool connect_scheduled = false;
  /// It was closed as nobody needed it.
  bool is_idle = false;
  /// The present life of the connection's channel `publishing`.
  std::uint32_t incarnation = 1;
  endpoint_rotation endpoints{{}, 1, 0};
  std::chrono::steady_clock::time_point since;
  /// Empty: not blocked.
  std::string blocked;
  /// The log has a warning about it: whoever reads these is to read that it is over.
  bool has_warned = false;
  std::string broker;
  failure last_failure;
  /// What may have ended it, by its own word.
  std::vector<amqp::request_id> suspects;
  /// What is heeded on the connection.
  amqp::broker_limits limits;
  /// The broker has ended it for a limit that the next one heeds, which may be at once if
  /// the last one that was had settled.
  bool has_learned = false;
  bool may_skip_pause = true;
  std::uint64_t connects = 0;
  std::uint64_t losses = 0;
  /// How often it was not connected since it was up.
  std::size_t failures = 0;

  /// Whether messages may leave by it.
  bool is_open() const noexcept {
    return up && !closing && blocked.empty();
  }
};

/// A link with what is wanted by it. What may not be asked for by it goes by the link apart.
struct asking_link : supervised_link {
  asking_link(link_role role, amqp::request_id first) : supervised_link(role), topology(first) {
    // nop
  }

  bool retry_scheduled = false;
  bool release_scheduled = false;
  ledger topology;
};

/// The publications that go by one link, and how the broker takes them.
struct outbound {
  static constexpr auto first_rejections_limit = std::chrono::milliseconds{2'000};
  static constexpr auto first_silence_limit = std::chrono::milliseconds{750};

  outbox messages{outbox_limits{}};
  /// Since when the broker has rejected all of them.
  std::optional<std::chrono::steady_clock::time_point> rejecting_since;
  /// How long it may, until another link is tried.
  std::chrono::milliseconds rejections_limit = first_rejections_limit;
  /// The one that was the oldest on the wire at the last look, 0 for none, and since when.
  std::uint64_t oldest_unconfirmed = 0;
  std::chrono::steady_clock::time_point oldest_since;
  /// Since when nothing was answered, though others than the exchange of the oldest wait; how
  /// many answers there were then, and how many by the other link.
  std::chrono::steady_clock::time_point silent_since;
  std::uint64_t answers = 0;
  std::uint64_t answers_of_others = 0;
  /// How long that may take: longer each time, as it may be that the broker is slow.
  std::chrono::milliseconds silence_limit = first_silence_limit;
  /// When a link was left for it, or was slow.
  std::chrono::steady_clock::time_point left_silent_at;
  /// Whether it has taken that long, and whether the link was left for it.
  bool is_silent = false;
  bool was_left = false;
  bool watching_confirms = false;
  /// Whether the broker has taken one since it last refused one for good.
  bool broker_takes = true;
};

/// The supervisor's state; see `supervisor`.
class supervisor_state {
public:
  explicit supervisor_state(caf::event_based_actor* self);

  static inline const char* name = "supervisor";

  void init(supervisor_settings settings);

  // -- links ------------------------------------------------------------------------

  void start(caf::actor dispatcher);
  void connect(link_role role);
  void renew(link_role role);
  void on_up(const link_up& x);
  void on_exit(const caf::actor_addr& source, const caf::error& reason);
  void on_exception(const std::exception_ptr& what);
  void on_blocked(const link_blocked& x);
  void on_unblocked(const link_unblocked& x);
  void on_reply(const link_reply& x);
  void on_suspects(link_suspects& x);
  void on_learned(const link_learned& x);
  void on_channel_lost(const channel_lost& x);
  void on_consumer_gone(amqp::consumer_id id);
  void on_retry(link_role role);
  void on_release(link_role role);
  void on_verify();

  // -- consumers --------------------------------------------------------------------

  void want(wanted_consumer x);
  void unwant(amqp::consumer_id id);
  void unwant(amqp::consumer_id id, const amqp::binding& what);

  // -- publishing -------------------------------------------------------------------

  caf::result<published> publish(amqp::publication x);
  void on_confirmations(const confirmations& x);
  void on_returned(const amqp::returned_message& x);
  void on_refused(const publication_refused& x);
  caf::error refuse(failure reason, const amqp::publication& x);
  void on_unconfirmed(link_role role);
  void on_expire();
  void on_probe();
  void flush();

  // -- end --------------------------------------------------------------------------

  enum class stop_stage : std::uint8_t { none, draining, closing };

  caf::result<stopped> stop(std::chrono::milliseconds limit);
  void on_deadline(stop_stage stage);
  void on_heartbeat();

  supervisor_status status() const;

private:
  /// After consumers were started, or one was missing: soon, but behind a replay.
  static constexpr auto first_verify = std::chrono::seconds{1};

  /// The ids of the requests for the publishing link begin here, those for the consuming
  /// link at 0: both may go by the link apart.
  static constexpr amqp::request_id publishing_requests = amqp::request_id{1} << 62;

  asking_link& asking(link_role role) noexcept {
    return role == link_role::publishing ? publishing_ : consuming_;
  }

  supervised_link& link(link_role role) noexcept {
    return role == link_role::quarantine ? apart_ : asking(role);
  }

  /// What is published goes by the publishing link, or by the one apart.
  outbound& sent_by(link_role role) noexcept {
    return role == link_role::quarantine ? aside_ : usual_;
  }

  supervised_link& link_of(const outbound& x) noexcept {
    return &x == &aside_ ? apart_ : static_cast<supervised_link&>(publishing_);
  }

  const amqp::endpoint& endpoint_of(const supervised_link& x) const;
  /// Whether a link that is down is to be connected again.
  bool keeps(const supervised_link& x) const noexcept;
  bool needs_link_apart() const;
  bool needs_link_for_publications() const;
  void tend_link_apart();
  void schedule_connect(supervised_link& x, std::chrono::milliseconds delay);
  /// Tells the ledgers, and the dispatcher. Gives back whether they know what it may be about.
  bool tell_down(supervised_link& x, const failure& reason);
  endpoint_memory& memory_of(const supervised_link& x);
  void meet_broker(supervised_link& x);
  void follow(asking_link& x);
  void schedule_retry(asking_link& x);
  void schedule_release(asking_link& x);
  void schedule_verify(std::chrono::milliseconds delay);
  void send_first(std::vector<amqp::publication> unsent);
  void send_rest();
  /// Gives it an id, a time and, if it has none, a place in its stream: that is given back.
  amqp::stream_position* stamp(amqp::publication& x);
  void push(amqp::publication x, outbox::manner how);
  outbound& way_of(const amqp::publication& x);
  /// Whether messages may go by the link apart.
  bool may_set_aside() const;
  /// Nobody waits behind those that may be to blame.
  void set_aside();
  void set_aside_hanging();
  void postpone_hanging(std::chrono::milliseconds pause);
  /// Those that the broker takes need it no more.
  void bring_back();
  void flush_aside();
  /// There is no link apart: the broker allows no more of them.
  bool misses_link_apart(const supervised_link& x, ec reason) const;
  void give_up_link_apart(const failure& reason);
  void schedule_flush();
  void flush(outbound& x);
  bool awaits_exchanges();
  failure refusal(const amqp::publication& x) const;
  /// A message is not in the outbox any more: its publisher is told, and the file.
  void finish(std::uint64_t id, failure reason);
  /// The same with a line in the log, if nobody asked for the answer.
  void give_up(std::uint64_t id, const failure& reason, std::string_view exchange);
  void log_unpublished(const failure& reason, std::string_view exchange);
  /// Gives back the message, if it was on the wire.
  std::optional<outbox::remainder> refuse_on_wire(outbound& from, std::uint64_t id,
                                                  const failure& reason);
  /// Nobody has a refused message: it is no gap in its stream, if it is the last one.
  void free_place(const outbox::remainder& x);
  /// Gives back whether somebody asked for the answer.
  bool answer(std::uint64_t id, failure reason);
  void answer_dropped(const std::vector<outbox::dropped>& xs);
  void answer_overflow(const outbox::dropped& x);
  void blame_publication(outbound& from, const failure& words);
  void on_publishing_up(outbound& x);
  /// Nobody is suspected of a loss that is explained. Gives back whether the next link is
  /// needed at once, to find out who is to blame.
  bool on_publishing_lost(outbound& x, const failure& reason, bool explained);
  void restore_routes();
  void schedule_probe();
  void schedule_expiry();
  bool published_all() const noexcept;
  /// A message of a former run is not in the outbox any more.
  void finish_former(std::uint64_t id, const failure& reason);
  std::vector<amqp::publication> hand_back_unsent();
  /// Whether there is a file, and these messages are in it.
  bool keep_unsent(const std::vector<amqp::publication>& xs);
  void on_confirmed(std::uint64_t id);
  void lift_quarantine(std::uint64_t id);
  void on_rejected(std::uint64_t id);
  void doubt_publishing(outbound& x);
  void watch_confirms(outbound& x);
  /// For how long too long there was no answer; 0 if there is no need to do anything.
  std::chrono::milliseconds silence_of(outbound& x);
  bool may_leave(const outbound& x) const;
  bool others_answer(outbound& x);
  void end_silence(outbound& x);
  outbound& other(const outbound& x) noexcept {
    return &x == &usual_ ? aside_ : usual_;
  }
  void leave_silent_link(outbound& x, std::chrono::milliseconds silence);
  void close(supervised_link& x);
  /// The same where the broker is not expected to answer.
  void abandon(supervised_link& x);
  void continue_stop();
  void end_stage();

  caf::event_based_actor* self_;
  actors::config config_;
  connection_starter start_connection_;
  std::uint64_t epoch_ = 0;
  caf::actor dispatcher_;
  asking_link consuming_;
  asking_link publishing_;
  supervised_link apart_;
  /// Of each endpoint.
  std::vector<endpoint_memory> memories_;
  outbound usual_;
  /// What may be why a link was lost, until the broker has said so or has taken it.
  outbound aside_;
  /// Until when nothing is set aside, as there was no link apart.
  std::chrono::steady_clock::time_point no_link_apart_until_;
  outbox_status counters_;
  bool verify_scheduled_ = false;
  std::uint64_t last_publication_ = 0;
  std::uint64_t heartbeats_ = 0;
  stream_numbers numbers_;
  /// What the ids of our messages begin with.
  std::string id_prefix_;
  publication_quarantine quarantine_;
  /// Whether the publishing link was lost because of a message, or left for one.
  bool keeps_quarantine_ = false;
  /// The largest body that the broker takes, as it said; 0 is unknown.
  std::uint64_t max_body_ = 0;
  /// Messages of a former run: those with ids up to `last_unsent_`, by id, until the broker has
  /// them or they can never be sent. From `next_unsent_` on they find no room yet.
  std::shared_ptr<actors::unsent_file> unsent_file_;
  std::uint64_t last_unsent_ = 0;
  std::uint64_t next_unsent_ = 1;
  std::map<std::uint64_t, outbox::remainder> unsent_;
  /// Who waits for the answer to a publication, and the message id to answer.
  struct waiting_publisher {
    caf::response_promise promise;
    std::string message_id;
  };
  std::unordered_map<std::uint64_t, waiting_publisher> publishers_;
  bool expiry_scheduled_ = false;
  bool probe_scheduled_ = false;
  /// Until when messages without a queue are tried again.
  std::chrono::steady_clock::time_point restore_until_;
  bool flush_scheduled_ = false;
  /// Since when messages wait for exchanges that are being declared.
  std::optional<std::chrono::steady_clock::time_point> awaiting_since_;
  stop_stage stopping_ = stop_stage::none;
  caf::response_promise stop_promise_;
};

/// Owns the wanted topology, the outbox and the links of an event center.
/// It connects, replays the topology after every reconnect, and sends what the
/// broker has not confirmed again, in order, ahead of newer messages.
///
/// | message | answer |
/// | --- | --- |
/// | start_atom, dispatcher | nothing; connects |
/// | wanted_consumer | later `consumer_state` to the dispatcher |
/// | unwant_atom, consumer id [, binding] | nothing |
/// | publish_atom, publication | `published`, or an error |
/// | status_atom | `supervisor_status` |
/// | stop_atom, limit | `stopped`, when the links are closed |
/// | link_up, link_reply, ... | from its connections |
caf::behavior supervisor(caf::stateful_actor<supervisor_state>* self, supervisor_settings settings);

} // namespace actors
