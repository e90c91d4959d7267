// The broker's side without a broker: what a link makes of the bytes that come,
// and what the in-process broker takes from publisher to consumer.

#include <memory>
#include <string>

#include <benchmark/benchmark.h>

#include "actors/amqp/memory_broker.hpp"
#include "amqp/rabbitmq/session.hpp"
#include "bodies.hpp"
#include "stub/wire.hpp"

namespace {

using namespace actors::amqp;

/// Takes all events and counts the deliveries.
struct counting_listener : link_listener {
  void up(std::string) override {
  }
  void replied(reply) override {
  }
  void delivered(std::uint32_t, std::vector<delivery> xs) override {
    deliveries += xs.size();
  }
  void confirmed(std::vector<confirmation>) override {
  }
  void returned(returned_message) override {
  }
  void blocked(std::string) override {
  }
  void unblocked() override {
  }
  void cancelled(consumer_id) override {
  }
  void refused(std::uint64_t, actors::failure) override {
  }
  void suspected(std::vector<request_id>) override {
  }
  void learned(broker_limits) override {
  }
  void channel_closed(closed_channel) override {
  }
  void down(actors::failure why) override {
    bench::fail(why.text);
  }

  std::uint64_t deliveries = 0;
};

// -- a link ---------------------------------------------------------------------------

using stub::id_of;
using stub::writer;

std::string method(std::uint16_t channel, std::uint32_t id, const std::string& arguments) {
  return writer{}.frame(stub::method_frame, channel, writer{}.number(id).text() + arguments).text();
}

std::string handshake() {
  auto start = writer{}.number(std::uint16_t{9}).long_string("").long_string("PLAIN").text()
               + writer{}.long_string("en_US").text();
  auto tune = writer{}
                  .number(std::uint16_t{2047})
                  .number(std::uint32_t{131'072})
                  .number(std::uint16_t{0})
                  .text();
  return method(0, id_of(10, 10), start) + method(0, id_of(10, 30), tune)
         + method(0, id_of(10, 41), writer{}.short_string("").text());
}

std::string message(std::uint64_t tag, const std::string& body) {
  auto deliver = writer{}
                     .short_string("la-1")
                     .number(tag)
                     .number(std::uint8_t{0})
                     .short_string("Orderbook")
                     .short_string("binance.ETH/USDT")
                     .text();
  auto header = writer{}
                    .number(std::uint16_t{60})
                    .number(std::uint16_t{0})
                    .number(static_cast<std::uint64_t>(body.size()))
                    .number(std::uint16_t{0})
                    .text();
  return method(2, id_of(60, 60), deliver)
         + writer{}.frame(stub::header_frame, 2, header).frame(stub::body_frame, 2, body).text();
}

/// Of each message: three frames, as they come from the socket.
void receive_frames(benchmark::State& state) {
  constexpr std::uint64_t batch = 100;
  auto what = bench::make_bodies("book10", batch);
  std::string bytes;
  for (std::uint64_t i = 0; i < batch; ++i)
    bytes += message(i + 1, what.sealed[i]);
  auto events = std::make_shared<counting_listener>();
  session::time_point now{std::chrono::hours{1}};
  session talk{endpoint{}, true, events, now};
  talk.feed(handshake(), now);
  consumer taker;
  taker.id = 1;
  taker.queue = "q";
  talk.execute(request_command{1, start_consumer{taker}}, now);
  for (auto _ : state)
    talk.feed(bytes, now);
  state.SetItemsProcessed(static_cast<std::int64_t>(events->deliveries));
}

BENCHMARK(receive_frames);

/// Frames of publications, sent in batches.
void send_frames(benchmark::State& state) {
  constexpr std::uint64_t batch = 100;
  auto body = std::make_shared<const std::string>(bench::make_bodies("book10", 1).sealed.front());
  session::time_point now{std::chrono::hours{1}};
  session talk{endpoint{}, false, std::make_shared<counting_listener>(), now};
  talk.feed(handshake(), now);
  std::uint64_t id = 0;
  for (auto _ : state) {
    publish_command batch_of;
    for (std::uint64_t i = 0; i < batch; ++i) {
      publication x;
      x.id = ++id;
      x.exchange = "Orderbook";
      x.routing_key = "binance.ETH/USDT";
      x.properties.message_id = std::to_string(id);
      x.properties.position = stream_position{1, id};
      x.body = body;
      batch_of.items.push_back(std::move(x));
    }
    talk.execute(std::move(batch_of), now);
    talk.consume(talk.output().size(), now);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(id));
}

BENCHMARK(send_frames);

} // namespace
