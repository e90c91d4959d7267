#include <thread>
#include <variant>

#include "bare/book.hpp"
#include "bare/commands.hpp"
#include "bare/connection.hpp"
#include "bodies.hpp"

namespace bare {

namespace {

// The books carry their numbers as timestamps.
void publish_when_due(const bench::work& x, const bench::schedule& when, const connection& broker) {
  auto what = bench::make_bodies(x.kind);
  book_writer writer;
  publish_batch batch{broker, what.exchange, what.routing_key};
  for (std::uint64_t i = 1; i <= x.count; ++i) {
    auto next = copy_of(std::get<actors::orderbook>(what.events[i % what.events.size()]));
    next.timestamp = static_cast<std::int64_t>(i);
    when.await(i);
    batch.add(writer.write(next));
    batch.flush();
  }
}

} // namespace

void latency(const bench::work& x) {
  auto what = bench::make_bodies(x.kind, 1);
  connection publishing{x.url};
  connection consuming{x.url};
  consuming.declare_exchange(what.exchange);
  consuming.declare_queue(x.queue);
  consuming.bind(x.queue, what.exchange, what.routing_key);
  consuming.consume(x.queue, x.prefetch, false);
  bench::schedule when{x.rate};
  auto begin = bench::usage_now(0);
  std::thread publisher{[&] { publish_when_due(x, when, publishing); }};
  delivery_reader deliveries{consuming};
  book_reader reader;
  std::vector<double> late;
  for (std::uint64_t i = 1; i <= x.count; ++i) {
    auto next = deliveries.next();
    auto& book = reader.read(next.body);
    on_book(book);
    if (i > x.warm_up)
      late.push_back(
          when.lateness(static_cast<std::uint64_t>(book.timestamp), bench::clock::now()));
    amqp_basic_ack(consuming.get(), 1, next.tag, 0);
  }
  publisher.join();
  auto cpu = bench::usage_now(0).cpu - begin.cpu;
  bench::print_latencies(std::move(late), cpu / static_cast<double>(x.count));
}

} // namespace bare
