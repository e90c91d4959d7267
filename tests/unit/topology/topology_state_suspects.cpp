#define CAF_SUITE topology_state.suspects

// A channel or a connection that ends because of what was asked for: whom it is laid to.

#include "topology/topology_state.hpp"

#include <algorithm>

#include "topology_state_fixture.hpp"

using namespace actors;
using namespace topology_state_test;
using namespace std::chrono_literals;

namespace {

const failure broken{ec::internal_error, "INTERNAL_ERROR (541)"};

/// A topology state with the two links that it asks for. The broker ends a link for each request
/// with a text that is held to be bad, and is suspicious of all that was asked with it.
struct links : fixture {
  std::vector<std::string> bad;
  std::array<std::size_t, 2> falls{};
  std::array<bool, 2> is_up{};
  /// What was told about each consumer.
  std::map<amqp::consumer_id, std::string> told;
  /// Whoever never worked ends with the first refusal, as in the dispatcher.
  std::set<amqp::consumer_id> established;

  static std::size_t number(topology_state::way x) {
    return static_cast<std::size_t>(x);
  }

  void bring_up(topology_state::way by) {
    is_up[number(by)] = true;
    x.up({}, by);
  }

  void end(topology_state::way by, const failure& reason) {
    is_up[number(by)] = false;
    x.down(reason, by);
  }

  bool is_bad(const amqp::operation& y) const {
    const auto text = amqp::to_string(y);
    return std::any_of(bad.begin(), bad.end(),
                       [&](auto& z) { return text.find(z) != std::string::npos; });
  }

  void listen() {
    for (auto& y : x.take_news()) {
      if (y.retired)
        continue;
      if (!y.error) {
        established.insert(y.id);
        told[y.id] = "works";
      } else {
        told[y.id] = y.error.text;
        if (!established.contains(y.id))
          x.unwant(y.id);
      }
    }
  }

  /// Answers until there is nothing to do; ends links for what is bad, and brings them up
  /// again when they are needed.
  void play() {
    for (auto i = 0; i < 1'000; ++i) {
      listen();
      auto asked = x.take_requests();
      if (is_up[0] && is_up[1] == x.needs_link_apart() && asked.empty()) {
        listen();
        return;
      }
      for (auto by : {topology_state::way::usual, topology_state::way::apart})
        serve(by, asked);
      if (!is_up[0])
        bring_up(topology_state::way::usual);
      if (!is_up[1] && x.needs_link_apart())
        bring_up(topology_state::way::apart);
      else if (is_up[1] && !x.needs_link_apart())
        end(topology_state::way::apart, {});
    }
    CAF_FAIL("there is no end to it");
  }

  void serve(topology_state::way by, const std::vector<topology_state::request>& asked) {
    std::vector<amqp::request_id> mine;
    auto ends = false;
    for (auto& y : asked)
      if (y.by == by) {
        mine.push_back(y.id);
        ends = ends || is_bad(y.op);
        requests.push_back((by == topology_state::way::apart ? "apart: " : "")
                           + amqp::to_string(y.op));
      }
    if (ends) {
      ++falls[number(by)];
      x.suspect(mine, by);
      return end(by, broken);
    }
    for (auto& y : asked)
      if (y.by == by)
        x.replied({y.id, {}, queue_of(y.op)});
  }

  /// Two consumers ran; then the second was found to end the link.
  void set_apart_second() {
    x.want(wanted(1, "E", "a"));
    x.want(wanted(2, "E", "b"));
    bring_up(topology_state::way::usual);
    play();
    bad = {"queue 'q2'"};
    end(topology_state::way::usual, {ec::connection_lost, "gone"});
    play();
    CAF_REQUIRE_EQUAL(falls[0], 2u);
    CAF_REQUIRE_EQUAL(x.set_apart().size(), 1u);
  }

  static std::string queue_of(const amqp::operation& y) {
    auto* queue = std::get_if<amqp::declare_queue>(&y);
    return queue ? queue->spec.name : std::string{};
  }
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(topology_state_suspects_tests, links)

// -- channels --------------------------------------------------------------------------------

CAF_TEST(a refused start costs only those that were started with it) {
  start_one();
  pass(2s);
  refuse("start consumer 2", ec::access_refused);
  want(2, "E", "b");
  want(3, "E", "c");
  run();
  CAF_CHECK_EQUAL(x.running(), 2u);
  CAF_CHECK_EQUAL(broker.consumers.size(), 2u);
  std::sort(news.begin(), news.end());
  CAF_CHECK_EQUAL(news, (lines{"2: access_refused", "3 c: on q3"}));
  CAF_CHECK_EQUAL(std::count(requests.begin(), requests.end(), "start consumer 1 on queue 'q1'"),
                  0);
}

CAF_TEST(of many that are started together the refused ones alone are told so) {
  for (auto id : {3, 7, 9})
    refuse("start consumer " + std::to_string(id) + " ", ec::access_refused);
  for (amqp::consumer_id id = 1; id <= 12; ++id)
    want(id, "E", "a");
  up();
  run();
  CAF_CHECK_EQUAL(x.running(), 9u);
  CAF_CHECK_EQUAL(x.refused().size(), 3u);
  for (auto& line : news)
    CAF_CHECK(line.find("refused") == std::string::npos || line.starts_with("3:")
              || line.starts_with("7:") || line.starts_with("9:"));
  CAF_CHECK_EQUAL(std::count_if(news.begin(), news.end(),
                                [](auto& line) { return line.find("refused") != line.npos; }),
                  3);
}

CAF_TEST(what is refused is tried again where it costs nobody) {
  want(1, "E", "a");
  want(2, "E", "b");
  refuse("start consumer 2", ec::access_refused);
  up();
  run();
  news.clear();
  requests.clear();
  for (auto i = 0; i < 3; ++i) {
    pass(10s);
    x.retry();
    follow();
    run();
  }
  CAF_CHECK_EQUAL(std::count(requests.begin(), requests.end(), "start consumer 1 on queue 'q1'"),
                  0);
  CAF_CHECK_EQUAL(news, (lines{"2: access_refused", "2: access_refused", "2: access_refused"}));
  heal();
  x.retry();
  follow();
  run();
  CAF_CHECK_EQUAL(news.back(), "2 b: on q2");
}

CAF_TEST(who runs and is refused later costs nobody by being tried) {
  want(1, "E", "a");
  want(2, "E", "b");
  up();
  run();
  pass(2s);
  refuse("start consumer 2", ec::access_refused);
  broker.delete_queue("q2");
  requests.clear();
  run();
  x.retry();
  follow();
  run();
  CAF_CHECK_EQUAL(broker.groups[1], 0u);
  CAF_CHECK_EQUAL(std::count(requests.begin(), requests.end(), "start consumer 1 on queue 'q1'"),
                  0);
  CAF_CHECK_EQUAL(x.running(), 1u);
}

// All groups share a channel, as a broker that allows few has it.
CAF_TEST(where channels are few the culprits are found and tried by a link apart) {
  for (auto id : {2, 4})
    refuse("start consumer " + std::to_string(id) + " ", ec::access_refused);
  broker.single_channel = true;
  for (amqp::consumer_id id = 1; id <= 5; ++id)
    want(id, "E", "a");
  up();
  run();
  CAF_CHECK_EQUAL(x.running(), 3u);
  CAF_CHECK_EQUAL(x.set_apart().size(), 2u);
  const auto closed = broker.closed;
  pass(10s);
  x.retry();
  follow();
  run();
  CAF_CHECK_EQUAL(broker.closed, closed);
  CAF_CHECK(x.needs_link_apart());
}

CAF_TEST(the reason of a refused start is in the words of the broker and names the queue) {
  start_one();
  refuse("start consumer 2", ec::access_refused);
  want(2, "E", "b");
  run();
  CAF_CHECK_EQUAL(x.refused(), (lines{"queue 'q2': no"}));
}

// -- connections -----------------------------------------------------------------------------

CAF_TEST(what ends the connection is found and refused and the others work) {
  bad = {"queue 'q2'"};
  for (amqp::consumer_id id = 1; id <= 5; ++id)
    x.want(wanted(id, "E", "a"));
  bring_up(topology_state::way::usual);
  play();
  CAF_CHECK_EQUAL(falls[0], 2u);
  CAF_CHECK_EQUAL(falls[1], 0u);
  CAF_CHECK_EQUAL(x.running(), 4u);
  for (auto& [id, text] : told)
    CAF_CHECK_EQUAL(text, id == 2 ? "queue 'q2': INTERNAL_ERROR (541)" : "works");
}

CAF_TEST(many bad things end the link at most twice each) {
  bad = {"queue 'q2'", "consumer 3 ", "routing key 'bad'", "exchange 'F'", "queue 'q6'"};
  for (amqp::consumer_id id = 1; id <= 8; ++id)
    x.want(wanted(id, id == 5 ? "F" : "E", id == 4 ? "bad" : "a"));
  bring_up(topology_state::way::usual);
  play();
  CAF_CHECK(falls[0] <= 2 * bad.size());
  CAF_CHECK_EQUAL(x.running(), 3u);
  for (auto id : {1u, 7u, 8u})
    CAF_CHECK_EQUAL(told[id], "works");
  for (auto id : {2u, 3u, 4u, 5u, 6u})
    CAF_CHECK(told[id].find("541") != std::string::npos);
}

CAF_TEST(what ended the connection does not end it again whoever asks) {
  bad = {"queue 'q2'"};
  x.want(wanted(1, "E", "a"));
  x.want(wanted(2, "E", "a"));
  bring_up(topology_state::way::usual);
  play();
  falls = {};
  for (amqp::consumer_id id = 3; id <= 10; ++id) {
    auto again = wanted(2, "E", "a");
    again.consumer.id = id;
    x.want(again);
    play();
    CAF_CHECK_EQUAL(told[id], "queue 'q2': INTERNAL_ERROR (541)");
    pass(1s);
  }
  CAF_CHECK_EQUAL(falls[0], 0u);
  CAF_CHECK_EQUAL(falls[1], 0u);
  pass(10s);
  auto again = wanted(2, "E", "a");
  again.consumer.id = 11;
  x.want(again);
  play();
  CAF_CHECK_EQUAL(told[11], "queue 'q2': INTERNAL_ERROR (541)");
  CAF_CHECK_EQUAL(falls[0], 0u);
  CAF_CHECK_EQUAL(falls[1], 1u);
  CAF_CHECK_EQUAL(told[1], "works");
}

CAF_TEST(what worked before and ends the connection now is tried apart and works there) {
  x.want(wanted(1, "E", "a"));
  x.want(wanted(2, "E", "a"));
  bring_up(topology_state::way::usual);
  play();
  bad = {"queue 'q2'"};
  end(topology_state::way::usual, {ec::connection_lost, "gone"});
  play();
  CAF_CHECK_EQUAL(falls[0], 2u);
  CAF_CHECK_EQUAL(x.running(), 1u);
  CAF_CHECK_EQUAL(x.set_apart().size(), 1u);
  for (auto i = 0; i < 4; ++i) {
    pass(400s);
    x.retry();
    play();
  }
  CAF_CHECK_EQUAL(falls[0], 2u);
  CAF_CHECK_EQUAL(falls[1], 4u);
  bad.clear();
  pass(400s);
  requests.clear();
  play();
  CAF_CHECK_EQUAL(x.running(), 2u);
  CAF_CHECK_EQUAL(told[2], "works");
  CAF_CHECK_EQUAL(requests.back(), "apart: start consumer 2 on queue 'q2'");
  CAF_CHECK(x.needs_link_apart());
  // It goes there again after the link's end, whatever the others do.
  end(topology_state::way::apart, {ec::connection_lost, "gone"});
  play();
  CAF_CHECK_EQUAL(x.running(), 2u);
  x.unwant(2);
  play();
  CAF_CHECK(!x.needs_link_apart());
}

CAF_TEST(who is on trial is not to blame when the network fails) {
  set_apart_second();
  bad.clear();
  // It is on its way there when that link is lost, again and again.
  for (auto i = 0; i < 5; ++i) {
    pass(10s);
    CAF_REQUIRE(x.needs_link_apart());
    bring_up(topology_state::way::apart);
    CAF_REQUIRE_EQUAL(x.take_requests().size(), 1u);
    end(topology_state::way::apart, {ec::connection_lost, "gone"});
    CAF_CHECK_EQUAL(x.set_apart(), (lines{"queue 'q2': INTERNAL_ERROR (541)"}));
  }
  pass(10s);
  play();
  CAF_CHECK_EQUAL(x.running(), 2u);
}

CAF_TEST(what belongs to who is on trial is to blame as well) {
  set_apart_second();
  bad = {"routing key 'b'"};
  pass(10s);
  play();
  CAF_CHECK_EQUAL(falls[1], 1u);
  // Hence it is tried later than before.
  pass(10s);
  play();
  CAF_CHECK_EQUAL(falls[1], 1u);
  CAF_CHECK_EQUAL(falls[0], 2u);
  CAF_CHECK_EQUAL(x.running(), 1u);
}

CAF_TEST(an operator who closes connections blames nobody) {
  x.want(wanted(1, "E", "a"));
  bring_up(topology_state::way::usual);
  for (auto i = 0; i < 5; ++i) {
    std::vector<amqp::request_id> ids;
    for (auto& y : x.take_requests())
      ids.push_back(y.id);
    x.suspect(ids);
    end(topology_state::way::usual, {ec::connection_forced, "CONNECTION_FORCED (320)"});
    bring_up(topology_state::way::usual);
  }
  play();
  CAF_CHECK_EQUAL(told[1], "works");
  CAF_CHECK(x.set_apart().empty());
}

CAF_TEST(others do not wait for long behind one that is asked for alone) {
  bad = {"queue 'q2'"};
  x.want(wanted(1, "E", "a"));
  x.want(wanted(2, "E", "a"));
  bring_up(topology_state::way::usual);
  while (falls[0] == 0)
    serve(topology_state::way::usual, x.take_requests());
  bring_up(topology_state::way::usual);
  // All others have their answers; now it is the turn of 2, which gets none.
  auto asked = x.take_requests();
  while (!asked.empty() && !is_bad(asked[0].op)) {
    serve(topology_state::way::usual, asked);
    asked = x.take_requests();
  }
  CAF_REQUIRE(!asked.empty());
  x.want(wanted(3, "E", "a"));
  CAF_CHECK(x.take_requests().empty());
  CAF_CHECK(x.holds_back());
  pass(1s);
  CAF_CHECK_EQUAL(x.take_requests().size(), 1u);
  CAF_CHECK(!x.holds_back());
}

CAF_TEST(another broker is asked for everything anew) {
  bad = {"queue 'q2'"};
  x.want(wanted(1, "E", "a"));
  x.want(wanted(2, "E", "a"));
  bring_up(topology_state::way::usual);
  play();
  bad.clear();
  x.pardon();
  auto again = wanted(2, "E", "a");
  again.consumer.id = 3;
  x.want(again);
  play();
  CAF_CHECK_EQUAL(told[3], "works");
  CAF_CHECK_EQUAL(requests.back(), "start consumer 3 on queue 'q2'");
}

CAF_TEST_FIXTURE_SCOPE_END()
