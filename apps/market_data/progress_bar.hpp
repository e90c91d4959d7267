#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace market_data {

/// How far long work is: a bar that is redrawn in place on a terminal, lines
/// now and then elsewhere. It writes nothing itself.
class progress_bar {
public:
  using clock = std::chrono::steady_clock;

  progress_bar(bool on_terminal, clock::time_point start);

  /// The text to write at this moment; empty most of the time, so call it as
  /// often as you like. `done` is from 0 to 1; nothing: there is no end.
  std::string update(std::optional<double> done, std::uint64_t events, clock::time_point now);

  /// The text that ends the bar, at any moment.
  std::string finish(std::optional<double> done, std::uint64_t events, clock::time_point now);

private:
  std::string render(std::optional<double> done, std::uint64_t events, clock::time_point now) const;

  bool on_terminal_;
  clock::time_point start_;
  clock::time_point shown_at_;
};

} // namespace market_data
