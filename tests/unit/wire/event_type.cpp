#define CAF_SUITE event_type

#include "actors/event_type.hpp"

#include <stdexcept>
#include <string>

#include "caf/test/dsl.hpp"

using namespace actors;

namespace app {

// What a user writes for an event type of their own: a struct, two functions.
struct funding {
  static constexpr std::string_view event_name = "EVENT_FUNDING";
  static constexpr std::string_view exchange = "Funding";
  std::string platform, symbol;
  double rate = 0;
};

boost::json::value to_json(const funding& x) {
  return {{"p", x.platform}, {"s", x.symbol}, {"r", x.rate}};
}

caf::error from_json(const boost::json::value& in, funding& out) {
  out.platform = in.at("p").as_string();
  out.symbol = in.at("s").as_string();
  out.rate = in.at("r").to_number<double>();
  if (out.rate > 1)
    return make_error(ec::malformed_json, "EVENT_FUNDING: key 'r' is above 1");
  return caf::none;
}

// One of which each routing key has many subjects.
struct option_quote {
  static constexpr std::string_view event_name = "EVENT_OPTION_QUOTE";
  static constexpr std::string_view exchange = "OptionQuote";
  std::string platform;
  std::string symbol;
  std::string expiry;
  int strike = 0;
};

boost::json::value to_json(const option_quote& x) {
  return {{"p", x.platform}, {"s", x.symbol}, {"e", x.expiry}, {"k", x.strike}};
}

caf::error from_json(const boost::json::value& in, option_quote& out) {
  out.expiry = in.at("e").as_string();
  out.strike = in.at("k").to_number<int>();
  return caf::none;
}

std::string subject_of(const option_quote& x) {
  return x.expiry + ' ' + std::to_string(x.strike);
}

// One that reads its text itself, and throws what is no exception.
struct rude {
  static constexpr std::string_view event_name = "EVENT_RUDE";
  static constexpr std::string_view exchange = "Rude";
};

caf::error from_json(std::string_view, rude&, std::size_t) {
  throw 7;
}

void append_json(std::string& out, const rude&) {
  out += "{}";
}

// One that cannot even be made.
struct unmakeable {
  static constexpr std::string_view event_name = "EVENT_UNMAKEABLE";
  static constexpr std::string_view exchange = "Unmakeable";

  unmakeable() {
    throw std::runtime_error("not today");
  }
};

boost::json::value to_json(const unmakeable&) {
  return {};
}

caf::error from_json(const boost::json::value&, unmakeable&) {
  return caf::none;
}

} // namespace app

namespace {

static_assert(text_event<orderbook> && text_event<trade> && text_event<kline>);
static_assert(value_event<app::funding> && !text_event<app::funding>);
static_assert(event_with_subject<kline> && event_with_subject<app::option_quote>);
static_assert(!event_with_subject<trade> && !event_with_subject<app::funding>);
static_assert(!event_type<event> && !event_type<int>);

received_event received(std::string_view name, std::string_view data) {
  received_event result;
  result.name = name;
  result.data = data;
  result.exchange = "Orderbook";
  result.queue = "actors.Orderbook.#";
  result.routing_key = "binance.ETH/USDT";
  result.prefetch_count = 7;
  return result;
}

std::string problem(const caf::expected<caf::message>& x) {
  return x ? "none" : to_string(to_failure(x.error()));
}

std::string funding_problem(std::string_view data) {
  return problem(codec_of<app::funding>().decode(received("EVENT_FUNDING", data)));
}

} // namespace

CAF_TEST(routing keys) {
  CAF_CHECK_EQUAL(routing_key_of(app::funding{"okx", "BTC/USDT", 0}), "okx.BTC/USDT");
}

CAF_TEST(an event type of the user) {
  app::funding x{"okx", "BTC/USDT", 0.0001};
  auto text = data_of(x);
  CAF_CHECK_EQUAL(text, R"({"p": "okx", "s": "BTC/USDT", "r": 0.0001})");
  auto codec = codec_of<app::funding>();
  CAF_CHECK_EQUAL(std::string{codec.name}, "EVENT_FUNDING");
  CAF_CHECK(codec.subject == nullptr);
  auto message = codec.decode(received("EVENT_FUNDING", text));
  CAF_REQUIRE(message);
  CAF_REQUIRE(message->match_elements<app::funding>());
  CAF_CHECK(message->get_as<app::funding>(0).rate == 0.0001);
}

CAF_TEST(what a user function refuses is an error) {
  CAF_CHECK_EQUAL(funding_problem(R"({"p": "", "s": "", "r": 2})"),
                  "malformed_json: EVENT_FUNDING: key 'r' is above 1");
}

CAF_TEST(what a user function throws is an error) {
  CAF_CHECK(funding_problem("{}").starts_with("malformed_json: EVENT_FUNDING: "));
  CAF_CHECK(funding_problem("[]").starts_with("malformed_json: EVENT_FUNDING: "));
  CAF_CHECK(funding_problem(R"({"p": 1, "s": "", "r": 0})")
                .starts_with("malformed_json: EVENT_FUNDING: "));
}

CAF_TEST(whatever is thrown at an event is an error) {
  CAF_CHECK_EQUAL(problem(codec_of<app::rude>().decode(received("EVENT_RUDE", "{}"))),
                  "malformed_json: EVENT_RUDE: an exception that is no std::exception");
  CAF_CHECK_EQUAL(problem(codec_of<app::unmakeable>().decode(received("EVENT_UNMAKEABLE", "{}"))),
                  "malformed_json: EVENT_UNMAKEABLE: not today");
}

CAF_TEST(broken text does not reach a user function) {
  CAF_CHECK_EQUAL(funding_problem("{"), "malformed_json: EVENT_FUNDING: offset 1: incomplete JSON");
}

CAF_TEST(market data is decoded into its struct) {
  auto text = R"({"p": "binance", "s": "ETH/USDT", "a": [], "b": [["1.50", "2"]], "t": 5})";
  auto message = codec_of<orderbook>().decode(received("EVENT_ORDERBOOK", text));
  CAF_REQUIRE(message);
  CAF_REQUIRE(message->match_elements<orderbook>());
  CAF_CHECK_EQUAL(message->get_as<orderbook>(0).bids[0].price.text(), "1.50");
  CAF_CHECK_EQUAL(problem(codec_of<trade>().decode(received("EVENT_TRADE", "{}"))),
                  "malformed_json: EVENT_TRADE: key 'p' is missing");
}

CAF_TEST(the subject of a candle is its type) {
  auto codec = codec_of<kline>();
  CAF_REQUIRE(codec.subject);
  kline x;
  x.kline_type = "kline_5m";
  auto message = caf::make_message(x);
  CAF_CHECK_EQUAL(codec.subject(message), "kline_5m");
  CAF_CHECK_EQUAL(codec.subject(caf::make_message(trade{})), "");
}

CAF_TEST(the subject of an event type of the user) {
  auto codec = codec_of<app::option_quote>();
  CAF_REQUIRE(codec.subject);
  auto message = codec.decode(received(
      "EVENT_OPTION_QUOTE", data_of(app::option_quote{"deribit", "BTC", "27JUN", 90'000})));
  CAF_REQUIRE(message);
  CAF_CHECK_EQUAL(codec.subject(*message), "27JUN 90000");
}

CAF_TEST(the generic event) {
  auto codec = generic_codec();
  CAF_CHECK(codec.name.empty());
  auto message = codec.decode(received("EVENT_ANY", R"({"x": 0.10})"));
  CAF_REQUIRE(message);
  CAF_REQUIRE(message->match_elements<event>());
  auto& x = message->get_as<event>(0);
  CAF_CHECK_EQUAL(x.name, "EVENT_ANY");
  CAF_CHECK_EQUAL(x.exchange, "Orderbook");
  CAF_CHECK_EQUAL(x.queue, "actors.Orderbook.#");
  CAF_CHECK_EQUAL(x.routing_key, "binance.ETH/USDT");
  CAF_CHECK_EQUAL(x.prefetch_count, 7u);
  CAF_CHECK_EQUAL(x.data.text(), R"({"x": 0.10})");
  CAF_CHECK_EQUAL(problem(codec.decode(received("EVENT_ANY", "[1"))),
                  "malformed_json: EVENT_ANY: offset 2: incomplete JSON");
}

CAF_TEST(depth is limited for every codec) {
  auto deep = received("EVENT_FUNDING", "[[[]]]");
  deep.max_depth = 2;
  for (auto codec : {generic_codec(), codec_of<app::funding>()})
    CAF_CHECK(problem(codec.decode(deep)).starts_with("limit_exceeded: EVENT_FUNDING: "));
  deep.data = R"({"x": [[]]})";
  CAF_CHECK(problem(codec_of<trade>().decode(deep)).starts_with("limit_exceeded: EVENT_TRADE: "));
}
