#include "publishing/outbox.hpp"

#include <algorithm>
#include <utility>

// Handles exchanges that hang: one of their queues takes messages without an answer.

namespace actors {

namespace {

/// How often `patience` doubles for an exchange that keeps hanging: 30 s become four minutes.
constexpr int max_doublings = 3;

/// The limit of `silences`, which doubles the pause before the next attempt: 1 s becomes 16 s.
constexpr std::uint8_t max_silences = 5;

/// The time after which an earlier hang is forgotten.
constexpr auto hang_is_past = std::chrono::minutes{1};

} // namespace

std::chrono::milliseconds outbox::patience() const noexcept {
  if (in_flight_.empty() || !in_flight_.front().home->hangs)
    return limits_.confirm_timeout;
  return limits_.confirm_timeout
         * (1 << std::min<int>(in_flight_.front().home->silences, max_doublings));
}

bool outbox::holds_up_others() const {
  return !in_flight_.empty() && std::any_of(lanes_.begin(), lanes_.end(), [this](const auto& x) {
    const auto& home = x.second;
    const auto waits_for_turn = each_alone_ && !home.waiting.empty() && !home.paused_until;
    return &home != in_flight_.front().home && (home.needs_wire() || waits_for_turn);
  });
}

// The culprit is the oldest message, if younger ones were answered. While exchanges are tried one
// by one, the culprit is the exchange without any answer instead, because RabbitMQ may still owe
// the answers to the exchanges before.
outbox::place outbox::find_culprit_of_silence() {
  const auto first = in_flight_.begin();
  const auto is_overtaken = !in_flight_.empty() && first->sent < handled_;
  if (is_overtaken && !each_alone_)
    return first;
  const auto is_other = [&](const queued_message& queued) { return queued.home != first->home; };
  if (std::none_of(first, in_flight_.end(), is_other))
    return first;
  const auto unanswered = std::find_if(first, in_flight_.end(), &outbox::has_no_answer);
  const auto is_another = [&](const queued_message& queued) {
    return has_no_answer(queued) && queued.home != unanswered->home;
  };
  if (unanswered != in_flight_.end() && std::none_of(unanswered, in_flight_.end(), is_another))
    return unanswered;
  return is_overtaken ? first : in_flight_.end();
}

bool outbox::has_no_answer(const queued_message& x) noexcept {
  return !x.home->answered;
}

// The culprit is no suspect any more: the broker would have refused the message by now.
std::optional<outbox::hung_exchange> outbox::hang_culprit(time_point now, bool goes_apart) {
  using std::chrono::milliseconds;
  const auto patience = this->patience();
  const auto culprit = find_culprit_of_silence();
  if (culprit == in_flight_.end())
    return std::nullopt;
  acquit(*culprit);
  auto& home = *culprit->home;
  if (!home.hangs && now - home.last_hang >= hang_is_past)
    home.silences = 0;
  hanging_ += !std::exchange(home.hangs, true);
  home.silences = std::min<std::uint8_t>(home.silences + 1, max_silences);
  home.last_hang = now;
  hung_exchange result{culprit->message.exchange, home.silences > 1};
  if (!goes_apart)
    result.pause = patience;
  else if (result.again)
    result.pause = milliseconds{1'000} * (1 << (home.silences - 1));
  home.next_turn = now + result.pause;
  return result;
}

// An answer to a younger message proves nothing, as that message may have gone to another queue.
void outbox::end_hang(const queued_message& queued) noexcept {
  auto& home = *queued.home;
  const auto oldest =
      std::find_if(in_flight_.begin(), in_flight_.end(),
                   [&home](const queued_message& other) { return other.home == &home; });
  if (oldest == in_flight_.end() || &*oldest != &queued)
    return;
  home.hangs = false;
  --hanging_;
}

void outbox::postpone_turns(time_point until) {
  for (auto& [exchange, x] : lanes_)
    if (x.hangs)
      x.next_turn = std::max(x.next_turn, until);
}

bool outbox::is_moving() const {
  return std::any_of(lanes_.begin(), lanes_.end(),
                     [](const auto& x) { return !x.second.is_empty() && !x.second.hangs; });
}

void outbox::try_each_alone() {
  each_alone_ = true;
}

bool outbox::has_hanging_alone_in_flight() const {
  return !in_flight_.empty()
         && std::all_of(in_flight_.begin(), in_flight_.end(),
                        [](const queued_message& x) { return x.home->hangs; });
}

bool outbox::has_turn(const std::string& exchange, time_point now) const {
  auto i = lanes_.find(exchange);
  if (i == lanes_.end())
    return true;
  const auto& home = i->second;
  if (home.hangs && now < home.next_turn)
    return false;
  const auto is_passed = [this](const queued_message& x) {
    return x.home->answered || x.sent < handled_;
  };
  return !each_alone_ || home.answered
         || std::all_of(in_flight_.begin(), in_flight_.end(), is_passed);
}

} // namespace actors
