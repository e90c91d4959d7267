#include "publishing/outbox.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

// Moves an exchange to another outbox, with all its waiting messages. Messages in flight must be
// answered on their own link first, so that the exchange keeps its order.

namespace actors {

bool outbox::knows(const std::string& exchange) const {
  return lanes_.contains(exchange);
}

bool outbox::is_proven(const std::string& exchange) const {
  auto i = lanes_.find(exchange);
  return i != lanes_.end() && i->second.proven;
}

void outbox::remember(const std::string& exchange) {
  lane_of(exchange);
}

bool outbox::forget(const std::string& exchange) {
  auto i = lanes_.find(exchange);
  if (i == lanes_.end())
    return true;
  if (!i->second.is_empty() || i->second.hangs)
    return false;
  lanes_.erase(i);
  return true;
}

bool outbox::returns(const std::string& exchange) const {
  auto i = lanes_.find(exchange);
  return i != lanes_.end() && i->second.returns;
}

// -- exchanges that may be refused ------------------------------------------------------

// If all suspects belong to exchanges for which the broker takes messages, the other exchanges are
// not to blame.
bool outbox::move_unproven(outbox& to) {
  const auto is_accused = [](const queued_message& queued) { return queued.accused != 0; };
  const auto searching = std::any_of(waiting_.begin(), waiting_.end(), is_accused);
  if (searching
      && std::none_of(waiting_.begin(), waiting_.end(), [&](const queued_message& queued) {
           return is_accused(queued) && !queued.home->proven;
         }))
    return false;
  const auto named = named_suspect_;
  if (!move_lanes(to, [](const exchange_queue& x) { return !x.proven && !x.is_empty(); }))
    return false;
  to.named_suspect_ = to.named_suspect_ == 0 ? named : to.named_suspect_;
  named_suspect_ = 0;
  for (auto& queued : waiting_)
    acquit(queued);
  return true;
}

void outbox::move_proven(outbox& to, const gate& stays) {
  auto any = false;
  for (auto& [exchange, home] : lanes_) {
    home.returns = home.proven && !home.hangs && !(stays && stays(exchange));
    any = any || home.returns;
  }
  if (!any)
    return;
  unpark();
  const auto keep_accused = [](const entries& messages) {
    for (const auto& queued : messages)
      if (queued.accused != 0)
        queued.home->returns = false;
  };
  keep_accused(waiting_);
  for (const auto& [name, key] : keys_)
    keep_accused(key.held);
  release_returning();
  move_lanes(to, [](const exchange_queue& x) { return x.returns; });
}

// The other outbox holds the released messages again. The held messages of exchanges that stay
// remain held: otherwise they would be tried again and again.
void outbox::release_returning() {
  const auto has_returning = [](const auto& x) { return x.second.returns && x.second.held > 0; };
  const auto is_returning_probe = [](const queued_message& queued) {
    return queued.probe && queued.home->returns;
  };
  if (std::none_of(lanes_.begin(), lanes_.end(), has_returning)
      && std::none_of(waiting_.begin(), waiting_.end(), is_returning_probe))
    return;
  take_back_probes();
  for (auto i = keys_.begin(); i != keys_.end();) {
    auto key = i++;
    auto& held = key->second.held;
    if (held.empty() || !held.front().home->returns)
      continue;
    release(held, held.end());
    keys_.erase(key);
  }
}

bool outbox::move_hanging(outbox& to) {
  return move_lanes(to, [](const exchange_queue& x) { return x.hangs && !x.is_empty(); });
}

void outbox::move_all(outbox& to) {
  move_lanes(to, [](const exchange_queue&) { return true; });
}

template <class Which>
bool outbox::move_lanes(outbox& to, Which which) {
  auto any = false;
  for (auto& [exchange, home] : lanes_) {
    home.leaves = which(home) && home.messages_in_flight == 0 && to.forget(exchange);
    any = any || home.leaves;
  }
  if (!any)
    return false;
  unpark();
  to.unpark();
  for (auto& queued : waiting_)
    if (queued.probe) // other messages of the routing key wait for the probe's answer
      queued.home->leaves = false;
  any = false;
  entries moved;
  for (auto i = waiting_.begin(); i != waiting_.end();) {
    auto queued = i++;
    if (queued->home->leaves)
      moved.splice(moved.end(), waiting_, queued);
  }
  for (auto i = lanes_.begin(); i != lanes_.end();) {
    auto place = i++;
    auto& home = place->second;
    if (!std::exchange(home.leaves, false))
      continue;
    any = true;
    home.returns = home.answered = false;
    bytes_ -= home.bytes;
    to.bytes_ += home.bytes;
    hanging_ -= home.hangs;
    to.hanging_ += home.hangs;
    blocked_ -= home.blocked.size();
    to.blocked_ += home.blocked.size();
    const auto deadlines = home.deadlines();
    deadlines_ -= deadlines;
    to.deadlines_ += deadlines;
    to.lanes_.insert(lanes_.extract(place)); // the lane keeps its address
  }
  to.restoring_ = to.restoring_ || restoring_;
  to.adopt(std::move(moved));
  return any;
}

std::size_t outbox::exchange_queue::deadlines() const noexcept {
  const auto expires = [](const queued_message& x) { return x.expires(); };
  const auto waits =
      std::count_if(waiting.begin(), waiting.end(), [](place x) { return x->expires(); });
  return static_cast<std::size_t>(waits + std::count_if(blocked.begin(), blocked.end(), expires));
}

// Suspects are tried first: new ones behind those that were here before. All messages keep their
// relative order, so that each exchange keeps its own.
void outbox::adopt(entries messages) {
  ++accusations_;
  for (auto& queued : messages) {
    if (queued.home->proven)
      acquit(queued);
    queued.accused = queued.accused != 0 ? accusations_ : 0;
  }
  const auto is_good = [](const queued_message& queued) { return !queued.suspect; };
  const auto first_good = std::find_if(messages.begin(), messages.end(), is_good);
  const auto place = std::find_if(waiting_.begin(), waiting_.end(), is_good);
  waiting_.splice(place, messages, messages.begin(), first_good);
  waiting_.splice(waiting_.end(), messages);
}

// A message that must be sent alone for another reason stays a suspect.
void outbox::acquit(queued_message& queued) noexcept {
  if (queued.accused == 0)
    return;
  queued.in_doubt = queued.in_doubt || queued.in_doubt_as_suspect;
  queued.suspect = queued.in_doubt_as_suspect = false;
  queued.accused = 0;
}

} // namespace actors
