#include <fmt/core.h>

#include "actors/logging.hpp"
#include "center/supervisor.hpp"
#include "runtime/repeated_log.hpp"

// The publications that may be to blame for the loss of a link, or for its silence: they go by the
// link apart, until the broker has said which of them it refuses, or has taken one.

namespace actors {

namespace {

/// How long those that hang leave the link apart to a search for who is refused.
constexpr auto search_time = std::chrono::milliseconds{2'000};

} // namespace

outbound& supervisor_state::way_of(const amqp::publication& x) {
  if (aside_.messages.knows(x.exchange))
    return aside_;
  const auto is_harmful = !quarantine_.empty() && quarantine_.keeps_apart(x.exchange);
  // Who else is new may be to blame as well.
  const auto may_be_refused = !aside_.messages.empty() && !usual_.messages.is_proven(x.exchange)
                              && aside_.messages.is_moving();
  if ((!is_harmful && !may_be_refused) || !may_set_aside() || !usual_.messages.forget(x.exchange))
    return usual_;
  return aside_;
}

bool supervisor_state::may_set_aside() const {
  return config_.publisher_confirms && stopping_ == stop_stage::none
         && self_->clock().now() >= no_link_apart_until_;
}

void supervisor_state::set_aside() {
  if (!may_set_aside() || !usual_.messages.move_unproven(aside_.messages))
    return;
  log_repeated(log_level::info, "set aside", {},
               "messages to exchanges for which the broker has taken nothing yet are sent by a "
               "link apart, as they may be refused as well");
  tend_link_apart();
  // Nobody is to wait behind an exchange that hangs.
  if (aside_.messages.has_hanging_alone_on_wire()) {
    postpone_hanging(search_time);
    abandon(apart_);
  }
}

void supervisor_state::postpone_hanging(std::chrono::milliseconds pause) {
  if (!aside_.messages.has_turns())
    return;
  aside_.messages.postpone_turns(self_->clock().now() + pause);
  self_->delayed_send(self_, pause, flush_atom_v);
}

void supervisor_state::set_aside_hanging() {
  if (may_set_aside() && consuming_.up && usual_.messages.move_hanging(aside_.messages))
    tend_link_apart();
}

void supervisor_state::bring_back() {
  if (aside_.messages.exchanges() == 0)
    return;
  outbox::gate stays;
  if (!quarantine_.empty())
    stays = [this](const std::string& exchange) { return quarantine_.keeps_apart(exchange); };
  aside_.messages.move_proven(usual_.messages, stays);
  if (!aside_.messages.empty())
    return;
  aside_.messages.forget_idle();
  tend_link_apart();
}

void supervisor_state::flush_aside() {
  bring_back();
  if (aside_.messages.empty())
    return;
  tend_link_apart();
  // Exchanges are declared by the publishing link.
  if (publishing_.up) {
    flush(aside_);
    bring_back(); // what was to be sent again, or was refused here
  }
}

// A broker that cannot be reached says nothing about the next one. Without a consuming link there
// is no place for a third one.
bool supervisor_state::misses_link_apart(const supervised_link& x, ec reason) const {
  if (x.role == link_role::publishing || (x.role == link_role::consuming && apart_.up))
    return false;
  const auto is_away =
      reason == ec::connect_failed || reason == ec::connect_timeout || reason == ec::resolve_failed;
  return !is_away || x.failures >= config_.endpoints.size();
}

void supervisor_state::give_up_link_apart(const failure& reason) {
  no_link_apart_until_ = self_->clock().now() + config_.reconnect.limit;
  postpone_hanging(config_.outbox.confirm_timeout);
  aside_.messages.move_all(usual_.messages);
  log_repeated(log_level::warning, "no link apart", {},
               fmt::format("there is no link apart, so that messages which may be refused share "
                           "one with all others: {}",
                           reason.text));
  schedule_flush();
}

} // namespace actors
