#include <fmt/core.h>

#include "actors/logging.hpp"
#include "actors/supervisor.hpp"

// The publications that may be to blame for the loss of a link: they go by the link apart,
// until the broker has said which of them it refuses.

namespace actors {

outbound& supervisor_state::way_of(const amqp::publication& x) {
  if (aside_.messages.knows(x.exchange))
    return aside_;
  // Who else is new may be to blame as well.
  if (aside_.messages.empty() || usual_.messages.is_proven(x.exchange) || !may_set_aside()
      || !usual_.messages.forget(x.exchange))
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
}

void supervisor_state::bring_back() {
  if (aside_.messages.exchanges() == 0)
    return;
  aside_.messages.move_proven(usual_.messages);
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

void supervisor_state::give_up_link_apart(const failure& reason) {
  no_link_apart_until_ = self_->clock().now() + config_.reconnect.limit;
  aside_.messages.move_all(usual_.messages);
  log_repeated(log_level::warning, "no link apart", {},
               fmt::format("there is no link apart, so that messages which may be refused share "
                           "one with all others: {}",
                           reason.text));
  schedule_flush();
}

} // namespace actors
