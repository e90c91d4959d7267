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
  /// Whether the log goes to the terminal (standard error) instead of a file.
  bool console = true;
  log_level level = log_level::info;
  /// The folder and name of the log file, used without `console`.
  std::string path = "/tmp/logs/actors";
  std::string name = "actors.log";
  /// Whether the log file is emptied at the start.
  bool clear = false;
  /// How many rotated files are kept.
  std::uint32_t backup_count = 5;
  /// The size in bytes at which the log file is rotated.
  std::uint64_t max_bytes = 10 * 1024 * 1024;

  bool operator==(const log_config&) const = default;
};

/// Opens the log with the settings of the LOG section; `scoped_event_center` calls this function.
/// If the file cannot be opened, the log reports that and writes to the terminal instead. Writing
/// never blocks: a full queue drops its oldest lines.
ACTORS_EXPORT void open_log(const log_config& settings);

/// A callback for log lines. Calls never overlap; they come from the log's thread, or from the
/// writer's thread while no log is open. The sink must not write to the log itself.
using log_sink = std::function<void(log_level level, std::string_view text)>;

/// Sends log lines to `sink` instead of terminal and file, for a program with a log of its own.
/// The level of the LOG section stays in force. An empty sink restores terminal and file.
ACTORS_EXPORT void set_log_sink(log_sink sink);

/// Writes all queued lines and ends the log's thread.
ACTORS_EXPORT void close_log();

/// Whether a line of this level would be written.
ACTORS_EXPORT bool log_enabled(log_level level) noexcept;

/// Writes one line. `text` should name the entity concerned and must hold no secret.
ACTORS_EXPORT void log(log_level level, std::string_view text);

} // namespace actors
