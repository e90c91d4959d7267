#pragma once

#include <string>

namespace actors::simulation {

/// A file that need not be there, in a folder of its own, both gone with this. In memory where
/// there is a place for it, as many files are synced.
class scratch_file {
public:
  scratch_file();

  ~scratch_file();

  scratch_file(const scratch_file&) = delete;
  scratch_file& operator=(const scratch_file&) = delete;

  const std::string& path() const noexcept {
    return path_;
  }

private:
  std::string folder_;
  std::string path_;
};

} // namespace actors::simulation
