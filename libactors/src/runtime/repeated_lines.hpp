#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
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

/// What is in one of several states, of which lines tell: {"link", "consuming"}.
struct line_subject {
  line_kind kind;
  std::string_view name;
};

/// Decides what is written of lines that repeat: the first one, then after each interval in
/// which it came again one line that counts, "still: queue 'q' refused, 59 times in 60 s".
/// Whoever was silent for an interval is new again. Of each kind a number of entities have lines
/// of their own; all others of that kind share one. So no rate and no number of entities makes
/// more lines than that in an interval, nor more memory.
///
/// That something is in another state (a link is up, is lost) is no repetition, however often it
/// comes: each change is written, up to `max_changes` to the same state in an interval, then they
/// are counted. What is open about the subject is written before its change, and no more after
/// it, so that the last line tells how things are.
class repeated_lines {
public:
  using clock = std::chrono::steady_clock;
  using time_point = clock::time_point;

  /// Of a subject to one state in an interval.
  static constexpr std::size_t max_changes = 3;

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
  /// its text, or nothing when the entity's line was written in this interval already. A line
  /// `about` a subject ends with the subject's state.
  std::optional<std::string> say(log_level level, line_kind kind, std::string_view entity,
                                 std::string_view text, time_point now,
                                 std::optional<line_subject> about = std::nullopt);

  /// Takes a line about a subject that is in another state now. Gives back what to write now.
  std::vector<line> change(log_level level, line_subject of, line_kind state, std::string_view text,
                           time_point now);

  /// The counts of all intervals that have ended, oldest first.
  std::vector<line> due(time_point now);

  /// All counts; then everything is new.
  std::vector<line> take_all(time_point now);

  /// When the next interval ends, if there is one.
  std::optional<time_point> next_due() const noexcept;

private:
  /// The kinds of subjects are apart from those of other lines.
  struct line_group {
    std::string_view kind;
    bool of_subjects = false;

    bool operator==(const line_group&) const = default;

    bool operator<(const line_group& x) const noexcept {
      return std::tie(kind, of_subjects) < std::tie(x.kind, x.of_subjects);
    }
  };

  using key = std::pair<line_group, std::string>;

  struct entry {
    key id;
    /// All the entities of a kind that have no entry of their own.
    bool shared = false;
    /// When the interval and when the count began.
    time_point since;
    time_point counted_since;
    std::uint64_t again = 0;
    log_level level = log_level::info;
    std::string text;
    /// Whose state ends this line.
    std::optional<key> about;
    /// Of a subject: how often which state was written in this interval.
    std::map<std::string_view, std::size_t> written;
  };

  using entries = std::list<entry>;

  static key key_of(line_subject x);
  entries::iterator find_or_add(key id, time_point now, bool& added);
  entries::iterator forget(entries::iterator i);
  /// Adds the counts of what was said about a subject, which then is new.
  void end_lines_about(const key& subject, time_point now, std::vector<line>& out);
  static line count_of(const entry& x, time_point now);

  std::chrono::seconds interval_;
  std::size_t max_entities_;
  /// In the order in which their intervals end.
  entries entries_;
  std::map<key, entries::iterator> by_key_;
  /// How many entities of a kind have an entry, and the one of all the others.
  std::map<line_group, std::size_t> entities_;
  std::map<line_group, entries::iterator> shared_;
};

} // namespace actors
