#include "market_data/binance_message.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

#include <boost/json/parse.hpp>

#include "actors/error.hpp"

namespace market_data {

namespace {

namespace json = boost::json;

/// Longer ones first where one ends like another.
constexpr std::array<std::string_view, 14> quote_currencies{"FDUSD", "USDT", "USDC", "BUSD", "TUSD",
                                                            "BTC",   "ETH",  "BNB",  "EUR",  "TRY",
                                                            "BRL",   "GBP",  "DAI",  "USD"};

std::string split_symbol(std::string_view recorded) {
  for (auto quote : quote_currencies)
    if (recorded.size() > quote.size() && recorded.ends_with(quote))
      return std::string{recorded.substr(0, recorded.size() - quote.size())} + '/'
             + std::string{quote};
  return std::string{recorded};
}

std::string upper_case(std::string_view x) {
  std::string result{x};
  std::ranges::transform(result, result.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return result;
}

/// Reads members of an object; `ok` stays true as long as each was there.
struct member_reader {
  const json::object& from;
  bool ok = true;

  const json::value* find(std::string_view key) {
    const auto* result = from.if_contains(key);
    ok = ok && result;
    return result;
  }

  std::string_view text(std::string_view key) {
    const auto* x = find(key);
    const auto* result = x ? x->if_string() : nullptr;
    ok = ok && result;
    return result ? std::string_view{*result} : std::string_view{};
  }

  std::int64_t integer(std::string_view key) {
    const auto* x = find(key);
    const auto* result = x ? x->if_int64() : nullptr;
    ok = ok && result;
    return result ? *result : 0;
  }

  bool boolean(std::string_view key) {
    const auto* x = find(key);
    const auto* result = x ? x->if_bool() : nullptr;
    ok = ok && result;
    return result && *result;
  }

  actors::decimal decimal(std::string_view key) {
    const auto* x = find(key);
    if (!x)
      return {};
    auto result = actors::to_decimal(*x);
    ok = ok && result;
    return result ? std::move(*result) : actors::decimal{};
  }

  const json::object* object(std::string_view key) {
    const auto* x = find(key);
    const auto* result = x ? x->if_object() : nullptr;
    ok = ok && result;
    return result;
  }

  std::vector<actors::level> levels(std::string_view key, std::size_t limit) {
    std::vector<actors::level> result;
    const auto* x = find(key);
    const auto* rows = x ? x->if_array() : nullptr;
    ok = ok && rows;
    for (std::size_t i = 0; ok && i < std::min(limit, rows->size()); ++i) {
      const auto* row = (*rows)[i].if_array();
      ok = row && row->size() >= 2;
      if (!ok)
        break;
      auto price = actors::to_decimal((*row)[0]);
      auto quantity = actors::to_decimal((*row)[1]);
      ok = price && quantity;
      if (ok)
        result.push_back({std::move(*price), std::move(*quantity)});
    }
    return result;
  }
};

std::optional<actors::orderbook>
to_orderbook(const json::object& data, std::chrono::nanoseconds received, std::size_t limit) {
  member_reader in{data};
  actors::orderbook result;
  result.asks = in.levels("asks", limit);
  result.bids = in.levels("bids", limit);
  result.timestamp = std::chrono::floor<std::chrono::milliseconds>(received).count();
  return in.ok ? std::optional{std::move(result)} : std::nullopt;
}

std::optional<actors::trade> to_trade(const json::object& data) {
  member_reader in{data};
  actors::trade result;
  // "m": the buyer is the maker, so the taker sold.
  result.action = in.boolean("m") ? actors::trade_action::sell : actors::trade_action::buy;
  result.price = in.decimal("p");
  result.quantity = in.decimal("q");
  result.timestamp = in.integer("T");
  return in.ok ? std::optional{std::move(result)} : std::nullopt;
}

std::optional<actors::kline> to_kline(const json::object& data) {
  member_reader outer{data};
  const auto* candle = outer.object("k");
  if (!candle)
    return std::nullopt;
  member_reader in{*candle};
  actors::kline result;
  result.open = in.decimal("o");
  result.high = in.decimal("h");
  result.low = in.decimal("l");
  result.close = in.decimal("c");
  result.volume = in.decimal("q");
  result.timestamp = in.integer("t");
  const auto interval = in.text("i");
  result.kline_type = interval == "1m" ? "kline" : "kline_" + std::string{interval};
  return in.ok ? std::optional{std::move(result)} : std::nullopt;
}

/// "depth20" and "depth20@100ms" are whole books, "depth" and "depth@100ms"
/// only what changed.
bool is_whole_book(std::string_view channel) {
  constexpr std::string_view prefix = "depth";
  return channel.size() > prefix.size() && channel.starts_with(prefix)
         && std::isdigit(static_cast<unsigned char>(channel[prefix.size()]));
}

} // namespace

symbol_names::symbol_names(std::string only, std::map<std::string, std::string> map)
    : only_(std::move(only)), map_(std::move(map)) {
  // nop
}

caf::expected<std::string> symbol_names::of(std::string_view recorded) {
  if (auto i = map_.find(std::string{recorded}); i != map_.end())
    return i->second;
  if (only_.empty())
    return split_symbol(recorded);
  if (only_recorded_.empty())
    only_recorded_ = recorded;
  if (only_recorded_ == recorded)
    return only_;
  return actors::make_error(actors::ec::invalid_argument,
                            "the symbol '" + only_ + "' was given for " + only_recorded_
                                + ", but there is " + std::string{recorded}
                                + " too: map each of them, e.g. BTCUSDT=BTC/USDT");
}

caf::expected<std::variant<market_event, not_an_event>>
from_binance(std::string_view text, std::chrono::nanoseconds received, conversion& how) {
  using result_type = std::variant<market_event, not_an_event>;
  boost::system::error_code err;
  const auto document = json::parse(text, err);
  if (err || !document.is_object())
    return result_type{not_an_event{"malformed JSON"}};
  member_reader in{document.get_object()};
  const auto stream = in.text("stream");
  const auto* data = in.object("data");
  const auto at = stream.find('@');
  if (!in.ok || at == std::string_view::npos)
    return result_type{not_an_event{"other messages"}};
  const auto channel = stream.substr(at + 1);
  auto finish = [&](auto event) -> caf::expected<result_type> {
    if (!event)
      return result_type{not_an_event{"malformed " + std::string{channel}}};
    auto symbol = how.symbols.of(upper_case(stream.substr(0, at)));
    if (!symbol)
      return std::move(symbol.error());
    event->platform = how.platform;
    event->symbol = std::move(*symbol);
    return result_type{market_event{std::move(*event)}};
  };
  if (is_whole_book(channel))
    return finish(to_orderbook(*data, received, how.levels));
  if (channel == "trade" || channel == "aggTrade")
    return finish(to_trade(*data));
  if (channel.starts_with("kline_"))
    return finish(to_kline(*data));
  return result_type{not_an_event{std::string{channel}}};
}

} // namespace market_data
