#include "topology/link_set.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "topology/delivery_limit.hpp"

namespace actors {

namespace {

/// The request ids of the publishing link begin here, those of the consuming link at 0: requests of
/// both may go by the link apart.
constexpr amqp::request_id publishing_requests = amqp::request_id{1} << 62;

/// How long links may take to close in good order before they are cut.
constexpr auto close_limit = std::chrono::milliseconds{300};

/// The delay of a check after consumers were started, or one was missing: short, but behind a
/// replay.
constexpr auto first_verify = std::chrono::seconds{1};

constexpr std::array all_roles{link_role::consuming, link_role::publishing, link_role::quarantine};

line_subject subject_of(link_role x) noexcept {
  return {"link", to_string(x)};
}

std::string text_of(const amqp::broker_limits& limits) {
  std::string result;
  const auto add = [&](const std::string& text) { result += result.empty() ? text : ", " + text; };
  if (limits.channels > 0)
    add(fmt::format("{} channels", limits.channels));
  if (limits.consumers_per_channel > 0)
    add(fmt::format("{} consumers a channel", limits.consumers_per_channel));
  if (limits.message_size > 0)
    add(fmt::format("messages of {} bytes", limits.message_size));
  if (!limits.transient_queues)
    add("no transient queues, so ours are durable and end with their consumers");
  return result;
}

} // namespace

link_set::link_set(settings options)
    : settings_(std::move(options)),
      consuming_(link_role::consuming, 0),
      publishing_(link_role::publishing, publishing_requests),
      apart_(link_role::quarantine),
      memories_(settings_.endpoints.size()) {
  auto seed = settings_.seed;
  for (auto role : all_roles) {
    state_of(role).endpoints = {settings_.reconnect, memories_.size(), seed};
    seed += memories_.size();
  }
}

supervised_link& link_set::state_of(link_role role) noexcept {
  return role == link_role::quarantine ? apart_ : asking(role);
}

const supervised_link& link_set::link(link_role role) const noexcept {
  if (role == link_role::quarantine)
    return apart_;
  return role == link_role::publishing ? publishing_ : consuming_;
}

asking_link& link_set::asking(link_role role) noexcept {
  return role == link_role::publishing ? publishing_ : consuming_;
}

const amqp::endpoint& link_set::endpoint_of(const supervised_link& link) const {
  return settings_.endpoints[link.endpoints.current()];
}

endpoint_memory& link_set::memory_of(const supervised_link& link) {
  return memories_[link.endpoints.current()];
}

// -- the life of a link -------------------------------------------------------------------

void link_set::connect(link_role role, bool apart_is_needed) {
  auto& link = state_of(role);
  link.connect_scheduled = false;
  if (link.connected || !keeps(role, apart_is_needed))
    return;
  link.begin(memory_of(link).assumed());
  auto where = endpoint_of(link);
  where.known = link.limits;
  if (where.connection_name.empty())
    where.connection_name = fmt::format("{} {}", settings_.server_id, to_string(role));
  orders.emplace_back(connect_link{role, std::move(where)});
  orders.emplace_back(link_changed{status(role)});
}

void link_set::on_up(link_role role, std::string broker, amqp::link_sender_ptr out) {
  auto& link = state_of(role);
  link.come_up(std::move(broker), std::move(out), now_);
  orders.emplace_back(log_line::change(link.level_of_recovery(), subject_of(role), "up",
                                       fmt::format("{} link up: {} ({})", to_string(role),
                                                   to_string(endpoint_of(link)), link.broker)));
  orders.emplace_back(link_changed{status(role)});
  meet_broker(link);
  for (auto* asker : asking_links()) {
    asker->topology.at(now_);
    if (role == link_role::quarantine)
      asker->topology.up(link.limits, topology_state::way::apart);
    else if (role == asker->role)
      asker->topology.up(link.limits);
    else
      continue;
    follow(*asker);
    schedule_retry(*asker);
  }
}

// The requests that ended connections of another broker may be harmless on this one.
void link_set::meet_broker(supervised_link& link) {
  auto& memory = memory_of(link);
  if (memory.met(link.broker))
    for (auto* asker : asking_links())
      asker->topology.pardon();
  link.limits.transient_queues = memory.limits_of(link.broker).transient_queues;
}

link_set::link_end link_set::on_down(link_role role, const failure& reason) {
  auto& link = state_of(role);
  const auto lost = link.end(reason, settings_.reconnect.settled, now_);
  link_end result{role, reason, lost.was_up, lost.was_idle};
  log_end(link, result);
  orders.emplace_back(link_changed{status(role)});
  link.connect_scheduled = true; // until `reconnect` decides
  result.is_explained = tell_down(link, reason);
  result.at_once = link.skips_pause(result.is_explained);
  return result;
}

void link_set::log_end(const supervised_link& link, const link_end& end) {
  const auto name = to_string(link.role);
  if (!end.reason)
    orders.emplace_back(log_line::change(log_level::info, subject_of(link.role), "closed",
                                         fmt::format("{} link closed", name)));
  else if (end.was_up)
    orders.emplace_back(log_line::change(log_level::warning, subject_of(link.role), "lost",
                                         fmt::format("{} link lost: {}", name, end.reason.text)));
  else
    orders.emplace_back(log_line::repeated(
        log_level::warning, "link not connected",
        fmt::format("{} {} {}", name, link.endpoints.current(), to_string(end.reason.code)),
        fmt::format("{} link not connected: {}", name, end.reason.text), subject_of(link.role)));
}

// A link that has learned a limit will not repeat the request, so it suspects none.
bool link_set::tell_down(supervised_link& link, const failure& reason) {
  const auto suspects = std::exchange(link.suspects, {});
  const auto by =
      link.role == link_role::quarantine ? topology_state::way::apart : topology_state::way::usual;
  auto is_explained = false;
  for (auto* asker : asking_links()) {
    if (by == topology_state::way::usual && asker->role != link.role)
      continue;
    asker->topology.at(now_);
    if (!link.has_learned)
      asker->topology.suspect(suspects, by);
    auto end = asker->topology.down(reason, by);
    is_explained = is_explained || end.is_explained;
    if (!end.consumers.empty())
      orders.emplace_back(lost_consumers{reason, std::move(end.consumers)});
    follow(*asker);
  }
  return is_explained;
}

bool link_set::reconnect(const link_end& end, bool apart_is_needed) {
  auto& link = state_of(end.role);
  link.connect_scheduled = keeps(end.role, apart_is_needed);
  if (!link.connect_scheduled) {
    if (end.reason) // a later connection tries another endpoint
      link.endpoints.next(end.reason.code, now_);
    return false;
  }
  auto delay = std::chrono::milliseconds{0};
  if (end.at_once && !end.was_idle)
    link.endpoints.again();
  else if (!end.was_idle)
    delay = link.endpoints.next(end.reason.code, now_);
  schedule_connect(link, delay);
  return true;
}

void link_set::on_not_connected(link_role role) {
  std::erase_if(orders, [role](const auto& order) {
    auto* connecting = std::get_if<connect_link>(&order);
    return connecting && connecting->role == role;
  });
  state_of(role).cancel();
  orders.emplace_back(link_changed{status(role)});
}

void link_set::renew_all(bool apart_is_needed) {
  for (auto role : all_roles) {
    auto& link = state_of(role);
    close(link, true);
    if (!link.connected && keeps(role, apart_is_needed))
      schedule_connect(link, link.endpoints.next({}, now_));
  }
}

// Waiting publications may still be sent while the rest is stopping.
bool link_set::keeps(link_role role, bool apart_is_needed) const {
  const auto stage = stopping_.stage();
  if (role == link_role::quarantine)
    return (stage == stop_stage::none && (apart_is_asked() || apart_is_needed))
           || (stage == stop_stage::draining && apart_is_needed);
  return stage == stop_stage::none
         || (stage == stop_stage::draining && role == link_role::publishing);
}

void link_set::schedule_connect(const supervised_link& link, std::chrono::milliseconds delay) {
  orders.emplace_back(
      log_line::repeated(log_level::info, "connecting",
                         fmt::format("{} {}", to_string(link.role), link.endpoints.current()),
                         fmt::format("{} link: connecting to {} in {} ms", to_string(link.role),
                                     to_string(endpoint_of(link)), delay.count()),
                         subject_of(link.role)));
  orders.emplace_back(wake{wake::reason::connect, delay, link.role});
}

void link_set::on_blocked(link_role role, std::string_view reason) {
  auto& link = state_of(role);
  link.block(reason);
  orders.emplace_back(log_line::change(
      log_level::warning, subject_of(role), "blocked",
      fmt::format("{} link blocked by the broker: {}", to_string(role), link.blocked)));
  orders.emplace_back(link_changed{status(role)});
}

void link_set::on_unblocked(link_role role) {
  auto& link = state_of(role);
  link.unblock();
  orders.emplace_back(log_line::change(link.level_of_recovery(), subject_of(role), "unblocked",
                                       fmt::format("{} link unblocked", to_string(role))));
  orders.emplace_back(link_changed{status(role)});
}

void link_set::close(link_role role) {
  close(state_of(role), true);
}

void link_set::abandon(link_role role) {
  close(state_of(role), false);
}

void link_set::close(supervised_link& link, bool in_order) {
  if (link.close())
    orders.emplace_back(close_link{link.role, in_order});
}

// -- the link apart ------------------------------------------------------------------------

bool link_set::apart_is_asked() const {
  return consuming_.topology.needs_link_apart() || publishing_.topology.needs_link_apart();
}

void link_set::tend_apart(bool is_needed_for_publications) {
  if (keeps(apart_.role, is_needed_for_publications)) {
    if (!apart_.connected && !apart_.connect_scheduled)
      connect(apart_.role, is_needed_for_publications);
  } else if (apart_.connected && !apart_.closing) {
    renew_apart();
  }
}

void link_set::renew_apart() {
  apart_.is_idle = true;
  close(apart_, true);
}

// A broker that cannot be reached says nothing about the next one. Without a consuming link there
// is no room for a third link.
bool link_set::lacks_apart(const link_end& end) const {
  if (!end.reason || end.was_up || end.role == link_role::publishing
      || (end.role == link_role::consuming && apart_.up))
    return false;
  const auto code = end.reason.code;
  const auto is_away =
      code == ec::connect_failed || code == ec::connect_timeout || code == ec::resolve_failed;
  return !is_away || link(end.role).failures >= settings_.endpoints.size();
}

// -- what a link finds out -----------------------------------------------------------------

void link_set::on_suspects(link_role role, std::vector<amqp::request_id> requests) {
  state_of(role).suspects = std::move(requests);
}

void link_set::on_learned(link_role role, const amqp::broker_limits& limits) {
  auto& link = state_of(role);
  const auto heeded = link.limits;
  if (!link.learn(limits))
    return;
  memory_of(link).learned(link.broker, heeded, link.limits);
  orders.emplace_back(
      log_line::once(log_level::warning, fmt::format("{} link: the broker allows {}",
                                                     to_string(role), text_of(link.limits))));
}

void link_set::on_reply(const amqp::reply& reply) {
  // The ids of the two links do not overlap.
  auto& of = reply.id > publishing_requests ? publishing_ : consuming_;
  of.topology.at(now_);
  of.topology.replied(reply);
  follow(of);
}

void link_set::on_channel_lost(link_role role, const amqp::closed_channel& lost) {
  orders.emplace_back(log_line::repeated(
      log_level::warning, "channel closed", fmt::format("{} {}", to_string(role), lost.reason.text),
      fmt::format("{} link: the broker closed the channel '{}': {}", to_string(role),
                  to_string(lost.which), lost.reason.text)));
  if (lost.which == amqp::channel::publishing) {
    ++state_of(role).generation;
    return;
  }
  if (!lost.consumers.empty())
    orders.emplace_back(lost_consumers{lost.reason, lost.consumers});
  consuming_.topology.at(now_);
  consuming_.topology.channel_lost(lost);
}

void link_set::follow_channel_lost(link_role role) {
  follow(asking(role));
}

void link_set::on_consumer_gone(amqp::consumer_id id) {
  consuming_.topology.cancelled(id);
  follow(consuming_);
}

// -- what is wanted ---------------------------------------------------------------------------

void link_set::want_from_start(const amqp::exchange& exchange) {
  for (auto* asker : asking_links())
    asker->topology.want(exchange);
}

void link_set::want_for_former(amqp::exchange exchange) {
  publishing_.topology.want(std::move(exchange));
}

void link_set::want_for_publications(amqp::exchange exchange) {
  publishing_.topology.want(std::move(exchange));
  follow(publishing_);
}

void link_set::want(wanted_consumer wanted) {
  consuming_.topology.at(now_);
  consuming_.topology.want(std::move(wanted));
  follow(consuming_);
}

void link_set::unwant(amqp::consumer_id id) {
  consuming_.topology.unwant(id);
  follow(consuming_);
}

void link_set::unwant(amqp::consumer_id id, const amqp::binding& binding) {
  consuming_.topology.unwant(id, binding);
  follow(consuming_);
}

void link_set::redeclare_exchanges() {
  consuming_.topology.redeclare_exchanges();
  follow(consuming_);
  publishing_.topology.redeclare_exchanges();
}

void link_set::on_queue_missing(std::string_view name) {
  consuming_.topology.queue_missing(name);
  follow(consuming_);
}

void link_set::follow(asking_link& asker) {
  auto refused = false;
  for (auto& note : asker.topology.take_notes()) {
    refused = refused || note.warning;
    orders.emplace_back(log_line::repeated(note.warning ? log_level::warning : log_level::info,
                                           "topology", note.text, note.text));
  }
  for (auto& request : asker.topology.take_requests())
    pass_on(asker, std::move(request));
  auto news = asker.topology.take_news();
  for (auto& item : news) {
    refused = refused || item.error;
    orders.emplace_back(std::move(item));
  }
  if (!news.empty())
    schedule_verify(first_verify);
  exchanges_changed_ = exchanges_changed_ || asker.role == link_role::publishing;
  if (refused) // else there is no need to look through the whole topology_state
    schedule_retry(asker);
  if (asker.topology.holds_back())
    schedule_release(asker);
  apart_changed_ = true;
}

void link_set::pass_on(const asking_link& asker, topology_state::request request) {
  const auto& by = request.by == topology_state::way::apart ? apart_ : link(asker.role);
  if (!by.connected)
    return;
  if (auto* declared = std::get_if<amqp::declare_queue>(&request.op))
    declared->spec = queue_on(std::move(declared->spec), by.broker);
  orders.emplace_back(ask{by.role, request.id, std::move(request.op)});
}

void link_set::schedule_retry(asking_link& asker) {
  if (asker.retry_scheduled || !asker.up
      || (asker.topology.refused().empty() && asker.topology.set_apart().empty()))
    return;
  asker.retry_scheduled = true;
  orders.emplace_back(wake{wake::reason::retry, settings_.reconnect.limit, asker.role});
}

void link_set::on_retry(link_role role) {
  auto& asker = asking(role);
  asker.retry_scheduled = false;
  asker.topology.at(now_);
  asker.topology.retry();
  follow(asker);
  schedule_retry(asker);
}

// No request waits for long behind a trial.
void link_set::schedule_release(asking_link& asker) {
  if (!std::exchange(asker.release_scheduled, true))
    orders.emplace_back(wake{wake::reason::release, topology_state::trial_limit, asker.role});
}

void link_set::on_release(link_role role) {
  auto& asker = asking(role);
  asker.release_scheduled = false;
  asker.topology.at(now_);
  follow(asker);
}

// The broker reports neither a binding lost with its exchange nor a consumer that it has lost.
void link_set::schedule_verify(std::chrono::milliseconds delay) {
  if (verify_scheduled_ || settings_.verify_interval.count() == 0)
    return;
  verify_scheduled_ = true;
  orders.emplace_back(wake{wake::reason::verify, delay, consuming_.role});
}

void link_set::on_verify() {
  verify_scheduled_ = false;
  auto& topology = consuming_.topology;
  if (!consuming_.up || topology.running() == 0)
    return; // the next consumer that starts brings it back
  if (topology.is_asking())
    return schedule_verify(first_verify);
  schedule_verify(topology.suspects() ? std::chrono::milliseconds{first_verify}
                                      : settings_.verify_interval);
  topology.verify();
  follow(consuming_);
}

// -- the end ----------------------------------------------------------------------------------

bool link_set::stop() {
  if (!stopping_.begin())
    return false;
  orders.emplace_back(log_line::once(log_level::info, "event center: stopping"));
  close(consuming_, true);
  apart_changed_ = true;
  return true;
}

bool link_set::continue_stop(bool drained) {
  return follow_stop(stopping_.go_on(drained, is_closed()), drained);
}

// A stage may be over before its deadline, which then is of no effect.
bool link_set::on_deadline(stop_stage of, bool drained) {
  return follow_stop(stopping_.on_deadline(of), drained);
}

bool link_set::follow_stop(stop_sequence::step step, bool drained) {
  if (step != stop_sequence::step::close_links)
    return step == stop_sequence::step::finish;
  close(publishing_, true);
  close(apart_, true);
  orders.emplace_back(wake{wake::reason::closing, close_limit, publishing_.role});
  return continue_stop(drained);
}

bool link_set::is_closed() const noexcept {
  return !consuming_.connected && !publishing_.connected && !apart_.connected;
}

// -- inspection ---------------------------------------------------------------------------------

link_status link_set::status(link_role role) const {
  const auto& shown = link(role);
  return {role,           shown.state(), to_string(endpoint_of(shown)), shown.broker,
          shown.connects, shown.losses,  shown.last_failure.code,       shown.last_failure.text};
}

std::vector<link_status> link_set::status() const {
  std::vector<link_status> result{status(link_role::consuming), status(link_role::publishing)};
  if (apart_.connected || apart_.connects > 0)
    result.push_back(status(link_role::quarantine));
  return result;
}

void link_set::tell(supervisor_status& to) const {
  to.links = status();
  for (auto* asker : {&consuming_, &publishing_}) {
    for (auto& line : asker->topology.refused())
      to.refused.push_back(fmt::format("{} link: {}", to_string(asker->role), line));
    for (auto& line : asker->topology.set_apart())
      to.refused.push_back(fmt::format("{} link: {}", to_string(apart_.role), line));
  }
}

} // namespace actors
