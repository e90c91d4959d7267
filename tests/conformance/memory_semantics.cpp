#define CAF_SUITE memory.semantics

#include "conformance/memory_under_test.hpp"

#include "amqp/memory/transport.hpp"
#include "caf/test/unit_test.hpp"

using namespace actors;
using namespace actors::amqp;
using namespace actors::amqp::conformance;

// What a broker may deny that others grant.

namespace {

/// A broker with these semantics.
struct broker_with {
  explicit broker_with(memory_semantics semantics)
      : memory(std::make_shared<memory_broker>(std::move(semantics))) {
    // nop
  }

  std::shared_ptr<memory_broker> memory;
  broker_under_test broker{[this] { return make_memory_transport(memory); },
                           *parse_endpoint("memory:lab")};
};

memory_semantics without_transient_queues() {
  auto result = memory_semantics::rabbitmq_4_3();
  result.transient_queues = false;
  return result;
}

memory_semantics with_few_consumers() {
  auto result = memory_semantics::rabbitmq_4_3();
  result.consumers_per_channel = 2;
  return result;
}

} // namespace

CAF_TEST(the version is told to links) {
  broker_with old{{}};
  broker_with young{memory_semantics::rabbitmq_4_3()};
  CAF_CHECK(client{old.broker}.version() == (testing::broker_version{3, 10}));
  CAF_CHECK(client{young.broker}.version() == testing::rabbitmq_4_3);
}

CAF_TEST(a transient queue that is denied ends the link and those that last are made) {
  broker_with f{without_transient_queues()};
  client x{f.broker};
  CAF_CHECK(!x.call(declare_queue{{"kept", true, false, false}}));
  CAF_CHECK(!x.call(declare_queue{{"mine", false, true, true}}));
  x.send(declare_queue{{"transient", false, false, true}});
  auto reason = x.down();
  CAF_CHECK_EQUAL(to_string(reason.code), "internal_error");
  CAF_CHECK(reason.text.find("'transient'") != std::string::npos);
  CAF_CHECK(x.log().back() == "down");
}

CAF_TEST(one consumer too many ends the link and one that knows the limit has them all) {
  broker_with f{with_few_consumers()};
  {
    client x{f.broker};
    auto q = x.queue("q");
    x.consume({1, q, 1});
    x.consume({2, q, 1});
    x.send(start_consumer{{3, q, 1}});
    CAF_CHECK_EQUAL(to_string(x.down().code), "not_allowed");
  }
  auto where = f.broker.where();
  where.known.consumers_per_channel = 2;
  broker_under_test known{[&] { return make_memory_transport(f.memory); }, where};
  client x{known};
  auto q = x.queue("other");
  for (consumer_id i = 1; i <= 5; ++i)
    x.consume({i, q, 1});
}

CAF_TEST(a message that is too large costs its channel) {
  memory_semantics small;
  small.max_message_size = 10;
  broker_with f{small};
  client x{f.broker};
  auto q = x.queue("q");
  x.fill(q, {"0123456789"});
  x.post(to_queue(q, "0123456789a"));
  auto closed = x.channel_closed();
  CAF_CHECK(closed.which == channel::publishing);
  CAF_CHECK_EQUAL(to_string(closed.reason.code), "precondition_failed");
  CAF_CHECK(closed.reason.text.find("message size 11 ") != std::string::npos);
  x.fill(q, {"again"});
  CAF_CHECK_EQUAL(x.messages(q), 2u);
}
