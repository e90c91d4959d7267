#define CAF_SUITE market_data.csv_table

#include "market_data/csv_table.hpp"

#include "actors/error.hpp"

#include "caf/test/dsl.hpp"

using market_data::csv_table;

namespace {

csv_table table(std::string_view header) {
  auto result = csv_table::from_header(header);
  CAF_REQUIRE(result);
  return *result;
}

template <class T>
T read(const csv_table& from, std::string_view line) {
  auto result = from.read(line, "okx", "ETH/USDT");
  if (!result)
    CAF_FAIL(actors::text_of(result.error()));
  return std::get<T>(result->what);
}

std::string error(const csv_table& from, std::string_view line, const std::string& symbol = "X") {
  auto result = from.read(line, "okx", symbol);
  return result ? "no error" : actors::text_of(result.error());
}

} // namespace

CAF_TEST(a header tells trades from klines and from something else) {
  CAF_CHECK(csv_table::from_header("time,price,quantity,action"));
  CAF_CHECK(csv_table::from_header("volume, close, low, high, open, time"));
  CAF_CHECK(!csv_table::from_header("time,price"));
  CAF_CHECK(!csv_table::from_header(R"(1723161254087896568 {"stream":"a,b"})"));
}

CAF_TEST(trades are read in any order of columns and keep their numbers) {
  const auto from = table("price,note,action,time,quantity");
  const auto x = read<actors::trade>(from, "2683.80000000,hello,SELL,1723161254236,0.0020");
  CAF_CHECK_EQUAL(x.platform, "okx");
  CAF_CHECK_EQUAL(x.symbol, "ETH/USDT");
  CAF_CHECK(x.action == actors::trade_action::sell);
  CAF_CHECK_EQUAL(x.price.text(), "2683.80000000");
  CAF_CHECK(x.price.quoted());
  CAF_CHECK_EQUAL(x.quantity.text(), "0.0020");
  CAF_CHECK_EQUAL(x.timestamp, 1'723'161'254'236);
}

CAF_TEST(klines may name their platform and symbol and type) {
  const auto from = table("time,platform,symbol,open,high,low,close,volume,kline_type");
  const auto x = read<actors::kline>(from, "60000,binance,BTC/USDT,1,4,0.5,2,100,kline_5m");
  CAF_CHECK_EQUAL(x.platform, "binance");
  CAF_CHECK_EQUAL(x.symbol, "BTC/USDT");
  CAF_CHECK_EQUAL(x.high.text(), "4");
  CAF_CHECK_EQUAL(x.kline_type, "kline_5m");
  CAF_CHECK(read<actors::kline>(table("time,open,high,low,close,volume"), "0,1,4,0,2,9").kline_type
            == "kline");
}

CAF_TEST(a bad row names its column) {
  const auto from = table("time,price,quantity,action");
  CAF_CHECK_EQUAL(error(from, "1,cheap,1,BUY"), "column 'price' holds 'cheap', not a number");
  CAF_CHECK_EQUAL(error(from, "1,2,3,HOLD"), "column 'action' holds 'HOLD', not BUY or SELL");
  CAF_CHECK_EQUAL(error(from, "today,2,3,BUY"),
                  "column 'time' holds 'today', not milliseconds since 1970");
  CAF_CHECK_EQUAL(error(from, "1,2,3"), "3 columns, not the header's 4");
  CAF_CHECK(error(from, "1,2,3,BUY", "").starts_with("there is no symbol"));
}
