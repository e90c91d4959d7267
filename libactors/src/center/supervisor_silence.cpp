#include <algorithm>

#include <fmt/core.h>

#include "actors/logging.hpp"
#include "amqp/wire_rules.hpp"
#include "center/supervisor.hpp"
#include "runtime/repeated_log.hpp"

// Links by which the broker takes no messages, or leaves them without an answer: they are left
// for another one.

namespace actors {

namespace {

/// How long the broker may reject all messages until another link is tried is twice
/// as long each time that this was of no help, up to this.
constexpr auto last_rejections_limit = std::chrono::milliseconds{60'000};

/// How often it is looked for messages without an answer.
constexpr auto silence_interval = std::chrono::milliseconds{250};
/// After which time without a silent link the next one is left as early as the first.
constexpr auto silence_is_past = std::chrono::seconds{60};

} // namespace

// RabbitMQ can reject all that comes by one channel for good: such as was first used while
// a quorum queue had lost its leader. By another one it takes them.
void supervisor_state::doubt_publishing(outbound& x) {
  const auto now = self_->clock().now();
  if (!x.rejecting_since)
    x.rejecting_since = now;
  if (now - *x.rejecting_since < x.rejections_limit)
    return;
  log(log_level::warning,
      fmt::format("{} link: the broker has rejected all messages for {} ms: trying another link",
                  to_string(link_of(x).role), x.rejections_limit.count()));
  x.rejecting_since.reset();
  x.rejections_limit = std::min(2 * x.rejections_limit, last_rejections_limit);
  close(link_of(x));
}

// The broker can forget an answer for good: RabbitMQ does, if a quorum queue is deleted
// while messages are on their way to it.
void supervisor_state::watch_confirms(outbound& x) {
  if (x.watching_confirms || x.messages.unconfirmed() == 0
      || config_.outbox.confirm_timeout.count() == 0)
    return;
  x.watching_confirms = true;
  self_->delayed_send(self_, std::min(silence_interval, config_.outbox.confirm_timeout),
                      unconfirmed_atom_v, link_of(x).role);
}

void supervisor_state::on_unconfirmed(link_role role) {
  auto& x = sent_by(role);
  x.watching_confirms = false;
  if (self_->clock().now() - x.left_silent_at >= silence_is_past)
    x.silence_limit = outbound::first_silence_limit;
  if (const auto silence = silence_of(x); silence.count() > 0)
    leave_silent_link(x, silence);
  watch_confirms(x);
}

// What is the same at two looks has been so at least for the time between them.
std::chrono::milliseconds supervisor_state::silence_of(outbound& x) {
  const auto now = self_->clock().now();
  const auto oldest = x.messages.oldest_on_wire();
  const auto answers = x.messages.answers();
  const auto is_same = std::exchange(x.oldest_unconfirmed, oldest) == oldest && oldest != 0;
  const auto has_answers = std::exchange(x.answers, answers) != answers;
  if (!is_same || !link_of(x).is_open())
    x.oldest_since = now;
  if (!is_same || has_answers || !link_of(x).is_open() || !may_leave(x)
      || !x.messages.holds_up_others()) {
    x.silent_since = now;
    x.answers_of_others = other(x).messages.answers();
  }
  const auto is_silent = now - x.silent_since >= x.silence_limit;
  if (std::exchange(x.is_silent, is_silent) && !is_silent)
    end_silence(x);
  if (const auto limit = x.messages.patience(); now - x.oldest_since >= limit)
    return limit;
  return is_silent && others_answer(x) ? x.silence_limit : std::chrono::milliseconds{0};
}

// If the link was not left it was slow: evidence is not looked for again so soon.
void supervisor_state::end_silence(outbound& x) {
  if (!std::exchange(x.was_left, false)) {
    x.left_silent_at = self_->clock().now();
    x.silence_limit = std::min(2 * x.silence_limit, config_.outbox.confirm_timeout);
  }
  tend_link_apart();
}

// A broker that stands still answers no other link either, and lets none in.
bool supervisor_state::others_answer(outbound& x) {
  if (other(x).messages.answers() != x.answers_of_others)
    return true;
  if (&x == &aside_)
    return false;
  const auto carries_none =
      aside_.messages.unconfirmed() == 0 || aside_.messages.has_hanging_alone_on_wire();
  const auto is_asked =
      consuming_.topology.needs_link_apart() || publishing_.topology.needs_link_apart();
  if (apart_.up && apart_.since <= x.silent_since && carries_none && !is_asked) {
    apart_.is_idle = true; // comes up anew, or the broker stands still
    close(apart_);
  }
  tend_link_apart();
  const auto is_new = apart_.up && !apart_.closing && apart_.since > x.silent_since;
  return is_new && self_->clock().now() - apart_.since >= silence_interval;
}

// Where nothing can be set aside the next link would hang as well.
bool supervisor_state::may_leave(const outbound& x) const {
  return &x == &aside_ || (may_set_aside() && consuming_.up);
}

// The broker has lost a message or its answer; or a queue does not take the oldest message, and
// RabbitMQ holds up whatever is behind it.
void supervisor_state::leave_silent_link(outbound& x, std::chrono::milliseconds silence) {
  auto& by = link_of(x);
  const auto now = self_->clock().now();
  const auto hung = x.messages.hang_culprit(now, may_leave(x));
  const auto was_silent = now - std::exchange(x.left_silent_at, now) < silence_is_past;
  x.oldest_unconfirmed = 0;
  x.was_left = x.is_silent;
  if (hung ? hung->again : was_silent)
    x.silence_limit = std::min(2 * x.silence_limit, config_.outbox.confirm_timeout);
  keeps_quarantine_ = keeps_quarantine_ || &x == &usual_;
  abandon(by);
  if (!hung) {
    log_repeated(log_level::warning, "silent link", to_string(by.role),
                 fmt::format("{} link: no answer to any message for {} ms: trying another link, "
                             "one exchange after the other",
                             to_string(by.role), silence.count()),
                 {"link", to_string(by.role)});
    return x.messages.try_each_alone();
  }
  if (hung->pause.count() > 0)
    self_->delayed_send(self_, hung->pause, flush_atom_v);
  log_repeated(log_level::warning, "silent link",
               fmt::format("{} {}", to_string(by.role), hung->name),
               fmt::format("{} link: no answer to a message to exchange '{}' for {} ms: trying "
                           "another link",
                           to_string(by.role), amqp::printable(hung->name), silence.count()),
               {"link", to_string(by.role)});
}

} // namespace actors
