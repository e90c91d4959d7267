#include "market_data/recording.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <utility>

#include <boost/json/value.hpp>

#include "actors/error.hpp"

namespace market_data {

namespace {

/// The data of an event, as deep as it may be, within its line.
constexpr std::size_t max_line_depth = 33;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t result = 0;
  const auto [end, err] = std::from_chars(text.data(), text.data() + text.size(), result);
  if (text.empty() || err != std::errc{} || end != text.data() + text.size())
    return std::nullopt;
  return result;
}

std::size_t skip_blanks(std::string_view text, std::size_t i) {
  return std::min(text.find_first_not_of(" \t\r\n", i), text.size());
}

/// The position behind a string literal that begins at `i`.
std::size_t skip_string(std::string_view text, std::size_t i) {
  for (++i; i < text.size() && text[i] != '"'; ++i)
    if (text[i] == '\\')
      ++i;
  return std::min(i + 1, text.size());
}

/// The position behind a value that begins at `i`.
std::size_t skip_value(std::string_view text, std::size_t i) {
  std::size_t depth = 0;
  while (i < text.size()) {
    const auto c = text[i];
    if (c == '"') {
      i = skip_string(text, i);
    } else if (c == '{' || c == '[') {
      ++depth;
      ++i;
    } else if (depth > 0 && (c == '}' || c == ']')) {
      --depth;
      ++i;
    } else if (depth == 0) {
      // A number, true, false or null.
      return std::min(text.find_first_of(",}] \t\r\n", i), text.size());
    } else {
      ++i;
      continue;
    }
    if (depth == 0)
      return i;
  }
  return text.size();
}

const boost::json::string* find_string(const boost::json::object& x, std::string_view key) {
  const auto* result = x.if_contains(key);
  return result ? result->if_string() : nullptr;
}

std::optional<std::chrono::nanoseconds> time_of(const boost::json::value& data) {
  const auto* object = data.if_object();
  const auto* t = object ? object->if_contains("t") : nullptr;
  if (t && t->is_int64())
    return std::chrono::milliseconds{t->get_int64()};
  // A clock with fractions.
  if (t && t->is_double() && std::fabs(t->get_double()) < 0x1p53)
    return std::chrono::milliseconds{static_cast<std::int64_t>(t->get_double())};
  return std::nullopt;
}

} // namespace

std::optional<std::chrono::nanoseconds> parse_receive_time(std::string_view text) {
  if (!text.ends_with(':')) {
    const auto ns = parse_integer(text);
    return ns ? std::optional{std::chrono::nanoseconds{*ns}} : std::nullopt;
  }
  text.remove_suffix(1);
  const auto dot = text.find('.');
  const auto seconds = parse_integer(text.substr(0, dot));
  if (!seconds)
    return std::nullopt;
  std::string decimals;
  if (dot != std::string_view::npos)
    decimals = text.substr(dot + 1, 9);
  decimals.resize(9, '0');
  const auto ns = parse_integer(decimals);
  if (!ns)
    return std::nullopt;
  return std::chrono::seconds{*seconds} + std::chrono::nanoseconds{*ns};
}

std::string_view raw_member(std::string_view object, std::string_view key) {
  auto i = skip_blanks(object, 0) + 1;
  for (;;) {
    i = skip_blanks(object, i);
    if (i >= object.size() || object[i] != '"')
      return {};
    const auto key_end = skip_string(object, i);
    const auto found = object.substr(i + 1, key_end - i - 2);
    i = skip_blanks(object, skip_blanks(object, key_end) + 1);
    const auto value_end = skip_value(object, i);
    if (found == key)
      return object.substr(i, value_end - i);
    i = skip_blanks(object, value_end) + 1;
  }
}

recording::recording(line_file file, const recording_settings& settings)
    : file_(std::move(file)),
      how_{settings.platform, settings.levels, symbol_names{settings.symbol, settings.symbol_map}},
      symbol_(settings.symbol) {
  // nop
}

caf::expected<recording> recording::open(const recording_settings& settings) {
  auto file = line_file::open(settings.path);
  if (!file)
    return std::move(file.error());
  return recording{std::move(*file), settings};
}

caf::expected<std::optional<timed_event>> recording::next() {
  for (;;) {
    std::string_view line;
    auto more = file_.next(line);
    if (!more)
      return std::move(more.error());
    if (!*more)
      return std::nullopt;
    auto result = read(line);
    if (!result)
      return actors::make_error(actors::ec::invalid_argument,
                                "file '" + file_.path() + "', line "
                                    + std::to_string(file_.line_number()) + ": "
                                    + actors::text_of(result.error()));
    if (*result) {
      now_ = std::max(now_, (*result)->at);
      (*result)->at = now_;
      return result;
    }
  }
}

std::optional<double> recording::progress() const {
  return file_.progress();
}

std::map<std::string, std::uint64_t> recording::skipped() const {
  return skipped_;
}

caf::expected<std::optional<timed_event>> recording::read(std::string_view line) {
  if (line.empty())
    return skip("empty lines");
  if (file_.line_number() == 1)
    table_ = csv_table::from_header(line);
  if (table_) {
    if (file_.line_number() == 1)
      return std::nullopt;
    auto row = table_->read(line, how_.platform, symbol_);
    if (!row)
      return std::move(row.error());
    return std::optional{std::move(*row)};
  }
  if (line.front() == '{')
    return read_event(line);
  if (is_digit(line.front()))
    return read_message(line);
  return skip("other lines");
}

caf::expected<std::optional<timed_event>> recording::read_message(std::string_view line) {
  const auto blank = line.find(' ');
  const auto received = parse_receive_time(line.substr(0, blank));
  if (!received || blank == std::string_view::npos)
    return skip("other lines");
  auto converted = from_binance(line.substr(blank + 1), *received, how_);
  if (!converted)
    return std::move(converted.error());
  if (auto* what = std::get_if<not_an_event>(&*converted))
    return skip(what->what);
  return timed_event{*received, std::move(std::get<market_event>(*converted))};
}

caf::expected<std::optional<timed_event>> recording::read_event(std::string_view line) {
  const auto document = actors::json::parse(line, max_line_depth);
  if (!document || !document->value().is_object())
    return skip("malformed JSON");
  const auto& object = document->value().get_object();
  const auto* exchange = find_string(object, "exchange");
  const auto* routing_key = find_string(object, "routing_key");
  const auto* name = find_string(object, "name");
  if (!exchange || !routing_key || !name || !object.contains("data"))
    return skip("other messages");
  auto data = actors::json::parse(raw_member(line, "data"));
  if (!data)
    return skip("malformed JSON");
  actors::event result;
  result.name = *name;
  result.exchange = *exchange;
  result.routing_key = *routing_key;
  result.data = std::move(*data);
  const auto at = time_of(result.data.value()).value_or(now_);
  return timed_event{at, std::move(result)};
}

std::optional<timed_event> recording::skip(const std::string& what) {
  ++skipped_[what];
  return std::nullopt;
}

} // namespace market_data
