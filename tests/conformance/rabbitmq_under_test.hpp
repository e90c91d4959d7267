#pragma once

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "amqp/rabbitmq/transport.hpp"
#include "caf/test/unit_test.hpp"
#include "conformance/client.hpp"

namespace actors::amqp::conformance {

/// The broker at the URL in the environment variable ACTORS_TEST_BROKER.
template <class F>
void with_broker(F f) {
  auto* url = std::getenv("ACTORS_TEST_BROKER");
  if (!url) {
    std::puts("SKIPPED: no broker, set ACTORS_TEST_BROKER");
    return;
  }
  auto* version = std::getenv("ACTORS_TEST_BROKER_VERSION");
  if (version && std::string_view{version} == "strict") {
    std::puts("SKIPPED: the strict broker denies the transient queues of these tests");
    return;
  }
  auto where = parse_endpoint(url);
  CAF_REQUIRE(where);
  broker_under_test broker{[] { return make_rabbitmq_transport(); }, *where};
  f(broker);
  clean_up(broker);
}

} // namespace actors::amqp::conformance
