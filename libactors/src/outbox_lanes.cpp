#include "actors/outbox.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

// An exchange's way to another outbox, with all that waits for it. What is on the wire of one
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
  if (!i->second.is_empty())
    return false;
  lanes_.erase(i);
  return true;
}

bool outbox::move_unproven(outbox& to) {
  const auto named = named_suspect_;
  if (!move_lanes(to, [](const lane& x) { return !x.proven && !x.is_empty(); }))
    return false;
  to.named_suspect_ = to.named_suspect_ == 0 ? named : to.named_suspect_;
  named_suspect_ = 0;
  for (auto& x : waiting_)
    acquit(x);
  return true;
}

void outbox::move_proven(outbox& to) {
  move_lanes(to, [](const lane& x) { return x.proven; });
}

void outbox::move_all(outbox& to) {
  move_lanes(to, [](const lane&) { return true; });
}

template <class Which>
bool outbox::move_lanes(outbox& to, Which which) {
  auto any = false;
  for (auto& [exchange, x] : lanes_) {
    x.leaves = which(x) && x.messages_on_wire == 0 && to.forget(exchange);
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
    auto lane = i++;
    if (!std::exchange(lane->second.leaves, false))
      continue;
    any = true;
    count_left(lane->second);
    to.count_arrived(lane->second);
    to.lanes_.insert(lanes_.extract(lane)); // its address stays
  }
  to.restoring_ = to.restoring_ || restoring_;
  to.adopt(std::move(moved));
  return any;
}

void outbox::count_arrived(const lane& x) noexcept {
  bytes_ += x.bytes;
  blocked_ += x.blocked.size();
  for (auto& y : x.waiting)
    deadlines_ += y->expires();
  for (auto& y : x.blocked)
    deadlines_ += y.expires();
}

void outbox::count_left(const lane& x) noexcept {
  bytes_ -= x.bytes;
  blocked_ -= x.blocked.size();
  for (auto& y : x.waiting)
    deadlines_ -= y->expires();
  for (auto& y : x.blocked)
    deadlines_ -= y.expires();
}

// Suspects are tried first, those that were here before them ahead.
void outbox::adopt(entries xs) {
  ++accusations_;
  auto last =
      std::find_if(waiting_.begin(), waiting_.end(), [](const entry& x) { return !x.suspect; });
  while (!xs.empty()) {
    auto& x = xs.front();
    if (x.home->proven)
      acquit(x);
    x.accused = x.suspect ? accusations_ : 0;
    waiting_.splice(x.suspect ? last : waiting_.end(), xs, xs.begin());
  }
}

void outbox::acquit(entry& x) noexcept {
  x.in_doubt = x.in_doubt || x.in_doubt_as_suspect;
  x.suspect = x.in_doubt_as_suspect = false;
  x.accused = 0;
}

} // namespace actors
