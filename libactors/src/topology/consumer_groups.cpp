#include "topology/consumer_groups.hpp"

#include <algorithm>

namespace actors {

std::uint32_t consumer_groups::join(amqp::consumer_id id, time_point now, bool replicated) {
  auto& consumer = members_[id];
  leave(consumer);
  if (!consumer.suspected)
    consumer.group = choose_shared(now, replicated);
  consumer.now = stage::starting;
  return consumer.group;
}

// Returns the first channel without a consumer that has been running for a while; else the channel
// with the fewest running consumers.
std::uint32_t consumer_groups::choose_shared(time_point now, bool replicated) const {
  // Of several channels half are for the consumers of replicated queues.
  const auto others = (shared_count_ + 1) / 2;
  const auto first = replicated && shared_count_ > 1 ? others : 0;
  const auto last = replicated ? shared_count_ : others;
  auto best = first;
  for (auto i = first; i < last; ++i) {
    auto& group = shared_[i];
    if (group.running == 0 || now - group.since < open_for)
      return i;
    if (group.running < shared_[best].running)
      best = i;
  }
  return best;
}

void consumer_groups::started(amqp::consumer_id id, time_point now) {
  auto i = members_.find(id);
  if (i == members_.end())
    return;
  auto& consumer = i->second;
  leave(consumer);
  consumer.now = stage::running;
  if (auto* group = shared(consumer); group && group->running++ == 0)
    group->since = now;
}

void consumer_groups::left(amqp::consumer_id id) {
  auto i = members_.find(id);
  if (i == members_.end())
    return;
  auto& consumer = i->second;
  leave(consumer);
  // A consumer that has run among suspects is no suspect any more.
  consumer.suspected = consumer.alone;
}

void consumer_groups::forget(amqp::consumer_id id) {
  left(id);
  members_.erase(id);
}

std::optional<amqp::consumer_id> consumer_groups::fell(const std::vector<amqp::consumer_id>& ids,
                                                       time_point now) {
  std::vector<member_entry*> starting;
  std::vector<member_entry*> running;
  for (auto id : ids)
    if (auto i = members_.find(id); i != members_.end() && i->second.now != stage::idle)
      (i->second.now == stage::starting ? starting : running).push_back(&*i);
  for (auto* side : {&starting, &running})
    for (auto* consumer : *side)
      leave(consumer->second);
  const auto suspects = starting.empty() ? doubt(running, now) : starting;
  if (!starting.empty()) // the running ones are cleared
    for (auto* consumer : running)
      consumer->second.suspected = consumer->second.alone;
  auto all = starting;
  all.insert(all.end(), running.begin(), running.end());
  crowded_ = crowded_ || std::any_of(all.begin(), all.end(), [&](auto* consumer) {
               return consumer->second.group != all[0]->second.group;
             });
  const auto all_alone = std::all_of(suspects.begin(), suspects.end(),
                                     [](auto* consumer) { return consumer->second.alone; });
  const auto is_found =
      suspects.size() == 1 && (all.size() == 1 || (all_alone && !starting.empty()));
  if (!all_alone)
    part(suspects);
  return is_found ? std::optional{suspects[0]->first} : std::nullopt;
}

bool consumer_groups::may_start(amqp::consumer_id id) const {
  const auto is_alone = [this](amqp::consumer_id other) {
    auto i = members_.find(other);
    return i != members_.end() && i->second.alone;
  };
  return !crowded_ || !is_alone(id) || std::none_of(members_.begin(), members_.end(), [&](auto& x) {
    return x.second.now == stage::starting && x.second.alone;
  });
}

// Returns the consumers whose channel fell a short while ago as well.
std::vector<consumer_groups::member_entry*>
consumer_groups::doubt(const std::vector<member_entry*>& fallen, time_point now) {
  std::vector<member_entry*> result;
  for (auto* consumer : fallen) {
    auto& last = consumer->second.fell_at;
    if (last && now - *last < doubt_for)
      result.push_back(consumer);
    last = now;
  }
  return result;
}

// Each half gets its own channel; a half of one consumer is found out at the next fall.
void consumer_groups::part(const std::vector<member_entry*>& suspects) {
  const auto half = (suspects.size() + 1) / 2;
  for (std::size_t i = 0; i < suspects.size(); ++i) {
    if (i == 0 || i == half || crowded_)
      ++last_group_;
    auto& consumer = suspects[i]->second;
    consumer.group = last_group_;
    consumer.suspected = true;
    consumer.alone = suspects.size() <= 2 || crowded_;
  }
}

void consumer_groups::clear() {
  std::erase_if(members_,
                [](const auto& x) { return !x.second.alone || x.second.now == stage::running; });
  for (auto& [id, consumer] : members_) {
    consumer.now = stage::idle;
    consumer.fell_at.reset();
  }
  shared_ = {};
  crowded_ = false;
}

void consumer_groups::limit_channels(std::uint32_t count) noexcept {
  shared_count_ = count == 0 ? max_shared : std::clamp(count / 2, 1u, max_shared);
}

consumer_groups::shared_group* consumer_groups::shared(const member& consumer) noexcept {
  return consumer.group < max_shared ? &shared_[consumer.group] : nullptr;
}

void consumer_groups::leave(member& consumer) noexcept {
  if (consumer.now == stage::running)
    if (auto* group = shared(consumer))
      --group->running;
  consumer.now = stage::idle;
}

} // namespace actors
