#include "measurement.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>

#include <sys/resource.h>
#include <unistd.h>

namespace bench {

namespace {

double microseconds(const timeval& x) {
  return static_cast<double>(x.tv_sec) * 1e6 + static_cast<double>(x.tv_usec);
}

/// User and system time of a process, which stand behind its name in brackets.
double cpu_of(pid_t process) {
  std::ifstream in{"/proc/" + std::to_string(process) + "/stat"};
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  auto behind_name = text.rfind(')');
  if (behind_name == std::string::npos)
    return 0;
  std::istringstream fields{text.substr(behind_name + 1)};
  std::string field;
  for (auto i = 0; i < 11; ++i)
    fields >> field;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) * 1e6 / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double percentile(const std::vector<double>& sorted, double p) {
  auto rank = static_cast<std::size_t>(std::ceil(p * static_cast<double>(sorted.size())));
  return sorted[std::clamp<std::size_t>(rank, 1, sorted.size()) - 1];
}

} // namespace

usage usage_now(pid_t broker) {
  usage result;
  result.at = clock::now();
  rusage own{};
  getrusage(RUSAGE_SELF, &own);
  result.cpu = microseconds(own.ru_utime) + microseconds(own.ru_stime);
  result.broker = broker == 0 ? 0 : cpu_of(broker);
  return result;
}

measurement::measurement(std::uint64_t warm_up, std::uint64_t count, pid_t broker)
    : warm_up_(warm_up), count_(count), broker_(broker), begin_(usage_now(broker)) {
  // nop
}

void measurement::note(std::uint64_t number) {
  (number == count_ ? end_ : begin_) = usage_now(broker_);
}

void measurement::print() const {
  print_figures(figures());
}

std::vector<std::pair<std::string, double>> measurement::figures() const {
  auto events = static_cast<double>(count_ - warm_up_);
  auto seconds = std::chrono::duration<double>(end_.at - begin_.at).count();
  return {{"events", events},
          {"rate", events / seconds},
          {"cpu", (end_.cpu - begin_.cpu) / events},
          {"broker", (end_.broker - begin_.broker) / events}};
}

void print_figures(const std::vector<std::pair<std::string, double>>& xs) {
  std::string line;
  for (auto& [name, figure] : xs) {
    std::ostringstream text;
    text.precision(9);
    text << figure;
    line += (line.empty() ? "{\"" : ", \"") + name + "\": " + text.str();
  }
  std::cout << line << '}' << std::endl;
}

void print_latencies(std::vector<double> xs, double cpu_per_event) {
  std::sort(xs.begin(), xs.end());
  print_figures({{"events", static_cast<double>(xs.size())},
                 {"p50", percentile(xs, 0.5)},
                 {"p90", percentile(xs, 0.9)},
                 {"p99", percentile(xs, 0.99)},
                 {"p99.9", percentile(xs, 0.999)},
                 {"max", xs.back()},
                 {"cpu", cpu_per_event}});
}

double resident_mib() {
  std::ifstream in{"/proc/self/statm"};
  double size = 0;
  double resident = 0;
  in >> size >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1024 * 1024);
}

} // namespace bench
