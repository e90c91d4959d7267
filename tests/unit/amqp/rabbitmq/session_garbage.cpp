#define CAF_SUITE amqp.session.garbage

#include "unit/amqp/rabbitmq/session_fixture.hpp"

#include <random>

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::amqp;

namespace {

using broker = broker_script;

/// A conversation in which every kind of frame occurs.
std::string conversation() {
  return broker::handshake() + broker::exchange_declared() + broker::queue_declared("q")
         + broker::consuming("la-7") + broker::message("la-7", 1, "one")
         + broker::message("la-7", 2, std::string(500, 'x')) + broker::ack(1, false)
         + broker::unroutable("m2") + broker::nack(2, true) + broker::blocked("x")
         + broker::unblocked() + broker::frame(AMQP_FRAME_HEARTBEAT, 0, "") + broker::cancel("la-7")
         + broker::close_channel(2, 406, "x") + broker::close_channel(3, 404, "x")
         + broker::close_channel(1, 404, "x") + broker::close_connection(320, "x");
}

/// Lets a session with open requests read the bytes, in two pieces.
void converse(std::string_view bytes, std::size_t split) {
  session_fixture x;
  x.request(1, declare_exchange{{"Trade"}});
  x.request(2, declare_queue{{"q"}});
  x.consume_from(3, 7, "q");
  x.publish(1);
  x.publish(2);
  split = std::min(split, bytes.size());
  x.feed(bytes.substr(0, split));
  x.feed(bytes.substr(split));
  x.pass(std::chrono::seconds{30});
  CAF_CHECK(x.talk.is_down());
}

} // namespace

CAF_TEST(the conversation is a good one) {
  session_fixture x;
  x.request(1, declare_exchange{{"Trade"}});
  x.request(2, declare_queue{{"q"}});
  x.consume_from(3, 7, "q");
  x.publish(1);
  x.publish(2);
  x.feed(conversation());
  CAF_CHECK(x.events->down_code == ec::connection_forced);
}

CAF_TEST(no bit flip and no cut does harm) {
  std::mt19937 random{20'261'123};
  auto good = conversation();
  for (auto round = 0; round < 5'000; ++round) {
    auto bytes = good;
    for (auto flips = random() % 4; flips-- > 0;)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    if (random() % 4 == 0)
      bytes.erase(random() % bytes.size(), random() % 64);
    if (random() % 4 == 0)
      bytes.resize(random() % bytes.size());
    converse(bytes, random() % good.size());
  }
}

// Frames in good order whose contents are noise reach deeper than flipped bits.
CAF_TEST(no noise in frames does harm) {
  std::mt19937 random{7};
  for (auto round = 0; round < 5'000; ++round) {
    auto bytes = broker::handshake();
    for (auto frames = 1 + random() % 4; frames-- > 0;) {
      std::string payload;
      if (random() % 2 == 0)
        payload = broker::number(static_cast<std::uint16_t>(random() % 2 == 0 ? 60 : 10))
                  + broker::number(static_cast<std::uint16_t>(10 * (random() % 13)));
      for (auto size = random() % 40; size-- > 0;)
        payload += static_cast<char>(random() % 3 == 0 ? random() : random() % 8);
      bytes += broker::frame(static_cast<std::uint8_t>(1 + random() % 3),
                             static_cast<std::uint16_t>(random() % 4), payload);
    }
    converse(bytes, bytes.size());
  }
}

CAF_TEST(a frame larger than agreed) {
  session_fixture x;
  x.log_in();
  x.feed(std::string_view{"\x01\x00\x01\x7F\xFF\xFF\xFF", 7});
  CAF_CHECK(x.events->down_code == ec::protocol_error);
}
