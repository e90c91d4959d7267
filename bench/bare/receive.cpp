#include <iostream>
#include <variant>

#include "actors/event_type.hpp"
#include "bare/book.hpp"
#include "bare/commands.hpp"
#include "bare/connection.hpp"
#include "bodies.hpp"

namespace bare {

namespace {

void prepare(const connection& broker, const std::string& queue, const bench::bodies& what) {
  broker.declare_exchange(what.exchange);
  broker.declare_queue(queue);
  broker.bind(queue, what.exchange, what.routing_key);
}

} // namespace

void declare(const bench::work& x) {
  prepare(connection{x.url}, x.queue, bench::make_bodies(x.kind, 1));
}

void drop(const bench::work& x) {
  connection broker{x.url};
  amqp_queue_delete(broker.get(), 1, bytes_of(x.queue), 0, 0);
  broker.check("queue.delete");
}

void fill(const bench::work& x) {
  auto what = bench::make_bodies(x.kind);
  connection broker{x.url};
  prepare(broker, x.queue, what);
  broker.select_confirms(); // so that the broker is not overrun
  publish_batch batch{broker, what.exchange, what.routing_key};
  confirm_reader confirms{broker};
  for (std::uint64_t i = 0; i < x.count; ++i) {
    batch.add(what.sealed[i % what.sealed.size()]);
    if (batch.size() < 32'768)
      continue;
    batch.flush();
    while (confirms.confirmed() + 4'000 < i)
      confirms.wait();
  }
  batch.flush();
  while (confirms.confirmed() < x.count)
    confirms.wait();
}

void texts(const bench::work& x) {
  for (auto& event : bench::make_bodies(x.kind).events)
    std::cout << actors::data_of(std::get<actors::orderbook>(event)) << '\n';
}

void receive(const bench::work& x) {
  auto what = bench::make_bodies(x.kind, 1);
  connection broker{x.url};
  prepare(broker, x.queue, what);
  broker.consume(x.queue, x.prefetch, x.no_ack);
  delivery_reader deliveries{broker};
  book_reader reader;
  bench::measurement measured{x.warm_up, x.count, x.broker};
  const auto most_unacked = x.prefetch / 2u;
  for (std::uint64_t i = 1, unacked = 0; i <= x.count; ++i) {
    auto next = deliveries.next();
    on_book(reader.read(next.body));
    if (!x.no_ack && (++unacked > most_unacked || deliveries.drained())) {
      amqp_basic_ack(broker.get(), 1, next.tag, unacked > 1);
      unacked = 0;
    }
    measured.event(i);
  }
  measured.print();
}

} // namespace bare
