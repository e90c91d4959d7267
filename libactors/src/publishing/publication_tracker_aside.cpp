#include <algorithm>

#include <fmt/core.h>

#include "amqp/wire_rules.hpp"
#include "publishing/publication_tracker.hpp"

// Handles publications that may be to blame for a lost or silent link. They go by the link apart
// until the broker has refused or taken them.

namespace actors {

namespace {

/// How long hanging exchanges leave the link apart to the search for a refused message.
constexpr auto search_time = std::chrono::milliseconds{2'000};

} // namespace

publication_tracker::outbound& publication_tracker::way_of(const amqp::publication& x) {
  if (aside_.messages.knows(x.exchange))
    return aside_;
  const auto is_harmful = !quarantine_.empty() && quarantine_.keeps_apart(x.exchange);
  // Another exchange without an answer may be to blame as well.
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
  // The suspects must not wait behind an exchange that hangs.
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
  auto& watched = sent_by(by);
  watched.is_watched = false;
  const auto has_ended = watched.answers.look(
      watched.messages, now_,
      {link_of(watched).is_open(), may_leave(watched), other(watched).messages.answers()});
  apart_changed_ = apart_changed_ || has_ended;
  const auto patience = watched.messages.patience();
  if (watched.answers.has_waited(patience, now_))
    leave_silent_link(watched, patience);
  else if (watched.answers.is_silent() && others_answer(watched))
    leave_silent_link(watched, watched.answers.limit());
  watch_answers(watched);
}

// If nothing can be set aside, the next link would hang as well.
bool publication_tracker::may_leave(const outbound& x) const {
  return &x == &aside_ || (may_set_aside() && links_.link(link_role::consuming).up);
}

// Leaving a link does not help if the whole broker stands still: it then answers no other link
// either, and accepts none.
bool publication_tracker::others_answer(outbound& silent) {
  if (silent.answers.other_is_answered(other(silent).messages.answers()))
    return true;
  if (&silent == &aside_)
    return false;
  apart_changed_ = true;
  const auto& apart = link_of(aside_);
  const auto is_new = apart.up && apart.since > silent.answers.silent_since();
  const auto carries_none =
      aside_.messages.unconfirmed() == 0 || aside_.messages.has_hanging_alone_in_flight();
  if (apart.up && !is_new && carries_none && !links_.apart_is_asked())
    orders.emplace_back(renew_apart{});
  return is_new && !apart.closing && now_ - apart.since >= answer_watch::interval;
}

// A link is silent because the broker has lost a message or its answer, or because a queue does
// not take the oldest message and RabbitMQ holds up everything behind that message.
void publication_tracker::leave_silent_link(outbound& from, std::chrono::milliseconds silence) {
  const auto hung = from.messages.hang_culprit(now_, may_leave(from));
  from.answers.leave(now_, hung ? std::optional{hung->again} : std::nullopt);
  keeps_quarantine_ = keeps_quarantine_ || &from == &usual_;
  orders.emplace_back(link_set::close_link{from.by, false});
  const auto name = to_string(from.by);
  if (!hung) {
    news.emplace_back(log_line::repeated(
        log_level::warning, "silent link", std::string{name},
        fmt::format("{} link: no answer to any message for {} ms: trying another link, "
                    "one exchange after the other",
                    name, silence.count()),
        line_subject{"link", name}));
    return from.messages.try_each_alone();
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
