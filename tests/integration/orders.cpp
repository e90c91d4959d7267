#define CAF_SUITE orders

// The row "orders" of the first table in docs/delivery-guarantees.md, with the settings that it
// names and no others: each order is handled once by a strategy that lives, and whoever placed
// one is told honestly what became of it.

#include <map>
#include <mutex>

#include "center/messages.hpp"
#include "support/chaos_proxy.hpp"
#include "support/numbered_fixture.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::testing;
using namespace std::chrono_literals;

namespace {

/// What became of each order: to whoever placed it, and to the strategy.
class order_book {
public:
  std::uint64_t next() {
    std::unique_lock guard{mutex_};
    return ++last_;
  }

  void answered(std::uint64_t number, ec answer) {
    std::unique_lock guard{mutex_};
    answers_.emplace(number, answer);
  }

  void handled(std::uint64_t number) {
    std::unique_lock guard{mutex_};
    ++handled_[number];
  }

  std::uint64_t placed() {
    std::unique_lock guard{mutex_};
    return last_;
  }

  std::size_t count_handled() {
    std::unique_lock guard{mutex_};
    return handled_.size();
  }

  std::size_t count_answered() {
    std::unique_lock guard{mutex_};
    return answers_.size();
  }

  std::size_t count(ec answer) {
    std::unique_lock guard{mutex_};
    return static_cast<std::size_t>(std::count_if(answers_.begin(), answers_.end(),
                                                  [=](auto& x) { return x.second == answer; }));
  }

  bool all_answered() {
    std::unique_lock guard{mutex_};
    return answers_.size() == last_;
  }

  /// Whether each order is handled that its publisher takes for placed.
  bool all_published_handled() {
    std::unique_lock guard{mutex_};
    return std::all_of(answers_.begin(), answers_.end(),
                       [&](auto& x) { return x.second != ec::none || handled_.contains(x.first); });
  }

  std::size_t handled_twice() {
    std::unique_lock guard{mutex_};
    return static_cast<std::size_t>(
        std::count_if(handled_.begin(), handled_.end(), [](auto& x) { return x.second > 1; }));
  }

  /// Orders that were handled, whose publisher was told that they were not delivered.
  std::size_t lies() {
    std::unique_lock guard{mutex_};
    return static_cast<std::size_t>(std::count_if(answers_.begin(), answers_.end(), [&](auto& x) {
      return x.second != ec::none && x.second != ec::in_doubt && handled_.contains(x.first);
    }));
  }

private:
  std::mutex mutex_;
  std::uint64_t last_ = 0;
  std::map<std::uint64_t, ec> answers_;
  std::map<std::uint64_t, int> handled_;
};

struct order_maker_state {
  bool ticking = false;
  static inline const char* name = "order_maker";
};

/// Places as many orders at once as it is told; after start_atom one every few ms as well,
/// until stop_atom.
caf::behavior order_maker(caf::stateful_actor<order_maker_state>* self, const event_center& center,
                          const std::string& exchange, const std::string& key,
                          const std::shared_ptr<order_book>& books) {
  auto place = [=] {
    event x;
    x.name = numbered::event_name;
    x.exchange = exchange;
    x.routing_key = key;
    const auto number = books->next();
    x.data = json{to_json(numbered{"maker", key, number})};
    center.publish(self, x, {.mandatory = true, .persistent = true})
        .then([=](const published&) { books->answered(number, ec::none); },
              [=](const caf::error& err) { books->answered(number, code_of(err)); });
  };
  return {
      [=](int count) {
        for (auto i = 0; i < count; ++i)
          place();
      },
      [=](start_atom) {
        self->state.ticking = true;
        self->send(self, tick_atom_v);
      },
      [=](stop_atom) { self->state.ticking = false; },
      [=](tick_atom) {
        if (!self->state.ticking)
          return;
        place();
        self->delayed_send(self, 5ms, tick_atom_v);
      },
  };
}

caf::behavior order_strategy(caf::event_based_actor* self, const event_center& center,
                             subscription what, const std::shared_ptr<order_book>& books) {
  center.subscribe(self, std::move(what));
  return {[=](const numbered& x) { books->handled(x.number); }};
}

/// Whoever places orders and the strategy that handles them, each with a way to the broker of its
/// own.
struct fixture {
  explicit fixture(std::string name = std::string{numbered::exchange}) : exchange(std::move(name)) {
    add_strategy();
    CAF_REQUIRE(consumes());
    maker = makers.sys.spawn(order_maker, event_center{makers.center}, exchange, key, books);
    makers.strategies.push_back(maker);
  }

  void add_strategy() {
    strategies = std::make_unique<center_fixture>(settings_for_tests(to_strategies.url()));
    auto what =
        subscription::to<numbered>(key).on_quorum_queue(queue).single_active_consumer().retried();
    what.exchange = exchange;
    strategies->strategies.push_back(strategies->sys.spawn(
        order_strategy, event_center{strategies->center}, std::move(what), books));
  }

  bool consumes() {
    return eventually([this] {
      const auto rows = strategies->status().dispatcher.handlers;
      return !rows.empty() && rows[0].consuming;
    });
  }

  void place(int count) const {
    caf::anon_send(maker, count);
  }

  std::string exchange;
  std::string key = unique_name("orders");
  std::string queue = unique_name("orders");
  std::shared_ptr<order_book> books = std::make_shared<order_book>();
  chaos_proxy to_makers{test_broker::url()};
  chaos_proxy to_strategies{test_broker::url()};
  center_fixture makers{settings_for_tests(to_makers.url())};
  std::unique_ptr<center_fixture> strategies;
  caf::actor maker;
};

} // namespace

// The broker has taken them; they are sent again, and the copies dropped.
CAF_TEST(orders whose confirmation is lost with the link are handled once) {
  if (!test_broker::available())
    return;
  fixture f;
  f.place(1);
  CAF_REQUIRE(eventually([&] { return f.books->count(ec::none) == 1; }));
  f.to_makers.tell("mute publishing");
  f.place(50);
  CAF_CHECK(eventually([&] { return f.books->count_handled() == 51; }));
  CAF_CHECK_EQUAL(f.books->count_answered(), 1u);
  f.to_makers.tell("cut publishing");
  CAF_CHECK(eventually([&] { return f.books->all_answered(); }));
  CAF_CHECK_EQUAL(f.books->count(ec::none), 51u);
  // Behind the copies.
  f.place(1);
  CAF_CHECK(eventually([&] { return f.books->count_handled() == 52; }));
  CAF_CHECK_EQUAL(f.books->handled_twice(), 0u);
}

// Their queue is gone when they are sent again: nobody can know that any more.
CAF_TEST(orders that may have been delivered are in doubt) {
  if (!test_broker::available())
    return;
  fixture f;
  f.place(1);
  CAF_REQUIRE(eventually([&] { return f.books->count(ec::none) == 1; }));
  f.to_makers.tell("mute publishing");
  f.place(50);
  CAF_REQUIRE(eventually([&] { return f.books->count_handled() == 51; }));
  f.strategies.reset();
  test_broker::ctl("delete_queue " + f.queue);
  f.to_makers.tell("cut publishing");
  CAF_CHECK(eventually([&] { return f.books->all_answered(); }));
  CAF_CHECK_EQUAL(f.books->count(ec::in_doubt), 50u);
  // These were sent once only.
  f.place(5);
  CAF_CHECK(eventually([&] { return f.books->count_answered() == 56; }));
  CAF_CHECK_EQUAL(f.books->count(ec::no_route), 5u);
  CAF_CHECK_EQUAL(f.books->lies(), 0u);
}

// Of AIOQuant's exchanges the bindings are gone with the broker, until their consumers are back.
CAF_TEST(the answer about an order is honest over crashes and resets) {
  if (!test_broker::available())
    return;
  fixture f{std::string{trade::exchange}};
  // RabbitMQ writes down where a new quorum queue is when it stops, else minutes later: until then
  // the queue is empty after a crash, or has no leader for ever.
  test_broker::restart();
  caf::anon_send(f.maker, start_atom_v);
  auto go_on = [&] {
    const auto placed = f.books->count_answered();
    const auto handled = f.books->count_handled();
    return eventually([&] {
      return f.books->count_answered() > placed + 50 && f.books->count_handled() > handled + 20;
    });
  };
  CAF_REQUIRE(go_on());
  for (auto i = 0; i < 5; ++i) {
    f.to_makers.tell("cut publishing");
    CAF_CHECK(go_on());
  }
  test_broker::kill();
  test_broker::restart();
  CAF_CHECK(go_on());
  // The broker takes orders without a word of it to their maker, and has no way to the queue for
  // them when they are sent again.
  f.to_strategies.tell("refuse");
  f.to_strategies.tell("cut");
  f.to_makers.tell("mute publishing");
  const auto placed = f.books->placed();
  CAF_CHECK(eventually([&] { return f.books->placed() > placed + 100; }));
  // RabbitMQ 4.3 has it after a crash as well.
  test_broker::folder().delete_exchange(f.exchange);
  test_broker::kill();
  test_broker::restart();
  CAF_CHECK(eventually([&] { return f.books->count(ec::no_route) > 20; }));
  CAF_CHECK(f.books->count(ec::in_doubt) > 20);
  f.to_strategies.tell("listen");
  CAF_CHECK(go_on());
  caf::anon_send(f.maker, stop_atom_v);
  CAF_CHECK(eventually([&] { return f.books->all_answered(); }));
  CAF_CHECK(eventually([&] { return f.books->all_published_handled(); }));
  CAF_MESSAGE(f.books->placed() << " placed, " << f.books->count(ec::none) << " published, "
                                << f.books->count(ec::no_route) << " not delivered, "
                                << f.books->count(ec::in_doubt) << " in doubt; "
                                << f.books->count_handled() << " handled");
  CAF_CHECK_EQUAL(f.books->lies(), 0u);
  CAF_CHECK_EQUAL(f.books->handled_twice(), 0u);
}
