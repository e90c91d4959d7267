#define CAF_SUITE faults_login

// A broker that does not let us in, or not everywhere, until somebody puts it right.

#include "support/broker_account.hpp"
#include "support/broker_version.hpp"
#include "support/numbered_fixture.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::testing;
using namespace std::chrono_literals;

CAF_TEST(a wrong password is tried again at leisure until it is right) {
  if (!test_broker::available())
    return;
  broker_account user;
  chaos_proxy proxy{test_broker::url()};
  auto settings = user.settings(proxy.url());
  settings.endpoints[0].password = amqp::secret{"unspeakable"};
  settings.reconnect.refused = 2s;
  settings.reconnect.jitter = 0;
  const auto start = std::chrono::steady_clock::now();
  numbered_fixture f{settings};
  for (auto role : {link_role::consuming, link_role::publishing}) {
    CAF_CHECK(eventually([&] { return f.link(role).last_code == ec::login_refused; }));
    CAF_CHECK_EQUAL(f.link(role).state, link_state::down);
    CAF_CHECK(f.link(role).last_error.find("unspeakable") == std::string::npos);
  }
  // However slow this machine is, each link has waited before each further attempt.
  CAF_CHECK(eventually([&] { return proxy.accepted() >= 4; }));
  const auto attempts = static_cast<std::int64_t>(proxy.accepted());
  const auto waits = (attempts + 1) / 2 - 1;
  CAF_CHECK(std::chrono::steady_clock::now() - start >= waits * settings.reconnect.refused);
  test_broker::ctl("change_password " + user.name + " unspeakable");
  CAF_CHECK(f.start());
  CAF_CHECK(f.is_clean());
}

CAF_TEST(a token of some thousand bytes logs in where the broker takes it) {
  if (!test_broker::available())
    return;
  broker_account user{std::string(6'000, 'x')};
  numbered_fixture f{user.settings()};
  if (broker_version::of(test_broker::folder().version()) >= broker_version{4, 1})
    CAF_CHECK(f.start());
  else
    CAF_CHECK(eventually(
        [&] { return f.link(link_role::publishing).last_code == ec::invalid_endpoint; }));
}

CAF_TEST(permissions that are lost stop what they are about and come back) {
  if (!test_broker::available())
    return;
  broker_account user;
  numbered_fixture f{user.settings()};
  CAF_REQUIRE(f.start());
  user.permit("^$");
  user.close_connections();
  CAF_CHECK(eventually([&] { return f.status().supervisor.outbox.rejected > 0; }));
  CAF_CHECK(eventually([&] { return !f.status().dispatcher.handlers.at(0).consuming; }));
  CAF_CHECK(eventually([&] { return !f.status().supervisor.refused.empty(); }));
  CAF_CHECK_EQUAL(f.link(link_role::consuming).state, link_state::up);
  CAF_CHECK_EQUAL(f.link(link_role::publishing).state, link_state::up);
  user.permit(".*");
  CAF_CHECK(f.goes_on());
  CAF_CHECK(eventually([&] { return f.status().supervisor.refused.empty(); }));
  CAF_CHECK(f.is_clean());
}

CAF_TEST(a vhost that is full lets us in when it has room) {
  if (!test_broker::available())
    return;
  broker_account user;
  auto limit = [&](int connections) {
    test_broker::ctl("set_vhost_limits -p " + user.name
                     + " '{\"max-connections\": " + std::to_string(connections) + "}'");
  };
  limit(0);
  numbered_fixture f{user.settings()};
  CAF_CHECK(eventually([&] { return f.link(link_role::consuming).last_code == ec::not_allowed; }));
  CAF_CHECK(f.link(link_role::consuming).last_error.find(user.name) != std::string::npos);
  limit(-1);
  CAF_CHECK(f.start());
  CAF_CHECK(f.is_clean());
}
