#include "publishing/outbox.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

// An exchange's way to another outbox, with all that waits for it. What is in flight of one
// link is to be answered there, so that the order of the exchange is kept.

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

// If those that may be to blame are all of exchanges that the broker takes messages for, the
// others have nothing to do with it.
bool outbox::move_unproven(outbox& to) {
  const auto is_accused = [](const queued_message& x) { return x.accused != 0; };
  const auto searching = std::any_of(waiting_.begin(), waiting_.end(), is_accused);
  if (searching && std::none_of(waiting_.begin(), waiting_.end(), [&](const queued_message& x) {
        return is_accused(x) && !x.home->proven;
      }))
    return false;
  const auto named = named_suspect_;
  if (!move_lanes(to, [](const exchange_queue& x) { return !x.proven && !x.is_empty(); }))
    return false;
  to.named_suspect_ = to.named_suspect_ == 0 ? named : to.named_suspect_;
  named_suspect_ = 0;
  for (auto& x : waiting_)
    acquit(x);
  return true;
}

void outbox::move_proven(outbox& to, const gate& stays) {
  auto any = false;
  for (auto& [exchange, x] : lanes_) {
    x.returns = x.proven && !x.hangs && !(stays && stays(exchange));
    any = any || x.returns;
  }
  if (!any)
    return;
  unpark();
  const auto keep_accused = [](const entries& xs) {
    for (const auto& x : xs)
      if (x.accused != 0)
        x.home->returns = false;
  };
  keep_accused(waiting_);
  for (const auto& [name, key] : keys_)
    keep_accused(key.held);
  release_returning();
  move_lanes(to, [](const exchange_queue& x) { return x.returns; });
}

// They are held again where they go to. Those of others stay held: else they would be tried again
// and again.
void outbox::release_returning() {
  const auto has_returning = [](const auto& x) { return x.second.returns && x.second.held > 0; };
  const auto is_returning_probe = [](const queued_message& x) {
    return x.probe && x.home->returns;
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
  for (auto& [exchange, x] : lanes_) {
    x.leaves = which(x) && x.messages_in_flight == 0 && to.forget(exchange);
    any = any || x.leaves;
  }
  if (!any)
    return false;
  unpark();
  to.unpark();
  for (auto& x : waiting_)
    if (x.probe) // the others of its routing key wait for its answer
      x.home->leaves = false;
  any = false;
  entries moved;
  for (auto i = waiting_.begin(); i != waiting_.end();) {
    auto x = i++;
    if (x->home->leaves)
      moved.splice(moved.end(), waiting_, x);
  }
  for (auto i = lanes_.begin(); i != lanes_.end();) {
    auto place = i++;
    auto& x = place->second;
    if (!std::exchange(x.leaves, false))
      continue;
    any = true;
    x.returns = x.answered = false;
    bytes_ -= x.bytes;
    to.bytes_ += x.bytes;
    hanging_ -= x.hangs;
    to.hanging_ += x.hangs;
    blocked_ -= x.blocked.size();
    to.blocked_ += x.blocked.size();
    const auto deadlines = x.deadlines();
    deadlines_ -= deadlines;
    to.deadlines_ += deadlines;
    to.lanes_.insert(lanes_.extract(place)); // its address stays
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

// Suspects are tried first, those that were here before them ahead. Whoever comes behind another
// stays there: the messages of an exchange keep their order.
void outbox::adopt(entries xs) {
  ++accusations_;
  for (auto& x : xs) {
    if (x.home->proven)
      acquit(x);
    x.accused = x.accused != 0 ? accusations_ : 0;
  }
  const auto is_good = [](const queued_message& x) { return !x.suspect; };
  const auto first_good = std::find_if(xs.begin(), xs.end(), is_good);
  const auto place = std::find_if(waiting_.begin(), waiting_.end(), is_good);
  waiting_.splice(place, xs, xs.begin(), first_good);
  waiting_.splice(waiting_.end(), xs);
}

// One that is to go alone still is.
void outbox::acquit(queued_message& x) noexcept {
  if (x.accused == 0)
    return;
  x.in_doubt = x.in_doubt || x.in_doubt_as_suspect;
  x.suspect = x.in_doubt_as_suspect = false;
  x.accused = 0;
}

} // namespace actors
