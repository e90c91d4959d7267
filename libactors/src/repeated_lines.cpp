#include "actors/repeated_lines.hpp"

#include <utility>

namespace actors {

namespace {

/// Of an entity's name and of a text no more is kept. Names of AMQP are shorter.
constexpr std::size_t max_kept = 1024;

} // namespace

repeated_lines::repeated_lines(std::chrono::seconds interval, std::size_t max_entities)
    : interval_(interval), max_entities_(max_entities) {
  // nop
}

std::optional<std::string> repeated_lines::say(log_level level, line_kind kind,
                                               std::string_view entity, std::string_view text,
                                               time_point now) {
  auto added = false;
  auto& x = *find_or_add(kind, entity.substr(0, max_kept), now, added);
  x.level = level;
  x.text = text.substr(0, max_kept);
  if (added)
    return std::string{text};
  ++x.again;
  return std::nullopt;
}

std::vector<repeated_lines::line> repeated_lines::due(time_point now) {
  std::vector<line> result;
  while (!entries_.empty() && entries_.front().since + interval_ <= now) {
    auto& x = entries_.front();
    if (x.again == 0) {
      forget_first();
      continue;
    }
    result.push_back(count_of(x, now));
    x.since = now;
    x.again = 0;
    entries_.splice(entries_.end(), entries_, entries_.begin());
  }
  return result;
}

std::vector<repeated_lines::line> repeated_lines::take_all(time_point now) {
  std::vector<line> result;
  for (auto& x : entries_)
    if (x.again > 0)
      result.push_back(count_of(x, now));
  entries_.clear();
  by_key_.clear();
  entities_.clear();
  shared_.clear();
  return result;
}

std::optional<repeated_lines::time_point> repeated_lines::next_due() const noexcept {
  if (entries_.empty())
    return std::nullopt;
  return entries_.front().since + interval_;
}

std::list<repeated_lines::entry>::iterator
repeated_lines::find_or_add(line_kind kind, std::string_view entity, time_point now, bool& added) {
  key id{kind.name(), std::string{entity}};
  if (auto known = by_key_.find(id); known != by_key_.end())
    return known->second;
  auto& count = entities_[kind.name()];
  auto shared = count >= max_entities_;
  if (shared)
    if (auto known = shared_.find(kind.name()); known != shared_.end())
      return known->second;
  added = true;
  auto result = entries_.insert(entries_.end(), entry{id, shared, now});
  if (shared) {
    shared_.emplace(kind.name(), result);
  } else {
    by_key_.emplace(std::move(id), result);
    ++count;
  }
  return result;
}

void repeated_lines::forget_first() {
  auto& x = entries_.front();
  if (x.shared) {
    shared_.erase(x.id.first);
  } else {
    by_key_.erase(x.id);
    --entities_[x.id.first];
  }
  entries_.pop_front();
}

repeated_lines::line repeated_lines::count_of(const entry& x, time_point now) {
  auto seconds = std::chrono::round<std::chrono::seconds>(now - x.since).count();
  auto often = std::to_string(x.again) + (x.again == 1 ? " time in " : " times in ")
               + std::to_string(seconds) + " s";
  if (x.shared)
    return {x.level, "still: " + std::string{x.id.first} + ", " + often
                         + " for others than those told of above, the last: " + x.text};
  return {x.level, "still: " + x.text + ", " + often};
}

} // namespace actors
