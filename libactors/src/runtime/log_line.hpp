#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "actors/logging.hpp"
#include "runtime/repeated_lines.hpp"

namespace actors {

/// A line for the log as a value, for code that decides on lines and writes none.
struct log_line {
  /// The function of the log that writes the line.
  enum class kind_of_line : std::uint8_t {
    /// `log`
    once,
    /// `log_repeated`
    repeated,
    /// `log_change`
    change,
  };

  static log_line once(log_level level, std::string text) {
    return {kind_of_line::once, level, std::move(text), "", {}, std::nullopt};
  }

  static log_line repeated(log_level level, line_kind kind, std::string entity, std::string text,
                           std::optional<line_subject> about = std::nullopt) {
    return {kind_of_line::repeated, level, std::move(text), kind, std::move(entity), about};
  }

  static log_line change(log_level level, line_subject of, line_kind state, std::string text) {
    return {kind_of_line::change, level, std::move(text), state, {}, of};
  }

  kind_of_line how;
  log_level level;
  std::string text;
  /// The kind of a line that may come again, or the new state of the subject of a `change`.
  line_kind kind;
  std::string entity;
  std::optional<line_subject> about;
};

/// Writes the line to the log.
void write(const log_line& line);

} // namespace actors
