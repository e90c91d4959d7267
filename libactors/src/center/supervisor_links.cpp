#include <algorithm>

#include <fmt/core.h>

#include "actors/error.hpp"
#include "actors/logging.hpp"
#include "center/supervisor.hpp"
#include "runtime/repeated_log.hpp"
#include "topology/delivery_limit.hpp"

// What the supervisor makes of its links: what is asked for by which of them, and what
// follows from their ends.

namespace actors {

namespace {

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

// -- what a link has found out -----------------------------------------------------------

void supervisor_state::on_suspects(link_suspects& x) {
  link(x.role).suspects = std::move(x.requests);
}

// A limit of messages costs a channel, and says nothing about the end of the link.
void supervisor_state::on_learned(const link_learned& learned) {
  auto& x = link(learned.role);
  const auto now = tighten(x.limits, learned.limits);
  if (now == x.limits)
    return;
  memory_of(x).learned(x.broker, x.limits, now);
  auto before = std::exchange(x.limits, now);
  before.message_size = now.message_size;
  x.has_learned = x.has_learned || now != before;
  log(log_level::warning,
      fmt::format("{} link: the broker allows {}", to_string(x.role), text_of(now)));
}

endpoint_memory& supervisor_state::memory_of(const supervised_link& x) {
  return memories_[x.endpoints.current()];
}

// What ended connections was another broker's matter.
void supervisor_state::meet_broker(supervised_link& x) {
  auto& memory = memory_of(x);
  if (memory.met(x.broker)) {
    consuming_.topology.pardon();
    publishing_.topology.pardon();
  }
  x.limits.transient_queues = memory.limits_of(x.broker).transient_queues;
}

// Whoever learned of a limit will not ask for the same again, which is no reason to suspect.
bool supervisor_state::tell_down(supervised_link& x, const failure& reason) {
  const auto suspects = std::exchange(x.suspects, {});
  const auto by = x.role == link_role::quarantine ? ledger::way::apart : ledger::way::usual;
  auto is_explained = false;
  for (auto* y : {&consuming_, &publishing_}) {
    if (by == ledger::way::usual && y->role != x.role)
      continue;
    y->topology.at(self_->clock().now());
    if (!x.has_learned)
      y->topology.suspect(suspects, by);
    auto end = y->topology.down(reason, by);
    is_explained = is_explained || end.is_explained;
    if (!end.consumers.empty())
      self_->send(dispatcher_, consumers_lost{reason, std::move(end.consumers)});
    follow(*y);
  }
  return is_explained;
}

// -- the link apart ------------------------------------------------------------------------

bool supervisor_state::needs_link_apart() const {
  return consuming_.topology.needs_link_apart() || publishing_.topology.needs_link_apart()
         || needs_link_for_publications();
}

// It must not take the place of another link, where a user may have few.
bool supervisor_state::needs_link_for_publications() const {
  const auto others_are_up = publishing_.up && (consuming_.up || stopping_ != stop_stage::none);
  return (others_are_up || apart_.up)
         && (!aside_.messages.empty() || usual_.is_silent
             || (may_set_aside() && quarantine_.keeps_any_apart()));
}

void supervisor_state::tend_link_apart() {
  if (keeps(apart_)) {
    if (!apart_.connection && !apart_.connect_scheduled)
      connect(link_role::quarantine);
  } else if (apart_.connection && !apart_.closing) {
    apart_.is_idle = true;
    close(apart_);
  }
}

// -- what the ledgers ask for -----------------------------------------------------------------

// Carries out what the ledger decided.
void supervisor_state::follow(asking_link& x) {
  auto refused = false;
  for (auto& note : x.topology.take_notes()) {
    refused = refused || note.warning;
    log_repeated(note.warning ? log_level::warning : log_level::info, "topology", note.text,
                 note.text);
  }
  for (auto& request : x.topology.take_requests()) {
    auto& by = request.by == ledger::way::apart ? apart_ : static_cast<supervised_link&>(x);
    if (auto* declared = std::get_if<amqp::declare_queue>(&request.what))
      declared->what = queue_on(std::move(declared->what), by.broker);
    if (by.connection)
      self_->send(by.connection, link_request{request.id, std::move(request.what)});
  }
  auto news = x.topology.take_news();
  for (auto& item : news) {
    refused = refused || item.error;
    self_->send(dispatcher_, std::move(item));
  }
  if (!news.empty())
    schedule_verify(first_verify);
  if (x.role == link_role::publishing && usual_.messages.waiting() + aside_.messages.waiting() > 0)
    schedule_flush();
  if (refused) // else there is no need to look through the whole ledger
    schedule_retry(x);
  if (x.topology.holds_back())
    schedule_release(x);
  tend_link_apart();
}

void supervisor_state::schedule_retry(asking_link& x) {
  if (x.retry_scheduled || !x.up
      || (x.topology.refused().empty() && x.topology.set_apart().empty()))
    return;
  x.retry_scheduled = true;
  self_->delayed_send(self_, config_.reconnect.limit, retry_atom_v, x.role);
}

void supervisor_state::on_retry(link_role role) {
  auto& x = asking(role);
  x.retry_scheduled = false;
  x.topology.at(self_->clock().now());
  x.topology.retry();
  follow(x);
  schedule_retry(x);
}

// Nobody waits for long behind what is asked for alone.
void supervisor_state::schedule_release(asking_link& x) {
  if (std::exchange(x.release_scheduled, true))
    return;
  self_->delayed_send(self_, ledger::trial_limit, tick_atom_v, x.role);
}

void supervisor_state::on_release(link_role role) {
  auto& x = asking(role);
  x.release_scheduled = false;
  x.topology.at(self_->clock().now());
  follow(x);
}

} // namespace actors
