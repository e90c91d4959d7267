#include "bare/commands.hpp"
#include "bare/connection.hpp"
#include "bodies.hpp"

namespace bare {

namespace {

std::string key(std::uint64_t i) {
  return "simulated.S" + std::to_string(i) + "/USDT";
}

void ask_declare(const connection& broker, const std::string& queue) {
  amqp_queue_declare_t x{};
  x.queue = bytes_of(queue);
  x.auto_delete = 1;
  amqp_send_method(broker.get(), 1, AMQP_QUEUE_DECLARE_METHOD, &x);
}

void ask_bind(const connection& broker, const std::string& queue, const std::string& routing_key) {
  amqp_queue_bind_t x{};
  x.queue = bytes_of(queue);
  x.exchange = bytes_of("Orderbook");
  x.routing_key = bytes_of(routing_key);
  amqp_send_method(broker.get(), 1, AMQP_QUEUE_BIND_METHOD, &x);
}

void ask_consume(const connection& broker, const std::string& queue) {
  amqp_basic_consume_t x{};
  x.queue = bytes_of(queue);
  amqp_send_method(broker.get(), 1, AMQP_BASIC_CONSUME_METHOD, &x);
}

} // namespace

void subscriptions(const bench::work& x) {
  connection broker{x.url};
  broker.declare_exchange("Orderbook");
  amqp_basic_qos(broker.get(), 1, 0, x.prefetch, 0);
  broker.check("basic.qos");
  auto begin = bench::usage_now(x.broker);
  for (std::uint64_t i = 0; i < x.count; ++i) {
    auto queue = x.queue + '.' + std::to_string(i);
    ask_declare(broker, queue);
    ask_bind(broker, queue, key(i));
    ask_consume(broker, queue);
  }
  for (std::uint64_t answers = 0; answers < 3 * x.count;) {
    amqp_frame_t frame;
    if (amqp_simple_wait_frame(broker.get(), &frame) != AMQP_STATUS_OK)
      bench::fail("the connection was lost");
    if (frame.frame_type == AMQP_FRAME_METHOD
        && frame.payload.method.id == AMQP_CHANNEL_CLOSE_METHOD)
      bench::fail("the broker refused a queue");
    if (frame.frame_type == AMQP_FRAME_METHOD)
      ++answers;
    amqp_maybe_release_buffers(broker.get());
  }
  auto end = bench::usage_now(x.broker);
  auto seconds = std::chrono::duration<double>(end.at - begin.at).count();
  bench::print_figures({{"events", static_cast<double>(x.count)},
                        {"seconds", seconds},
                        {"cpu", end.cpu - begin.cpu},
                        {"broker", end.broker - begin.broker},
                        {"resident", bench::resident_mib()}});
}

} // namespace bare
