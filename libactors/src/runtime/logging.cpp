#include "actors/logging.hpp"

#include <atomic>
#include <condition_variable>
#include <exception>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <pthread.h>

#include <spdlog/async_logger.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include "runtime/repeated_log.hpp"
#include "runtime/signal_mask.hpp"

namespace actors {

namespace {

/// A line looks like this: "2026-11-23 12:00:00.123 info  text".
constexpr auto pattern = "%Y-%m-%d %H:%M:%S.%e %^%-5l%$ %v";
/// The number of lines that may wait for the log's thread.
constexpr std::size_t queue_size = 8192;

spdlog::level::level_enum to_spdlog(log_level level) noexcept {
  switch (level) {
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

log_level from_spdlog(spdlog::level::level_enum level) noexcept {
  switch (level) {
  case spdlog::level::debug:
    return log_level::debug;
  case spdlog::level::info:
    return log_level::info;
  case spdlog::level::warn:
    return log_level::warning;
  case spdlog::level::err:
    return log_level::error;
  default:
    return log_level::critical;
  }
}

/// The sink that `set_log_sink` has set.
std::atomic<std::shared_ptr<const log_sink>>& users_sink() {
  static std::atomic<std::shared_ptr<const log_sink>> instance;
  return instance;
}

/// Passes lines to the user's sink if there is one, and else to ours.
class line_output : public spdlog::sinks::sink {
public:
  explicit line_output(spdlog::sink_ptr ours) : ours_(std::move(ours)) {
    // nop
  }

  void log(const spdlog::details::log_msg& x) override {
    const auto theirs = users_sink().load();
    if (!theirs)
      return ours_->log(x);
    std::lock_guard guard{mutex_};
    (*theirs)(from_spdlog(x.level), {x.payload.data(), x.payload.size()});
  }

  void flush() override {
    ours_->flush();
  }

  void set_pattern(const std::string& x) override {
    ours_->set_pattern(x);
  }

  void set_formatter(std::unique_ptr<spdlog::formatter> x) override {
    ours_->set_formatter(std::move(x));
  }

private:
  std::mutex mutex_;
  spdlog::sink_ptr ours_;
};

/// An open log. Each writer holds a reference, so that the log's thread lives on.
struct open_logger {
  std::shared_ptr<spdlog::details::thread_pool> thread;
  std::shared_ptr<spdlog::logger> logger;
};

std::atomic<std::shared_ptr<const open_logger>>& current() {
  static std::atomic<std::shared_ptr<const open_logger>> instance;
  return instance;
}

// The logger that writes while no log is open.
spdlog::logger& fallback() {
  static auto instance = [] {
    auto result = std::make_unique<spdlog::logger>(
        "actors",
        std::make_shared<line_output>(std::make_shared<spdlog::sinks::stderr_color_sink_mt>()));
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
      "actors", std::make_shared<line_output>(std::move(sink)), result->thread,
      spdlog::async_overflow_policy::overrun_oldest);
  result->logger->set_pattern(pattern);
  result->logger->set_level(to_spdlog(level));
  // The log's own thread flushes, so each line can be visible to `tail -f` at once.
  result->logger->flush_on(spdlog::level::trace);
  current().store(std::move(result));
}

void open_file(const log_config& settings) {
  try {
    open_with(file(settings), settings.level);
  } catch (const std::exception& e) {
    open_with(terminal(), settings.level);
    log(log_level::error, "log file '" + settings.path + '/' + settings.name + "': " + e.what()
                              + "; the log goes to the terminal");
  }
}

// A line must stay one line, whatever a peer put into its text.
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

/// Repeated lines, whose counts the thread of an open log writes.
struct repetitions {
  std::mutex mutex;
  std::condition_variable_any changed;
  repeated_lines lines;
};

repetitions& repeated() {
  static repetitions instance;
  return instance;
}

// Writes the lines that `take` returns, in the order in which they are taken: a count must not
// come after the change that ends it. Returns whether there were any.
template <class F>
bool write_lines(F take) {
  auto& shared = repeated();
  std::lock_guard guard{shared.mutex};
  const auto taken = take(shared.lines, repeated_lines::clock::now());
  for (auto& x : taken)
    log(x.level, x.text);
  return !taken.empty();
}

void write_due() {
  write_lines([](auto& of, auto now) { return of.due(now); });
}

// The body of the counting thread.
void tell_repetitions(const std::stop_token& stop) {
  auto& shared = repeated();
  std::unique_lock guard{shared.mutex};
  while (!stop.stop_requested()) {
    if (auto next = shared.lines.next_due())
      shared.changed.wait_until(guard, stop, *next, [] { return false; });
    else
      shared.changed.wait(guard, stop, [&] { return shared.lines.next_due().has_value(); });
    guard.unlock();
    write_due();
    guard.lock();
  }
}

/// The thread that writes counts while a log is open.
struct counting_thread {
  std::mutex mutex;
  std::jthread thread;

  void start() {
    std::lock_guard guard{mutex};
    blocked_signals no_signals;
    thread = std::jthread{tell_repetitions};
    ::pthread_setname_np(thread.native_handle(), "log-counts");
  }

  void stop() {
    std::lock_guard guard{mutex};
    thread = {};
  }
};

counting_thread& counting() {
  // The thread uses these objects, so their lifetimes must begin before its own.
  repeated();
  current();
  users_sink();
  fallback();
  static counting_thread instance;
  return instance;
}

void say(log_level level, line_kind kind, std::string_view entity, std::string_view text,
         std::optional<line_subject> about) {
  if (!log_enabled(level))
    return;
  try {
    // No thread writes the counts while no log is open.
    write_due();
    const auto is_first = write_lines([&](auto& of, auto now) {
      std::vector<repeated_lines::line> result;
      if (auto first = of.say(level, kind, entity, text, now, about))
        result.push_back({level, std::move(*first)});
      return result;
    });
    if (is_first)
      repeated().changed.notify_one();
  } catch (const std::exception&) {
    // As in `log`.
  }
}

} // namespace

void open_log(const log_config& settings) {
  try {
    close_log();
    if (settings.console)
      open_with(terminal(), settings.level);
    else
      open_file(settings);
    counting().start();
  } catch (const std::exception&) {
    // `fallback` still writes when there is no thread or no memory.
  }
}

void close_log() {
  counting().stop();
  write_lines([](auto& of, auto now) { return of.take_all(now); });
  current().store(nullptr);
}

void set_log_sink(log_sink sink) {
  users_sink().store(sink ? std::make_shared<const log_sink>(std::move(sink)) : nullptr);
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

void log_repeated(log_level level, line_kind kind, std::string_view entity, std::string_view text) {
  say(level, kind, entity, text, std::nullopt);
}

void log_repeated(log_level level, line_kind kind, std::string_view entity, std::string_view text,
                  line_subject about) {
  say(level, kind, entity, text, about);
}

// A change below the log's level is processed as well, because it ends counts.
void log_change(log_level level, line_subject of, line_kind state, std::string_view text) {
  try {
    write_due();
    write_lines([&](auto& lines, auto now) { return lines.change(level, of, state, text, now); });
    repeated().changed.notify_one();
  } catch (const std::exception&) {
    // As in `log`.
  }
}

} // namespace actors
