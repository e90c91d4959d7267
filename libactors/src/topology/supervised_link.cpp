#include "topology/supervised_link.hpp"

#include <utility>

#include "topology/endpoint_memory.hpp"

namespace actors {

void supervised_link::begin(const amqp::broker_limits& assumed) {
  connected = true;
  has_learned = false;
  limits = assumed;
}

void supervised_link::cancel() noexcept {
  connected = false;
  closing = false;
}

void supervised_link::come_up(std::string broker_of_link, amqp::link_sender_ptr link_sender,
                              time_point now) {
  up = true;
  out = std::move(link_sender);
  generation = 1;
  since = now;
  broker = std::move(broker_of_link);
  ++connects;
}

bool supervised_link::close() noexcept {
  return connected && !std::exchange(closing, true);
}

void supervised_link::block(std::string_view reason) {
  blocked = reason.empty() ? "no reason given" : reason;
  has_warned_ = true;
}

void supervised_link::unblock() noexcept {
  blocked.clear();
}

bool supervised_link::learn(const amqp::broker_limits& found) {
  const auto now = tighten(limits, found);
  if (now == limits)
    return false;
  auto before = std::exchange(limits, now);
  before.message_size = now.message_size;
  has_learned = has_learned || now != before;
  return true;
}

supervised_link::loss supervised_link::end(const failure& reason, std::chrono::milliseconds settled,
                                           time_point now) {
  if (reason) {
    last_failure = reason;
    has_warned_ = true;
  }
  if (up) {
    ++losses;
    if (now - since >= settled) {
      endpoints.settle();
      may_skip_pause_ = true;
    }
  }
  const loss result{std::exchange(up, false), std::exchange(is_idle, false)};
  failures = result.was_up ? 0 : failures + 1;
  connected = false;
  out = nullptr;
  closing = false;
  blocked.clear();
  return result;
}

bool supervised_link::skips_pause(bool is_explained) noexcept {
  return is_explained || (has_learned && std::exchange(may_skip_pause_, false));
}

link_state supervised_link::state() const noexcept {
  if (!blocked.empty())
    return link_state::blocked;
  if (!connected)
    return link_state::down;
  return up ? link_state::up : link_state::connecting;
}

log_level supervised_link::level_of_recovery() noexcept {
  return std::exchange(has_warned_, false) ? log_level::warning : log_level::info;
}

} // namespace actors
