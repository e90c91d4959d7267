#pragma once

#include <string_view>

#include "actors/config.hpp"
#include "actors/repeated_lines.hpp"

/// The log of the library. Apps may write to it too.
namespace actors {

/// Opens the log as the LOG section asks; called by `scoped_event_center`. A
/// file that cannot be opened is reported on the terminal, which then is the
/// log. Writing never blocks: a full queue drops its oldest lines.
void open_log(const log_config& settings);

/// Writes what is queued and ends the log's thread.
void close_log();

/// Whether a line of this level would be written.
bool log_enabled(log_level level) noexcept;

/// Writes one line. `text` names the entity that it is about; no secrets.
void log(log_level level, std::string_view text);

/// Writes a line that may come again and again: it is written once, then counted, and once in
/// 60 s the log says "still: TEXT, 59 times in 60 s" (`repeated_lines`). What has the same kind
/// and entity is the same line; its text may differ. `entity` names what the line is about and
/// the reason as far as it makes another line: "queue 'q' not_found". From any thread; no more
/// than a comparison when the level is not written.
///
///     log_repeated(log_level::warning, "message dropped", queue + to_string(code), text);
void log_repeated(log_level level, line_kind kind, std::string_view entity, std::string_view text);

/// The same about something that has a state: once that changes, the count of this line is
/// written before the change, and not after it.
void log_repeated(log_level level, line_kind kind, std::string_view entity, std::string_view text,
                  line_subject about);

/// Writes that something is in another state now: each change is a line, up to three to the same
/// state in 60 s; beyond these they are counted.
///
///     log_change(log_level::warning, {"link", "consuming"}, "lost", text);
void log_change(log_level level, line_subject of, line_kind state, std::string_view text);

} // namespace actors
