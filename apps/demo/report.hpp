#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <caf/allowed_unsafe_message_type.hpp>

namespace demo {

/// What a strategy answers to a `get_atom`.
struct strategy_report {
  std::string strategy;
  /// How many events reached it.
  std::uint64_t received = 0;
  /// What it made of them.
  std::vector<std::string> lines;
};

/// One whole line at a time, whichever thread writes it.
inline void print_line(std::string text) {
  text += '\n';
  std::fwrite(text.data(), 1, text.size(), stdout);
}

} // namespace demo

template <>
struct caf::allowed_unsafe_message_type<demo::strategy_report> : std::true_type {};
