#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "actors/config.hpp"
#include "publishing/publication_failures.hpp"
#include "publishing/publication_tracker.hpp"

#include "outbox_messages.hpp"

#include "caf/test/dsl.hpp"

namespace actors::testing {

using namespace std::chrono_literals;

/// A tracker and its links, and who carries out what they order: links come up when the test says
/// so, and exchanges are declared at once unless `answers` says otherwise.
struct tracker_fixture {
  using wake = publication_tracker::wake;

  struct sent_batch {
    link_role by;
    ids messages;

    bool operator==(const sent_batch&) const = default;
  };

  static link_set::settings link_settings() {
    link_set::settings result;
    result.endpoints = {{.host = "a"}, {.host = "b"}};
    result.reconnect.jitter = 0;
    return result;
  }

  explicit tracker_fixture(publication_tracker::settings settings = {})
      : links(link_settings()), sut(std::move(settings), links) {
    pass(0ms);
  }

  void pass(std::chrono::milliseconds time) {
    now += time;
    links.at(now);
    sut.at(now);
  }

  // -- who carries out ---------------------------------------------------------------------

  void carry_out() {
    do {
      if (links.take_exchanges_changed())
        sut.on_exchanges_changed();
      for (auto& x : std::exchange(sut.news, {}))
        std::visit([this](auto& y) { on(y); }, x);
      for (auto& x : std::exchange(sut.orders, {}))
        std::visit([this](auto& y) { on(y); }, x);
      const auto changed = links.take_apart_changed();
      if (sut.take_apart_changed() || changed)
        links.tend_apart(sut.needs_apart());
      for (auto& x : std::exchange(links.orders, {}))
        if (auto* y = std::get_if<link_set::ask>(&x); y && answers)
          links.on_reply({y->id, {}, {}});
    } while (!links.orders.empty() || !sut.orders.empty() || !sut.news.empty());
  }

  void on(publication_tracker::answer& x) {
    CAF_REQUIRE_EQUAL(told.count(x.id), 0u);
    told[x.id] = x.reason;
  }

  void on(publication_tracker::overflow& x) {
    told[x.id] = failure_of(x);
  }

  void on(log_line& x) {
    lines.push_back(x.text);
  }

  void on(publication_tracker::batch& x) {
    sent.push_back({x.by, ids_of(x.messages)});
    last_sent = std::move(x.messages);
  }

  void on(link_set::close_link& x) {
    (x.in_order ? closed : abandoned).push_back(x.role);
    if (x.in_order)
      links.close(x.role);
    else
      links.abandon(x.role);
  }

  void on(publication_tracker::redeclare_exchanges) {
    links.redeclare_exchanges();
  }

  void on(publication_tracker::renew_apart) {
    ++renewals;
    links.renew_apart();
  }

  void on(wake& x) {
    wakes.push_back(x);
  }

  // -- what happens ----------------------------------------------------------------------

  void bring_up(link_role role) {
    links.connect(role, true);
    links.on_up(role, "RabbitMQ", nullptr);
    sut.on_up(role);
    carry_out();
  }

  void start_up() {
    bring_up(link_role::consuming);
    bring_up(link_role::publishing);
    wakes.clear();
  }

  /// Both links are up, by which the broker takes what is published to "Trade".
  void start_up_trading() {
    start_up();
    const auto id = publish();
    flush();
    confirm({id});
    sent.clear();
    wakes.clear();
  }

  void lose(link_role role, const failure& reason = {ec::connection_lost, "gone"}) {
    auto end = links.on_down(role, reason);
    carry_out();
    end.at_once = sut.on_down(end);
    came_at_once = end.at_once;
    links.reconnect(end, sut.needs_apart());
    carry_out();
  }

  std::uint64_t publish(amqp::publication x) {
    auto how = sut.judge(x);
    if (how.refused) {
      last_refusal = sut.refuse(std::move(how.refused), x);
      carry_out();
      return 0;
    }
    if (how.is_exchange_new)
      links.want_for_publications(exchange_named(x.exchange));
    sut.stamp(x, how);
    const auto id = x.id;
    sut.push(std::move(x), how);
    carry_out();
    return id;
  }

  std::uint64_t publish(std::string exchange = "Trade") {
    return publish(message(0, std::move(exchange)));
  }

  void flush() {
    sut.flush();
    carry_out();
  }

  /// What has left since the last call.
  std::vector<sent_batch> take_sent() {
    flush();
    return std::exchange(sent, {});
  }

  void confirm(const ids& xs, bool accepted = true) {
    std::vector<amqp::confirmation> items;
    for (auto id : xs)
      items.push_back({id, accepted});
    sut.on_answers(items);
    carry_out();
  }

  /// Looks every 250 ms whether the broker answers by a link.
  void look_for(std::chrono::milliseconds time, link_role by = link_role::publishing) {
    for (const auto end = now + time; now < end;) {
      pass(250ms);
      sut.look(by);
      carry_out();
    }
  }

  // -- what was told -----------------------------------------------------------------------

  bool has_line(std::string_view part) const {
    return std::any_of(lines.begin(), lines.end(),
                       [part](auto& x) { return x.find(part) != std::string::npos; });
  }

  bool is_published(std::uint64_t id) const {
    auto i = told.find(id);
    return i != told.end() && !i->second;
  }

  ec code_of(std::uint64_t id) const {
    auto i = told.find(id);
    return i == told.end() ? ec::none : i->second.code;
  }

  std::size_t count(wake::reason why) const {
    return static_cast<std::size_t>(
        std::count_if(wakes.begin(), wakes.end(), [why](auto& x) { return x.why == why; }));
  }

  bool answers = true;
  outbox::time_point now{1h};
  link_set links;
  publication_tracker sut;
  std::map<std::uint64_t, failure> told;
  failure last_refusal;
  std::vector<std::string> lines;
  std::vector<sent_batch> sent;
  std::vector<amqp::publication> last_sent;
  std::vector<link_role> closed;
  std::vector<link_role> abandoned;
  std::vector<wake> wakes;
  int renewals = 0;
  bool came_at_once = false;
};

using batches = std::vector<tracker_fixture::sent_batch>;

inline constexpr auto usual = link_role::publishing;
inline constexpr auto aside = link_role::quarantine;

} // namespace actors::testing
