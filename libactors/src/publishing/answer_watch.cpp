#include "publishing/answer_watch.hpp"

#include <algorithm>
#include <utility>

namespace actors {

bool answer_watch::look(const outbox& messages, time_point now, const surroundings& around) {
  if (now - left_at_ >= silence_is_past)
    limit_ = first_limit;
  const auto oldest = messages.oldest_in_flight();
  const auto answers = messages.answers();
  const auto is_same = std::exchange(oldest_, oldest) == oldest && oldest != 0;
  const auto has_answers = std::exchange(answers_, answers) != answers;
  if (!is_same || !around.is_open)
    oldest_since_ = now;
  if (!is_same || has_answers || !around.is_open || !around.may_leave
      || !messages.holds_up_others()) {
    silent_since_ = now;
    answers_of_other_ = around.answers_of_other;
  }
  const auto is_silent = now - silent_since_ >= limit_;
  const auto has_ended = std::exchange(is_silent_, is_silent) && !is_silent;
  if (has_ended)
    end_silence(now);
  return has_ended;
}

void answer_watch::end_silence(time_point now) {
  if (std::exchange(was_left_, false))
    return;
  left_at_ = now;
  double_limit();
}

void answer_watch::leave(time_point now, std::optional<bool> hung_again) {
  const auto was_silent = now - std::exchange(left_at_, now) < silence_is_past;
  oldest_ = 0;
  was_left_ = is_silent_;
  if (hung_again.value_or(was_silent))
    double_limit();
}

void answer_watch::double_limit() {
  limit_ = std::min(2 * limit_, longest_);
}

} // namespace actors
