#pragma once

#include <string_view>

#include "actors/config.hpp"

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

} // namespace actors
