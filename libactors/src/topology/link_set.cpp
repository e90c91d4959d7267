#include "topology/link_set.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "topology/delivery_limit.hpp"

namespace actors {

namespace {

/// The ids of the requests for the publishing link begin here, those for the consuming link at
/// 0: both may go by the link apart.
constexpr amqp::request_id publishing_requests = amqp::request_id{1} << 62;

/// How long links may take to close in good order before they are cut.
constexpr auto close_limit = std::chrono::milliseconds{300};

/// After consumers were started, or one was missing: soon, but behind a replay.
constexpr auto first_verify = std::chrono::seconds{1};

constexpr std::array all_roles{link_role::consuming, link_role::publishing, link_role::quarantine};

line_subject subject_of(link_role x) noexcept {
  return {"link", to_string(x)};
}

std::string text_of(const amqp::broker_limits& x) {
  std::string result;
  const auto add = [&](const std::string& text) { result += result.empty() ? text : ", " + text; };
  if (x.channels > 0)
    add(fmt::format("{} channels", x.channels));
  if (x.consumers_per_channel > 0)
    add(fmt::format("{} consumers a channel", x.consumers_per_channel));
  if (x.message_size > 0)
    add(fmt::format("messages of {} bytes", x.message_size));
  if (!x.transient_queues)
    add("no transient queues, so ours are durable and end with their consumers");
  return result;
}

} // namespace

link_set::link_set(settings x)
    : settings_(std::move(x)),
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

const amqp::endpoint& link_set::endpoint_of(const supervised_link& x) const {
  return settings_.endpoints[x.endpoints.current()];
}

endpoint_memory& link_set::memory_of(const supervised_link& x) {
  return memories_[x.endpoints.current()];
}

// -- the life of a link -------------------------------------------------------------------

void link_set::connect(link_role role, bool apart_is_needed) {
  auto& x = state_of(role);
  x.connect_scheduled = false;
  if (x.connected || !keeps(role, apart_is_needed))
    return;
  x.begin(memory_of(x).assumed());
  auto where = endpoint_of(x);
  where.known = x.limits;
  if (where.connection_name.empty())
    where.connection_name = fmt::format("{} {}", settings_.server_id, to_string(role));
  orders.emplace_back(connect_link{role, std::move(where)});
  orders.emplace_back(link_changed{role});
}

void link_set::on_up(link_role role, std::string broker, amqp::link_sender_ptr out) {
  auto& x = state_of(role);
  x.come_up(std::move(broker), std::move(out), now_);
  orders.emplace_back(log_line::change(
      x.level_of_recovery(), subject_of(role), "up",
      fmt::format("{} link up: {} ({})", to_string(role), to_string(endpoint_of(x)), x.broker)));
  orders.emplace_back(link_changed{role});
  meet_broker(x);
  for (auto* y : asking_links()) {
    y->topology.at(now_);
    if (role == link_role::quarantine)
      y->topology.up(x.limits, topology_state::way::apart);
    else if (role == y->role)
      y->topology.up(x.limits);
    else
      continue;
    follow(*y);
    schedule_retry(*y);
  }
}

// What ended connections was another broker's matter.
void link_set::meet_broker(supervised_link& x) {
  auto& memory = memory_of(x);
  if (memory.met(x.broker))
    for (auto* y : asking_links())
      y->topology.pardon();
  x.limits.transient_queues = memory.limits_of(x.broker).transient_queues;
}

link_set::link_end link_set::on_down(link_role role, const failure& reason) {
  auto& x = state_of(role);
  const auto lost = x.end(reason, settings_.reconnect.settled, now_);
  link_end result{role, reason, lost.was_up, lost.was_idle};
  log_end(x, result);
  orders.emplace_back(link_changed{role});
  x.connect_scheduled = true; // until `reconnect` says so
  result.is_explained = tell_down(x, reason);
  result.at_once = x.skips_pause(result.is_explained);
  return result;
}

void link_set::log_end(const supervised_link& x, const link_end& end) {
  const auto name = to_string(x.role);
  if (!end.reason)
    orders.emplace_back(log_line::change(log_level::info, subject_of(x.role), "closed",
                                         fmt::format("{} link closed", name)));
  else if (end.was_up)
    orders.emplace_back(log_line::change(log_level::warning, subject_of(x.role), "lost",
                                         fmt::format("{} link lost: {}", name, end.reason.text)));
  else
    orders.emplace_back(log_line::repeated(
        log_level::warning, "link not connected",
        fmt::format("{} {} {}", name, x.endpoints.current(), to_string(end.reason.code)),
        fmt::format("{} link not connected: {}", name, end.reason.text), subject_of(x.role)));
}

// Whoever learned of a limit will not ask for the same again, which is no reason to suspect.
bool link_set::tell_down(supervised_link& x, const failure& reason) {
  const auto suspects = std::exchange(x.suspects, {});
  const auto by =
      x.role == link_role::quarantine ? topology_state::way::apart : topology_state::way::usual;
  auto is_explained = false;
  for (auto* y : asking_links()) {
    if (by == topology_state::way::usual && y->role != x.role)
      continue;
    y->topology.at(now_);
    if (!x.has_learned)
      y->topology.suspect(suspects, by);
    auto end = y->topology.down(reason, by);
    is_explained = is_explained || end.is_explained;
    if (!end.consumers.empty())
      orders.emplace_back(lost_consumers{reason, std::move(end.consumers)});
    follow(*y);
  }
  return is_explained;
}

bool link_set::reconnect(const link_end& x, bool apart_is_needed) {
  auto& y = state_of(x.role);
  y.connect_scheduled = keeps(x.role, apart_is_needed);
  if (!y.connect_scheduled) {
    if (x.reason) // whoever needs it later tries another one
      y.endpoints.next(x.reason.code, now_);
    return false;
  }
  auto delay = std::chrono::milliseconds{0};
  if (x.at_once && !x.was_idle)
    y.endpoints.again();
  else if (!x.was_idle)
    delay = y.endpoints.next(x.reason.code, now_);
  schedule_connect(y, delay);
  return true;
}

void link_set::on_not_connected(link_role role) {
  std::erase_if(orders, [role](const auto& x) {
    auto* y = std::get_if<connect_link>(&x);
    return y && y->role == role;
  });
  state_of(role).cancel();
  orders.emplace_back(link_changed{role});
}

void link_set::renew_all(bool apart_is_needed) {
  for (auto role : all_roles) {
    auto& x = state_of(role);
    close(x, true);
    if (!x.connected && keeps(role, apart_is_needed))
      schedule_connect(x, x.endpoints.next({}, now_));
  }
}

// What waits to be published may still get away while the rest is stopping.
bool link_set::keeps(link_role role, bool apart_is_needed) const {
  const auto stage = stopping_.stage();
  if (role == link_role::quarantine)
    return (stage == stop_stage::none && (apart_is_asked() || apart_is_needed))
           || (stage == stop_stage::draining && apart_is_needed);
  return stage == stop_stage::none
         || (stage == stop_stage::draining && role == link_role::publishing);
}

void link_set::schedule_connect(const supervised_link& x, std::chrono::milliseconds delay) {
  orders.emplace_back(log_line::repeated(
      log_level::info, "connecting", fmt::format("{} {}", to_string(x.role), x.endpoints.current()),
      fmt::format("{} link: connecting to {} in {} ms", to_string(x.role),
                  to_string(endpoint_of(x)), delay.count()),
      subject_of(x.role)));
  orders.emplace_back(wake{wake::reason::connect, delay, x.role});
}

void link_set::on_blocked(link_role role, std::string_view reason) {
  auto& x = state_of(role);
  x.block(reason);
  orders.emplace_back(log_line::change(
      log_level::warning, subject_of(role), "blocked",
      fmt::format("{} link blocked by the broker: {}", to_string(role), x.blocked)));
  orders.emplace_back(link_changed{role});
}

void link_set::on_unblocked(link_role role) {
  auto& x = state_of(role);
  x.unblock();
  orders.emplace_back(log_line::change(x.level_of_recovery(), subject_of(role), "unblocked",
                                       fmt::format("{} link unblocked", to_string(role))));
  orders.emplace_back(link_changed{role});
}

void link_set::close(link_role role) {
  close(state_of(role), true);
}

void link_set::abandon(link_role role) {
  close(state_of(role), false);
}

void link_set::close(supervised_link& x, bool in_order) {
  if (x.close())
    orders.emplace_back(close_link{x.role, in_order});
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
// is no place for a third one.
bool link_set::lacks_apart(const link_end& x) const {
  if (!x.reason || x.was_up || x.role == link_role::publishing
      || (x.role == link_role::consuming && apart_.up))
    return false;
  const auto code = x.reason.code;
  const auto is_away =
      code == ec::connect_failed || code == ec::connect_timeout || code == ec::resolve_failed;
  return !is_away || link(x.role).failures >= settings_.endpoints.size();
}

// -- what a link finds out -----------------------------------------------------------------

void link_set::on_suspects(link_role role, std::vector<amqp::request_id> xs) {
  state_of(role).suspects = std::move(xs);
}

void link_set::on_learned(link_role role, const amqp::broker_limits& limits) {
  auto& x = state_of(role);
  const auto heeded = x.limits;
  if (!x.learn(limits))
    return;
  memory_of(x).learned(x.broker, heeded, x.limits);
  orders.emplace_back(
      log_line::once(log_level::warning, fmt::format("{} link: the broker allows {}",
                                                     to_string(role), text_of(x.limits))));
}

void link_set::on_reply(const amqp::reply& x) {
  // The ids of the two are apart.
  auto& of = x.id > publishing_requests ? publishing_ : consuming_;
  of.topology.at(now_);
  of.topology.replied(x);
  follow(of);
}

void link_set::on_channel_lost(link_role role, const amqp::closed_channel& what) {
  orders.emplace_back(log_line::repeated(
      log_level::warning, "channel closed", fmt::format("{} {}", to_string(role), what.reason.text),
      fmt::format("{} link: the broker closed the channel '{}': {}", to_string(role),
                  to_string(what.which), what.reason.text)));
  if (what.which == amqp::channel::publishing) {
    ++state_of(role).generation;
    return;
  }
  if (!what.consumers.empty())
    orders.emplace_back(lost_consumers{what.reason, what.consumers});
  consuming_.topology.at(now_);
  consuming_.topology.channel_lost(what);
}

void link_set::follow_channel_lost(link_role role) {
  follow(asking(role));
}

void link_set::on_consumer_gone(amqp::consumer_id id) {
  consuming_.topology.cancelled(id);
  follow(consuming_);
}

// -- what is wanted ---------------------------------------------------------------------------

void link_set::want_from_start(const amqp::exchange& x) {
  for (auto* y : asking_links())
    y->topology.want(x);
}

void link_set::want_for_former(amqp::exchange x) {
  publishing_.topology.want(std::move(x));
}

void link_set::want_for_publications(amqp::exchange x) {
  publishing_.topology.want(std::move(x));
  follow(publishing_);
}

void link_set::want(wanted_consumer x) {
  consuming_.topology.at(now_);
  consuming_.topology.want(std::move(x));
  follow(consuming_);
}

void link_set::unwant(amqp::consumer_id id) {
  consuming_.topology.unwant(id);
  follow(consuming_);
}

void link_set::unwant(amqp::consumer_id id, const amqp::binding& what) {
  consuming_.topology.unwant(id, what);
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

void link_set::follow(asking_link& x) {
  auto refused = false;
  for (auto& note : x.topology.take_notes()) {
    refused = refused || note.warning;
    orders.emplace_back(log_line::repeated(note.warning ? log_level::warning : log_level::info,
                                           "topology", note.text, note.text));
  }
  for (auto& request : x.topology.take_requests())
    pass_on(x, std::move(request));
  auto news = x.topology.take_news();
  for (auto& item : news) {
    refused = refused || item.error;
    orders.emplace_back(std::move(item));
  }
  if (!news.empty())
    schedule_verify(first_verify);
  exchanges_changed_ = exchanges_changed_ || x.role == link_role::publishing;
  if (refused) // else there is no need to look through the whole topology_state
    schedule_retry(x);
  if (x.topology.holds_back())
    schedule_release(x);
  apart_changed_ = true;
}

void link_set::pass_on(const asking_link& x, topology_state::request request) {
  const auto& by = request.by == topology_state::way::apart ? apart_ : link(x.role);
  if (!by.connected)
    return;
  if (auto* declared = std::get_if<amqp::declare_queue>(&request.op))
    declared->spec = queue_on(std::move(declared->spec), by.broker);
  orders.emplace_back(ask{by.role, request.id, std::move(request.op)});
}

void link_set::schedule_retry(asking_link& x) {
  if (x.retry_scheduled || !x.up
      || (x.topology.refused().empty() && x.topology.set_apart().empty()))
    return;
  x.retry_scheduled = true;
  orders.emplace_back(wake{wake::reason::retry, settings_.reconnect.limit, x.role});
}

void link_set::on_retry(link_role role) {
  auto& x = asking(role);
  x.retry_scheduled = false;
  x.topology.at(now_);
  x.topology.retry();
  follow(x);
  schedule_retry(x);
}

// Nobody waits for long behind what is asked for alone.
void link_set::schedule_release(asking_link& x) {
  if (!std::exchange(x.release_scheduled, true))
    orders.emplace_back(wake{wake::reason::release, topology_state::trial_limit, x.role});
}

void link_set::on_release(link_role role) {
  auto& x = asking(role);
  x.release_scheduled = false;
  x.topology.at(now_);
  follow(x);
}

// What nobody tells: a binding that went with its exchange, a consumer that the
// broker has lost.
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
  const auto& x = link(role);
  return {role,       x.state(), to_string(endpoint_of(x)), x.broker,
          x.connects, x.losses,  x.last_failure.code,       x.last_failure.text};
}

std::vector<link_status> link_set::status() const {
  std::vector<link_status> result{status(link_role::consuming), status(link_role::publishing)};
  if (apart_.connected || apart_.connects > 0)
    result.push_back(status(link_role::quarantine));
  return result;
}

void link_set::tell(supervisor_status& to) const {
  to.links = status();
  for (auto* x : {&consuming_, &publishing_}) {
    for (auto& line : x->topology.refused())
      to.refused.push_back(fmt::format("{} link: {}", to_string(x->role), line));
    for (auto& line : x->topology.set_apart())
      to.refused.push_back(fmt::format("{} link: {}", to_string(apart_.role), line));
  }
}

} // namespace actors
