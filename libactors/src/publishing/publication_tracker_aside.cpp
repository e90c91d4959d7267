#include <algorithm>

#include <fmt/core.h>

#include "amqp/wire_rules.hpp"
#include "publishing/publication_tracker.hpp"

// The publications that may be to blame for the loss of a link, or for its silence: they go by the
// link apart, until the broker has said which of them it refuses, or has taken one.

namespace actors {

namespace {

/// How long those that hang leave the link apart to a search for who is refused.
constexpr auto search_time = std::chrono::milliseconds{2'000};

} // namespace

publication_tracker::outbound& publication_tracker::way_of(const amqp::publication& x) {
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

bool publication_tracker::may_set_aside() const {
  return settings_.confirms && !links_.stopping().has_begun() && now_ >= no_apart_until_;
}

bool publication_tracker::needs_apart() const {
  const auto is_stopping = links_.stopping().has_begun();
  const auto others_are_up =
      link_of(usual_).up && (links_.link(link_role::consuming).up || is_stopping);
  return (others_are_up || link_of(aside_).up)
         && (!aside_.messages.empty() || usual_.answers.is_silent()
             || (may_set_aside() && quarantine_.keeps_any_apart()));
}

void publication_tracker::set_aside() {
  if (!may_set_aside() || !usual_.messages.move_unproven(aside_.messages))
    return;
  news.emplace_back(log_line::repeated(
      log_level::info, "set aside", {},
      "messages to exchanges for which the broker has taken nothing yet are sent by a "
      "link apart, as they may be refused as well"));
  apart_changed_ = true;
  // Nobody is to wait behind an exchange that hangs.
  if (aside_.messages.has_hanging_alone_in_flight()) {
    postpone_hanging(search_time);
    orders.emplace_back(link_set::close_link{aside_.by, false});
  }
}

void publication_tracker::postpone_hanging(std::chrono::milliseconds pause) {
  if (!aside_.messages.has_turns())
    return;
  aside_.messages.postpone_turns(now_ + pause);
  schedule_flush(pause);
}

void publication_tracker::set_aside_hanging() {
  if (may_set_aside() && links_.link(link_role::consuming).up
      && usual_.messages.move_hanging(aside_.messages))
    apart_changed_ = true;
}

void publication_tracker::bring_back() {
  if (aside_.messages.exchanges() == 0)
    return;
  outbox::gate stays;
  if (!quarantine_.empty())
    stays = [this](const std::string& exchange) { return quarantine_.keeps_apart(exchange); };
  aside_.messages.move_proven(usual_.messages, stays);
  if (!aside_.messages.empty())
    return;
  aside_.messages.forget_idle();
  apart_changed_ = true;
}

void publication_tracker::give_up_apart(const failure& reason) {
  no_apart_until_ = now_ + settings_.pause;
  postpone_hanging(settings_.outbox.confirm_timeout);
  aside_.messages.move_all(usual_.messages);
  news.emplace_back(log_line::repeated(
      log_level::warning, "no link apart", {},
      fmt::format("there is no link apart, so that messages which may be refused share "
                  "one with all others: {}",
                  reason.text)));
  schedule_flush();
}

// -- links that leave messages without an answer ------------------------------------------

void publication_tracker::watch_answers(outbound& x) {
  const auto limit = settings_.outbox.confirm_timeout;
  if (x.is_watched || x.messages.unconfirmed() == 0 || limit.count() == 0)
    return;
  x.is_watched = true;
  schedule(wake::reason::look, std::min(answer_watch::interval, limit), x.by);
}

void publication_tracker::look(link_role by) {
  auto& x = sent_by(by);
  x.is_watched = false;
  const auto has_ended = x.answers.look(
      x.messages, now_, {link_of(x).is_open(), may_leave(x), other(x).messages.answers()});
  apart_changed_ = apart_changed_ || has_ended;
  const auto patience = x.messages.patience();
  if (x.answers.has_waited(patience, now_))
    leave_silent_link(x, patience);
  else if (x.answers.is_silent() && others_answer(x))
    leave_silent_link(x, x.answers.limit());
  watch_answers(x);
}

// Where nothing can be set aside the next link would hang as well.
bool publication_tracker::may_leave(const outbound& x) const {
  return &x == &aside_ || (may_set_aside() && links_.link(link_role::consuming).up);
}

// A broker that stands still answers no other link either, and lets none in.
bool publication_tracker::others_answer(outbound& x) {
  if (x.answers.other_is_answered(other(x).messages.answers()))
    return true;
  if (&x == &aside_)
    return false;
  apart_changed_ = true;
  const auto& apart = link_of(aside_);
  const auto is_new = apart.up && apart.since > x.answers.silent_since();
  const auto carries_none =
      aside_.messages.unconfirmed() == 0 || aside_.messages.has_hanging_alone_in_flight();
  if (apart.up && !is_new && carries_none && !links_.apart_is_asked())
    orders.emplace_back(renew_apart{});
  return is_new && !apart.closing && now_ - apart.since >= answer_watch::interval;
}

// The broker has lost a message or its answer; or a queue does not take the oldest message, and
// RabbitMQ holds up whatever is behind it.
void publication_tracker::leave_silent_link(outbound& x, std::chrono::milliseconds silence) {
  const auto hung = x.messages.hang_culprit(now_, may_leave(x));
  x.answers.leave(now_, hung ? std::optional{hung->again} : std::nullopt);
  keeps_quarantine_ = keeps_quarantine_ || &x == &usual_;
  orders.emplace_back(link_set::close_link{x.by, false});
  const auto name = to_string(x.by);
  if (!hung) {
    news.emplace_back(log_line::repeated(
        log_level::warning, "silent link", std::string{name},
        fmt::format("{} link: no answer to any message for {} ms: trying another link, "
                    "one exchange after the other",
                    name, silence.count()),
        line_subject{"link", name}));
    return x.messages.try_each_alone();
  }
  if (hung->pause.count() > 0)
    schedule_flush(hung->pause);
  news.emplace_back(log_line::repeated(
      log_level::warning, "silent link", fmt::format("{} {}", name, hung->name),
      fmt::format("{} link: no answer to a message to exchange '{}' for {} ms: trying "
                  "another link",
                  name, amqp::printable(hung->name), silence.count()),
      line_subject{"link", name}));
}

} // namespace actors
