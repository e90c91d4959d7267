#pragma once

#include <string_view>

#include "actors/export.hpp"
#include "actors/logging.hpp"
#include "runtime/repeated_lines.hpp"

/// The log's lines that may come again and again.
namespace actors {

/// Writes a line that may come again and again: it is written once, then counted, and once in
/// 60 s the log says "still: TEXT, 59 times in 60 s" (`repeated_lines`). What has the same kind
/// and entity is the same line; its text may differ. `entity` names what the line is about and
/// the reason as far as it makes another line: "queue 'q' not_found". From any thread; no more
/// than a comparison when the level is not written.
///
///     log_repeated(log_level::warning, "message dropped", queue + to_string(code), text);
ACTORS_EXPORT void log_repeated(log_level level, line_kind kind, std::string_view entity,
                                std::string_view text);

/// The same about something that has a state: once that changes, the count of this line is
/// written before the change, and not after it.
ACTORS_EXPORT void log_repeated(log_level level, line_kind kind, std::string_view entity,
                                std::string_view text, line_subject about);

/// Writes that something is in another state now: each change is a line, up to three to the same
/// state in 60 s; beyond these they are counted.
///
///     log_change(log_level::warning, {"link", "consuming"}, "lost", text);
ACTORS_EXPORT void log_change(log_level level, line_subject of, line_kind state,
                              std::string_view text);

} // namespace actors
