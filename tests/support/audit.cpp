#include "support/audit.hpp"

#include <algorithm>
#include <utility>

#include "amqp/topic.hpp"

namespace actors::testing {

namespace {

constexpr std::size_t max_examples = 10;

} // namespace

void audit::wants(const std::string& strategy, const std::string& binding_key, promise promised) {
  std::unique_lock guard{mutex_};
  strategies_[strategy].binding_key = binding_key;
  strategies_[strategy].promised = promised;
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

void audit::refused(const numbered& x, const std::string& why) {
  std::unique_lock guard{mutex_};
  ++verdict_.refused;
  verdict_.refusal = why;
  answered(x);
}

void audit::answered(const numbered& x) {
  ++sent_[{x.publisher, x.key}].answered;
  changed_.notify_all();
}

void audit::started(const std::string& strategy) {
  std::unique_lock guard{mutex_};
  for (auto& [where, what] : strategies_[strategy].streams) {
    what.in_this_life.clear();
    what.highest_in_this_life = 0;
  }
}

void audit::handled(const std::string& strategy, const numbered& x) {
  std::unique_lock guard{mutex_};
  const stream where{x.publisher, x.key};
  auto& who = strategies_[strategy];
  auto& what = who.streams[where];
  ++who.counted.handled;
  if (!insert(what.in_this_life, x.number))
    blame(who.counted.twice, "handled twice", strategy, where, x.number);
  // Of the newest, a new life may get copies of what newer ones had replaced in the last one.
  const auto after = who.promised.newest_only ? what.highest_in_this_life : what.highest;
  if (insert(what.ever, x.number) && x.number < after) {
    if (is_excused(who, what, x.number))
      ++who.counted.excused;
    else
      blame(who.counted.reordered, "after " + std::to_string(after), strategy, where, x.number);
  }
  what.highest = std::max(what.highest, x.number);
  what.highest_in_this_life = std::max(what.highest_in_this_life, x.number);
  changed_.notify_all();
}

bool audit::is_excused(const strategy& x, const received& from, std::uint64_t number) const {
  return (!x.promised.in_order_over_failures && contains(from.failed, number))
         || (!x.promised.in_order_over_links && excuses_order_);
}

void audit::failed(const std::string& strategy, const numbered& x) {
  std::unique_lock guard{mutex_};
  auto& who = strategies_[strategy];
  insert(who.streams[{x.publisher, x.key}].failed, x.number);
  ++who.failures;
  changed_.notify_all();
}

void audit::excuse_order(bool on) {
  std::unique_lock guard{mutex_};
  excuses_order_ = on;
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
  auto& who = strategies_[name];
  for_each_stream_of(who, [&](const stream& where, const sent& out, const received& in) {
    // The last number is the newest one that is confirmed.
    const std::uint64_t newest = out.confirmed.size() - 1;
    const auto first = who.promised.newest_only ? newest : 1;
    for (auto i = first; i < out.confirmed.size(); ++i) {
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
  auto result = verdict_;
  for (auto& [name, x] : strategies_)
    add(result, name);
  result.examples = std::exchange(verdict_.examples, kept);
  return result;
}

audit::verdict audit::judge(const std::string& prefix) {
  std::unique_lock guard{mutex_};
  const auto kept = verdict_.examples;
  verdict result;
  for (auto& [name, x] : strategies_)
    if (name.starts_with(prefix))
      add(result, name);
  for (auto& x : sent_) {
    const auto& key = x.first.key;
    auto wants_it = [&](auto& y) {
      return y.first.starts_with(prefix) && topic_matches(y.second.binding_key, key);
    };
    if (std::any_of(strategies_.begin(), strategies_.end(), wants_it))
      result.confirmed += static_cast<std::uint64_t>(
          std::count(x.second.confirmed.begin(), x.second.confirmed.end(), true));
  }
  verdict_.examples = kept;
  return result;
}

void audit::add(verdict& to, const std::string& name) {
  const auto& x = strategies_[name].counted;
  to.handled += x.handled;
  to.twice += x.twice;
  to.reordered += x.reordered;
  to.excused += x.excused;
  to.lost += count_missing(name, true);
}

std::string audit::text_of(const verdict& x) {
  auto result = std::to_string(x.confirmed) + " confirmed, " + std::to_string(x.refused)
                + " refused, " + std::to_string(x.handled) + " handled; " + std::to_string(x.lost)
                + " lost, " + std::to_string(x.twice) + " handled twice, "
                + std::to_string(x.reordered) + " reordered";
  if (!x.refusal.empty())
    result += "\n  refused at last: " + x.refusal;
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
