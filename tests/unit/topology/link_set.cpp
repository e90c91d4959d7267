#define CAF_SUITE link_set

#include "topology/link_set.hpp"

#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "actors/config.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace std::chrono_literals;

namespace {

using lines = std::vector<std::string>;

const failure lost{ec::connection_lost, "gone"};
const failure unreachable{ec::connect_failed, "unreachable"};
const failure refused{ec::not_allowed, "too many connections"};

// What an order says, in a line.

std::string text(const log_line& x) {
  return fmt::format("{}: {}", x.level == log_level::warning ? "warning" : "info", x.text);
}

std::string text(const link_set::connect_link& x) {
  return fmt::format("connect {} to {}", to_string(x.role), x.where.host);
}

std::string text(const link_set::link_changed&) {
  return {}; // see `states`
}

std::string text(const link_set::close_link& x) {
  return fmt::format("{} {}", x.in_order ? "close" : "abandon", to_string(x.role));
}

std::string text(const link_set::ask& x) {
  return fmt::format("ask {}: {}", to_string(x.by), to_string(x.op));
}

std::string text(const link_set::lost_consumers& x) {
  return fmt::format("lost {} consumers: {}", x.consumers.size(), x.reason.text);
}

std::string text(const consumer_state& x) {
  return fmt::format("consumer {}: {}", x.id, x.error ? x.error.text : "on " + x.queue);
}

std::string text(const link_set::wake& x) {
  static constexpr std::array names{"connect", "retry", "release", "verify", "closing"};
  return fmt::format("{} {} after {} ms", names[static_cast<std::size_t>(x.why)], to_string(x.role),
                     x.after.count());
}

bool is_line(const std::string& x) {
  return x.starts_with("info: ") || x.starts_with("warning: ");
}

struct fixture {
  fixture() {
    x.at(now);
  }

  static link_set::settings settings() {
    link_set::settings result;
    result.endpoints = {{.host = "a"}, {.host = "b"}};
    result.reconnect.jitter = 0;
    result.server_id = "server";
    result.verify_interval = 60s;
    return result;
  }

  /// All orders since the last call, but lines for the log and what is said of states.
  lines take() {
    lines result;
    for (auto& line : take_all())
      if (!is_line(line))
        result.push_back(line);
    return result;
  }

  lines take_all() {
    lines result;
    for (auto& y : take_orders())
      result.push_back(std::visit([](auto& z) { return text(z); }, y));
    return result;
  }

  /// The orders since the last call; what is said of states goes to `states`.
  std::vector<link_set::order> take_orders() {
    auto result = std::exchange(x.orders, {});
    std::erase_if(result, [this](auto& y) {
      auto* changed = std::get_if<link_set::link_changed>(&y);
      if (changed)
        states.push_back(
            fmt::format("{} {}", to_string(changed->now.role), to_string(changed->now.state)));
      return changed != nullptr;
    });
    return result;
  }

  lines take_lines() {
    lines result;
    for (auto& line : take_all())
      if (is_line(line))
        result.push_back(line);
    return result;
  }

  /// Answers what is asked for, in order, until nothing is. Gives back the other orders.
  lines answer_all() {
    lines result;
    while (!x.orders.empty())
      for (auto& y : take_orders()) {
        if (auto* request = std::get_if<link_set::ask>(&y))
          answer(*request);
        else
          result.push_back(std::visit([](auto& z) { return text(z); }, y));
      }
    return result;
  }

  void answer(const link_set::ask& request) {
    amqp::reply reply{request.id, {}, {}};
    if (auto* queue = std::get_if<amqp::declare_queue>(&request.op))
      reply.queue = queue->spec.name;
    x.on_reply(reply);
  }

  void bring_up(link_role role) {
    x.connect(role, true);
    x.on_up(role, "RabbitMQ", nullptr);
    answer_all();
  }

  void start_up() {
    bring_up(link_role::consuming);
    bring_up(link_role::publishing);
  }

  void run_consumer() {
    wanted_consumer y;
    y.consumer = {.id = 1, .queue = "q"};
    y.queue.name = "q";
    y.binding = {"Trade", "q", "k"};
    x.want(std::move(y));
    answer_all();
    CAF_REQUIRE_EQUAL(x.running_consumers(), 1u);
  }

  /// The link ends, and what follows.
  lines end(link_role role, const failure& reason = lost, bool apart_is_needed = false) {
    auto y = x.on_down(role, reason);
    x.reconnect(y, apart_is_needed);
    return take();
  }

  link_set::time_point now{1h};
  link_set x{settings()};
  /// What was said of the states of links.
  lines states;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(link_set_tests, fixture)

// -- the life of a link -----------------------------------------------------------------------

CAF_TEST(a connection has a name and is made once) {
  x.connect(link_role::consuming, false);
  const auto orders = take_orders();
  CAF_REQUIRE_EQUAL(orders.size(), 1u);
  auto& order = std::get<link_set::connect_link>(orders[0]);
  CAF_CHECK_EQUAL(order.where.host, "a");
  CAF_CHECK_EQUAL(order.where.connection_name, "server consuming");
  take();
  x.connect(link_role::consuming, false);
  CAF_CHECK(take() == lines{});
}

CAF_TEST(each change of a state is said) {
  x.connect(link_role::publishing, false);
  take();
  x.on_up(link_role::publishing, "RabbitMQ", nullptr);
  take();
  x.on_blocked(link_role::publishing, "low on memory");
  take();
  x.on_unblocked(link_role::publishing);
  take();
  x.on_down(link_role::publishing, {ec::connection_lost, "lost"});
  take();
  CAF_CHECK_EQUAL(states, (lines{"publishing connecting", "publishing up", "publishing blocked",
                                 "publishing up", "publishing down"}));
}

CAF_TEST(a link that is up asks for what is wanted by it) {
  x.want_from_start(exchange_named("Trade"));
  x.connect(link_role::publishing, false);
  take();
  x.on_up(link_role::publishing, "RabbitMQ", nullptr);
  CAF_CHECK(take()
            == (lines{"ask publishing: "
                      + to_string(amqp::operation{
                          amqp::declare_exchange{exchange_named("Trade"), false}})}));
  CAF_CHECK(x.take_exchanges_changed());
  CAF_CHECK(!x.take_exchanges_changed());
}

CAF_TEST(a lost link goes to the next endpoint at once and then with growing pauses) {
  bring_up(link_role::publishing);
  CAF_CHECK(end(link_role::publishing) == lines{"connect publishing after 0 ms"});
  x.connect(link_role::publishing, false);
  CAF_CHECK(take() == lines{"connect publishing to b"});
  CAF_CHECK(end(link_role::publishing) == lines{"connect publishing after 0 ms"});
  x.connect(link_role::publishing, false);
  CAF_CHECK(take() == lines{"connect publishing to a"});
  CAF_CHECK(end(link_role::publishing) == lines{"connect publishing after 0 ms"});
  x.connect(link_role::publishing, false);
  CAF_CHECK(end(link_role::publishing)
            == (lines{"connect publishing to b", "connect publishing after 250 ms"}));
}

CAF_TEST(the log tells the life of a link and its recovery as loudly as its loss) {
  x.connect(link_role::publishing, false);
  x.on_up(link_role::publishing, "RabbitMQ", nullptr);
  CAF_CHECK(take_lines() == lines{"info: publishing link up: amqp://a:5672/ (RabbitMQ)"});
  x.reconnect(x.on_down(link_role::publishing, lost), false);
  CAF_CHECK(take_lines()
            == (lines{"warning: publishing link lost: gone",
                      "info: publishing link: connecting to amqp://b:5672/ in 0 ms"}));
  x.connect(link_role::publishing, false);
  x.on_down(link_role::publishing, unreachable);
  CAF_CHECK(take_lines() == lines{"warning: publishing link not connected: unreachable"});
  x.connect(link_role::publishing, false);
  x.on_up(link_role::publishing, "RabbitMQ", nullptr);
  CAF_CHECK(take_lines() == lines{"warning: publishing link up: amqp://b:5672/ (RabbitMQ)"});
  x.on_down(link_role::publishing, {});
  CAF_CHECK(take_lines() == lines{"info: publishing link closed"});
}

CAF_TEST(consumers of a lost link are told before anything else is asked) {
  start_up();
  run_consumer();
  CAF_CHECK(end(link_role::consuming)
            == (lines{"lost 1 consumers: gone", "connect consuming after 0 ms"}));
}

CAF_TEST(a limit that the broker ended a link for is heeded by the next one at once) {
  bring_up(link_role::consuming);
  for (int i = 0; i < 5; ++i) // else the next one would come at once anyway
    end(link_role::consuming), bring_up(link_role::consuming);
  x.on_learned(link_role::consuming, {.channels = 3});
  CAF_CHECK(take_lines() == lines{"warning: consuming link: the broker allows 3 channels"});
  const auto host = x.link(link_role::consuming).endpoints.current();
  CAF_CHECK(end(link_role::consuming) == lines{"connect consuming after 0 ms"});
  CAF_CHECK_EQUAL(x.link(link_role::consuming).endpoints.current(), host);
  x.connect(link_role::consuming, false);
  CAF_CHECK_EQUAL(std::get<link_set::connect_link>(x.orders.at(0)).where.known.channels, 3u);
}

CAF_TEST(a connection that could not be started is not waited for) {
  x.connect(link_role::consuming, false);
  x.on_not_connected(link_role::consuming);
  x.renew_all(false);
  CAF_CHECK(take() == (lines{"connect consuming after 0 ms", "connect publishing after 0 ms"}));
  x.connect(link_role::consuming, false);
  CAF_CHECK(take() == lines{"connect consuming to b"});
}

CAF_TEST(all links are renewed) {
  start_up();
  bring_up(link_role::quarantine);
  x.renew_all(true);
  CAF_CHECK(take() == (lines{"close consuming", "close publishing", "close quarantine"}));
}

CAF_TEST(a blocked link says why and when it is over) {
  start_up();
  x.on_blocked(link_role::publishing, "");
  CAF_CHECK(take_lines()
            == lines{"warning: publishing link blocked by the broker: no reason given"});
  CAF_CHECK(!x.link(link_role::publishing).is_open());
  x.on_unblocked(link_role::publishing);
  CAF_CHECK(take_lines() == lines{"warning: publishing link unblocked"});
}

// -- the link apart ---------------------------------------------------------------------------

CAF_TEST(the link apart stands while it is needed) {
  start_up();
  x.tend_apart(false);
  CAF_CHECK(take() == lines{});
  x.tend_apart(true);
  CAF_CHECK(take() == lines{"connect quarantine to a"});
  x.tend_apart(true);
  CAF_CHECK(take() == lines{});
  x.tend_apart(false);
  x.tend_apart(false);
  CAF_CHECK(take() == lines{"close quarantine"});
  CAF_CHECK(end(link_role::quarantine, {}) == lines{});
}

CAF_TEST(a link apart that was closed as idle comes back at once if it is needed again) {
  start_up();
  for (int i = 0; i < 5; ++i) {
    bring_up(link_role::quarantine);
    end(link_role::quarantine, lost, true);
  }
  bring_up(link_role::quarantine);
  x.tend_apart(false);
  CAF_CHECK(take() == lines{"close quarantine"});
  CAF_CHECK(end(link_role::quarantine, {}, true) == lines{"connect quarantine after 0 ms"});
}

CAF_TEST(a link apart waits for its time to be connected) {
  start_up();
  for (int i = 0; i < 3; ++i) {
    bring_up(link_role::quarantine);
    end(link_role::quarantine, lost, true);
  }
  x.tend_apart(true);
  CAF_CHECK(take() == lines{});
}

CAF_TEST(a broker that allows no third link lacks one) {
  start_up();
  const auto ends = [this](link_role role, const failure& reason) {
    x.connect(role, true);
    return x.lacks_apart(x.on_down(role, reason));
  };
  CAF_CHECK(ends(link_role::quarantine, refused));
  x.on_down(link_role::publishing, lost);
  CAF_CHECK(!ends(link_role::publishing, refused));
}

CAF_TEST(a link apart is not lacking before each endpoint was tried in vain) {
  start_up();
  x.connect(link_role::quarantine, true);
  CAF_CHECK(!x.lacks_apart(x.on_down(link_role::quarantine, unreachable)));
  x.connect(link_role::quarantine, true);
  CAF_CHECK(x.lacks_apart(x.on_down(link_role::quarantine, unreachable)));
}

CAF_TEST(a link apart that was up is not lacking) {
  start_up();
  bring_up(link_role::quarantine);
  CAF_CHECK(!x.lacks_apart(x.on_down(link_role::quarantine, refused)));
}

// -- what is wanted ---------------------------------------------------------------------------

CAF_TEST(a consumer that runs is looked after) {
  start_up();
  wanted_consumer y;
  y.consumer = {.id = 1, .queue = "q"};
  y.queue.name = "q";
  y.binding = {"Trade", "q", "k"};
  x.want(y);
  CAF_CHECK(answer_all() == (lines{"consumer 1: on q", "verify consuming after 1000 ms"}));
  x.on_verify();
  CAF_CHECK(take().at(0) == "verify consuming after 60000 ms");
}

CAF_TEST(replies find their topology_state by their numbers) {
  x.want_from_start(exchange_named("Trade"));
  x.connect(link_role::publishing, false);
  x.on_up(link_role::publishing, "RabbitMQ", nullptr);
  CAF_CHECK(!x.exchanges().exchanges_settled());
  x.on_reply({1, {}, {}}); // of the consuming link
  CAF_CHECK(!x.exchanges().exchanges_settled());
  answer_all();
  CAF_CHECK(x.exchanges().exchanges_settled());
}

CAF_TEST(what was refused is asked for again after a time) {
  start_up();
  x.want_for_publications(exchange_named("Trade"));
  const auto id = std::get<link_set::ask>(x.orders.at(0)).id;
  x.on_reply({id, {ec::access_refused, "no right"}, {}});
  x.on_reply({id + 1, {ec::access_refused, "no right"}, {}});
  const auto said = take();
  CAF_REQUIRE(!said.empty());
  CAF_CHECK_EQUAL(said.back(), "retry publishing after 10000 ms");
  x.on_retry(link_role::publishing);
  CAF_CHECK(take().at(0).starts_with("ask publishing: declare exchange 'Trade'"));
}

CAF_TEST(a channel of consumers takes these along and one of publications begins anew) {
  start_up();
  run_consumer();
  x.on_channel_lost(link_role::consuming, {amqp::channel::deliveries, lost, 1, {1}});
  CAF_CHECK(take() == lines{"lost 1 consumers: gone"});
  x.on_channel_lost(link_role::publishing, {amqp::channel::publishing, lost});
  CAF_CHECK(take() == lines{});
  CAF_CHECK_EQUAL(x.link(link_role::publishing).generation, 2u);
  CAF_CHECK_EQUAL(x.link(link_role::consuming).generation, 1u);
}

// -- the end ----------------------------------------------------------------------------------

CAF_TEST(consumers end first and publications may still get away) {
  start_up();
  CAF_CHECK(x.stop());
  CAF_CHECK(!x.stop());
  CAF_CHECK(take() == lines{"close consuming"});
  CAF_CHECK(end(link_role::consuming, {}) == lines{});
  CAF_CHECK(end(link_role::publishing) == lines{"connect publishing after 0 ms"});
}

CAF_TEST(links close once nothing waits and the last of them ends it) {
  start_up();
  x.stop();
  CAF_CHECK(!x.continue_stop(false));
  take();
  CAF_CHECK(!x.continue_stop(true));
  CAF_CHECK(take() == (lines{"close publishing", "closing publishing after 300 ms"}));
  end(link_role::consuming, {});
  CAF_CHECK(!x.continue_stop(true));
  end(link_role::publishing, {});
  CAF_CHECK(x.continue_stop(true));
}

CAF_TEST(deadlines end what takes too long) {
  start_up();
  x.stop();
  CAF_CHECK(!x.on_deadline(stop_stage::draining, false));
  CAF_CHECK(!x.on_deadline(stop_stage::draining, false));
  CAF_CHECK(x.on_deadline(stop_stage::closing, false));
}

CAF_TEST(the status tells the links and the one apart if there was any) {
  start_up();
  supervisor_status first;
  x.tell(first);
  CAF_REQUIRE_EQUAL(first.links.size(), 2u);
  CAF_CHECK_EQUAL(first.links[1].state, link_state::up);
  CAF_CHECK_EQUAL(first.links[1].endpoint, "amqp://a:5672/");
  bring_up(link_role::quarantine);
  end(link_role::quarantine);
  supervisor_status second;
  x.tell(second);
  CAF_REQUIRE_EQUAL(second.links.size(), 3u);
  CAF_CHECK_EQUAL(second.links[2].state, link_state::down);
  CAF_CHECK(second.links[2].last_code == ec::connection_lost);
}

CAF_TEST_FIXTURE_SCOPE_END()
