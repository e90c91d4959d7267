#pragma once

#include <string_view>

#include "actors/export.hpp"
#include "actors/logging.hpp"
#include "runtime/repeated_lines.hpp"

/// Lines of the log that may come again and again.
namespace actors {

/// Writes a line that may come again and again: the first one is written, later ones are
/// counted, and once in 60 s the log says "still: TEXT, 59 times in 60 s" (`repeated_lines`).
/// Lines of the same kind and entity are the same line; their texts may differ. `entity` names
/// the entity and, where reasons make different lines, the reason: "queue 'q' not_found". Any
/// thread may call this; the call costs a comparison when the level is not written.
///
///     log_repeated(log_level::warning, "message dropped", queue + to_string(code), text);
ACTORS_EXPORT void log_repeated(log_level level, line_kind kind, std::string_view entity,
                                std::string_view text);

/// Writes a line about a subject with states: when the state changes, the count of this line is
/// written before the change, and dropped after it.
ACTORS_EXPORT void log_repeated(log_level level, line_kind kind, std::string_view entity,
                                std::string_view text, line_subject about);

/// Writes that a subject has entered a state: each change is a line, up to three to the same
/// state in 60 s; further ones are counted.
///
///     log_change(log_level::warning, {"link", "consuming"}, "lost", text);
ACTORS_EXPORT void log_change(log_level level, line_subject of, line_kind state,
                              std::string_view text);

} // namespace actors
