#define CAF_SUITE supervisor.log

#include <algorithm>

#include "support/log_file.hpp"
#include "unit/center/supervisor_fixture.hpp"

using namespace actors;
using namespace actors::testing;

namespace {

struct fixture : supervisor_fixture {
  fixture() {
    settings.config.endpoints.resize(1);
    settings.config.reconnect.settled = 0ms;
  }

  /// Nobody waits for the answer.
  void send(amqp::publication x) {
    caf::anon_send(sut, publish_atom_v, std::move(x));
    sched.run();
  }

  void send_large(std::string key, std::size_t size, std::string exchange = "Trade") {
    auto x = message(std::move(key), std::move(exchange));
    x.body = std::make_shared<const std::string>(size, 'x');
    send(std::move(x));
  }

  scripted_link& latest() {
    return *links.back();
  }

  void lose(scripted_link& x) {
    x.events->down({ec::connection_lost, "gone"});
    sched.run();
  }

  /// What the log has of the consuming link.
  strings of_consuming(log_file& log) {
    strings result;
    for (auto& line : log.close())
      if (line.find("consuming link") != std::string::npos)
        result.push_back(line.substr(0, line.find_first_of("(0123456789")));
    return result;
  }

  strings of_messages(log_file& log) {
    strings result;
    for (auto& line : log.close())
      if (line.find("message not published") != std::string::npos)
        result.push_back(line);
    return result;
  }

  /// The broker cannot take a message, twice.
  void reject(std::uint64_t id) {
    for (auto i = 0; i < 2; ++i) {
      publishing().events->confirmed({{id, false}});
      sched.run();
      advance(250ms);
    }
  }
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(supervisor_log_tests, fixture)

// What is tried in between is counted, and its count ends with the link.
CAF_TEST(each outage of a minute is in the log from its loss to its end) {
  log_file log{"supervisor-outage"};
  start_up();
  auto* link = &consuming();
  for (auto i = 0; i < 2; ++i) {
    lose(*link);
    for (auto failures = 0; failures < 3; ++failures) {
      advance(10s);
      latest().events->down({ec::connect_failed, "refused"});
      sched.run();
    }
    advance(10s);
    link = &latest();
    bring_up(*link);
  }
  const auto lines = of_consuming(log);
  strings expected{"info  consuming link up: amqp://a:"};
  for (auto i = 0; i < 2; ++i)
    for (auto text :
         {"warning consuming link lost: gone", "info  consuming link: connecting to amqp://a:",
          "warning consuming link not connected: refused",
          "info  still: consuming link: connecting to amqp://a:",
          "warning still: consuming link not connected: refused, ",
          "warning consuming link up: amqp://a:"})
      expected.emplace_back(text);
  CAF_CHECK_EQUAL(lines, expected);
}

CAF_TEST(whoever reads warnings alone reads of the end of what they warn of) {
  log_file log{"supervisor-warnings", log_level::warning};
  start_up();
  publishing().events->blocked("low on memory");
  publishing().events->unblocked();
  lose(consuming());
  advance(0ms);
  bring_up(latest());
  const auto lines = log.close();
  CAF_REQUIRE_EQUAL(lines.size(), 4u);
  CAF_CHECK(lines[1] == "warning publishing link unblocked");
  CAF_CHECK(lines[2].starts_with("warning consuming link lost: "));
  CAF_CHECK(lines[3].starts_with("warning consuming link up: "));
}

CAF_TEST(a message that the broker could not take is named with what to do) {
  log_file log{"supervisor-rejected"};
  start_up_trading();
  const auto first = publishing().published.size();
  for (auto exchange : {"Trade", "Trade"})
    send(message("k", exchange));
  CAF_REQUIRE_EQUAL(publishing().published.size(), first + 2);
  const auto id = publishing().published.back().id;
  reject(id - 1);
  reject(id);
  send(message("k", "Kline"));
  settle(publishing());
  advance(250ms);
  reject(publishing().published.back().id);
  auto asked = publish(message("asked"));
  reject(publishing().published.back().id);
  CAF_CHECK(text_of(asked->error).starts_with("publish to Trade:asked: the broker could not take"));
  const auto lines = of_messages(log);
  CAF_REQUIRE_EQUAL(lines.size(), 3u);
  CAF_CHECK(lines[0].starts_with("warning message not published: publish to Trade:k: the broker"));
  CAF_CHECK(lines[0].find("reject-publish") != std::string::npos);
  CAF_CHECK(lines[1].starts_with("warning message not published: publish to Kline:k: the broker"));
  CAF_CHECK(lines[2].find("Trade:k") != std::string::npos);
  CAF_CHECK(lines[2].find("1 time in ") != std::string::npos);
}

CAF_TEST(messages that are too large are a line for each exchange) {
  log_file log{"supervisor-large"};
  start_up_trading();
  for (auto size : {6'000u, 7'000u, 8'000u}) {
    failure why{ec::content_too_large, "body: " + std::to_string(size) + " bytes"};
    for (auto exchange : {"Trade", "Kline"}) {
      caf::anon_send(sut, publish_atom_v, why, message("k", exchange));
      sched.run();
    }
  }
  const auto lines = of_messages(log);
  CAF_REQUIRE_EQUAL(lines.size(), 4u);
  CAF_CHECK_EQUAL(lines[0], "warning message not published: publish to Trade:k: body: 6000 bytes");
  CAF_CHECK_EQUAL(lines[1], "warning message not published: publish to Kline:k: body: 6000 bytes");
  CAF_CHECK(lines[2].find("Trade:k: body: 8000 bytes, 2 times in ") != std::string::npos);
}

CAF_TEST(messages that expire or are dropped are named) {
  log_file log{"supervisor-dropped"};
  settings.config.outbox.each.overflow = overflow_policy::drop_oldest;
  settings.config.outbox.each.max_messages = 1;
  start();
  for (auto exchange : {"Trade", "Kline"}) {
    auto x = message("k", exchange);
    x.properties.expiration = 10ms;
    send(std::move(x));
  }
  advance(500ms);
  send(message("old", "Funding"));
  send(message("new", "Funding"));
  strings lines;
  for (auto& x : log.close())
    if (x.find("expired") != std::string::npos || x.find("outbox") != std::string::npos)
      lines.push_back(x);
  CAF_REQUIRE_EQUAL(lines.size(), 3u);
  std::sort(lines.begin(), lines.begin() + 2);
  CAF_CHECK(lines[0].starts_with("warning message not published: publish to Kline:k: the message"));
  CAF_CHECK(lines[1].starts_with("warning message not published: publish to Trade:k: the message"));
  CAF_CHECK(lines[2].find("as one to Funding:old; raise OUTBOX") != std::string::npos);
}

CAF_TEST_FIXTURE_SCOPE_END()
