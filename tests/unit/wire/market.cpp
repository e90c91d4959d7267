#define CAF_SUITE market

#include "actors/market.hpp"

#include <cmath>
#include <limits>
#include <string>

#include "actors/error.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;

namespace {

// As Python's json.dumps writes them.
constexpr std::string_view book_text =
    R"({"p": "binance", "s": "ETH/USDT", "a": [["8680.70000000", "0.00200000"], )"
    R"(["8680.71", 1.5]], "b": [["8680.69000000", "1.25"]], "t": 1558949307370})";
constexpr std::string_view trade_text =
    R"({"p": "binance", "s": "ETH/USDT", "a": "SELL", "P": "8680.70000000", "q": 0.1, )"
    R"("t": 1558949307370})";
constexpr std::string_view kline_text =
    R"({"p": "binance", "s": "ETH/USDT", "o": "1.0", "h": "2.0", "l": "0.5", "c": "1.5", )"
    R"("v": "100.00", "t": 1558949307370, "kt": "kline_5m"})";

template <class T>
T read(std::string_view text) {
  T result;
  if (auto err = from_json(text, result))
    CAF_FAIL("unexpected: " << text_of(err));
  return result;
}

template <class T>
std::string problem(std::string_view text, std::size_t max_depth = 32) {
  T out;
  auto err = from_json(text, out, max_depth);
  return err ? to_string(to_failure(err)) : "none";
}

template <class T>
std::string written(const T& x) {
  std::string result;
  append_json(result, x);
  return result;
}

// The text with one piece of it put in another's place.
std::string with(std::string_view text, std::string_view old, std::string_view replacement) {
  std::string result{text};
  auto pos = result.find(old);
  if (pos == std::string::npos)
    CAF_FAIL("the text has no " << std::string{old});
  return result.replace(pos, old.size(), replacement);
}

std::string book_problem(std::string_view asks) {
  return problem<orderbook>(
      with(R"({"p": "x", "s": "y", "a": ASKS, "b": [], "t": 1})", "ASKS", asks));
}

decimal number(std::string_view text, bool quoted = true) {
  return unbox(decimal::parse(text, quoted));
}

} // namespace

// -- decimal -------------------------------------------------------------------------

CAF_TEST(a decimal keeps its text) {
  for (std::string text : {"8680.70000000", "0", "-1.5", "1e-7", "1E+10", "0.0", "007", ".5", "5.",
                           "123456789012345678901234567890.123456789"}) {
    auto x = number(text);
    CAF_CHECK_EQUAL(x.text(), text);
    CAF_CHECK(x.quoted());
  }
  CAF_CHECK(!number("8680.7", false).quoted());
}

CAF_TEST(a decimal is a number) {
  for (auto text : {"", "-", ".", "e5", "1e", "1e+", "+1", " 1", "1 ", "1.2.3", "0x10", "nan",
                    "inf", "abc", "1,5", "--1"}) {
    auto x = decimal::parse(text);
    CAF_CHECK(!x && code_of(x.error()) == ec::invalid_argument);
  }
}

CAF_TEST(a bare decimal follows the grammar of JSON) {
  for (auto text : {"007", ".5", "5.", "-.5", "00"})
    CAF_CHECK(!decimal::parse(text, false));
  for (auto text : {"0", "-0.5", "10", "1e5", "1.5E-3"})
    CAF_CHECK(decimal::parse(text, false));
}

CAF_TEST(a decimal has a value) {
  constexpr auto inf = std::numeric_limits<double>::infinity();
  CAF_CHECK(number("8680.70000000").value() == 8680.7);
  CAF_CHECK(number("-1e-7").value() == -1e-7);
  CAF_CHECK(number(".5").value() == 0.5);
  CAF_CHECK(number("1e400").value() == inf);
  CAF_CHECK(number("-1" + std::string(400, '0')).value() == -inf);
  CAF_CHECK(number("1e-400").value() == 0.0);
  CAF_CHECK(number("0." + std::string(400, '0') + "1").value() == 0.0);
  CAF_CHECK(decimal{}.value() == 0.0);
}

CAF_TEST(decimals are equal as they stand on the wire) {
  CAF_CHECK(number("1.0") == number("1.0"));
  CAF_CHECK(!(number("1.0") == number("1.00")));
  CAF_CHECK(!(number("1.0") == number("1.0", false)));
}

CAF_TEST(doubles become decimals) {
  CAF_CHECK(decimal::fixed(8680.7, 8).text() == "8680.70000000");
  CAF_CHECK(decimal::fixed(0.125, 2).text() == "0.12");
  CAF_CHECK(decimal::fixed(5, -1).text() == "5");
  CAF_CHECK(decimal::fixed(1e308, 1000).text().size() == 309u + 1u + 64u);
  CAF_CHECK(decimal::shortest(8680.7).text() == "8680.7");
  CAF_CHECK(decimal::shortest(100).text() == "100");
  CAF_CHECK(decimal::shortest(1e-7).text() == "1e-07");
  for (auto x : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    CAF_CHECK(decimal::shortest(x).text() == "0");
    CAF_CHECK(decimal::fixed(x, 2).text() == "0");
  }
}

CAF_TEST(decimals and JSON values) {
  CAF_CHECK(unbox(to_decimal("8680.70")) == number("8680.70"));
  CAF_CHECK(unbox(to_decimal(8680.7)) == number("8680.7", false));
  CAF_CHECK(unbox(to_decimal(100)) == number("100", false));
  CAF_CHECK(!to_decimal(nullptr));
  CAF_CHECK(!to_decimal("abc"));
  CAF_CHECK(!to_decimal(std::nan("")));
  CAF_CHECK(to_value(number("8680.70")) == boost::json::value("8680.70"));
  CAF_CHECK(to_value(number("8680.5", false)) == boost::json::value(8680.5));
  CAF_CHECK(to_value(number("1558949307370", false)) == boost::json::value(1558949307370));
}

// -- events --------------------------------------------------------------------------

CAF_TEST(an order book is read) {
  auto book = read<orderbook>(book_text);
  CAF_CHECK_EQUAL(book.platform, "binance");
  CAF_CHECK_EQUAL(book.symbol, "ETH/USDT");
  CAF_REQUIRE_EQUAL(book.asks.size(), 2u);
  CAF_CHECK(book.asks[0] == (level{number("8680.70000000"), number("0.00200000")}));
  CAF_CHECK(book.asks[1] == (level{number("8680.71"), number("1.5", false)}));
  CAF_REQUIRE_EQUAL(book.bids.size(), 1u);
  CAF_CHECK_EQUAL(book.bids[0].price.value(), 8680.69);
  CAF_CHECK_EQUAL(book.timestamp, 1558949307370);
}

CAF_TEST(a trade is read) {
  auto x = read<trade>(trade_text);
  CAF_CHECK_EQUAL(x.platform, "binance");
  CAF_CHECK(x.action == trade_action::sell);
  CAF_CHECK(x.price == number("8680.70000000"));
  CAF_CHECK(x.quantity == number("0.1", false));
  CAF_CHECK(read<trade>(with(trade_text, "SELL", "BUY")).action == trade_action::buy);
}

CAF_TEST(a kline is read) {
  auto x = read<kline>(kline_text);
  CAF_CHECK_EQUAL(x.open.text() + x.high.text() + x.low.text() + x.close.text() + x.volume.text(),
                  "1.02.00.51.5100.00");
  CAF_CHECK_EQUAL(x.kline_type, "kline_5m");
  CAF_CHECK(read<kline>(with(kline_text, "\"kline_5m\"", "null")).kline_type == "");
}

CAF_TEST(events are written to the letter) {
  CAF_CHECK_EQUAL(written(read<orderbook>(book_text)), book_text);
  CAF_CHECK_EQUAL(written(read<trade>(trade_text)), trade_text);
  CAF_CHECK_EQUAL(written(read<kline>(kline_text)), kline_text);
  auto untyped = with(kline_text, "\"kline_5m\"", "null");
  CAF_CHECK_EQUAL(written(read<kline>(untyped)), untyped);
  CAF_CHECK_EQUAL(written(orderbook{}), R"({"p": "", "s": "", "a": [], "b": [], "t": 0})");
}

CAF_TEST(text is escaped both ways) {
  trade x;
  x.platform = "\"quoted\"\n";
  x.symbol = "币/USDT";
  CAF_CHECK(read<trade>(written(x)) == x);
  auto escaped = with(trade_text, "ETH/USDT", R"(\u5e01\/USDT)");
  CAF_CHECK(read<trade>(escaped).symbol == "币/USDT");
  CAF_CHECK(read<trade>(with(trade_text, "\"s\"", R"("\u0073")")).symbol == "ETH/USDT");
  auto price = with(trade_text, "\"8680.70000000\"", R"("8680\u002e7")");
  CAF_CHECK(read<trade>(price).price.text() == "8680.7");
  // Longer than the parser's own buffer, so that it comes in parts.
  std::string parts;
  for (int i = 0; i < 2000; ++i)
    parts += "ab\\n";
  auto read_back = read<trade>(with(trade_text, "ETH/USDT", parts)).symbol;
  CAF_CHECK_EQUAL(read_back.size(), 6000u);
  CAF_CHECK_EQUAL(read_back.substr(5994), "ab\nab\n");
}

CAF_TEST(keys come in any order and the last of equal ones counts) {
  auto book = read<orderbook>(R"({"t":5,"b":[],"a":[["1","2"]],"a":[["3","4"],["5","6"]],)"
                              R"("s":"y","p":"x","t":7})");
  CAF_REQUIRE_EQUAL(book.asks.size(), 2u);
  CAF_CHECK_EQUAL(book.asks[0].price.text(), "3");
  CAF_CHECK_EQUAL(book.timestamp, 7);
}

CAF_TEST(other keys are passed over) {
  // Their values hold keys of ours, which must not count.
  auto text = with(book_text, "\"t\"",
                   R"("x": {"t": [1, {"p": "no"}], "a": null}, "y": [[["a"]]], "z": 1e9, "t")");
  CAF_CHECK(read<orderbook>(text) == read<orderbook>(book_text));
}

CAF_TEST(what follows price and quantity in a level is passed over) {
  // OKX sends [price, quantity, liquidated orders, orders].
  auto text = with(book_text, R"(["8680.69000000", "1.25"])",
                   R"(["8680.69000000", "1.25", "0", 4, {"n": [1]}, [[]], null])");
  CAF_CHECK(read<orderbook>(text) == read<orderbook>(book_text));
}

CAF_TEST(timestamps are milliseconds as a number or a text) {
  auto timestamp = [](std::string_view t) {
    return read<trade>(with(trade_text, "1558949307370", t)).timestamp;
  };
  CAF_CHECK_EQUAL(timestamp("1558949307370.0"), 1558949307370);
  CAF_CHECK_EQUAL(timestamp("1.55894930737e12"), 1558949307370);
  CAF_CHECK_EQUAL(timestamp("\"1558949307370\""), 1558949307370);
  CAF_CHECK_EQUAL(timestamp("\"1558949307370.0\""), 1558949307370);
  CAF_CHECK_EQUAL(timestamp("1558949307370.25"), 1558949307370);
  CAF_CHECK_EQUAL(timestamp("\"1558949307370.99\""), 1558949307370);
  CAF_CHECK_EQUAL(timestamp("\"1.55894930737e+12\""), 1558949307370);
  CAF_CHECK_EQUAL(timestamp("-1"), -1);
  CAF_CHECK_EQUAL(timestamp("\"-1\""), -1);
  CAF_CHECK_EQUAL(timestamp("-1.5"), -1);
  CAF_CHECK_EQUAL(timestamp("9223372036854775807"), std::numeric_limits<std::int64_t>::max());
  for (auto t : {"\"\"", "\"nan\"", "\"1 \"", "\"0x10\"", "\"1.0.0\"", "1e300", "1e400",
                 "\"1e400\"", "9223372036854775808", "null", "NaN", "Infinity", "true", "[]", "{}"})
    CAF_CHECK(problem<trade>(with(trade_text, "1558949307370", t))
                  .starts_with("malformed_json: EVENT_TRADE: key 't' must be milliseconds, "
                               "found "));
}

// A candle of an interval without trades, say.
CAF_TEST(the numbers of a kline may be none) {
  constexpr auto inf = std::numeric_limits<double>::infinity();
  for (auto text : {"null", "NaN", "\"nan\"", "\"NaN\""}) {
    auto x = read<kline>(with(kline_text, "\"100.00\"", text));
    CAF_CHECK(!x.volume.is_number());
    CAF_CHECK(std::isnan(x.volume.value()));
    CAF_CHECK(x.open.is_number());
  }
  CAF_CHECK(read<kline>(with(kline_text, "\"100.00\"", "Infinity")).volume.value() == inf);
  CAF_CHECK(read<kline>(with(kline_text, "\"100.00\"", "\"-inf\"")).volume.value() == -inf);
  auto text = std::string{kline_text};
  for (auto [number, none] : {std::pair{"\"1.0\"", "NaN"},
                              {"\"2.0\"", "Infinity"},
                              {"\"0.5\"", "-Infinity"},
                              {"\"1.5\"", "null"},
                              {"\"100.00\"", "\"nan\""}})
    text = with(text, number, none);
  CAF_CHECK_EQUAL(written(read<kline>(text)), text);
  CAF_CHECK(read<kline>(written(read<kline>(text))) == read<kline>(text));
  CAF_CHECK_EQUAL(problem<kline>(with(kline_text, "\"100.00\"", "\"\"")),
                  "malformed_json: EVENT_KLINE: key 'v' must be a number, a string that holds one, "
                  "or null, found \"\"");
}

// An order at such a price would be a wrong one.
CAF_TEST(the numbers of order books and trades are numbers) {
  for (std::string none : {"null", "NaN", "Infinity", "-Infinity", "\"nan\"", "\"inf\""}) {
    CAF_CHECK_EQUAL(problem<trade>(with(trade_text, "\"8680.70000000\"", none)),
                    "malformed_json: EVENT_TRADE: key 'P' must be a number or a string that holds "
                    "one, found "
                        + none);
    CAF_CHECK_EQUAL(book_problem("[[1, 2], [1, " + none + "]]"),
                    "malformed_json: EVENT_ORDERBOOK: key 'a', level 2: quantity must be a number "
                    "or a string that holds one, found "
                        + none);
  }
}

CAF_TEST(a kline without a type has none) {
  auto text = with(kline_text, ", \"kt\": \"kline_5m\"", "");
  kline x; // of the default type
  CAF_CHECK(!from_json(text, x));
  CAF_CHECK_EQUAL(x.kline_type, "");
  CAF_CHECK_EQUAL(x.volume.text(), "100.00");
}

CAF_TEST(what Python alone writes does no harm where it means nothing) {
  for (auto other :
       {"NaN", "-Infinity", "[[NaN, {\"p\": Infinity}]]", "\"\\ud800\"", "{\"\\udc00\": 1}"}) {
    auto key = std::string{"\"x\": "} + other + ", \"t\"";
    CAF_CHECK(read<orderbook>(with(book_text, "\"t\"", key)) == read<orderbook>(book_text));
    CAF_CHECK(read<trade>(with(trade_text, "\"t\"", key)) == read<trade>(trade_text));
    CAF_CHECK(read<kline>(with(kline_text, "\"t\"", key)) == read<kline>(kline_text));
  }
  auto level = with(book_text, R"(["8680.69000000", "1.25"])", R"(["8680.69000000", "1.25", NaN])");
  CAF_CHECK(read<orderbook>(level) == read<orderbook>(book_text));
  auto symbol = with(trade_text, "ETH/USDT", R"(\ud800/\ud83d\ude00\u20ac\u00e9)");
  CAF_CHECK_EQUAL(read<trade>(symbol).symbol, "\xef\xbf\xbd/\xf0\x9f\x98\x80€é");
}

CAF_TEST(a wrong value is named) {
  CAF_CHECK_EQUAL(problem<trade>(with(trade_text, "\"binance\"", "1")),
                  "malformed_json: EVENT_TRADE: key 'p' must be a string, found 1");
  CAF_CHECK_EQUAL(problem<trade>(with(trade_text, "\"SELL\"", "\"sell\"")),
                  "malformed_json: EVENT_TRADE: key 'a' must be \"BUY\" or \"SELL\", found "
                  "\"sell\"");
  CAF_CHECK_EQUAL(problem<trade>(with(trade_text, "\"SELL\"", "{}")),
                  "malformed_json: EVENT_TRADE: key 'a' must be \"BUY\" or \"SELL\", found an "
                  "object");
  CAF_CHECK_EQUAL(problem<trade>(with(trade_text, "8680.70000000", "cheap")),
                  "malformed_json: EVENT_TRADE: key 'P' must be a number or a string that holds "
                  "one, found \"cheap\"");
  CAF_CHECK_EQUAL(problem<kline>(with(kline_text, "\"kline_5m\"", "false")),
                  "malformed_json: EVENT_KLINE: key 'kt' must be a string or null, found a "
                  "boolean");
  CAF_CHECK_EQUAL(problem<kline>(with(kline_text, "\"ETH/USDT\"", "null")),
                  "malformed_json: EVENT_KLINE: key 's' must be a string, found null");
}

CAF_TEST(a long wrong value is cut) {
  auto text = problem<trade>(with(trade_text, "8680.70000000", std::string(5000, 'x')));
  CAF_CHECK(text.ends_with("xxx\"..."));
  CAF_CHECK_LESS(text.size(), 200u);
}

CAF_TEST(a wrong level is named) {
  auto start = std::string{"malformed_json: EVENT_ORDERBOOK: key 'a'"};
  auto decimal_wanted = " must be a number or a string that holds one, found ";
  CAF_CHECK_EQUAL(book_problem("null"), start + " must be an array of levels, found null");
  CAF_CHECK_EQUAL(book_problem("{}"), start + " must be an array of levels, found an object");
  CAF_CHECK_EQUAL(book_problem(R"([["1", "2"], "x"])"),
                  start + ", level 2: must be [price, quantity], found \"x\"");
  CAF_CHECK_EQUAL(book_problem("[{}]"),
                  start + ", level 1: must be [price, quantity], found an object");
  CAF_CHECK_EQUAL(book_problem("[[]]"),
                  start + ", level 1: must be [price, quantity], found 0 values");
  CAF_CHECK_EQUAL(book_problem(R"([["1"]])"),
                  start + ", level 1: must be [price, quantity], found 1 values");
  CAF_CHECK_EQUAL(book_problem(R"([["1", "2"], ["1", "2"], [null, "2"]])"),
                  start + ", level 3: price" + decimal_wanted + "null");
  CAF_CHECK_EQUAL(book_problem(R"([["1", true]])"),
                  start + ", level 1: quantity" + decimal_wanted + "a boolean");
  CAF_CHECK_EQUAL(book_problem(R"([[["1"], "2"]])"),
                  start + ", level 1: price" + decimal_wanted + "an array");
  CAF_CHECK_EQUAL(book_problem(R"([["1", ""]])"),
                  start + ", level 1: quantity" + decimal_wanted + "\"\"");
}

CAF_TEST(each key of the contract is needed) {
  for (auto key : {"p", "s", "a", "b", "t"}) {
    auto quoted = '"' + std::string{key} + "\":";
    CAF_CHECK_EQUAL(problem<orderbook>(with(book_text, quoted, "\"other\":")),
                    "malformed_json: EVENT_ORDERBOOK: key '" + std::string{key} + "' is missing");
  }
  for (auto key : {"p", "s", "o", "h", "l", "c", "v", "t"}) {
    auto quoted = '"' + std::string{key} + "\":";
    CAF_CHECK_EQUAL(problem<kline>(with(kline_text, quoted, "\"other\":")),
                    "malformed_json: EVENT_KLINE: key '" + std::string{key} + "' is missing");
  }
}

CAF_TEST(the data is an object) {
  CAF_CHECK_EQUAL(problem<trade>("null"),
                  "malformed_json: EVENT_TRADE: its data must be an object, found null");
  CAF_CHECK_EQUAL(problem<trade>("[1]"),
                  "malformed_json: EVENT_TRADE: its data must be an object, found an array");
}

CAF_TEST(broken text is refused with its offset) {
  CAF_CHECK_EQUAL(problem<trade>(std::string{trade_text} + '}'),
                  "malformed_json: EVENT_TRADE: offset 98: extra data");
  CAF_CHECK_EQUAL(problem<trade>(with(trade_text, "\"SELL\"", "SELL")),
                  "malformed_json: EVENT_TRADE: offset 39: syntax error");
  for (std::size_t size = 0; size < book_text.size(); ++size)
    CAF_CHECK(problem<orderbook>(book_text.substr(0, size)).starts_with("malformed_json: "));
  CAF_CHECK(problem<trade>(with(trade_text, "ETH", "\xff\xfe")).ends_with("syntax error"));
  CAF_CHECK(problem<trade>(with(trade_text, "\"t\"", "\"x\": \"\xff\", \"t\"")).ends_with("error"));
}

CAF_TEST(the depth of what is passed over is limited) {
  CAF_CHECK_EQUAL(problem<orderbook>(book_text, 3), "none");
  CAF_CHECK_EQUAL(problem<orderbook>(book_text, 2),
                  "limit_exceeded: EVENT_ORDERBOOK: offset 40: more than 2 nested arrays and "
                  "objects");
  auto deep = with(trade_text, "\"t\"", "\"x\": " + std::string(100'000, '['));
  CAF_CHECK(problem<trade>(deep).starts_with("limit_exceeded: EVENT_TRADE: "));
}
