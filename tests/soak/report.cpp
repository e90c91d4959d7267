#include "soak/report.hpp"

#include <algorithm>

#include <fmt/core.h>

namespace actors::soak {

namespace {

std::string row(const std::string& name, std::vector<std::chrono::milliseconds> times) {
  std::sort(times.begin(), times.end());
  auto seconds = [](std::chrono::milliseconds x) { return static_cast<double>(x.count()) / 1'000; };
  return fmt::format("| {} | {} | {:.2f} s | {:.2f} s |\n", name, times.size(),
                     seconds(times[times.size() / 2]), seconds(times.back()));
}

} // namespace

void recovery_times::add(const std::string& fault, std::chrono::milliseconds time) {
  times_[fault].push_back(time);
}

std::string recovery_times::table() const {
  std::string result = "| fault | count | median | longest |\n| --- | ---: | ---: | ---: |\n";
  std::vector<std::chrono::milliseconds> all;
  for (auto& [name, times] : times_) {
    result += row(name, times);
    all.insert(all.end(), times.begin(), times.end());
  }
  if (!all.empty())
    result += row("all", std::move(all));
  return result;
}

} // namespace actors::soak
