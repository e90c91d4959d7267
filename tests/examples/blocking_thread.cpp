#define CAF_SUITE examples.blocking_thread

// In real time, as a thread knows no other.

#include "docs/examples/blocking_thread.hpp"

#include <condition_variable>
#include <future>
#include <mutex>
#include <streambuf>

#include <actors/amqp/memory_broker.hpp>
#include <actors/system_config.hpp>

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace std::chrono_literals;

namespace {

/// Longer than anything takes.
constexpr auto long_enough = 30s;

/// Takes what threads print, while there is one.
class printed_text : std::streambuf {
public:
  printed_text() : before_(std::cout.rdbuf(this)) {
    // nop
  }

  ~printed_text() override {
    std::cout.rdbuf(before_);
  }

  bool await(std::string_view text) {
    std::unique_lock guard{mutex_};
    return more_.wait_for(guard, long_enough,
                          [&] { return text_.find(text) != std::string::npos; });
  }

private:
  int_type overflow(int_type x) override {
    const auto letter = traits_type::to_char_type(x);
    return xsputn(&letter, 1) == 1 ? x : traits_type::eof();
  }

  std::streamsize xsputn(const char* text, std::streamsize size) override {
    std::lock_guard guard{mutex_};
    text_.append(text, static_cast<std::size_t>(size));
    more_.notify_all();
    return size;
  }

  std::streambuf* before_;
  std::mutex mutex_;
  std::condition_variable more_;
  std::string text_;
};

struct fixture {
  explicit fixture(const std::string& url = "memory:spreads")
      : center(system, *parse_config(R"({"LOG": {"level": "OFF"}, "RABBITMQ": {"url": ")" + url
                                     + R"("}})")) {
    // nop
  }

  std::future<caf::error> start() {
    return std::async(std::launch::async,
                      [this] { return publish_spreads(stop.get_token(), of_thread, center); });
  }

  /// Ends the thread, and looks at what it leaves.
  void end(std::future<caf::error> thread) {
    stop.request_stop();
    CAF_CHECK(!thread.get());
    CAF_CHECK_EQUAL(subscriptions(), 1u); // ours
  }

  void follow_spreads() {
    center.subscribe(self, subscription::to_events("Spread", "simulated.ETH/USDT"))
        .receive([](const subscribed&) {}, [](const caf::error& err) { CAF_FAIL(text_of(err)); });
  }

  /// Nobody takes a book until the thread has subscribed.
  void publish_book(double spread) {
    const orderbook book{.platform = "simulated",
                         .symbol = "ETH/USDT",
                         .asks = {{decimal::fixed(100 + spread, 2), decimal::fixed(1, 0)}},
                         .bids = {{decimal::fixed(100, 2), decimal::fixed(1, 0)}}};
    for (auto taken = false; !taken;)
      center.publish(self, book, {.mandatory = true})
          .receive([&](const published&) { taken = true; },
                   [](const caf::error& err) { CAF_CHECK(code_of(err) == ec::no_route); });
  }

  void expect_spread(double spread) {
    self->receive(
        [&](const event& x) { CAF_CHECK_EQUAL(x.data, json{to_value(decimal::fixed(spread, 2))}); },
        caf::after(long_enough) >> [] { CAF_FAIL("nothing was published"); });
  }

  std::size_t subscriptions() {
    std::size_t result = 0;
    center.status(self).receive(
        [&](const center_status& x) { result = x.dispatcher.handlers.size(); },
        [](const caf::error& err) { CAF_ERROR(text_of(err)); });
    return result;
  }

  std::shared_ptr<amqp::memory_broker> broker = amqp::memory_broker::named("spreads");
  printed_text printed;
  system_config cfg;
  caf::actor_system system{cfg};
  scoped_event_center center;
  caf::scoped_actor self{system};
  caf::scoped_actor of_thread{system};
  std::stop_source stop;
};

} // namespace

CAF_TEST(a thread hears and publishes and leaves nothing) {
  fixture x;
  x.follow_spreads();
  auto thread = x.start();
  x.publish_book(2);
  x.expect_spread(2);
  x.publish_book(3);
  x.expect_spread(3);
  x.end(std::move(thread));
}

CAF_TEST(a thread whose message is not answered goes on) {
  fixture x;
  x.follow_spreads();
  auto thread = x.start();
  x.publish_book(2);
  x.expect_spread(2);
  // The broker takes no publications once the thread has the book, but may do so later.
  x.broker->delay_deliveries(true);
  x.publish_book(3);
  x.broker->block("low on memory");
  x.broker->delay_deliveries(false);
  CAF_CHECK(x.printed.await("no answer in time"));
  x.broker->unblock();
  x.expect_spread(3);
  x.publish_book(4);
  x.expect_spread(4);
  x.end(std::move(thread));
}

CAF_TEST(a thread whose subscription is not answered says so and leaves nothing) {
  fixture x;
  CAF_REQUIRE(!x.center.wait_until_up(long_enough));
  x.broker->stall();
  auto thread = x.start();
  CAF_CHECK(thread.get() == caf::sec::request_timeout);
  CAF_CHECK_EQUAL(x.subscriptions(), 0u);
  x.broker->resume();
}

CAF_TEST(a thread without a broker says so) {
  fixture x{"amqp://127.0.0.1:1"};
  CAF_CHECK(code_of(x.start().get()) == ec::connect_timeout);
}
