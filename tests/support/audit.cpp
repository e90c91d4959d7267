#include "support/audit.hpp"

#include <algorithm>

#include "actors/topic.hpp"

namespace actors::testing {

namespace {

constexpr std::size_t max_examples = 10;

} // namespace

void audit::wants(const std::string& strategy, const std::string& binding_key) {
  std::unique_lock guard{mutex_};
  strategies_[strategy].binding_key = binding_key;
}

// -- what happens ---------------------------------------------------------------------

numbered audit::next(const std::string& publisher, const std::string& key) {
  std::unique_lock guard{mutex_};
  return {publisher, key, ++sent_[{publisher, key}].last};
}

void audit::confirmed(const numbered& x) {
  std::unique_lock guard{mutex_};
  ++verdict_.confirmed;
  insert(sent_[{x.publisher, x.key}].confirmed, x.number);
  answered(x);
}

void audit::refused(const numbered& x) {
  std::unique_lock guard{mutex_};
  ++verdict_.refused;
  answered(x);
}

void audit::answered(const numbered& x) {
  ++sent_[{x.publisher, x.key}].answered;
  changed_.notify_all();
}

void audit::started(const std::string& strategy) {
  std::unique_lock guard{mutex_};
  for (auto& [where, what] : strategies_[strategy].streams)
    what.in_this_life.clear();
}

void audit::handled(const std::string& strategy, const numbered& x) {
  std::unique_lock guard{mutex_};
  const stream where{x.publisher, x.key};
  auto& what = strategies_[strategy].streams[where];
  ++verdict_.handled;
  if (!insert(what.in_this_life, x.number))
    blame(verdict_.twice, "handled twice", strategy, where, x.number);
  if (insert(what.ever, x.number) && x.number < what.highest)
    blame(verdict_.reordered, "after " + std::to_string(what.highest), strategy, where, x.number);
  what.highest = std::max(what.highest, x.number);
  changed_.notify_all();
}

void audit::failed(const std::string& strategy) {
  std::unique_lock guard{mutex_};
  ++strategies_[strategy].failures;
  changed_.notify_all();
}

// -- to wait for ----------------------------------------------------------------------

template <class F>
void audit::for_each_stream_of(strategy& x, F f) {
  for (auto& [where, what] : sent_)
    if (topic_matches(x.binding_key, where.key))
      f(where, what, x.streams[where]);
}

bool audit::all_handle_fresh_events(std::chrono::milliseconds limit) {
  std::unique_lock guard{mutex_};
  std::map<stream, std::uint64_t> before;
  for (auto& [where, what] : sent_)
    before[where] = what.last;
  return changed_.wait_for(guard, limit, [&] {
    std::size_t streams = 0;
    std::size_t fresh = 0;
    for (auto& [name, x] : strategies_)
      for_each_stream_of(x, [&](const stream& where, const sent&, const received& what) {
        ++streams;
        if (what.highest > before[where])
          ++fresh;
      });
    return streams > 0 && fresh == streams;
  });
}

bool audit::more_confirmed(std::uint64_t count, std::chrono::milliseconds limit) {
  std::unique_lock guard{mutex_};
  const auto wanted = verdict_.confirmed + count;
  return changed_.wait_for(guard, limit, [&] { return verdict_.confirmed >= wanted; });
}

bool audit::fails_more(const std::string& strategy, std::uint64_t count,
                       std::chrono::milliseconds limit) {
  std::unique_lock guard{mutex_};
  auto& failures = strategies_[strategy].failures;
  const auto wanted = failures + count;
  return changed_.wait_for(guard, limit, [&] { return failures >= wanted; });
}

bool audit::catches_up(const std::string& strategy, std::chrono::milliseconds limit) {
  std::unique_lock guard{mutex_};
  return changed_.wait_for(guard, limit, [&] { return count_missing(strategy, false) == 0; });
}

bool audit::settles(std::chrono::milliseconds limit) {
  std::unique_lock guard{mutex_};
  return changed_.wait_for(guard, limit, [&] {
    return std::all_of(sent_.begin(), sent_.end(),
                       [](const auto& x) { return x.second.answered == x.second.last; })
           && std::all_of(strategies_.begin(), strategies_.end(),
                          [&](const auto& x) { return count_missing(x.first, false) == 0; });
  });
}

std::uint64_t audit::open(const std::string& publisher) {
  std::unique_lock guard{mutex_};
  std::uint64_t result = 0;
  for (auto& [where, what] : sent_)
    if (where.publisher == publisher)
      result += what.last - what.answered;
  return result;
}

// -- the judgement --------------------------------------------------------------------

std::uint64_t audit::count_missing(const std::string& name, bool blamed) {
  std::uint64_t result = 0;
  for_each_stream_of(strategies_[name],
                     [&](const stream& where, const sent& out, const received& in) {
                       for (std::uint64_t i = 1; i < out.confirmed.size(); ++i) {
                         if (!out.confirmed[i] || contains(in.ever, i))
                           continue;
                         if (blamed)
                           blame(result, "lost", name, where, i);
                         else
                           ++result;
                       }
                     });
  return result;
}

audit::verdict audit::judge() {
  std::unique_lock guard{mutex_};
  // What is missing now may still come: the examples of it are for this verdict only.
  const auto kept = verdict_.examples;
  verdict_.lost = 0;
  for (auto& [name, x] : strategies_)
    verdict_.lost += count_missing(name, true);
  auto result = verdict_;
  verdict_.examples = kept;
  return result;
}

std::string audit::text_of(const verdict& x) {
  auto result = std::to_string(x.confirmed) + " confirmed, " + std::to_string(x.refused)
                + " refused, " + std::to_string(x.handled) + " handled; " + std::to_string(x.lost)
                + " lost, " + std::to_string(x.twice) + " handled twice, "
                + std::to_string(x.reordered) + " reordered";
  for (auto& line : x.examples)
    result += "\n  " + line;
  return result;
}

void audit::blame(std::uint64_t& counter, const std::string& what, const std::string& strategy,
                  const stream& where, std::uint64_t number) {
  ++counter;
  if (verdict_.examples.size() < max_examples)
    verdict_.examples.push_back(strategy + ": " + where.publisher + "'s " + where.key + ' '
                                + std::to_string(number) + ' ' + what);
}

bool audit::contains(const numbers& xs, std::uint64_t number) {
  return number < xs.size() && xs[number];
}

bool audit::insert(numbers& xs, std::uint64_t number) {
  if (number >= xs.size())
    xs.resize(number + 1);
  const auto fresh = !xs[number];
  xs[number] = true;
  return fresh;
}

} // namespace actors::testing
