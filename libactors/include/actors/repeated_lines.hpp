#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "actors/config.hpp"

namespace actors {

/// What a line of the log is about, as a literal: "message dropped". There are as many kinds
/// as the program's text has, so that what a peer sends makes no new one.
class line_kind {
public:
  consteval line_kind(const char* name) noexcept : name_(name) {
    // nop
  }

  constexpr std::string_view name() const noexcept {
    return name_;
  }

private:
  std::string_view name_;
};

/// Decides what is written of lines that repeat: the first one, then after each interval in
/// which it came again one line that counts, "still: queue 'q' refused, 59 times in 60 s".
/// Whoever was silent for an interval is new again. Of each kind a number of entities have lines
/// of their own; all others of that kind share one. So no rate and no number of entities makes
/// more lines than that in an interval, nor more memory.
class repeated_lines {
public:
  using clock = std::chrono::steady_clock;
  using time_point = clock::time_point;

  struct line {
    log_level level;
    std::string text;

    bool operator==(const line&) const = default;
  };

  explicit repeated_lines(std::chrono::seconds interval = std::chrono::seconds{60},
                          std::size_t max_entities = 100);

  repeated_lines(const repeated_lines&) = delete;
  repeated_lines& operator=(const repeated_lines&) = delete;

  /// Takes a line about an entity (a queue and the reason, say). Gives back what to write now:
  /// its text, or nothing when the entity's line was written in this interval already.
  std::optional<std::string> say(log_level level, line_kind kind, std::string_view entity,
                                 std::string_view text, time_point now);

  /// The counts of all intervals that have ended, oldest first.
  std::vector<line> due(time_point now);

  /// All counts; then everything is new.
  std::vector<line> take_all(time_point now);

  /// When the next interval ends, if there is one.
  std::optional<time_point> next_due() const noexcept;

private:
  using key = std::pair<std::string_view, std::string>;

  struct entry {
    key id;
    /// All the entities of a kind that have no entry of their own.
    bool shared = false;
    time_point since;
    std::uint64_t again = 0;
    log_level level = log_level::info;
    std::string text;
  };

  std::list<entry>::iterator find_or_add(line_kind kind, std::string_view entity, time_point now,
                                         bool& added);
  void forget_first();
  static line count_of(const entry& x, time_point now);

  std::chrono::seconds interval_;
  std::size_t max_entities_;
  /// In the order in which their intervals end.
  std::list<entry> entries_;
  std::map<key, std::list<entry>::iterator> by_key_;
  /// How many entities of a kind have an entry, and the one of all the others.
  std::map<std::string_view, std::size_t> entities_;
  std::map<std::string_view, std::list<entry>::iterator> shared_;
};

} // namespace actors
