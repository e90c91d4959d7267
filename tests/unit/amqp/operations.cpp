#define CAF_SUITE amqp.operations

#include "amqp/transport.hpp"

#include "caf/test/dsl.hpp"

using namespace actors::amqp;

namespace {

std::string text(operation x) {
  return to_string(x);
}

} // namespace

CAF_TEST(each operation is one line that names its entity) {
  CAF_CHECK_EQUAL(text(declare_exchange{{"Orderbook"}}), "declare exchange 'Orderbook' (topic)");
  CAF_CHECK_EQUAL(text(declare_exchange{{"Orderbook"}, true}), "check exchange 'Orderbook'");
  CAF_CHECK_EQUAL(text(declare_queue{{"q"}}), "declare queue 'q'");
  CAF_CHECK_EQUAL(text(declare_queue{{"q"}, true}), "check queue 'q'");
  CAF_CHECK_EQUAL(text(declare_queue{}), "declare a server-named queue");
  CAF_CHECK_EQUAL(text(delete_queue{"q"}), "delete queue 'q'");
  CAF_CHECK_EQUAL(text(bind_queue{{"Trade", "q", "a.#"}}),
                  "bind queue 'q' to exchange 'Trade' with routing key 'a.#'");
  CAF_CHECK_EQUAL(text(unbind_queue{{"Trade", "q", "a.#"}}),
                  "unbind queue 'q' from exchange 'Trade' with routing key 'a.#'");
  CAF_CHECK_EQUAL(text(start_consumer{{7, "q"}}), "start consumer 7 on queue 'q'");
  CAF_CHECK_EQUAL(text(cancel_consumer{7}), "cancel consumer 7");
}

CAF_TEST(channels have names) {
  CAF_CHECK_EQUAL(to_string(channel::topology), "topology");
  CAF_CHECK_EQUAL(to_string(channel::deliveries), "deliveries");
  CAF_CHECK_EQUAL(to_string(channel::publishing), "publishing");
}
