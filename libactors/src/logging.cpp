#include "actors/logging.hpp"

#include <atomic>
#include <exception>
#include <filesystem>
#include <fstream>
#include <memory>
#include <system_error>

#include <spdlog/async_logger.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>

namespace actors {

namespace {

/// 2026-11-23 12:00:00.123 info  text
constexpr auto pattern = "%Y-%m-%d %H:%M:%S.%e %^%-5l%$ %v";
/// Lines that may wait for the log's thread.
constexpr std::size_t queue_size = 8192;

spdlog::level::level_enum to_spdlog(log_level x) noexcept {
  switch (x) {
  case log_level::debug:
    return spdlog::level::debug;
  case log_level::info:
    return spdlog::level::info;
  case log_level::warning:
    return spdlog::level::warn;
  case log_level::error:
    return spdlog::level::err;
  case log_level::critical:
    return spdlog::level::critical;
  default:
    return spdlog::level::off;
  }
}

/// An open log. Whoever writes holds it, so that its thread lives on.
struct open_logger {
  std::shared_ptr<spdlog::details::thread_pool> thread;
  std::shared_ptr<spdlog::logger> logger;
};

std::atomic<std::shared_ptr<const open_logger>>& current() {
  static std::atomic<std::shared_ptr<const open_logger>> instance;
  return instance;
}

// What is written while no log is open.
spdlog::logger& fallback() {
  static auto instance = [] {
    auto result = std::make_unique<spdlog::logger>(
        "actors", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    result->set_pattern(pattern);
    result->set_level(spdlog::level::warn);
    return result;
  }();
  return *instance;
}

spdlog::sink_ptr terminal() {
  return std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
}

spdlog::sink_ptr file(const log_config& settings) {
  auto path = std::filesystem::path{settings.path} / settings.name;
  if (path.has_parent_path())
    std::filesystem::create_directories(path.parent_path());
  if (settings.clear)
    std::ofstream{path, std::ios::trunc};
  return std::make_shared<spdlog::sinks::rotating_file_sink_mt>(path.string(), settings.max_bytes,
                                                                settings.backup_count);
}

void open_with(spdlog::sink_ptr sink, log_level level) {
  auto result = std::make_shared<open_logger>();
  result->thread = std::make_shared<spdlog::details::thread_pool>(queue_size, 1);
  result->logger = std::make_shared<spdlog::async_logger>(
      "actors", std::move(sink), result->thread, spdlog::async_overflow_policy::overrun_oldest);
  result->logger->set_pattern(pattern);
  result->logger->set_level(to_spdlog(level));
  // Flushing is the log's thread's own work; a line is there for `tail -f`.
  result->logger->flush_on(spdlog::level::trace);
  current().store(std::move(result));
}

// A line stays one line, whatever a peer put into its text.
std::string on_one_line(std::string_view text) {
  std::string result{text};
  for (auto& c : result)
    if (static_cast<unsigned char>(c) < 0x20 && c != '\t')
      c = ' ';
  return result;
}

bool has_control_characters(std::string_view text) noexcept {
  for (auto c : text)
    if (static_cast<unsigned char>(c) < 0x20 && c != '\t')
      return true;
  return false;
}

void write(spdlog::logger& to, log_level level, std::string_view text) {
  if (has_control_characters(text))
    to.log(to_spdlog(level), on_one_line(text));
  else
    to.log(to_spdlog(level), spdlog::string_view_t{text.data(), text.size()});
}

} // namespace

void open_log(const log_config& settings) {
  try {
    close_log();
    if (settings.console)
      return open_with(terminal(), settings.level);
    try {
      open_with(file(settings), settings.level);
    } catch (const std::exception& e) {
      open_with(terminal(), settings.level);
      log(log_level::error, "log file '" + settings.path + '/' + settings.name + "': " + e.what()
                                + "; the log goes to the terminal");
    }
  } catch (const std::exception&) {
    // No thread or no memory: `fallback` still writes.
  }
}

void close_log() {
  current().store(nullptr);
}

bool log_enabled(log_level level) noexcept {
  auto open = current().load();
  auto& logger = open ? *open->logger : fallback();
  return level != log_level::off && logger.should_log(to_spdlog(level));
}

void log(log_level level, std::string_view text) {
  if (level == log_level::off)
    return;
  try {
    auto open = current().load();
    write(open ? *open->logger : fallback(), level, text);
  } catch (const std::exception&) {
    // A log that cannot be written is no reason to stop.
  }
}

} // namespace actors
