#define CAF_SUITE faults_link

// What can happen to the connections between us and a broker that is well: a proxy in
// between breaks them.

#include "support/numbered_fixture.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::testing;
using namespace std::chrono_literals;

namespace {

/// Silence of twice this time ends a link.
constexpr auto heartbeat = 1s;
/// How long it may take until a link that is dead is seen to be.
constexpr auto noticed = 2 * heartbeat + 1s;

config settings_through(const chaos_proxy& proxy) {
  auto result = settings_for_tests(proxy.url());
  result.endpoints[0].heartbeat = heartbeat;
  return result;
}

std::string name_of(link_role role) {
  return std::string{to_string(role)};
}

/// With a proxy between the event center and the broker.
struct fixture {
  chaos_proxy proxy{test_broker::url()};
  numbered_fixture numbered{settings_through(proxy)};
};

} // namespace

CAF_TEST(a half open link is noticed while consuming and while publishing) {
  if (!test_broker::available())
    return;
  fixture f;
  CAF_REQUIRE(f.numbered.start());
  for (auto role : {link_role::consuming, link_role::publishing}) {
    f.proxy.tell("hold " + name_of(role));
    CAF_CHECK(f.numbered.loses(role, noticed));
    CAF_CHECK(f.numbered.goes_on());
  }
  // The other link never noticed.
  CAF_CHECK_EQUAL(f.numbered.link(link_role::consuming).losses, 1u);
  CAF_CHECK_EQUAL(f.numbered.link(link_role::publishing).losses, 1u);
  CAF_CHECK(f.numbered.link(link_role::consuming).last_code == ec::heartbeat_timeout);
  CAF_CHECK(f.numbered.is_clean());
}

CAF_TEST(links that are reset or ended come back at once) {
  if (!test_broker::available())
    return;
  fixture f;
  CAF_REQUIRE(f.numbered.start());
  for (auto command : {"cut", "fin", "cut consuming", "fin publishing"}) {
    f.proxy.tell(command);
    CAF_CHECK(f.numbered.goes_on());
  }
  CAF_CHECK_EQUAL(f.numbered.link(link_role::consuming).losses, 3u);
  CAF_CHECK_EQUAL(f.numbered.link(link_role::publishing).losses, 3u);
  CAF_CHECK(f.numbered.is_clean());
}

CAF_TEST(a link that is reset in the middle of a frame loses nothing) {
  if (!test_broker::available())
    return;
  fixture f;
  CAF_REQUIRE(f.numbered.start());
  auto losses = [&] {
    return f.numbered.link(link_role::consuming).losses
           + f.numbered.link(link_role::publishing).losses;
  };
  // Within a frame's head, its method, its content.
  for (auto bytes : {3, 9, 40, 150}) {
    const auto before = losses();
    f.proxy.tell("truncate " + std::to_string(bytes));
    CAF_CHECK(eventually([&] { return losses() > before; }));
    CAF_CHECK(f.numbered.goes_on());
  }
  CAF_CHECK(f.numbered.is_clean());
}

// A publication is some 300 bytes with its frames, and comes back to be handled.
CAF_TEST(a slow link is not taken for a dead one) {
  if (!test_broker::available())
    return;
  fixture f;
  CAF_REQUIRE(f.numbered.start());
  f.proxy.tell("rate 4000");
  CAF_CHECK(f.numbered.books->more_confirmed(50, patience));
  CAF_CHECK(eventually([&] { return f.numbered.status().supervisor.outbox.unconfirmed > 10; }));
  f.proxy.tell("delay 200");
  CAF_CHECK(f.numbered.books->more_confirmed(10, patience));
  f.proxy.tell("pass");
  CAF_CHECK(f.numbered.goes_on());
  CAF_CHECK_EQUAL(f.numbered.link(link_role::consuming).losses, 0u);
  CAF_CHECK_EQUAL(f.numbered.link(link_role::publishing).losses, 0u);
  CAF_CHECK(f.numbered.is_clean());
}

CAF_TEST(a handshake that hangs is given up and tried again) {
  if (!test_broker::available())
    return;
  chaos_proxy proxy{test_broker::url()};
  proxy.tell("hold");
  auto settings = settings_through(proxy);
  settings.endpoints[0].handshake_timeout = 1s;
  numbered_fixture f{settings};
  CAF_CHECK(eventually(
      [&] { return f.link(link_role::consuming).last_code == ec::handshake_timeout; }, 2s));
  CAF_CHECK_EQUAL(f.link(link_role::consuming).connects, 0u);
  proxy.tell("pass");
  CAF_CHECK(f.start());
  CAF_CHECK(f.is_clean());
}

CAF_TEST(a port that refuses is found when it listens) {
  if (!test_broker::available())
    return;
  chaos_proxy proxy{test_broker::url()};
  proxy.tell("refuse");
  numbered_fixture f{settings_through(proxy)};
  CAF_CHECK(
      eventually([&] { return f.link(link_role::publishing).last_code == ec::connect_failed; }));
  proxy.tell("listen");
  CAF_CHECK(f.start());
  proxy.tell("refuse");
  proxy.tell("cut");
  CAF_CHECK(f.loses(link_role::consuming));
  CAF_CHECK(eventually([&] { return f.status().supervisor.outbox.waiting > 20; }));
  proxy.tell("listen");
  CAF_CHECK(f.goes_on());
  CAF_CHECK(f.is_clean());
}

CAF_TEST(the next endpoint is used when the first is dead) {
  if (!test_broker::available())
    return;
  chaos_proxy first{test_broker::url()};
  chaos_proxy second{test_broker::url()};
  auto settings = settings_through(first);
  settings.endpoints.push_back(settings_through(second).endpoints[0]);
  const auto name = amqp::to_string(settings.endpoints[1]);
  numbered_fixture f{settings};
  CAF_REQUIRE(f.start());
  CAF_CHECK_EQUAL(second.accepted(), 0u);
  first.tell("refuse");
  first.tell("cut");
  CAF_CHECK(f.goes_on());
  CAF_CHECK_EQUAL(second.accepted(), 2u);
  CAF_CHECK_EQUAL(f.link(link_role::consuming).endpoint, name);
  CAF_CHECK_EQUAL(f.link(link_role::publishing).endpoint, name);
  CAF_CHECK(f.is_clean());
}
