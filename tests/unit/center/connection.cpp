#define CAF_SUITE connection

#include "center/connection.hpp"

#include "actors/error.hpp"
#include "support/collector.hpp"
#include "support/scripted_transport.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::testing;

namespace {

struct fixture : test_coordinator_fixture<> {
  fixture() : owner(sys), dispatcher(sys), link(std::make_shared<scripted_link>()) {
    sut = sys.spawn(connection, link_role::consuming, amqp::endpoint{.host = "broker-a"},
                    amqp::transport_ptr{std::make_unique<scripted_transport>(link)}, owner.actor(),
                    dispatcher.actor());
    sched.run();
  }

  ~fixture() {
    caf::anon_send_exit(sut, caf::exit_reason::kill);
    sched.run();
  }

  /// The reason with which the connection ended, once it has.
  caf::error end_reason() {
    self->monitor(sut);
    sched.run();
    caf::error result;
    self->receive([&](caf::down_msg& x) { result = std::move(x.reason); },
                  caf::after(std::chrono::seconds{0}) >> [] { CAF_FAIL("still alive"); });
    return result;
  }

  collector owner;
  collector dispatcher;
  std::shared_ptr<scripted_link> link;
  caf::actor sut;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(connection_tests, fixture)

CAF_TEST(connects to its endpoint at once) {
  CAF_CHECK_EQUAL(link->where.host, "broker-a");
}

CAF_TEST(control events go to the owner) {
  link->events->up("RabbitMQ 3.10.8");
  link->events->blocked("low on memory");
  link->events->unblocked();
  link->events->cancelled(7);
  link->events->channel_closed({amqp::channel::deliveries, {ec::not_found, "gone"}});
  sched.run();
  auto ups = owner.take<link_up>();
  CAF_REQUIRE_EQUAL(ups.size(), 1u);
  CAF_CHECK_EQUAL(ups[0].broker, "RabbitMQ 3.10.8");
  CAF_CHECK(ups[0].role == link_role::consuming);
  CAF_REQUIRE_EQUAL(owner.take<link_blocked>().size(), 1u);
  CAF_REQUIRE_EQUAL(owner.take<link_unblocked>().size(), 1u);
  auto gone = owner.take<consumer_gone>();
  CAF_REQUIRE_EQUAL(gone.size(), 1u);
  CAF_CHECK_EQUAL(gone[0].id, 7u);
  auto lost = owner.take<channel_lost>();
  CAF_REQUIRE_EQUAL(lost.size(), 1u);
  CAF_CHECK(lost[0].channel.which == amqp::channel::deliveries);
  CAF_CHECK(lost[0].channel.reason.code == ec::not_found);
}

CAF_TEST(deliveries go straight to the dispatcher with the way back) {
  link->events->delivered(3, {amqp::delivery{.consumer = 1, .tag = 9}});
  sched.run();
  auto batches = dispatcher.take<delivery_batch>();
  CAF_REQUIRE_EQUAL(batches.size(), 1u);
  batches[0].out->settle(batches[0].generation, {{.tag = 9}});
  CAF_REQUIRE_EQUAL(link->settlements.size(), 1u);
  CAF_CHECK_EQUAL(link->settlements[0].generation, 3u);
  CAF_CHECK_EQUAL(link->settlements[0].items[0].tag, 9u);
}

CAF_TEST(requests and publications reach the transport and are answered to the owner) {
  caf::anon_send(sut, link_request{4, amqp::declare_queue{{.name = "q"}}});
  link->events->up("RabbitMQ");
  sched.run();
  owner.take<link_up>().at(0).out->publish(5, {amqp::publication{.id = 11, .exchange = "Trade"}});
  CAF_REQUIRE_EQUAL(link->published.size(), 1u);
  CAF_CHECK_EQUAL(link->published[0].exchange, "Trade");
  CAF_CHECK_EQUAL(link->publishing_generation, 5u);
  CAF_CHECK_EQUAL(link->answer_all(), 1u);
  amqp::returned_message returned;
  returned.properties.message_id = "id-11";
  link->events->returned(returned);
  link->events->confirmed({{11, true}});
  sched.run();
  auto replies = owner.take<link_reply>();
  CAF_REQUIRE_EQUAL(replies.size(), 1u);
  CAF_CHECK_EQUAL(replies[0].reply.id, 4u);
  CAF_CHECK_EQUAL(replies[0].reply.queue, "q");
  CAF_CHECK_EQUAL(owner.take<amqp::returned_message>().size(), 1u);
  CAF_CHECK_EQUAL(owner.take<confirmations>().size(), 1u);
}

CAF_TEST(a lost link ends the connection with its reason) {
  link->events->down({ec::heartbeat_timeout, "nothing heard for 20 s"});
  auto reason = end_reason();
  CAF_CHECK(code_of(reason) == ec::heartbeat_timeout);
  CAF_CHECK_EQUAL(text_of(reason), "nothing heard for 20 s");
  CAF_CHECK(link->events == nullptr); // the transport is gone with it
}

CAF_TEST(closing waits for the link and ends without an error) {
  caf::anon_send(sut, close_atom_v);
  sched.run();
  CAF_CHECK(link->closing);
  link->events->down({});
  CAF_CHECK(!end_reason());
}

CAF_TEST_FIXTURE_SCOPE_END()
