#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <unistd.h>

/// A file that is gone at the end of the test.
class temporary_file {
public:
  explicit temporary_file(std::string_view content = {}) {
    path_ = (std::filesystem::temp_directory_path() / "market_data_XXXXXX").string();
    if (const auto fd = mkstemp(path_.data()); fd >= 0)
      close(fd);
    std::ofstream{path_, std::ios::binary} << content;
  }

  ~temporary_file() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }

  temporary_file(const temporary_file&) = delete;
  temporary_file& operator=(const temporary_file&) = delete;

  const std::string& path() const noexcept {
    return path_;
  }

private:
  std::string path_;
};
