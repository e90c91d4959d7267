#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "actors/logging.hpp"
#include "runtime/repeated_lines.hpp"

namespace actors {

/// A line for the log that is decided on where nothing is written: by a value.
struct log_line {
  /// Which function of the log it is for.
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
  /// What it is about if it may come again, or the state that its subject is in now.
  line_kind kind;
  std::string entity;
  std::optional<line_subject> about;
};

/// Writes it.
void write(const log_line& x);

} // namespace actors
