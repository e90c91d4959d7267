#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <unistd.h>

#include "actors/logging.hpp"

namespace actors::testing {

/// The library's log, in a file of its own for one test.
class log_file {
public:
  explicit log_file(const std::string& test, log_level level = log_level::info)
      : folder_(std::filesystem::temp_directory_path()
                / ("actors-" + test + '-' + std::to_string(getpid()))) {
    log_config settings;
    settings.console = false;
    settings.level = level;
    settings.path = folder_.string();
    settings.name = "test.log";
    open_log(settings);
  }

  log_file(const log_file&) = delete;
  log_file& operator=(const log_file&) = delete;

  ~log_file() {
    close_log();
    std::filesystem::remove_all(folder_);
  }

  /// Closes the log. Gives back its lines without their times.
  std::vector<std::string> close() {
    constexpr std::size_t time_stamp = 24;
    close_log();
    std::ifstream in{folder_ / "test.log"};
    std::vector<std::string> result;
    for (std::string line; std::getline(in, line);)
      result.push_back(line.size() > time_stamp ? line.substr(time_stamp) : line);
    return result;
  }

private:
  std::filesystem::path folder_;
};

} // namespace actors::testing
