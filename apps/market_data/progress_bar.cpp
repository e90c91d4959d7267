#include "market_data/progress_bar.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace market_data {

namespace {

constexpr std::chrono::milliseconds redraw_interval{100};

constexpr std::chrono::seconds line_interval{5};

constexpr int width = 30;

} // namespace

progress_bar::progress_bar(bool on_terminal, clock::time_point start)
    : on_terminal_(on_terminal), start_(start), shown_at_(start) {
  // nop
}

std::string progress_bar::update(std::optional<double> done, std::uint64_t events,
                                 clock::time_point now) {
  const clock::duration interval = on_terminal_ ? clock::duration{redraw_interval} : line_interval;
  if (now - shown_at_ < interval)
    return {};
  shown_at_ = now;
  const auto text = render(done, events, now);
  return on_terminal_ ? "\r" + text + "\x1b[K" : text + "\n";
}

std::string progress_bar::finish(std::optional<double> done, std::uint64_t events,
                                 clock::time_point now) {
  const auto text = render(done, events, now) + "\n";
  return on_terminal_ ? "\r\x1b[K" + text : text;
}

std::string progress_bar::render(std::optional<double> done, std::uint64_t events,
                                 clock::time_point now) const {
  const auto elapsed = std::max(std::chrono::duration<double>(now - start_).count(), 1e-3);
  const auto rate = static_cast<double>(events) / elapsed;
  auto counts = fmt::format("{} events  {:.0f}/s", events, rate);
  if (!done)
    return counts;
  const auto share = std::clamp(*done, 0.0, 1.0);
  auto result = fmt::format("{:3.0f} %  {}", share * 100.0, counts);
  if (on_terminal_) {
    const auto filled = static_cast<std::size_t>(share * width);
    result = fmt::format("[{:<{}}] {}", std::string(filled, '#'), width, result);
  }
  if (share > 0.01 && share < 1.0)
    result += fmt::format("  {:.0f} s left", elapsed * (1.0 - share) / share);
  return result;
}

} // namespace market_data
