#define CAF_SUITE supervisor.log

#include <algorithm>

#include "support/log_file.hpp"
#include "unit/supervisor_fixture.hpp"

using namespace actors;
using namespace actors::testing;

namespace {

struct fixture : supervisor_fixture {
  fixture() {
    settings.config.endpoints.resize(1);
    settings.config.reconnect.settled = 0ms;
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

CAF_TEST_FIXTURE_SCOPE_END()
