#define CAF_SUITE amqp.name_lookup

#include "amqp/link/name_lookup.hpp"

#include <atomic>
#include <cerrno>
#include <future>

#include <netinet/in.h>

#include "caf/test/dsl.hpp"

using namespace actors::amqp;
using namespace std::chrono_literals;

namespace {

using clock = std::chrono::steady_clock;

/// A name server that answers when the test says so. Its threads may outlive the test.
struct name_server {
  std::promise<void> answer;
  std::shared_future<void> answered = answer.get_future().share();
  std::atomic<int> asked{0};
};

struct fixture {
  ~fixture() {
    if (!let_go)
      server->answer.set_value();
  }

  int resolve(const std::string& host, std::chrono::milliseconds limit) {
    auto error = 0;
    wake_up wake;
    found = names.resolve(host, clock::now() + limit, {wake, [] { return false; }}, error);
    return error;
  }

  void answer() {
    let_go = true;
    server->answer.set_value();
  }

  std::shared_ptr<name_server> server = std::make_shared<name_server>();
  name_lookup names{[to = server](const std::string&) {
    ++to->asked;
    to->asked.notify_all();
    to->answered.wait();
    return resolution{{socket_address{}}, {}};
  }};
  resolution found;
  bool let_go = false;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(name_lookup_tests, fixture)

CAF_TEST(an address is not looked up) {
  CAF_CHECK_EQUAL(resolve("127.0.0.1", 0ms), 0);
  CAF_CHECK_EQUAL(found.addresses.size(), 1u);
  CAF_CHECK_EQUAL(resolve("::1", 0ms), 0);
  CAF_CHECK_EQUAL(server->asked, 0);
}

CAF_TEST(a name server that does not answer is waited for no longer than allowed) {
  CAF_CHECK_EQUAL(resolve("broker", 10ms), ETIMEDOUT);
}

CAF_TEST(those who ask for the same name share its lookup) {
  for (auto i = 0; i < 3; ++i)
    CAF_CHECK_EQUAL(resolve("broker", 1ms), ETIMEDOUT);
  server->asked.wait(0);
  CAF_CHECK_EQUAL(server->asked, 1);
  answer();
  CAF_CHECK_EQUAL(resolve("broker", 20s), 0);
  CAF_CHECK_EQUAL(found.addresses.size(), 1u);
}

CAF_TEST(a lookup can be left at any time) {
  auto error = 0;
  wake_up wake;
  wake.signal();
  names.resolve("broker", clock::time_point::max(), {wake, [] { return true; }}, error);
  CAF_CHECK_EQUAL(error, ECANCELED);
}

CAF_TEST(a name is asked for again each time) {
  answer();
  CAF_CHECK_EQUAL(resolve("broker", 20s), 0);
  while (server->asked < 2) // until the first is over, it is shared
    CAF_REQUIRE_EQUAL(resolve("broker", 20s), 0);
}

CAF_TEST_FIXTURE_SCOPE_END()
