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

/// The subject matter of a line of the log, as a literal: "message dropped". The program's text
/// fixes the number of kinds, so that no peer can add one.
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

/// An entity with states, whose changes are lines of the log: {"link", "consuming"}.
struct line_subject {
  line_kind kind;
  std::string_view name;
};

/// Limits lines that repeat: the first one is written, then one line with a count after each
/// interval in which it came again, "still: queue 'q' refused, 59 times in 60 s". A line that
/// was silent for an interval is new again. A number of entities of each kind have lines of
/// their own; all others of that kind share one. So no rate and no number of entities makes more
/// lines in an interval, or needs more memory.
///
/// A change of state (a link is up, is lost) is no repetition, however often it comes: each
/// change is written, up to `max_changes` to the same state in an interval, and counted after
/// that. Open counts about the subject are written before its change, and dropped after it, so
/// that the last line tells the present state.
class repeated_lines {
public:
  using clock = std::chrono::steady_clock;
  using time_point = clock::time_point;

  /// The largest number of changes of a subject to one state that are written in an interval.
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

  /// Takes a line about an entity (a queue and the reason, say). Returns the text to write now,
  /// or nothing when the entity's line was written in this interval already. A line `about` a
  /// subject ends with the subject's state.
  std::optional<std::string> say(log_level level, line_kind kind, std::string_view entity,
                                 std::string_view text, time_point now,
                                 std::optional<line_subject> about = std::nullopt);

  /// Takes a line about the new state of a subject. Returns the lines to write now.
  std::vector<line> change(log_level level, line_subject of, line_kind state, std::string_view text,
                           time_point now);

  /// Returns the counts of all intervals that have ended, oldest first.
  std::vector<line> due(time_point now);

  /// Returns all counts; every line is new after that.
  std::vector<line> take_all(time_point now);

  /// Returns when the next interval ends, if there is one.
  std::optional<time_point> next_due() const noexcept;

private:
  /// Groups lines by kind, with the kinds of subjects apart from those of other lines.
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
    /// Whether the entry stands for all entities of a kind without an entry of their own.
    bool shared = false;
    /// The beginning of the interval, and that of the count.
    time_point since;
    time_point counted_since;
    std::uint64_t again = 0;
    log_level level = log_level::info;
    std::string text;
    /// The subject whose change of state ends this line.
    std::optional<key> about;
    /// For a subject: how often each state was written in this interval.
    std::map<std::string_view, std::size_t> written;
  };

  using entries = std::list<entry>;

  static key key_of(line_subject x);
  entries::iterator find_or_add(key id, time_point now, bool& added);
  entries::iterator forget(entries::iterator i);
  /// Adds the counts of all lines about a subject to `out`, and forgets these lines.
  void end_lines_about(const key& subject, time_point now, std::vector<line>& out);
  static line count_of(const entry& counted, time_point now);

  std::chrono::seconds interval_;
  std::size_t max_entities_;
  /// Entries in the order in which their intervals end.
  entries entries_;
  std::map<key, entries::iterator> by_key_;
  /// The number of entities of each kind with an entry, and the shared entry of all others.
  std::map<line_group, std::size_t> entities_;
  std::map<line_group, entries::iterator> shared_;
};

} // namespace actors
