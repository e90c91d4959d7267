#include "topology/stop_sequence.hpp"

namespace actors {

bool stop_sequence::begin() noexcept {
  if (has_begun())
    return false;
  stage_ = stop_stage::draining;
  return true;
}

stop_sequence::step stop_sequence::go_on(bool drained, bool closed) noexcept {
  const auto is_done =
      (stage_ == stop_stage::draining && drained) || (stage_ == stop_stage::closing && closed);
  return is_done ? end_stage() : step::none;
}

stop_sequence::step stop_sequence::on_deadline(stop_stage of) noexcept {
  return of == stage_ ? end_stage() : step::none;
}

stop_sequence::step stop_sequence::end_stage() noexcept {
  switch (stage_) {
  case stop_stage::draining:
    stage_ = stop_stage::closing;
    return step::close_links;
  case stop_stage::closing:
    stage_ = stop_stage::over;
    return step::finish;
  default:
    return step::none;
  }
}

} // namespace actors
