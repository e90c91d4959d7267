#define CAF_SUITE supervising

#include "supervise/supervising.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/core.h>

#include "support/scripted_transport.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace std::chrono_literals;

namespace {

using lines = std::vector<std::string>;

const failure lost{ec::connection_lost, "gone"};

/// Notes what goes out, in a line each. Requests to the broker are answered by `fixture`.
class recording_door : public supervise_door {
public:
  std::chrono::steady_clock::time_point now() const override {
    return time;
  }

  void carry_out(link_set::order& order) override {
    if (auto* connect = std::get_if<link_set::connect_link>(&order))
      note(fmt::format("connect {}", to_string(connect->role)));
    else if (auto* close = std::get_if<link_set::close_link>(&order))
      note(fmt::format("close {}", to_string(close->role)));
    else if (auto* ask = std::get_if<link_set::ask>(&order))
      asked.push_back(std::move(*ask));
    else if (auto* wake = std::get_if<link_set::wake>(&order))
      if (wake->why == link_set::wake::reason::connect)
        note(fmt::format("connect {} later", to_string(wake->role)));
  }

  void carry_out(publication_tracker::news_item& news) override {
    if (auto* answer = std::get_if<publication_tracker::answer>(&news))
      note(fmt::format("{} is {}", answer->id, answer->reason ? answer->reason.text : "published"));
  }

  void carry_out(const publication_tracker::wake&) override {
    // nop
  }

  void admit(const amqp::publication& message) override {
    note(fmt::format("{} waits", message.id));
  }

  void end_stop(std::vector<amqp::publication> unsent) override {
    note(fmt::format("stopped with {} unsent", unsent.size()));
  }

  lines take() {
    return std::exchange(done, {});
  }

  std::chrono::steady_clock::time_point time;
  lines done;
  std::vector<link_set::ask> asked;
  /// The line with which the door fails, once.
  std::string fails_at;

private:
  void note(std::string line) {
    if (line == std::exchange(fails_at, {}))
      throw std::runtime_error{"a fault"};
    done.push_back(std::move(line));
  }
};

struct fixture {
  static supervising_settings settings() {
    supervising_settings result;
    result.config.endpoints = {{.host = "a"}};
    result.config.reconnect.jitter = 0;
    result.config.server_id = "server";
    return result;
  }

  void connect() {
    x.connect(link_role::consuming);
    x.connect(link_role::publishing);
  }

  /// The broker takes a connection, and answers what is asked by it.
  void bring_up(link_role role) {
    x.tell([&](auto& links, auto& publications) {
      links.on_up(role, "broker", std::make_shared<testing::scripted_sender>(link));
      publications.on_up(role);
    });
    answer_all();
  }

  void start() {
    connect();
    bring_up(link_role::consuming);
    bring_up(link_role::publishing);
    door.done.clear();
  }

  void answer_all() {
    while (!door.asked.empty())
      for (auto& ask : std::exchange(door.asked, {}))
        x.tell([&](auto& links, auto&) { links.on_reply({.id = ask.id}); });
  }

  failure publish() {
    amqp::publication message;
    message.exchange = "Trade";
    message.routing_key = "a";
    message.body = std::make_shared<const std::string>("x");
    auto result = x.publish(std::move(message));
    answer_all();
    x.flush();
    return result;
  }

  std::size_t sent() const {
    return link->published.size();
  }

  void confirm(std::uint64_t id) {
    x.on_confirmations({{.id = id}});
  }

  std::shared_ptr<testing::scripted_link> link = std::make_shared<testing::scripted_link>();
  recording_door door;
  supervising x{door, settings()};
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(supervising_tests, fixture)

CAF_TEST(a publication goes out by its link and its publisher waits for the answer) {
  start();
  CAF_CHECK(!publish());
  CAF_CHECK_EQUAL(sent(), 1u);
  confirm(1);
  CAF_CHECK_EQUAL(door.take(), (lines{"1 waits", "1 is published"}));
}

CAF_TEST(what was published before a link was up goes out once it is) {
  connect();
  publish();
  CAF_CHECK_EQUAL(sent(), 0u);
  bring_up(link_role::consuming);
  bring_up(link_role::publishing);
  x.flush();
  CAF_CHECK_EQUAL(sent(), 1u);
}

CAF_TEST(what a lost link had in flight goes out again by the next one) {
  start();
  publish();
  door.take();
  x.on_down(link_role::publishing, lost);
  x.connect(link_role::publishing);
  CAF_CHECK_EQUAL(door.take(), (lines{"connect publishing later", "connect publishing"}));
  bring_up(link_role::publishing);
  x.flush();
  CAF_CHECK_EQUAL(sent(), 2u);
  CAF_CHECK_EQUAL(link->published[0].id, link->published[1].id);
}

CAF_TEST(a fault renews the links and loses no publication) {
  start();
  publish();
  door.take();
  x.on_fault({});
  CAF_CHECK_EQUAL(door.take(), (lines{"close consuming", "close publishing"}));
  x.on_down(link_role::consuming, {});
  x.on_down(link_role::publishing, {});
  connect();
  bring_up(link_role::consuming);
  bring_up(link_role::publishing);
  x.flush();
  CAF_CHECK_EQUAL(sent(), 2u);
}

CAF_TEST(a fault connects what has no connection) {
  connect();
  door.take();
  x.on_fault({link_role::consuming});
  CAF_CHECK_EQUAL(door.take(), (lines{"connect consuming later", "close publishing"}));
}

CAF_TEST(an order that fails is not carried out twice) {
  door.fails_at = "connect consuming";
  auto failed = false;
  try {
    x.connect(link_role::consuming);
  } catch (const std::runtime_error&) {
    failed = true;
  }
  CAF_CHECK(failed);
  x.connect(link_role::publishing);
  CAF_CHECK_EQUAL(door.take(), lines{"connect publishing"});
}

CAF_TEST(a refused message is told why and nobody waits for it) {
  start();
  CAF_CHECK(x.stop());
  CAF_CHECK(publish().code == ec::shutting_down);
  CAF_CHECK_EQUAL(sent(), 0u);
}

CAF_TEST(a stop waits for what is in flight and ends once) {
  start();
  publish();
  CAF_CHECK(x.stop());
  CAF_CHECK(!x.stop());
  x.continue_stop();
  door.take();
  confirm(1);
  CAF_CHECK_EQUAL(door.take(), (lines{"1 is published", "close publishing"}));
  x.on_down(link_role::consuming, {});
  x.on_down(link_role::publishing, {});
  CAF_CHECK_EQUAL(door.take(), lines{"stopped with 0 unsent"});
  x.continue_stop();
  x.on_deadline(stop_stage::closing);
  CAF_CHECK(door.take().empty());
}

CAF_TEST(a stop gives up at its limit what the broker did not take) {
  connect();
  publish();
  CAF_CHECK(x.stop());
  x.continue_stop();
  door.take();
  x.on_deadline(stop_stage::draining);
  x.on_deadline(stop_stage::closing);
  const auto told = door.take();
  CAF_REQUIRE(!told.empty());
  CAF_CHECK_EQUAL(told.back(), "stopped with 1 unsent");
}

CAF_TEST_FIXTURE_SCOPE_END()
