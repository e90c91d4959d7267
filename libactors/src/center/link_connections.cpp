#include "center/link_connections.hpp"

#include <algorithm>
#include <utility>

#include "runtime/log_line.hpp"

namespace actors {

link_connections::link_connections(caf::event_based_actor* self,
                                   connection_starter start_connection)
    : self_(self), start_connection_(std::move(start_connection)) {
  // nop
}

std::optional<link_role> link_connections::remove(const caf::actor_addr& ended) {
  const auto found = std::find_if(by_role_.begin(), by_role_.end(),
                                  [&](auto& link) { return link && link.address() == ended; });
  if (found == by_role_.end())
    return std::nullopt;
  *found = nullptr;
  return static_cast<link_role>(found - by_role_.begin());
}

std::vector<link_role> link_connections::missing() const {
  std::vector<link_role> result;
  for (std::size_t i = 0; i < by_role_.size(); ++i)
    if (!by_role_[i])
      result.push_back(static_cast<link_role>(i));
  return result;
}

// -- orders -------------------------------------------------------------------------------

void link_connections::carry_out(const log_line& line) {
  write(line);
}

void link_connections::carry_out(link_set::connect_link& order) {
  auto& started = at(order.role);
  started = start_connection_(self_->system(), order.role, order.where,
                              caf::actor_cast<caf::actor>(self_), dispatcher_);
  self_->link_to(started);
}

void link_connections::carry_out(const link_set::close_link& order) {
  if (order.in_order)
    self_->send(at(order.role), close_atom_v);
  else
    self_->send(at(order.role), link_down{});
}

void link_connections::carry_out(link_set::ask& order) {
  self_->send(at(order.by), link_request{order.id, std::move(order.op)});
}

void link_connections::carry_out(link_set::lost_consumers& order) {
  self_->send(dispatcher_, consumers_lost{std::move(order.reason), std::move(order.consumers)});
}

void link_connections::carry_out(consumer_state& order) {
  self_->send(dispatcher_, std::move(order));
}

void link_connections::carry_out(const link_set::wake& order) {
  using reason = link_set::wake::reason;
  switch (order.why) {
  case reason::connect:
    return self_->delayed_send(self_, order.after, connect_atom_v, order.role);
  case reason::retry:
    return self_->delayed_send(self_, order.after, retry_atom_v, order.role);
  case reason::release:
    return self_->delayed_send(self_, order.after, tick_atom_v, order.role);
  case reason::verify:
    return self_->delayed_send(self_, order.after, verify_atom_v);
  case reason::closing:
    return self_->delayed_send(self_, order.after, deadline_atom_v, stop_stage::closing);
  }
}

void link_connections::carry_out(link_set::link_changed& order) {
  for (auto& watcher : watchers_)
    self_->send(watcher, order.now);
}

// -- watchers -----------------------------------------------------------------------------

void link_connections::watch(const caf::actor& watcher, std::vector<link_status> now) {
  if (std::find(watchers_.begin(), watchers_.end(), watcher) == watchers_.end()) {
    watchers_.push_back(watcher);
    self_->monitor(watcher);
  }
  for (auto& status : now)
    self_->send(watcher, std::move(status));
}

void link_connections::remove_watcher(const caf::actor_addr& ended) {
  std::erase_if(watchers_, [&](const caf::actor& x) { return x.address() == ended; });
}

} // namespace actors
