#define CAF_SUITE examples.candle_builder

#include "docs/examples/candle_builder.hpp"

#include <actors/testing/center_fixture.hpp>
#include <caf/send.hpp>

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::testing;
using namespace std::chrono_literals;

namespace {

namespace fs = std::filesystem;

/// A folder for one test.
struct folder {
  fs::path path = fs::temp_directory_path() / unique_instance();

  folder() {
    create_directories(path);
  }

  ~folder() {
    remove_all(path);
  }
};

/// The i-th trade: one a second.
trade trade_at(int i) {
  const auto price = 100 + (i * 7) % 11;
  return {.platform = "simulated",
          .symbol = "ETH/USDT",
          .price = decimal::fixed(price, 2),
          .quantity = decimal::fixed(0.1 * (1 + i % 3), 1),
          .timestamp = 1'000'000 + i * 1'000};
}

constexpr auto trades_in_all = 23;

using candles = std::vector<kline>;

class run_of_builder {
public:
  void start() {
    builder_ = x.spawn(candle_builder, state_file);
  }

  void kill() {
    caf::anon_send_exit(builder_, caf::exit_reason::kill);
    builder_ = nullptr;
    x.run();
  }

  bool is_running() {
    return x.is_running(builder_);
  }

  void publish(int first, int last) {
    for (auto i = first; i < last; ++i)
      x.publish(trade_at(i));
  }

  /// The trade that opens the second candle is in the stream twice, as if its publisher had
  /// sent it again.
  void publish_copy_of_sixth(int first, int last) {
    for (auto i = first; i < last; ++i) {
      if (i == 5)
        x.broker().duplicate_next("tape");
      publish(i, i + 1);
    }
  }

  folder home;
  fs::path state_file = home.path / "state";
  center_fixture x;
  std::shared_ptr<const candles> built = x.record<kline>();

private:
  caf::actor builder_;
};

candles uninterrupted() {
  run_of_builder it;
  it.start();
  it.publish(0, trades_in_all);
  return *it.built;
}

} // namespace

CAF_TEST(candles are those of five seconds) {
  const auto built = uninterrupted();
  CAF_REQUIRE_EQUAL(built.size(), 4u);
  const auto& first = built.front();
  CAF_CHECK_EQUAL(first.timestamp, 1'000'000);
  CAF_CHECK_EQUAL(first.open.text(), "100.00");
  CAF_CHECK_EQUAL(first.high.text(), "110.00");
  CAF_CHECK_EQUAL(first.low.text(), "100.00");
  CAF_CHECK_EQUAL(first.close.text(), "106.00");
  CAF_CHECK_EQUAL(first.volume.value(), 0.1 + 0.2 + 0.3 + 0.1 + 0.2);
  CAF_CHECK_EQUAL(built.back().timestamp, 1'015'000);
}

CAF_TEST(whenever the builder is killed the candles are the same) {
  const auto expected = uninterrupted();
  for (auto at = 0; at <= trades_in_all; ++at) {
    for (auto away : {0, 1, 7}) {
      CAF_MESSAGE("killed after " << at << " trades, away for " << away);
      run_of_builder it;
      it.start();
      it.publish(0, at);
      it.kill();
      const auto back = std::min(at + away, trades_in_all);
      it.publish(at, back);
      it.start();
      it.publish(back, trades_in_all);
      CAF_CHECK(*it.built == expected);
    }
  }
}

CAF_TEST(a copy from before the builder was killed is known as one) {
  const auto expected = uninterrupted();
  for (auto at = 6; at <= trades_in_all; ++at) {
    CAF_MESSAGE("killed after " << at << " trades");
    run_of_builder it;
    it.start();
    it.publish_copy_of_sixth(0, at);
    it.kill();
    it.start();
    it.publish(at, trades_in_all);
    CAF_CHECK(*it.built == expected);
  }
}

CAF_TEST(lost links change no candle) {
  const auto expected = uninterrupted();
  run_of_builder it;
  it.start();
  for (auto i = 0; i < trades_in_all; ++i) {
    it.publish(i, i + 1);
    it.x.drop_links();
    it.x.advance(10s);
  }
  CAF_CHECK(*it.built == expected);
}

CAF_TEST(a candle whose answer was not heard is published again and is the same) {
  const auto expected = uninterrupted();
  run_of_builder it;
  it.start();
  it.publish(0, 5);
  it.x.broker().delay_deliveries(true);
  it.publish(5, 6);
  it.x.broker().block("memory");
  it.x.broker().delay_deliveries(false);
  it.x.run();
  it.kill();
  CAF_CHECK(!exists(it.state_file));
  it.x.broker().unblock();
  it.x.run();
  it.start();
  it.publish(6, trades_in_all);
  auto built = *it.built;
  CAF_REQUIRE_EQUAL(built.size(), expected.size() + 1);
  CAF_CHECK(built[0] == built[1]);
  built.erase(built.begin());
  CAF_CHECK(built == expected);
}

CAF_TEST(no trade is late enough to open a candle again) {
  run_of_builder it;
  it.start();
  it.publish(0, 7);
  it.publish(3, 4);
  it.publish(7, 11);
  CAF_REQUIRE_EQUAL(it.built->size(), 2u);
  CAF_CHECK_EQUAL(it.built->back().timestamp, 1'005'000);
}

CAF_TEST(a state that cannot be read is not passed over) {
  run_of_builder it;
  std::ofstream{it.state_file} << "nonsense\n";
  it.start();
  CAF_CHECK(!it.is_running());
  it.publish(0, trades_in_all);
  CAF_CHECK(it.built->empty());
}
