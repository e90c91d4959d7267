#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "actors/export.hpp"

/// The log of the library. Apps may write to it too.
namespace actors {

enum class log_level : std::uint8_t { debug, info, warning, error, critical, off };

/// AIOQuant's LOG section.
struct log_config {
  /// Write to the terminal (standard error) instead of a file.
  bool console = true;
  log_level level = log_level::info;
  /// Folder and name of the log file, used without `console`.
  std::string path = "/tmp/logs/actors";
  std::string name = "actors.log";
  /// Empty the log file at start.
  bool clear = false;
  /// How many rotated files are kept.
  std::uint32_t backup_count = 5;
  /// A log file is rotated at this size, in bytes.
  std::uint64_t max_bytes = 10 * 1024 * 1024;

  bool operator==(const log_config&) const = default;
};

/// Opens the log as the LOG section asks; called by `scoped_event_center`. A
/// file that cannot be opened is reported on the terminal, which then is the
/// log. Writing never blocks: a full queue drops its oldest lines.
ACTORS_EXPORT void open_log(const log_config& settings);

/// Takes lines of the log. It gets one at a time, from the log's thread, or from the writer's own
/// while no log is open. It must not write to the log itself.
using log_sink = std::function<void(log_level level, std::string_view text)>;

/// Gives the lines to `sink` from now on, instead of terminal and file: for a program with a log
/// of its own. The level of the LOG section stays in force. An empty one takes it back.
ACTORS_EXPORT void set_log_sink(log_sink sink);

/// Writes what is queued and ends the log's thread.
ACTORS_EXPORT void close_log();

/// Whether a line of this level would be written.
ACTORS_EXPORT bool log_enabled(log_level level) noexcept;

/// Writes one line. `text` names the entity that it is about; no secrets.
ACTORS_EXPORT void log(log_level level, std::string_view text);

} // namespace actors
