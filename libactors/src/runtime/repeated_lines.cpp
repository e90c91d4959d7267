#include "runtime/repeated_lines.hpp"

#include <algorithm>
#include <utility>

namespace actors {

namespace {

/// The number of bytes of an entity's name or a text that are kept. AMQP's names are shorter.
constexpr std::size_t max_kept = 1024;

} // namespace

repeated_lines::repeated_lines(std::chrono::seconds interval, std::size_t max_entities)
    : interval_(interval), max_entities_(max_entities) {
  // nop
}

std::optional<std::string> repeated_lines::say(log_level level, line_kind kind,
                                               std::string_view entity, std::string_view text,
                                               time_point now, std::optional<line_subject> about) {
  auto added = false;
  auto& known = *find_or_add({{kind.name()}, std::string{entity.substr(0, max_kept)}}, now, added);
  known.level = level;
  known.text = text.substr(0, max_kept);
  if (about && !known.shared)
    known.about = key_of(*about);
  if (added)
    return std::string{text};
  ++known.again;
  return std::nullopt;
}

std::vector<repeated_lines::line> repeated_lines::change(log_level level, line_subject of,
                                                         line_kind state, std::string_view text,
                                                         time_point now) {
  std::vector<line> result;
  const auto subject = key_of(of);
  auto added = false;
  auto& known = *find_or_add(subject, now, added);
  auto& written = known.written[state.name()];
  if (written == max_changes) {
    known.level = known.again == 0 ? level : std::max(known.level, level);
    known.text = text.substr(0, max_kept);
    if (known.again++ == 0)
      known.counted_since = now;
    return result;
  }
  ++written;
  end_lines_about(subject, now, result);
  if (known.again > 0)
    result.push_back(count_of(known, now));
  known.again = 0;
  result.push_back({level, std::string{text}});
  return result;
}

std::vector<repeated_lines::line> repeated_lines::due(time_point now) {
  std::vector<line> result;
  while (!entries_.empty() && entries_.front().since + interval_ <= now) {
    auto& oldest = entries_.front();
    if (oldest.again == 0) {
      forget(entries_.begin());
      continue;
    }
    if (oldest.id.first.of_subjects)
      end_lines_about(oldest.id, now, result);
    result.push_back(count_of(oldest, now));
    oldest.since = oldest.counted_since = now;
    oldest.again = 0;
    oldest.written.clear();
    entries_.splice(entries_.end(), entries_, entries_.begin());
  }
  return result;
}

std::vector<repeated_lines::line> repeated_lines::take_all(time_point now) {
  std::vector<line> result;
  while (!entries_.empty()) {
    auto& oldest = entries_.front();
    if (oldest.again > 0 && oldest.id.first.of_subjects)
      end_lines_about(oldest.id, now, result);
    if (oldest.again > 0)
      result.push_back(count_of(oldest, now));
    forget(entries_.begin());
  }
  return result;
}

std::optional<repeated_lines::time_point> repeated_lines::next_due() const noexcept {
  if (entries_.empty())
    return std::nullopt;
  return entries_.front().since + interval_;
}

repeated_lines::key repeated_lines::key_of(line_subject x) {
  return {{x.kind.name(), true}, std::string{x.name.substr(0, max_kept)}};
}

repeated_lines::entries::iterator repeated_lines::find_or_add(key id, time_point now, bool& added) {
  if (auto known = by_key_.find(id); known != by_key_.end())
    return known->second;
  auto& count = entities_[id.first];
  auto shared = count >= max_entities_;
  if (shared)
    if (auto known = shared_.find(id.first); known != shared_.end())
      return known->second;
  added = true;
  auto result = entries_.insert(entries_.end(), entry{id, shared, now, now});
  if (shared) {
    shared_.emplace(id.first, result);
  } else {
    by_key_.emplace(std::move(id), result);
    ++count;
  }
  return result;
}

repeated_lines::entries::iterator repeated_lines::forget(entries::iterator i) {
  if (i->shared) {
    shared_.erase(i->id.first);
  } else {
    by_key_.erase(i->id);
    --entities_[i->id.first];
  }
  return entries_.erase(i);
}

void repeated_lines::end_lines_about(const key& subject, time_point now, std::vector<line>& out) {
  for (auto i = entries_.begin(); i != entries_.end();) {
    if (i->about != subject) {
      ++i;
      continue;
    }
    if (i->again > 0)
      out.push_back(count_of(*i, now));
    i = forget(i);
  }
}

repeated_lines::line repeated_lines::count_of(const entry& counted, time_point now) {
  auto seconds = std::chrono::round<std::chrono::seconds>(now - counted.counted_since).count();
  auto is_state = counted.id.first.of_subjects;
  auto often = std::to_string(counted.again) + (is_state ? " change" : " time")
               + (counted.again == 1 ? "" : "s") + " in " + std::to_string(seconds) + " s";
  if (counted.shared)
    return {counted.level, "still: " + std::string{counted.id.first.kind} + ", " + often
                               + " for others than those told of above, the last: " + counted.text};
  if (is_state)
    return {counted.level, "still: " + counted.text + ", the last of " + often};
  return {counted.level, "still: " + counted.text + ", " + often};
}

} // namespace actors
