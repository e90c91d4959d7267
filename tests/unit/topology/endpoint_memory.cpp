#define CAF_SUITE endpoint_memory

#include "topology/endpoint_memory.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;

namespace {

struct fixture {
  amqp::broker_limits allows(std::uint16_t channels, std::uint32_t consumers = 0) {
    amqp::broker_limits result;
    result.channels = channels;
    result.consumers_per_channel = consumers;
    return result;
  }

  endpoint_memory it;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(endpoint_memory_tests, fixture)

CAF_TEST(what one broker does not allow is remembered while another answers) {
  CAF_CHECK(!it.met("old"));
  it.learned("old", {}, allows(8));
  CAF_CHECK(it.met("new"));
  it.learned("new", it.assumed(), allows(8, 10));
  CAF_CHECK(!it.met("old"));
  CAF_CHECK(it.limits_of("old") == allows(8));
  CAF_CHECK(it.limits_of("new") == allows(0, 10));
  CAF_CHECK(it.assumed() == allows(8, 10));
}

CAF_TEST(the tightest limit counts) {
  it.met("old");
  it.learned("old", {}, allows(8));
  it.learned("old", {}, allows(12));
  CAF_CHECK_EQUAL(it.assumed().channels, 8u);
}

CAF_TEST(a broker that answers no more is forgotten) {
  it.met("old");
  it.learned("old", {}, allows(8));
  for (auto i = 0u; i < endpoint_memory::patience; ++i)
    it.met("new");
  CAF_CHECK(it.assumed() == amqp::broker_limits{});
  CAF_CHECK(it.met("old"));
}

CAF_TEST(what depends on who answers is not assumed) {
  it.met("old");
  amqp::broker_limits found;
  found.transient_queues = false;
  found.message_size = 1'000;
  it.learned("old", {}, found);
  CAF_CHECK(it.assumed() == amqp::broker_limits{});
  CAF_CHECK(!it.limits_of("old").transient_queues);
}

CAF_TEST_FIXTURE_SCOPE_END()
