#include "topology/convictions.hpp"

#include <algorithm>
#include <utility>

namespace actors {

void convictions::add(thing culprit, failure reason, time_point now) {
  auto i = std::find_if(entries_.begin(), entries_.end(),
                        [&](const entry& x) { return x.culprit == culprit; });
  if (i == entries_.end()) {
    if (entries_.size() == max_things)
      entries_.pop_front();
    i = entries_.insert(entries_.end(), {std::move(culprit), {}, first_pause / 2, {}});
  }
  i->reason = std::move(reason);
  i->pause = std::min(2 * i->pause, std::chrono::seconds{last_pause});
  i->not_before = now + i->pause;
}

const convictions::entry* convictions::find(const thing& culprit) const {
  auto i = std::find_if(entries_.begin(), entries_.end(),
                        [&](const entry& x) { return x.culprit == culprit; });
  return i == entries_.end() ? nullptr : &*i;
}

bool convictions::due(const thing& culprit, time_point now) const {
  const auto* known = find(culprit);
  return !known || known->not_before <= now;
}

void convictions::tried(const thing& culprit, time_point now) {
  for (auto& known : entries_)
    if (known.culprit == culprit)
      known.not_before = now + known.pause;
}

void convictions::worked(const thing& culprit) {
  for (auto& known : entries_)
    if (known.culprit == culprit) {
      known.pause = first_pause / 2;
      known.not_before = {};
    }
}

} // namespace actors
