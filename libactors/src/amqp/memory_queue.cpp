#include "amqp/memory_queue.hpp"

#include <algorithm>

namespace actors::amqp::memory {

queue_state::queue_state(queue what, link* owner) : what_(std::move(what)), owner_(owner) {
  // nop
}

void queue_state::push(std::shared_ptr<const message> x) {
  ready_.push_back({next_place_++, false, std::move(x)});
}

void queue_state::requeue(queued_message x) {
  x.redelivered = true;
  auto place = std::lower_bound(ready_.begin(), ready_.end(), x,
                                [](auto& a, auto& b) { return a.place < b.place; });
  ready_.insert(place, std::move(x));
}

void queue_state::keep_persistent() {
  std::erase_if(ready_, [](auto& x) { return !x.what->properties.persistent; });
}

bool queue_state::has_exclusive_subscriber() const noexcept {
  return std::any_of(subscribers_.begin(), subscribers_.end(),
                     [](auto& x) { return x.what.exclusive; });
}

void queue_state::add(subscriber x) {
  subscribers_.push_back(std::move(x));
}

bool queue_state::remove(const link* owner, consumer_id id) {
  return std::erase_if(subscribers_, [&](auto& x) { return x.owner == owner && x.what.id == id; })
         > 0;
}

subscriber* queue_state::next_in_turn() {
  auto i =
      std::find_if(subscribers_.begin(), subscribers_.end(), [](auto& x) { return x.can_take(); });
  if (i == subscribers_.end())
    return nullptr;
  subscribers_.splice(subscribers_.end(), subscribers_, i);
  return &subscribers_.back();
}

queued_message queue_state::pop(subscriber& to) {
  auto result = std::move(ready_.front());
  ready_.pop_front();
  if (!to.what.no_ack) {
    --to.credit;
    ++unacked_;
  }
  return result;
}

void queue_state::settled(const link* owner, consumer_id id) {
  --unacked_;
  for (auto& x : subscribers_)
    if (x.owner == owner && x.what.id == id)
      ++x.credit;
}

} // namespace actors::amqp::memory
