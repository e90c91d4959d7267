#include "actors/outbox.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace actors {

namespace {

std::size_t size_of(const amqp::publication& x) noexcept {
  return (x.body ? x.body->size() : 0) + x.exchange.size() + x.routing_key.size();
}

/// What `latest_per_key` keeps one of.
std::string key_of(const amqp::publication& x) {
  return x.subject.empty() ? x.routing_key : x.routing_key + '\n' + x.subject;
}

} // namespace

std::string_view to_string(overflow_policy x) noexcept {
  switch (x) {
  case overflow_policy::reject:
    return "reject";
  case overflow_policy::drop_oldest:
    return "drop_oldest";
  case overflow_policy::drop_newest:
    return "drop_newest";
  case overflow_policy::block:
    return "block";
  case overflow_policy::latest_per_key:
    return "latest_per_key";
  }
  return "?";
}

outbox::outbox(outbox_limits limits) : limits_(std::move(limits)) {
  // nop
}

// -- publishing -----------------------------------------------------------------------

std::vector<outbox::dropped> outbox::push(amqp::publication x) {
  auto& home = lane_of(x.exchange);
  const auto size = size_of(x);
  entry added{std::move(x), size, &home};
  if (home.limits.overflow == overflow_policy::latest_per_key)
    return push_latest(std::move(added));
  // Whoever is kept aside comes first.
  if (home.blocked.empty() && home.has_room(size)) {
    append(std::move(added));
    return {};
  }
  switch (home.limits.overflow) {
  case overflow_policy::block:
    return push_blocking(std::move(added));
  case overflow_policy::drop_oldest:
    return push_dropping_oldest(std::move(added));
  case overflow_policy::drop_newest:
    return {{added.message.id, ec::outbox_dropped}};
  default:
    return {{added.message.id, ec::outbox_full}};
  }
}

outbox::lane& outbox::lane_of(const std::string& exchange) {
  auto [i, added] = lanes_.try_emplace(exchange);
  if (added) {
    auto own = limits_.exchanges.find(exchange);
    i->second.limits = own == limits_.exchanges.end() ? limits_.each : own->second;
  }
  return i->second;
}

std::vector<outbox::dropped> outbox::push_blocking(entry x) {
  auto& home = *x.home;
  // This refuses as well what never fits and would stand in the way for ever.
  if (!home.allows(home.blocked.size() + 1, home.blocked_bytes + x.size))
    return {{x.message.id, ec::outbox_full}};
  home.blocked_bytes += x.size;
  home.blocked.push_back(std::move(x));
  ++blocked_;
  return {};
}

std::vector<outbox::dropped> outbox::push_dropping_oldest(entry x) {
  auto& home = *x.home;
  if (!home.may_make_room(x.size))
    return {{x.message.id, ec::outbox_dropped}};
  std::vector<dropped> result;
  shrink(home, append(std::move(x)), result);
  return result;
}

std::vector<outbox::dropped> outbox::push_latest(entry x) {
  auto& home = *x.home;
  auto key = key_of(x.message);
  auto old = home.latest.find(key);
  if (old == home.latest.end()) {
    const auto id = x.message.id;
    auto result = push_dropping_oldest(std::move(x));
    const auto kept = result.empty() || result.front().id != id;
    if (kept)
      home.latest.emplace(std::move(key), home.waiting.back());
    return result;
  }
  if (!home.may_make_room(x.size))
    return {{x.message.id, ec::outbox_dropped}};
  auto replaced = old->second;
  std::vector<dropped> result{{replaced->message.id, ec::outbox_dropped}};
  home.bytes += x.size - replaced->size;
  bytes_ += x.size - replaced->size;
  *replaced = std::move(x);
  shrink(home, replaced, result);
  return result;
}

outbox::place outbox::append(entry x) {
  auto& home = *x.home;
  ++home.messages;
  home.bytes += x.size;
  bytes_ += x.size;
  waiting_.push_back(std::move(x));
  home.waiting.push_back(std::prev(waiting_.end()));
  return home.waiting.back();
}

void outbox::shrink(lane& x, place spared, std::vector<dropped>& out) {
  while (!x.allows(x.messages, x.bytes)) {
    auto i = x.waiting.begin();
    if (*i == spared)
      ++i;
    auto victim = *i;
    x.waiting.erase(i);
    seal(victim);
    --x.messages;
    x.bytes -= victim->size;
    bytes_ -= victim->size;
    out.push_back({victim->message.id, ec::outbox_dropped});
    waiting_.erase(victim);
  }
}

void outbox::admit_blocked(lane& x) {
  while (!x.blocked.empty() && x.has_room(x.blocked.front().size)) {
    x.blocked_bytes -= x.blocked.front().size;
    append(std::move(x.blocked.front()));
    x.blocked.pop_front();
    --blocked_;
  }
}

// -- the wire -------------------------------------------------------------------------

std::vector<amqp::publication> outbox::take() {
  std::vector<amqp::publication> result;
  while (!waiting_.empty() && wire_.size() < limits_.window) {
    auto i = waiting_.begin();
    auto& home = *i->home;
    seal(i);
    home.waiting.pop_front();
    ++home.messages_on_wire;
    home.bytes_on_wire += i->size;
    wire_.splice(wire_.end(), waiting_, i);
    places_.emplace(i->message.id, i);
    result.push_back(i->message);
  }
  return result;
}

bool outbox::settle(std::uint64_t id) {
  auto found = places_.find(id);
  if (found == places_.end())
    return false;
  auto i = found->second;
  auto& home = *i->home;
  --home.messages;
  --home.messages_on_wire;
  home.bytes -= i->size;
  home.bytes_on_wire -= i->size;
  bytes_ -= i->size;
  places_.erase(found);
  wire_.erase(i);
  admit_blocked(home);
  return true;
}

void outbox::rewind() {
  for (auto i = wire_.end(); i != wire_.begin();) {
    auto& home = *(--i)->home;
    home.waiting.push_front(i);
    home.messages_on_wire = home.bytes_on_wire = 0;
  }
  waiting_.splice(waiting_.begin(), wire_);
  places_.clear();
}

const amqp::publication* outbox::on_wire(std::string_view message_id) const noexcept {
  for (auto& x : wire_)
    if (x.message.properties.message_id == message_id)
      return &x.message;
  return nullptr;
}

const amqp::publication* outbox::oldest_on_wire() const noexcept {
  return wire_.empty() ? nullptr : &wire_.front().message;
}

std::vector<amqp::publication> outbox::clear() {
  std::vector<amqp::publication> result;
  for (auto* xs : {&wire_, &waiting_})
    for (auto& x : *xs)
      result.push_back(std::move(x.message));
  for (auto& [exchange, home] : lanes_)
    for (auto& x : home.blocked)
      result.push_back(std::move(x.message));
  std::sort(result.begin(), result.end(), [](auto& x, auto& y) { return x.id < y.id; });
  *this = outbox{limits_};
  return result;
}

void outbox::seal(place x) {
  auto& latest = x->home->latest;
  if (latest.empty())
    return;
  auto i = latest.find(key_of(x->message));
  if (i != latest.end() && i->second == x)
    latest.erase(i);
}

} // namespace actors
