#include "topology/consumer_places.hpp"

namespace actors {

void consumer_places::limit(std::size_t count) {
  count_ = count;
  while (count_ != 0 && holders_.size() > count_)
    waiting_.insert(holders_.extract(std::prev(holders_.end())));
}

bool consumer_places::take(amqp::consumer_id id) {
  if (holders_.contains(id))
    return true;
  const auto others_are_first = !waiting_.empty() && *waiting_.begin() < id;
  if (is_full() || others_are_first) {
    waiting_.insert(id);
    return false;
  }
  waiting_.erase(id);
  holders_.insert(id);
  return true;
}

void consumer_places::forget(amqp::consumer_id id) {
  holders_.erase(id);
  waiting_.erase(id);
}

std::vector<amqp::consumer_id> consumer_places::take_granted() {
  std::vector<amqp::consumer_id> result;
  while (!waiting_.empty() && !is_full()) {
    result.push_back(*waiting_.begin());
    holders_.insert(waiting_.extract(waiting_.begin()));
  }
  return result;
}

} // namespace actors
