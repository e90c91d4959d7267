#include "soak/faults.hpp"

#include <algorithm>
#include <future>
#include <stdexcept>
#include <string_view>

#include "support/port.hpp"

namespace actors::soak {

namespace {

using namespace std::chrono_literals;
using result = std::optional<time_point>;

time_point now() {
  return std::chrono::steady_clock::now();
}

std::size_t pick(target& on, std::size_t count) {
  return on.random() % count;
}

/// Whether each link is seen to be lost or waiting, compared with how it was before.
bool all_notice(target& on, const std::vector<link_status>& before) {
  return eventually([&] {
    const auto links = on.fleet.links();
    for (std::size_t i = 0; i < links.size(); ++i)
      if (links[i].state == link_state::up && links[i].losses == before[i].losses)
        return false;
    return true;
  });
}

bool all_are(target& on, link_state state, std::size_t first = 0) {
  return eventually([&] {
    const auto links = on.fleet.links();
    for (auto i = first; i < links.size(); ++i)
      if (links[i].state != state)
        return false;
    return true;
  });
}

// -- the broker -------------------------------------------------------------------------

/// A process that is killed keeps its sockets until the last of its threads has ended. A queue may
/// have been deleted before, and the new one would be forgotten, which nobody promises otherwise.
result broker_crashes(target& on) {
  const auto port = testing::port_of(on.broker.url());
  on.broker.write_down_topology();
  on.broker.kill();
  if (!eventually([=] { return !testing::is_open(port); }))
    return {};
  auto opened = std::async(std::launch::async, [=] {
    return eventually([=] { return testing::is_open(port); }) ? result{now()} : result{};
  });
  on.broker.restart();
  return opened.get();
}

result connections_closed(target& on) {
  on.broker.ctl("close_all_connections soak");
  return now();
}

/// What is in a queue is gone with it, by intent: so there is nothing in it.
result queue_deleted(target& on) {
  const auto queues = on.fleet.queues();
  const auto& queue = queues[pick(on, queues.size())];
  on.fleet.pause_publishing();
  if (!on.fleet.books().settles(patience))
    return {};
  on.broker.ctl("delete_queue " + queue + "");
  const auto since = now();
  const auto back = eventually([&] {
    const auto present = '\n' + on.broker.ask_ctl("list_queues --silent name") + '\n';
    return present.find('\n' + queue + '\n') != std::string::npos;
  });
  if (!back || !on.fleet.consumes())
    return {};
  on.fleet.resume_publishing();
  return since;
}

/// Publishers wait; the first links, which consume, do not.
result alarm(target& on, const std::string& raise, const std::string& clear) {
  constexpr std::size_t first_publisher = 2;
  on.broker.ctl(raise);
  const auto blocked = all_are(on, link_state::blocked, first_publisher)
                       && eventually([&] { return on.fleet.waiting() > 100; });
  on.broker.ctl(clear);
  return blocked ? result{now()} : result{};
}

result memory_alarm(target& on) {
  return alarm(on, "set_vm_memory_high_watermark 0.0001",
               "set_vm_memory_high_watermark absolute 1536MB");
}

result disk_alarm(target& on) {
  return alarm(on, "set_disk_free_limit 900000GB", "set_disk_free_limit 50MB");
}

result broker_hangs(target& on) {
  const auto before = on.fleet.links();
  on.broker.freeze();
  const auto noticed = all_notice(on, before);
  on.broker.thaw();
  return noticed ? result{now()} : result{};
}

// -- the links --------------------------------------------------------------------------

result links_reset(target& on) {
  on.proxy.tell("cut");
  return now();
}

result links_ended(target& on) {
  on.proxy.tell("fin");
  return now();
}

/// Of one link, whichever sends next.
result reset_within_a_frame(target& on) {
  const auto before = on.fleet.links();
  on.proxy.tell("truncate " + std::to_string(1 + pick(on, 60)));
  const auto since = now();
  const auto lost = eventually([&] {
    const auto links = on.fleet.links();
    for (std::size_t i = 0; i < links.size(); ++i)
      if (links[i].losses > before[i].losses)
        return true;
    return false;
  });
  return lost ? result{since} : result{};
}

/// Of one connection, which nobody ends: the fleet has to find out by itself.
result half_open_link(target& on) {
  const auto names = on.fleet.link_names();
  const auto index = pick(on, names.size());
  const auto before = on.fleet.links()[index].losses;
  // A command's words are separated by blanks, and a name may be a part.
  on.proxy.tell("hold " + names[index].substr(0, names[index].find(' ')));
  const auto since = now();
  const auto lost = eventually([&] { return on.fleet.links()[index].losses > before; });
  return lost ? result{since} : result{};
}

/// All connections, and those that come: until the fleet has seen it.
result network_stands_still(target& on) {
  const auto before = on.fleet.links();
  on.proxy.tell("hold");
  const auto noticed = all_notice(on, before);
  on.proxy.tell("pass");
  return noticed ? result{now()} : result{};
}

result hung_handshake(target& on) {
  on.proxy.tell("hold");
  on.proxy.tell("cut");
  const auto hung = all_are(on, link_state::connecting);
  on.proxy.tell("pass");
  return hung ? result{now()} : result{};
}

result slow_link(target& on) {
  on.proxy.tell("rate 4000");
  const auto crept = on.fleet.books().more_confirmed(100, patience);
  on.proxy.tell("pass");
  return crept ? result{now()} : result{};
}

result port_refuses(target& on) {
  on.proxy.tell("refuse");
  on.proxy.tell("cut");
  const auto down = all_are(on, link_state::down);
  on.proxy.tell("listen");
  return down ? result{now()} : result{};
}

// -- the strategies -----------------------------------------------------------------------

result strategy_fails(target& on) {
  std::vector<fleet::strategy> candidates;
  for (auto& x : on.fleet.strategies())
    if (x.may_fail)
      candidates.push_back(x);
  auto& x = candidates[pick(on, candidates.size())];
  x.mood->fails = true;
  const auto failed = on.fleet.books().fails_more(x.name, 3, patience)
                      && on.fleet.books().more_confirmed(100, patience);
  x.mood->fails = false;
  return failed ? result{now()} : result{};
}

result strategy_crashes(target& on) {
  auto& x = on.fleet.strategies()[pick(on, on.fleet.strategies().size())];
  x.mood->crashes = true;
  const auto since = now();
  return eventually([&] { return !x.mood->crashes; }) ? result{since} : result{};
}

} // namespace

const std::vector<fault>& all_faults() {
  static const std::vector<fault> result{
      {"broker killed and restarted", broker_crashes},
      {"connections closed by the broker", connections_closed},
      {"queue deleted", queue_deleted},
      {"memory alarm", memory_alarm},
      {"disk alarm", disk_alarm},
      {"broker hangs (SIGSTOP)", broker_hangs, true},
      {"links reset", links_reset},
      {"links ended", links_ended},
      {"link reset within a frame", reset_within_a_frame},
      {"half-open link", half_open_link, true},
      {"network stands still", network_stands_still, true},
      {"hung handshake", hung_handshake, true},
      {"slow link", slow_link},
      {"port refuses", port_refuses},
      {"strategy fails for a while", strategy_fails},
      {"strategy crashes", strategy_crashes},
  };
  return result;
}

deck::deck(std::string wanted) : wanted_(std::move(wanted)) {
  const auto& all = all_faults();
  if (std::none_of(all.begin(), all.end(), [this](const fault& x) { return matches(x); }))
    throw std::runtime_error("there is no fault '" + wanted_ + "'");
}

bool deck::matches(const fault& x) const {
  return std::string_view{x.name}.find(wanted_) != std::string_view::npos;
}

const fault& deck::draw(std::mt19937_64& random) {
  if (cards_.empty()) {
    for (auto& x : all_faults())
      if (matches(x))
        cards_.push_back(&x);
    for (auto i = cards_.size(); i > 1; --i)
      std::swap(cards_[i - 1], cards_[random() % i]);
  }
  auto& result = *cards_.back();
  cards_.pop_back();
  return result;
}

} // namespace actors::soak
