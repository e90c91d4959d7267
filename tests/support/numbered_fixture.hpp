#pragma once

#include <memory>
#include <string>
#include <utility>

#include "center/messages.hpp"
#include "support/audit.hpp"
#include "support/center_fixture.hpp"
#include "support/chaos_proxy.hpp"
#include "support/numbered_actors.hpp"

namespace actors::testing {

/// An event center that publishes numbered events and has strategies that handle
/// them, all the time: whatever happens meanwhile, nothing that the broker confirmed may
/// be lost, come twice or in the wrong order. With the settings that
/// docs/delivery-guarantees.md names for that, and no others.
struct numbered_fixture : center_fixture {
  using center_fixture::center_fixture;

  /// One strategy on a queue that is kept, and one publisher. Whether they and all
  /// strategies before are at work.
  bool start() {
    return start(every_numbered(key, queue));
  }

  bool start(subscription what) {
    handle("strategy", std::move(what));
    if (!consumes(strategies.size()))
      return false;
    publish();
    return goes_on();
  }

  /// Whether there are this many subscriptions that all have their consumers.
  bool consumes(std::size_t count = 1) {
    return eventually([&] {
      const auto rows = status().dispatcher.handlers;
      return rows.size() == count
             && std::all_of(rows.begin(), rows.end(),
                            [](const handler_status& x) { return x.consuming; });
    });
  }

  void handle(const std::string& name, subscription what) {
    books->wants(name, what.routing_key);
    strategies.push_back(sys.spawn(numbered_strategy, event_center{center},
                                   numbered_strategy_settings{name, std::move(what)}, books,
                                   std::make_shared<mood>()));
  }

  void publish() {
    if (!publisher) {
      publisher =
          sys.spawn(numbered_publisher, event_center{center},
                    numbered_publisher_settings{
                        .name = "publisher", .keys = {key}, .options = {.persistent = true}},
                    books);
      strategies.push_back(publisher);
    }
    caf::anon_send(publisher, start_atom_v);
  }

  void pause() {
    caf::anon_send(publisher, stop_atom_v);
  }

  /// Whether what is published from now on is handled.
  bool goes_on() {
    return books->all_handle_fresh_events(patience);
  }

  /// Whether nothing was lost, came twice or in the wrong order in the end.
  bool is_clean() {
    pause();
    const auto settled = books->settles(patience);
    const auto verdict = books->judge();
    CAF_MESSAGE(audit::text_of(verdict));
    return settled && verdict.confirmed > 0
           && verdict.lost + verdict.twice + verdict.reordered == 0;
  }

  /// Whether the link is seen to be lost once more within the limit.
  bool loses(link_role role, std::chrono::milliseconds limit = patience) {
    const auto before = losses[role];
    return eventually([&] { return (losses[role] = link(role).losses) > before; }, limit);
  }

  std::string key = unique_name("key");
  std::string queue = unique_name("queue");
  std::shared_ptr<audit> books = std::make_shared<audit>();
  caf::actor publisher;
  std::map<link_role, std::uint64_t> losses;
};

} // namespace actors::testing
