#include <variant>

#include "bare/book.hpp"
#include "bare/commands.hpp"
#include "bare/connection.hpp"
#include "bodies.hpp"

namespace bare {

namespace {

/// The bare loop's own books, before anything is measured.
std::vector<book> books_of(const bench::bodies& what) {
  std::vector<book> result;
  for (auto& x : what.events)
    result.push_back(copy_of(std::get<actors::orderbook>(x)));
  return result;
}

constexpr std::size_t largest_batch = 60'000;

} // namespace

void publish(const bench::work& x) {
  auto what = bench::make_bodies(x.kind);
  auto books = books_of(what);
  connection broker{x.url};
  book_writer writer;
  publish_batch batch{broker, what.exchange, what.routing_key, x.numbered};
  bench::measurement measured{x.warm_up, x.count, x.broker};
  for (std::uint64_t i = 1; i <= x.count; ++i) {
    batch.add(writer.write(books[i % books.size()]));
    if (batch.size() >= largest_batch || i == x.warm_up || i == x.count)
      batch.flush();
    measured.event(i);
  }
  measured.print();
}

void publish_singly(const bench::work& x) {
  auto what = bench::make_bodies(x.kind);
  auto books = books_of(what);
  connection broker{x.url};
  book_writer writer;
  bench::measurement measured{x.warm_up, x.count, x.broker};
  for (std::uint64_t i = 1; i <= x.count; ++i) {
    auto body = writer.write(books[i % books.size()]);
    amqp_basic_publish(broker.get(), 1, bytes_of(what.exchange), bytes_of(what.routing_key), 0, 0,
                       nullptr, bytes_of(body));
    measured.event(i);
  }
  measured.print();
}

void confirms(const bench::work& x) {
  auto what = bench::make_bodies(x.kind);
  auto books = books_of(what);
  connection broker{x.url};
  broker.select_confirms();
  book_writer writer;
  publish_batch batch{broker, what.exchange, what.routing_key, x.numbered};
  confirm_reader answers{broker};
  bench::measurement measured{x.warm_up, x.count, x.broker};
  std::uint64_t published = 0;
  std::uint64_t counted = 0;
  while (answers.confirmed() < x.count) {
    // A part of the window at a time, so that the broker is never idle.
    while (published < x.count && published - answers.confirmed() < x.window
           && batch.size() < largest_batch) {
      batch.add(writer.write(books[++published % books.size()]));
      if (batch.size() >= largest_batch / 8)
        batch.flush();
    }
    batch.flush();
    if (published - answers.confirmed() >= x.window || published == x.count)
      answers.wait();
    while (counted < answers.confirmed())
      measured.event(++counted);
  }
  measured.print();
}

} // namespace bare
