#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

namespace actors::soak {

/// How long the fleet took to recover, by kind of fault.
class recovery_times {
public:
  void add(const std::string& fault, std::chrono::milliseconds time);

  /// A Markdown table: fault, how often, median and longest time.
  std::string table() const;

private:
  std::map<std::string, std::vector<std::chrono::milliseconds>> times_;
};

} // namespace actors::soak
