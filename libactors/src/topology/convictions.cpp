#include "topology/convictions.hpp"

#include <algorithm>
#include <utility>

namespace actors {

void convictions::add(thing what, failure reason, time_point now) {
  auto i = std::find_if(entries_.begin(), entries_.end(),
                        [&](const entry& x) { return x.culprit == what; });
  if (i == entries_.end()) {
    if (entries_.size() == max_things)
      entries_.pop_front();
    i = entries_.insert(entries_.end(), {std::move(what), {}, first_pause / 2, {}});
  }
  i->reason = std::move(reason);
  i->pause = std::min(2 * i->pause, std::chrono::seconds{last_pause});
  i->not_before = now + i->pause;
}

const convictions::entry* convictions::find(const thing& what) const {
  auto i = std::find_if(entries_.begin(), entries_.end(),
                        [&](const entry& x) { return x.culprit == what; });
  return i == entries_.end() ? nullptr : &*i;
}

bool convictions::due(const thing& what, time_point now) const {
  const auto* x = find(what);
  return !x || x->not_before <= now;
}

void convictions::tried(const thing& what, time_point now) {
  for (auto& x : entries_)
    if (x.culprit == what)
      x.not_before = now + x.pause;
}

void convictions::worked(const thing& what) {
  for (auto& x : entries_)
    if (x.culprit == what) {
      x.pause = first_pause / 2;
      x.not_before = {};
    }
}

} // namespace actors
