#include "publishing/outbox.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace actors {

namespace {

std::size_t size_of(const amqp::publication& x) noexcept {
  return (x.body ? x.body->size() : 0) + x.exchange.size() + x.routing_key.size();
}

/// The key of which `latest_per_key` keeps one message.
std::string key_of(const amqp::publication& x) {
  return x.subject.empty() ? x.routing_key : x.routing_key + '\n' + x.subject;
}

/// How many exchanges without messages are remembered at least.
constexpr std::size_t usual_lanes = 1'000;

bool has_ttl(const outbox_limits& x) {
  return x.each.ttl.count() > 0
         || std::any_of(x.exchanges.begin(), x.exchanges.end(),
                        [](auto& own) { return own.second.ttl.count() > 0; });
}

} // namespace

outbox::outbox(outbox_limits limits, bool confirms)
    : limits_(std::move(limits)),
      confirms_(confirms),
      has_ttl_(has_ttl(limits_)),
      max_lanes_(usual_lanes) {
  // nop
}

// -- publishing -----------------------------------------------------------------------

bool outbox::expires(const amqp::publication& x) const {
  if (x.properties.expiration.count() > 0)
    return true;
  if (!has_ttl_)
    return false;
  auto own = limits_.exchanges.find(x.exchange);
  return (own == limits_.exchanges.end() ? limits_.each : own->second).ttl.count() > 0;
}

bool outbox::has_room(const amqp::publication& x) {
  auto& home = lane_of(x.exchange);
  const auto size = size_of(x);
  return (home.blocked.empty() && home.has_room(size)) || !home.allows(1, size);
}

std::vector<outbox::dropped> outbox::push(amqp::publication message, time_point now, manner how) {
  auto& home = lane_of(message.exchange);
  const auto size = size_of(message);
  queued_message added{.message = std::move(message),
                       .size = size,
                       .home = &home,
                       .how = how,
                       .suspect = how == manner::alone};
  const auto own = added.message.properties.expiration;
  if (const auto ttl = own.count() > 0 ? own : home.limits.ttl; ttl.count() > 0)
    added.deadline = now + ttl;
  if (home.limits.overflow == overflow_policy::latest_per_key)
    return push_latest(std::move(added));
  // Blocked messages come first.
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
    return {drop_of(added, ec::outbox_dropped)};
  default:
    return {drop_of(added, ec::outbox_full)};
  }
}

outbox::exchange_queue& outbox::lane_of(const std::string& exchange) {
  if (auto i = lanes_.find(exchange); i != lanes_.end())
    return i->second;
  if (lanes_.size() >= max_lanes_)
    forget_idle();
  auto& result = lanes_[exchange];
  result.limits = limits_.of(exchange);
  return result;
}

void outbox::forget_idle() {
  std::erase_if(lanes_, [](auto& x) { return x.second.is_empty() && !x.second.hangs; });
  max_lanes_ = std::max(usual_lanes, 2 * lanes_.size());
}

std::vector<outbox::dropped> outbox::push_blocking(queued_message queued) {
  auto& home = *queued.home;
  // This also refuses a message that can never fit and would block the others for ever.
  if (!home.allows(home.blocked.size() + 1, home.blocked_bytes + queued.size))
    return {drop_of(queued, ec::outbox_full)};
  home.blocked_bytes += queued.size;
  deadlines_ += queued.expires();
  home.blocked.push_back(std::move(queued));
  ++blocked_;
  return {};
}

std::vector<outbox::dropped> outbox::push_dropping_oldest(queued_message queued) {
  auto& home = *queued.home;
  if (!home.may_make_room(queued.size))
    return {drop_of(queued, ec::outbox_dropped)};
  std::vector<dropped> result;
  shrink(home, append(std::move(queued)), result);
  return result;
}

std::vector<outbox::dropped> outbox::push_latest(queued_message added) {
  auto& home = *added.home;
  auto key = key_of(added.message);
  auto old = home.latest.find(key);
  if (old == home.latest.end()) {
    const auto id = added.message.id;
    auto result = push_dropping_oldest(std::move(added));
    const auto kept = result.empty() || result.front().id != id;
    if (kept)
      home.latest.emplace(std::move(key), home.waiting.back());
    return result;
  }
  if (!home.may_make_room(added.size))
    return {drop_of(added, ec::outbox_dropped)};
  auto replaced = old->second;
  std::vector<dropped> result{{replaced->message.id, ec::outbox_dropped, true}};
  home.bytes += added.size - replaced->size;
  bytes_ += added.size - replaced->size;
  deadlines_ += added.expires();
  deadlines_ -= replaced->expires();
  added.suspect = added.suspect || replaced->suspect;
  added.parked = replaced->parked;
  *replaced = std::move(added);
  shrink(home, replaced, result);
  return result;
}

outbox::place outbox::append(queued_message queued) {
  auto& home = *queued.home;
  ++home.messages;
  home.bytes += queued.size;
  bytes_ += queued.size;
  deadlines_ += queued.expires();
  waiting_.push_back(std::move(queued));
  home.waiting.push_back(std::prev(waiting_.end()));
  return home.waiting.back();
}

outbox::dropped outbox::drop_of(const queued_message& x, ec reason) {
  return {x.message.id, x.is_in_doubt() ? ec::in_doubt : reason, false, x.message.exchange,
          x.message.routing_key};
}

void outbox::shrink(exchange_queue& home, place spared, std::vector<dropped>& out) {
  while (!home.allows(home.messages, home.bytes)) {
    auto i = home.waiting.begin();
    if (*i == spared)
      ++i;
    auto victim = *i;
    home.waiting.erase(i);
    out.push_back(drop_of(*victim, ec::outbox_dropped));
    remove_waiting(victim);
  }
}

void outbox::remove_waiting(place queued) {
  auto& home = *queued->home;
  freeze(queued);
  --home.messages;
  home.bytes -= queued->size;
  bytes_ -= queued->size;
  deadlines_ -= queued->expires();
  if (queued->probe)
    finish_probe(*queued, false);
  if (!queued->parked) {
    waiting_.erase(queued);
    return;
  }
  --parked_;
  home.parked.erase(queued);
  if (home.parked.empty())
    std::erase(parked_lanes_, &home);
}

void outbox::admit_blocked(exchange_queue& home) {
  while (!home.blocked.empty() && home.has_room(home.blocked.front().size)) {
    auto& first = home.blocked.front();
    home.blocked_bytes -= first.size;
    deadlines_ -= first.expires(); // `append` counts it again
    append(std::move(first));
    home.blocked.pop_front();
    --blocked_;
  }
}

std::vector<outbox::dropped> outbox::take_dropped() {
  return std::exchange(expired_, {});
}

void outbox::expire(time_point now) {
  if (deadlines_ == 0)
    return;
  unpark();
  release_expired(now);
  for (auto i = waiting_.begin(); i != waiting_.end();) {
    auto queued = i++;
    if (queued->deadline > now)
      continue;
    expired_.push_back(drop_of(*queued, ec::expired));
    auto& home = *queued->home;
    home.waiting.erase(std::find(home.waiting.begin(), home.waiting.end(), queued));
    remove_waiting(queued);
  }
  for (auto& [exchange, home] : lanes_) {
    std::erase_if(home.blocked, [&, &home = home](queued_message& queued) {
      if (queued.deadline > now)
        return false;
      expired_.push_back(drop_of(queued, ec::expired));
      home.blocked_bytes -= queued.size;
      --deadlines_;
      --blocked_;
      return true;
    });
    admit_blocked(home);
  }
}

std::vector<outbox::remainder> outbox::clear() {
  std::vector<remainder> result;
  auto add = [&](queued_message& queued, bool in_doubt) {
    result.push_back({std::move(queued.message), in_doubt, std::nullopt});
    if (queued.expires())
      result.back().deadline = queued.deadline;
  };
  unpark();
  release_all();
  release(rejected_, rejected_.end());
  for (auto& queued : in_flight_)
    add(queued, !queued.returned || queued.is_in_doubt());
  for (auto& queued : waiting_)
    add(queued, queued.is_in_doubt());
  for (auto& [exchange, home] : lanes_)
    for (auto& queued : home.blocked)
      add(queued, false);
  std::sort(result.begin(), result.end(),
            [](auto& x, auto& y) { return x.message.id < y.message.id; });
  *this = outbox{limits_, confirms_};
  return result;
}

void outbox::freeze(place queued) {
  auto& latest = queued->home->latest;
  if (latest.empty())
    return;
  auto i = latest.find(key_of(queued->message));
  if (i != latest.end() && i->second == queued)
    latest.erase(i);
}

} // namespace actors
