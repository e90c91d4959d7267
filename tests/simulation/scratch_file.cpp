#include "simulation/scratch_file.hpp"

#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include <unistd.h>

namespace actors::simulation {

namespace {

constexpr auto in_memory = "/dev/shm";

std::string make_folder() {
  const auto place = ::access(in_memory, W_OK) == 0 ? std::filesystem::path{in_memory}
                                                    : std::filesystem::temp_directory_path();
  auto result = (place / "actors-simulation-XXXXXX").string();
  if (::mkdtemp(result.data()) == nullptr)
    throw std::runtime_error("no folder can be made in " + place.string());
  return result;
}

} // namespace

scratch_file::scratch_file() : folder_(make_folder()), path_(folder_ + "/unsent") {
  // nop
}

scratch_file::~scratch_file() {
  std::error_code code;
  std::filesystem::remove_all(folder_, code);
}

} // namespace actors::simulation
