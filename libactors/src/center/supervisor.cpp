#include "center/supervisor.hpp"

#include <algorithm>
#include <utility>

#include <caf/result.hpp>
#include <fmt/core.h>

#include "actors/error.hpp"
#include "actors/logging.hpp"
#include "center/guarded.hpp"
#include "runtime/repeated_log.hpp"

namespace actors {

namespace {

/// How long links may take to close in good order before they are cut.
constexpr auto close_limit = std::chrono::milliseconds{300};

line_subject subject_of(link_role x) noexcept {
  return {"link", to_string(x)};
}

/// The end of what was warned of is told to whoever reads warnings alone.
log_level level_of_end(supervised_link& x) noexcept {
  return std::exchange(x.has_warned, false) ? log_level::warning : log_level::info;
}

} // namespace

supervisor_state::supervisor_state(caf::event_based_actor* self)
    : self_(self),
      consuming_(link_role::consuming, 0),
      publishing_(link_role::publishing, publishing_requests),
      apart_(link_role::quarantine),
      quarantine_(backoff_policy{}.limit) {
  // nop
}

void supervisor_state::init(supervisor_settings settings) {
  config_ = std::move(settings.config);
  start_connection_ = std::move(settings.start_connection);
  epoch_ = settings.epoch;
  auto seed = epoch_;
  memories_.resize(config_.endpoints.size());
  for (auto role : {link_role::consuming, link_role::publishing, link_role::quarantine}) {
    link(role).endpoints = {config_.reconnect, memories_.size(), seed};
    seed += memories_.size();
  }
  // Retries and dead letters go by the default exchange: what finds no room stays
  // where it is.
  config_.outbox.exchanges.try_emplace("", exchange_limits{});
  for (auto* x : {&usual_, &aside_})
    x->messages = outbox{config_.outbox, config_.publisher_confirms};
  numbers_ = stream_numbers{epoch_};
  quarantine_ = publication_quarantine{config_.reconnect.limit};
  unsent_file_ = std::move(settings.unsent_file);
  for (auto& exchange : config_.exchanges) {
    consuming_.topology.want(exchange);
    publishing_.topology.want(exchange);
  }
  send_first(std::move(settings.unsent));
}

// -- links ------------------------------------------------------------------------------

void supervisor_state::start(caf::actor dispatcher) {
  dispatcher_ = std::move(dispatcher);
  connect(link_role::consuming);
  connect(link_role::publishing);
  if (config_.heartbeat.interval.count() > 0)
    on_heartbeat();
}

// The broker takes back what the link has delivered, and the next one begins anew.
void supervisor_state::renew(link_role role) {
  close(link(role));
}

const amqp::endpoint& supervisor_state::endpoint_of(const supervised_link& x) const {
  return config_.endpoints[x.endpoints.current()];
}

void supervisor_state::connect(link_role role) {
  auto& x = link(role);
  x.connect_scheduled = false;
  if (x.connection || !keeps(x))
    return;
  x.has_learned = false;
  x.limits = memory_of(x).assumed();
  auto where = endpoint_of(x);
  where.known = x.limits;
  if (where.connection_name.empty())
    where.connection_name = fmt::format("{} {}", config_.server_id, to_string(role));
  x.connection = start_connection_(self_->system(), role, where, caf::actor_cast<caf::actor>(self_),
                                   dispatcher_);
  self_->link_to(x.connection);
}

void supervisor_state::on_up(const link_up& up) {
  auto& x = link(up.role);
  x.up = true;
  x.out = up.out;
  x.incarnation = 1;
  x.since = self_->clock().now();
  x.broker = up.broker;
  ++x.connects;
  log_change(
      level_of_end(x), subject_of(x.role), "up",
      fmt::format("{} link up: {} ({})", to_string(x.role), to_string(endpoint_of(x)), x.broker));
  meet_broker(x);
  if (x.role != link_role::consuming)
    on_publishing_up(sent_by(x.role));
  const auto now = x.since;
  for (auto* y : {&consuming_, &publishing_}) {
    y->topology.at(now);
    if (x.role == link_role::quarantine)
      y->topology.up(x.limits, ledger::way::apart);
    else if (x.role == y->role)
      y->topology.up(x.limits);
    else
      continue;
    follow(*y);
    schedule_retry(*y);
  }
}

void supervisor_state::on_exit(const caf::actor_addr& source, const caf::error& reason) {
  supervised_link* found = nullptr;
  for (auto role : {link_role::consuming, link_role::publishing, link_role::quarantine})
    if (link(role).connection && link(role).connection.address() == source)
      found = &link(role);
  if (!found)
    return self_->quit(reason);
  auto& x = *found;
  if (reason) {
    x.last_failure = to_failure(reason);
    x.has_warned = true;
  }
  if (!reason)
    log_change(log_level::info, subject_of(x.role), "closed",
               fmt::format("{} link closed", to_string(x.role)));
  else if (x.up)
    log_change(log_level::warning, subject_of(x.role), "lost",
               fmt::format("{} link lost: {}", to_string(x.role), x.last_failure.text));
  else
    log_repeated(log_level::warning, "link not connected",
                 fmt::format("{} {} {}", to_string(x.role), x.endpoints.current(),
                             to_string(x.last_failure.code)),
                 fmt::format("{} link not connected: {}", to_string(x.role), x.last_failure.text),
                 subject_of(x.role));
  if (x.up) {
    ++x.losses;
    if (self_->clock().now() - x.since >= config_.reconnect.settled) {
      x.endpoints.settle();
      x.may_skip_pause = true;
    }
  }
  const auto was_up = std::exchange(x.up, false);
  const auto was_idle = std::exchange(x.is_idle, false);
  x.connection = nullptr;
  x.out = nullptr;
  x.closing = false;
  x.blocked.clear();
  x.connect_scheduled = true;
  // The next link begins otherwise, so there is nothing to wait for.
  const auto explained = tell_down(x, to_failure(reason));
  auto at_once = explained || (x.has_learned && std::exchange(x.may_skip_pause, false));
  if (x.role != link_role::consuming)
    at_once = on_publishing_lost(sent_by(x.role), to_failure(reason), explained || x.has_learned)
              || at_once;
  x.failures = was_up ? 0 : x.failures + 1;
  if (reason && !was_up && publishing_.up && (!aside_.messages.empty() || usual_.is_silent)
      && misses_link_apart(x, code_of(reason)))
    give_up_link_apart(x.last_failure);
  x.connect_scheduled = keeps(x);
  if (!x.connect_scheduled) {
    if (reason) // whoever needs it later tries another one
      x.endpoints.next(code_of(reason), self_->clock().now());
    return continue_stop();
  }
  if (was_idle)
    return schedule_connect(x, std::chrono::milliseconds{0});
  if (at_once)
    x.endpoints.again();
  schedule_connect(x, at_once ? std::chrono::milliseconds{0}
                              : x.endpoints.next(code_of(reason), self_->clock().now()));
}

// A fault of ours. What was under way is asked for and sent again by other links: no
// subscription and no publication may stay without an answer.
void supervisor_state::on_exception(const std::exception_ptr& what) {
  const auto text = "the supervisor failed with a message: " + text_of(what)
                    + "; its links are renewed, all subscriptions and publications stay";
  log_repeated(log_level::error, "supervisor failed", text, text);
  flush_scheduled_ = false;
  for (auto role : {link_role::consuming, link_role::publishing, link_role::quarantine}) {
    auto& x = link(role);
    close(x);
    if (!x.connection && keeps(x))
      schedule_connect(x, x.endpoints.next({}, self_->clock().now()));
  }
}

// What waits in the outbox may still get away while the rest is stopping.
bool supervisor_state::keeps(const supervised_link& x) const noexcept {
  if (x.role == link_role::quarantine)
    return (stopping_ == stop_stage::none && needs_link_apart())
           || (stopping_ == stop_stage::draining && needs_link_for_publications());
  return stopping_ == stop_stage::none
         || (stopping_ == stop_stage::draining && x.role == link_role::publishing);
}

void supervisor_state::schedule_connect(supervised_link& x, std::chrono::milliseconds delay) {
  log_repeated(log_level::info, "connecting",
               fmt::format("{} {}", to_string(x.role), x.endpoints.current()),
               fmt::format("{} link: connecting to {} in {} ms", to_string(x.role),
                           to_string(endpoint_of(x)), delay.count()),
               subject_of(x.role));
  self_->delayed_send(self_, delay, connect_atom_v, x.role);
}

void supervisor_state::on_blocked(const link_blocked& blocked) {
  auto& x = link(blocked.role);
  x.blocked = blocked.reason.empty() ? "no reason given" : blocked.reason;
  x.has_warned = true;
  log_change(log_level::warning, subject_of(x.role), "blocked",
             fmt::format("{} link blocked by the broker: {}", to_string(x.role), x.blocked));
}

void supervisor_state::on_unblocked(const link_unblocked& unblocked) {
  auto& x = link(unblocked.role);
  x.blocked.clear();
  log_change(level_of_end(x), subject_of(x.role), "unblocked",
             fmt::format("{} link unblocked", to_string(x.role)));
  schedule_flush();
}

void supervisor_state::on_reply(const link_reply& reply) {
  // The ids of the two are apart.
  auto& x = reply.reply.id > publishing_requests ? publishing_ : consuming_;
  x.topology.at(self_->clock().now());
  x.topology.replied(reply.reply);
  follow(x);
}

void supervisor_state::on_channel_lost(const channel_lost& lost) {
  auto& x = link(lost.role);
  log_repeated(log_level::warning, "channel closed",
               fmt::format("{} {}", to_string(x.role), lost.what.reason.text),
               fmt::format("{} link: the broker closed the channel '{}': {}", to_string(x.role),
                           to_string(lost.what.which), lost.what.reason.text));
  if (lost.what.which == amqp::channel::publishing) {
    ++x.incarnation;
    blame_publication(sent_by(x.role), lost.what.reason);
    schedule_flush();
  } else {
    if (!lost.what.consumers.empty())
      self_->send(dispatcher_, consumers_lost{lost.what.reason, lost.what.consumers});
    consuming_.topology.at(self_->clock().now());
    consuming_.topology.channel_lost(lost.what);
  }
  follow(asking(lost.role));
}

void supervisor_state::on_consumer_gone(amqp::consumer_id id) {
  consuming_.topology.cancelled(id);
  follow(consuming_);
}

// What nobody tells: a binding that went with its exchange, a consumer that the
// broker has lost.
void supervisor_state::schedule_verify(std::chrono::milliseconds delay) {
  if (verify_scheduled_ || config_.verify_interval.count() == 0)
    return;
  verify_scheduled_ = true;
  self_->delayed_send(self_, delay, verify_atom_v);
}

void supervisor_state::on_verify() {
  verify_scheduled_ = false;
  auto& topology = consuming_.topology;
  if (!consuming_.up || topology.running() == 0)
    return; // the next consumer that starts brings it back
  if (topology.is_asking())
    return schedule_verify(first_verify);
  const auto delay = topology.suspects() ? std::chrono::milliseconds{first_verify}
                                         : std::chrono::milliseconds{config_.verify_interval};
  schedule_verify(delay);
  topology.verify();
  follow(consuming_);
}

// -- consumers ------------------------------------------------------------------------------

void supervisor_state::want(wanted_consumer x) {
  consuming_.topology.at(self_->clock().now());
  consuming_.topology.want(std::move(x));
  follow(consuming_);
}

void supervisor_state::unwant(amqp::consumer_id id) {
  consuming_.topology.unwant(id);
  follow(consuming_);
}

void supervisor_state::unwant(amqp::consumer_id id, const amqp::binding& what) {
  consuming_.topology.unwant(id, what);
  follow(consuming_);
}

// -- end ------------------------------------------------------------------------------------

caf::result<stopped> supervisor_state::stop(std::chrono::milliseconds limit) {
  if (stopping_ != stop_stage::none)
    return make_error(ec::shutting_down, "the event center is stopping already");
  log(log_level::info, "event center: stopping");
  stopping_ = stop_stage::draining;
  stop_promise_ = self_->make_response_promise();
  close(consuming_);
  tend_link_apart();
  self_->delayed_send(self_, limit, deadline_atom_v, stop_stage::draining);
  continue_stop();
  return caf::delegated<stopped>{};
}

void supervisor_state::close(supervised_link& x) {
  if (x.connection && !std::exchange(x.closing, true))
    self_->send(x.connection, close_atom_v);
}

void supervisor_state::abandon(supervised_link& x) {
  if (x.connection && !std::exchange(x.closing, true))
    self_->send(x.connection, link_down{});
}

void supervisor_state::continue_stop() {
  const auto drained = published_all();
  const auto closed = !consuming_.connection && !publishing_.connection && !apart_.connection;
  if ((stopping_ == stop_stage::draining && drained)
      || (stopping_ == stop_stage::closing && closed))
    end_stage();
}

// A stage may be over before its deadline, which then is of no effect.
void supervisor_state::on_deadline(stop_stage stage) {
  if (stage == stopping_)
    end_stage();
}

void supervisor_state::end_stage() {
  if (stopping_ == stop_stage::draining) {
    stopping_ = stop_stage::closing;
    close(publishing_);
    close(apart_);
    self_->delayed_send(self_, close_limit, deadline_atom_v, stop_stage::closing);
    continue_stop();
  } else if (stopping_ == stop_stage::closing && stop_promise_.pending()) {
    stop_promise_.deliver(stopped{hand_back_unsent()});
    dispatcher_ = nullptr;
    self_->quit(caf::exit_reason::user_shutdown); // takes open links along
  }
}

void supervisor_state::on_heartbeat() {
  log(log_level::info,
      fmt::format("heartbeat {}: consuming link {}, publishing link {}, {} consumers, {} waiting",
                  heartbeats_++, consuming_.up ? "up" : "down", publishing_.up ? "up" : "down",
                  consuming_.topology.running(),
                  usual_.messages.waiting() + aside_.messages.waiting()));
  self_->delayed_send(self_, config_.heartbeat.interval, heartbeat_atom_v);
}

supervisor_status supervisor_state::status() const {
  supervisor_status result;
  const auto add = [&](const supervised_link& x) {
    const auto* state = !x.connection ? "down" : !x.up ? "connecting" : "up";
    result.links.push_back({x.role, x.blocked.empty() ? state : "blocked",
                            to_string(endpoint_of(x)), x.broker, x.connects, x.losses,
                            x.last_failure.code, x.last_failure.text});
  };
  add(consuming_);
  add(publishing_);
  if (apart_.connection || apart_.connects > 0)
    add(apart_);
  for (auto* x : {&consuming_, &publishing_}) {
    for (auto& line : x->topology.refused())
      result.refused.push_back(fmt::format("{} link: {}", to_string(x->role), line));
    for (auto& line : x->topology.set_apart())
      result.refused.push_back(fmt::format("{} link: {}", to_string(apart_.role), line));
  }
  result.outbox = counters_;
  result.outbox.waiting = last_unsent_ + 1 - next_unsent_;
  for (auto* x : {&usual_.messages, &aside_.messages}) {
    result.outbox.waiting += x->waiting() + x->held();
    result.outbox.blocked += x->blocked();
    result.outbox.unconfirmed += x->unconfirmed();
    result.outbox.bytes += x->bytes();
  }
  return result;
}

caf::behavior supervisor(caf::stateful_actor<supervisor_state>* self,
                         supervisor_settings settings) {
  auto& state = self->state;
  state.init(std::move(settings));
  self->set_exit_handler(
      guarded(state, [&state](caf::exit_msg& x) { state.on_exit(x.source, x.reason); }));
  return {
      guarded(state,
              [&state](start_atom, const caf::actor& dispatcher) { state.start(dispatcher); }),
      guarded(state, [&state](connect_atom, link_role role) { state.connect(role); }),
      guarded(state, [&state](close_atom, link_role role) { state.renew(role); }),
      guarded(state, [&state](const link_up& x) { state.on_up(x); }),
      guarded(state, [&state](const link_blocked& x) { state.on_blocked(x); }),
      guarded(state, [&state](const link_unblocked& x) { state.on_unblocked(x); }),
      guarded(state, [&state](const link_reply& x) { state.on_reply(x); }),
      guarded(state, [&state](const channel_lost& x) { state.on_channel_lost(x); }),
      guarded(state, [&state](link_suspects& x) { state.on_suspects(x); }),
      guarded(state, [&state](const link_learned& x) { state.on_learned(x); }),
      guarded(state, [&state](const publication_refused& x) { state.on_refused(x); }),
      guarded(state, [&state](const consumer_gone& x) { state.on_consumer_gone(x.id); }),
      guarded(state, [&state](retry_atom, link_role role) { state.on_retry(role); }),
      guarded(state, [&state](tick_atom, link_role role) { state.on_release(role); }),
      guarded(state, [&state](verify_atom) { state.on_verify(); }),
      guarded(state, [&state](const wanted_consumer& x) { state.want(x); }),
      guarded(state, [&state](unwant_atom, amqp::consumer_id id) { state.unwant(id); }),
      guarded(state, [&state](unwant_atom, amqp::consumer_id id,
                              const amqp::binding& x) { state.unwant(id, x); }),
      guarded(state,
              [&state](publish_atom, amqp::publication& x) { return state.publish(std::move(x)); }),
      guarded(state,
              [&state](publish_atom, failure& x, const amqp::publication& what)
                  -> caf::result<published> { return state.refuse(std::move(x), what); }),
      guarded(state, [&state](const confirmations& x) { state.on_confirmations(x); }),
      guarded(state, [&state](const amqp::returned_message& x) { state.on_returned(x); }),
      guarded(state, [&state](unconfirmed_atom, link_role role) { state.on_unconfirmed(role); }),
      guarded(state, [&state](expire_atom) { state.on_expire(); }),
      guarded(state, [&state](probe_atom) { state.on_probe(); }),
      guarded(state, [&state](flush_atom) { state.flush(); }),
      guarded(state,
              [&state](status_atom) -> caf::result<supervisor_status> { return state.status(); }),
      guarded(state,
              [&state](stop_atom, std::uint64_t limit) {
                return state.stop(std::chrono::milliseconds{limit});
              }),
      guarded(state,
              [&state](deadline_atom, supervisor_state::stop_stage x) { state.on_deadline(x); }),
      guarded(state, [&state](heartbeat_atom) { state.on_heartbeat(); }),
  };
}

} // namespace actors
