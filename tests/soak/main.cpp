// Real faults in a row, on a RabbitMQ of its own, while four publishers publish and the
// strategies of each row of docs/delivery-guarantees.md handle; or minutes of a strategy that is
// far too slow. scripts/soak runs it.

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <fmt/ranges.h>

#include "soak/faults.hpp"
#include "soak/memory.hpp"
#include "soak/report.hpp"

using namespace actors::soak;
using namespace std::chrono_literals;
using actors::testing::audit;
using actors::testing::broker_folder;
using actors::testing::chaos_proxy;

namespace {

struct options {
  std::size_t faults = 100;
  std::uint64_t seed = 1;
  std::string only;
  double memory_minutes = 0;
  unsigned heartbeat = 2;
  std::string defect;
  std::string rabbitmq;
  bool verbose = false;
};

const std::map<std::string, defect> defects{
    {"no_deduplication", defect::no_deduplication},
    {"early_acknowledgement", defect::early_acknowledgement},
    {"wide_prefetch", defect::wide_prefetch},
};

std::string fault_names() {
  std::vector<std::string> result;
  for (auto& x : all_faults())
    result.push_back(x.name);
  return fmt::format("{}", fmt::join(result, ", "));
}

/// A RabbitMQ in a folder of its own, for the life of this.
class own_broker {
public:
  own_broker() {
    broker.start();
  }

  ~own_broker() {
    broker.stop();
    std::filesystem::remove_all(broker.path());
  }

  own_broker(const own_broker&) = delete;
  own_broker& operator=(const own_broker&) = delete;

  broker_folder broker{make_folder()};

private:
  static std::string make_folder() {
    auto name = (std::filesystem::temp_directory_path() / "actors-soak-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
      throw std::runtime_error("no folder can be made for the broker");
    return name;
  }
};

/// Whether the broker has no more connections than the fleet: those of dead links are gone.
bool only_live_links(target& on) {
  return eventually([&] {
    const auto names = on.broker.ask_ctl("list_connections --silent pid");
    const auto lines = static_cast<std::size_t>(std::count(names.begin(), names.end(), '\n')) + 1;
    return lines <= 2 * on.fleet.link_names().size();
  });
}

/// Whether the fleet recovers; prints how long it took.
bool recovers(target& on, const fault& what, recovery_times& times) {
  on.fleet.books().excuse_order(what.leaves_dead_links);
  const auto since = what.happens(on);
  const auto recovered = since && on.fleet.books().all_handle_fresh_events(patience);
  if (!recovered) {
    fmt::print("{}: {}\n", what.name, since ? "NOT RECOVERED" : "OF NO EFFECT");
    return false;
  }
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - *since);
  times.add(what.name, took);
  fmt::print("{}: recovered in {} ms\n", what.name, took.count());
  if (!what.leaves_dead_links)
    return true;
  if (!only_live_links(on) || !on.fleet.books().all_handle_fresh_events(patience)) {
    fmt::print("{}: DEAD LINKS STAY\n", what.name);
    return false;
  }
  return true;
}

/// Faults in a row until one is not recovered from. How many were.
std::size_t run_faults(target& on, const options& what, recovery_times& times) {
  deck cards{what.only};
  for (std::size_t i = 0; i < what.faults; ++i) {
    fmt::print("{:3} of {}  ", i + 1, what.faults);
    std::fflush(stdout);
    if (!recovers(on, cards.draw(on.random), times))
      return i;
  }
  return what.faults;
}

/// Whether all is answered and handled in the end; gives up when nothing moves any more.
bool settles(audit& books) {
  auto moved = [&] {
    const auto x = books.judge();
    return x.confirmed + x.refused + x.handled;
  };
  for (auto before = moved(); !books.settles(10s);) {
    const auto present = moved();
    if (present == before)
      return false;
    before = present;
  }
  return true;
}

/// A Markdown table: what became of each row's events.
std::string table_of_rows(audit& books) {
  std::string result = "| row | confirmed | handled | lost | twice | reordered | where no order is "
                       "promised |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n";
  for (auto& x : all_rows()) {
    const auto verdict = books.judge(x.name + ':');
    result += fmt::format("| {} | {} | {} | {} | {} | {} | {} |\n", x.name, verdict.confirmed,
                          verdict.handled, verdict.lost, verdict.twice, verdict.reordered,
                          verdict.excused);
  }
  return result;
}

int soak(const options& what) {
  own_broker own;
  fmt::print("RabbitMQ {}\n", own.broker.version());
  chaos_proxy proxy{own.broker.url()};
  fleet_settings settings;
  settings.url = proxy.url();
  settings.heartbeat = std::chrono::seconds{what.heartbeat};
  if (!what.defect.empty())
    settings.defect = defects.at(what.defect);
  if (what.verbose)
    settings.log = actors::log_level::info;
  fleet all{settings};
  if (!all.consumes()) {
    fmt::print("the strategies do not start\n");
    return 1;
  }
  own.broker.write_down_topology();
  all.resume_publishing();
  std::mt19937_64 random{what.seed};
  target on{own.broker, proxy, all, random};
  recovery_times times;
  auto recovered = std::size_t{0};
  if (all.books().all_handle_fresh_events(patience))
    recovered = run_faults(on, what, times);
  proxy.tell("pass");
  all.pause_publishing();
  const auto settled = settles(all.books());
  const auto verdict = all.books().judge();
  fmt::print("\n{}\n{}\n{}\n", times.table(), table_of_rows(all.books()), audit::text_of(verdict));
  if (!settled)
    fmt::print("not all was answered and handled\n");
  if (recovered < what.faults)
    fmt::print("again: scripts/soak --faults {} --seed {}\n", what.faults, what.seed);
  fmt::print("{} faults, {} lost, {} handled twice, {} reordered\n", recovered, verdict.lost,
             verdict.twice, verdict.reordered);
  const auto clean = verdict.lost + verdict.twice + verdict.reordered == 0;
  return clean && settled && verdict.confirmed > 0 && recovered == what.faults ? 0 : 1;
}

int memory(const options& what) {
  own_broker own;
  return memory_stays_flat(own.broker.url(),
                           std::chrono::seconds{static_cast<long>(what.memory_minutes * 60)})
             ? 0
             : 1;
}

int run(int argc, char** argv) {
  options what;
  CLI::App app{"Real faults in a row, on a RabbitMQ of its own."};
  app.add_option("--faults", what.faults, "How many faults")->capture_default_str();
  app.add_option("--seed", what.seed, "Which faults, in which order")->capture_default_str();
  app.add_option("--only", what.only, "Only faults whose name holds this text: " + fault_names());
  app.add_option("--rabbitmq", what.rabbitmq, "Which RabbitMQ; empty: this machine's")
      ->check(CLI::IsMember({"3.10", "4.0", "4.3"}));
  app.add_option("--heartbeat", what.heartbeat, "Of the links, in seconds")
      ->capture_default_str()
      ->check(CLI::Range(1u, 60u));
  app.add_option("--memory", what.memory_minutes,
                 "Instead of faults: so many minutes of a strategy that is far too slow");
  app.add_option("--defect", what.defect, "A defect to put in, to see it caught")
      ->check(CLI::IsMember(defects));
  app.add_flag("--verbose", what.verbose, "Write what the event centers log");
  CLI11_PARSE(app, argc, argv);
  if (!what.rabbitmq.empty())
    ::setenv("ACTORS_TEST_BROKER_VERSION", what.rabbitmq.c_str(), 1);
  return what.memory_minutes > 0 ? memory(what) : soak(what);
}

} // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& e) {
    std::cerr << "soak: " << e.what() << '\n';
    return 2;
  }
}
