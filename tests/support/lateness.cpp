#include "support/lateness.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <unistd.h>

namespace actors::testing {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

namespace {

constexpr auto pace = 20ms;

/// Nothing is judged on a machine that is never ours.
constexpr double largest_share = 0.9;

double seconds(double ticks) {
  return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

bool is_number(const std::string& x) {
  return !x.empty() && std::all_of(x.begin(), x.end(), [](char y) { return y >= '0' && y <= '9'; });
}

/// What a process has used, if it is one of ours.
double used_by(const std::filesystem::path& process) {
  std::ifstream in{process / "stat"};
  std::string text;
  std::getline(in, text);
  const auto name = text.find('(');
  const auto rest = text.rfind(')');
  if (rest == std::string::npos)
    return 0; // it has ended
  const auto is_ours = process.filename() == std::to_string(::getpid())
                       || text.substr(name, rest - name) == "(beam.smp";
  if (!is_ours)
    return 0;
  // State and ten numbers are ahead of user and system time.
  double user = 0;
  double system = 0;
  std::string skipped;
  std::istringstream fields{text.substr(rest + 1)};
  for (auto i = 0; i < 11; ++i)
    fields >> skipped;
  fields >> user >> system;
  return seconds(user + system);
}

} // namespace

lateness::lateness() : before_(look()), watch_([this] { run(); }) {
  // nop
}

lateness::~lateness() {
  stopped_ = true;
  watch_.join();
}

std::chrono::milliseconds lateness::take(std::chrono::milliseconds limit) {
  const auto now = look();
  const auto all = now.all - before_.all;
  const auto others = all - (now.idle - before_.idle) - (now.ours - before_.ours);
  const auto share = all > 0 ? std::clamp(others / all, 0.0, largest_share) : 0;
  before_ = now;
  return std::chrono::milliseconds{
             static_cast<std::int64_t>(static_cast<double>(limit.count()) / (1 - share))}
         + std::chrono::milliseconds{worst_ms_.exchange(0)};
}

lateness::usage lateness::look() {
  usage result;
  std::ifstream in{"/proc/stat"};
  std::string skipped;
  in >> skipped;
  // User, nice, system, idle, iowait, irq, softirq, steal.
  for (auto i = 0; i < 8; ++i) {
    double ticks = 0;
    in >> ticks;
    result.all += seconds(ticks);
    if (i == 3 || i == 4)
      result.idle += seconds(ticks);
  }
  std::error_code gone;
  for (auto& x : std::filesystem::directory_iterator{"/proc", gone})
    if (is_number(x.path().filename()))
      result.ours += used_by(x.path());
  return result;
}

void lateness::run() {
  while (!stopped_) {
    const auto due = clock::now() + pace;
    std::this_thread::sleep_until(due);
    const auto late =
        std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - due).count();
    if (late > worst_ms_)
      worst_ms_ = late;
  }
}

} // namespace actors::testing
