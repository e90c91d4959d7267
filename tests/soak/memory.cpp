#include "soak/memory.hpp"

#include <algorithm>
#include <atomic>
#include <fstream>
#include <memory>
#include <thread>

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <fmt/core.h>

#include "actors/event_center.hpp"
#include "actors/system_config.hpp"
#include "center/messages.hpp"

namespace actors::soak {

namespace {

using namespace std::chrono_literals;

constexpr auto platform = "soak";
constexpr auto symbols = 50;
constexpr auto books_per_second = 2'000;
/// What the strategy takes a second is a hundredth of that.
constexpr auto time_for_a_book = 1'000ms * 100 / books_per_second;
constexpr auto limit = 20.0; // MiB

/// The one line that says how much may wait for a strategy that is too slow.
subscription what_the_strategy_wants() {
  return orderbooks(platform, "#").multi().keeping(delivery_policy::latest_per_key);
}

/// In MiB.
double resident_memory() {
  std::ifstream status{"/proc/self/status"};
  std::string word;
  double kilobytes = 0;
  while (status >> word)
    if (word == "VmRSS:" && status >> kilobytes)
      break;
  return kilobytes / 1'024;
}

orderbook some_book(int symbol, std::int64_t stamp) {
  orderbook result;
  result.platform = platform;
  result.symbol = std::to_string(symbol);
  result.timestamp = stamp;
  const auto cents = static_cast<double>(stamp % 100) / 100;
  for (auto i = 0; i < 10; ++i) {
    result.asks.push_back({decimal::fixed(100 + i + cents, 2), decimal::fixed(1.5, 3)});
    result.bids.push_back({decimal::fixed(99 - i + cents, 2), decimal::fixed(2.5, 3)});
  }
  return result;
}

struct progress {
  std::atomic<std::uint64_t> published = 0;
  std::atomic<std::uint64_t> handled = 0;
  std::atomic<bool> over = false;
};

/// Publishes an order book of each symbol at a time.
caf::behavior market(caf::event_based_actor* self, event_center center,
                     std::shared_ptr<progress> all) {
  self->send(self, flush_atom_v);
  return {[=](flush_atom) {
    self->delayed_send(self, 1'000ms * symbols / books_per_second, flush_atom_v);
    for (auto i = 0; i < symbols; ++i)
      center.publish(some_book(i, static_cast<std::int64_t>(++all->published)));
  }};
}

/// Has its own thread, as it does nothing but waste time.
caf::behavior slow_strategy(caf::event_based_actor* self, const event_center& center,
                            std::shared_ptr<progress> all) {
  center.subscribe(self, what_the_strategy_wants());
  return {[=](const orderbook&) {
    if (all->over)
      return;
    ++all->handled;
    std::this_thread::sleep_for(time_for_a_book);
  }};
}

/// The resident memory of this process over time.
class memory_watch {
public:
  /// False: it has grown too much since it was warm.
  bool look(bool warm) {
    peak_ = std::max(peak_, resident_memory());
    if (!warm)
      start_ = peak_;
    return growth() < limit;
  }

  /// Since it was warm.
  double growth() const {
    return peak_ - start_;
  }

private:
  double start_ = 0;
  double peak_ = 0;
};

} // namespace

bool memory_stays_flat(const std::string& broker, std::chrono::seconds duration) {
  config settings;
  settings.server_id = "memory";
  settings.endpoints = {*amqp::parse_endpoint(broker)};
  settings.log.level = log_level::warning;
  actors::system_config cfg;
  caf::actor_system system{cfg};
  scoped_event_center center{system, settings};
  auto all = std::make_shared<progress>();
  auto strategy = system.spawn<caf::detached>(slow_strategy, event_center{center}, all);
  auto publisher = system.spawn(market, event_center{center}, all);
  const auto warm_up = std::clamp(duration / 10, 5s, 30s);
  memory_watch memory;
  auto flat = true;
  const auto start = std::chrono::steady_clock::now();
  for (auto second = 1s; flat && second <= warm_up + duration; ++second) {
    std::this_thread::sleep_until(start + second);
    flat = memory.look(second > warm_up);
    if (second.count() % 10 == 0 || !flat)
      fmt::print("{:4} s  {} published, {} handled, resident {:.1f} MiB\n", second.count(),
                 all->published.load(), all->handled.load(), resident_memory());
    std::fflush(stdout);
  }
  all->over = true;
  for (auto& x : {publisher, strategy})
    caf::anon_send_exit(x, caf::exit_reason::kill);
  fmt::print("resident memory grew by {:.1f} MiB, allowed are {:.0f}\n", memory.growth(), limit);
  // Else nothing was shown.
  const auto flooded = all->handled > 0 && all->published > 50 * all->handled;
  if (!flooded)
    fmt::print("the strategy was not flooded: {} published, {} handled\n", all->published.load(),
               all->handled.load());
  return flat && flooded;
}

} // namespace actors::soak
