// Keeps cores busy, as other programs of a trading host do: each thread computes for its share of
// every period, and sleeps for the rest. It runs until it is ended.

#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

namespace {

using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

constexpr auto period = 10ms;

void compute_until(clock_type::time_point end) {
  volatile std::uint64_t sum = 0;
  while (clock_type::now() < end)
    for (auto i = 0; i < 1'000; ++i)
      sum = sum * 31 + static_cast<std::uint64_t>(i);
}

void keep_busy(double share) {
  for (auto begin = clock_type::now();; begin += period) {
    compute_until(begin + std::chrono::duration_cast<clock_type::duration>(period * share));
    if (share < 1)
      std::this_thread::sleep_until(begin + period);
  }
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app{"Keeps cores busy until it is ended"};
  std::size_t threads = 1;
  double share = 1;
  app.add_option("--threads", threads, "How many threads compute")->capture_default_str();
  app.add_option("--share", share, "The share of its time that each of them computes")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  std::vector<std::thread> busy;
  for (std::size_t i = 0; i < threads; ++i)
    busy.emplace_back(keep_busy, share);
  for (auto& thread : busy)
    thread.join();
  return 0;
}
