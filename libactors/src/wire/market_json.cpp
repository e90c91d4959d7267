#include <array>
#include <charconv>
#include <cmath>
#include <variant>

#include "actors/error.hpp"
#include "actors/market.hpp"
#include "wire/decimal_access.hpp"
#include "wire/python_json.hpp"
#include "wire/sax.hpp"

namespace actors {

namespace {

// -- the wire contract: the keys in order, with their members ---------------------

template <class T>
struct field {
  std::string_view key;
  std::variant<std::string T::*, decimal T::*, std::int64_t T::*, trade_action T::*,
               std::vector<level> T::*>
      member;
  /// Whether null is allowed, and stands for the empty string or no number.
  bool nullable = false;
  /// Whether the key may be missing, which then counts as null.
  bool optional = false;
};

template <class T>
constexpr std::array<field<T>, 0> fields{};

template <>
constexpr std::array<field<orderbook>, 5> fields<orderbook>{{
    {"p", &orderbook::platform},
    {"s", &orderbook::symbol},
    {"a", &orderbook::asks},
    {"b", &orderbook::bids},
    {"t", &orderbook::timestamp},
}};

template <>
constexpr std::array<field<trade>, 6> fields<trade>{{
    {"p", &trade::platform},
    {"s", &trade::symbol},
    {"a", &trade::action},
    {"P", &trade::price},
    {"q", &trade::quantity},
    {"t", &trade::timestamp},
}};

template <>
constexpr std::array<field<kline>, 9> fields<kline>{{
    {"p", &kline::platform},
    {"s", &kline::symbol},
    {"o", &kline::open, true},
    {"h", &kline::high, true},
    {"l", &kline::low, true},
    {"c", &kline::close, true},
    {"v", &kline::volume, true},
    {"t", &kline::timestamp},
    {"kt", &kline::kline_type, true, true},
}};

// -- reading values ---------------------------------------------------------------

/// A scalar, or the beginning of an array or object.
struct token {
  enum class type : std::uint8_t { null, boolean, number, no_number, string, array, object };

  token::type type;
  /// The unescaped characters of a string, or the text of a number, NaN or infinity.
  std::string_view text = {};
};

std::string to_string(const token& x) {
  switch (x.type) {
  case token::type::null:
    return "null";
  case token::type::boolean:
    return "a boolean";
  case token::type::number:
  case token::type::no_number:
    return std::string{x.text.substr(0, 40)};
  case token::type::string:
    return shown(x.text);
  case token::type::array:
    return "an array";
  default:
    return "an object";
  }
}

// Each `assign` returns a description of valid values if the token does not fit, else null.

const char* assign(std::string& out, const token& in, bool nullable) {
  if (in.type == token::type::string)
    out = in.text;
  else if (nullable && in.type == token::type::null)
    out.clear();
  else
    return nullable ? "must be a string or null" : "must be a string";
  return nullptr;
}

// Handles the texts that Python writes instead of a number, in a function of its own because they
// are rare.
[[gnu::cold, gnu::noinline]] const char* assign_no_number(decimal& out, const token& in,
                                                          bool nullable) {
  if (!nullable)
    return "must be a number or a string that holds one";
  auto done = false;
  if (in.type == token::type::null)
    done = decimal_access::assign_no_number(out, "null", false);
  else if (in.type == token::type::no_number || in.type == token::type::string)
    done = decimal_access::assign_no_number(out, in.text, in.type == token::type::string);
  return done ? nullptr : "must be a number, a string that holds one, or null";
}

inline const char* assign(decimal& out, const token& in, bool nullable = false) {
  if (in.type == token::type::number) {
    decimal_access::assign_number(out, in.text);
    return nullptr;
  }
  if (in.type == token::type::string && decimal_access::assign(out, in.text, true))
    return nullptr;
  return assign_no_number(out, in, nullable);
}

// Python peers whose clock is a float may send 1558949307370.25: the fraction is cut off, as
// Python's int() does. A double holds whole milliseconds exactly up to 2^53.
bool to_milliseconds(std::string_view text, std::int64_t& out) noexcept {
  auto end = text.data() + text.size();
  auto [last, error] = std::from_chars(text.data(), end, out);
  if (last == end && error == std::errc{})
    return true;
  double x = 0;
  if (auto [p, e] = std::from_chars(text.data(), end, x); p != end || e != std::errc{})
    return false;
  if (std::fabs(x) > 0x1p53)
    return false;
  out = static_cast<std::int64_t>(x);
  return true;
}

bool may_be_number(std::string_view text) noexcept {
  return text.find_first_not_of("0123456789.-+eE") == std::string_view::npos;
}

const char* assign(std::int64_t& out, const token& in, bool) {
  auto number =
      in.type == token::type::number || (in.type == token::type::string && may_be_number(in.text));
  return number && to_milliseconds(in.text, out) ? nullptr : "must be milliseconds";
}

const char* assign(trade_action& out, const token& in, bool) {
  for (auto x : {trade_action::buy, trade_action::sell}) {
    if (in.type == token::type::string && in.text == to_string(x)) {
      out = x;
      return nullptr;
    }
  }
  return "must be \"BUY\" or \"SELL\"";
}

const char* assign(std::vector<level>&, const token&, bool) {
  return "must be an array of levels";
}

// -- reading a struct -------------------------------------------------------------

// Reads the text of an event's data into its struct in one pass. Values of other keys, and values
// after price and quantity in a level, are skipped.
//
//     depth 0    1      2     3
//             {  "a": [    [  "8680.70", "0.5"  ], ... ], "t": ...  }
template <class T>
class reader : public sax_handler {
public:
  explicit reader(T& out) : out_(out) {
    // nop
  }

  /// The violation of the contract in well-formed text.
  std::string& problem() noexcept {
    return problem_;
  }

  bool on_object_begin(error_code& code) {
    return begin({token::type::object}, code);
  }

  bool on_array_begin(error_code& code) {
    return begin({token::type::array}, code);
  }

  bool on_object_end(std::size_t, error_code& code) {
    return end(code);
  }

  bool on_array_end(std::size_t, error_code& code) {
    return end(code);
  }

  bool on_key_part(string_view part, std::size_t, error_code&) {
    parts_ += part;
    return true;
  }

  bool on_string_part(string_view part, std::size_t, error_code&) {
    parts_ += part;
    return true;
  }

  bool on_key(string_view last, std::size_t, error_code&) {
    auto key = whole(last);
    if (depth_ == 1)
      current_ = find(key);
    parts_.clear();
    return true;
  }

  bool on_string(string_view last, std::size_t, error_code& code) {
    auto result = on_scalar({token::type::string, whole(last)}, code);
    parts_.clear();
    return result;
  }

  bool on_int64(std::int64_t, string_view text, error_code& code) {
    return on_scalar({token::type::number, text}, code);
  }

  bool on_uint64(std::uint64_t, string_view text, error_code& code) {
    return on_scalar({token::type::number, text}, code);
  }

  bool on_double(double, string_view text, error_code& code) {
    return on_scalar({token::type::number, text}, code);
  }

  bool on_no_number(double, string_view text, error_code& code) {
    return on_scalar({token::type::no_number, text}, code);
  }

  bool on_bool(bool, error_code& code) {
    return on_scalar({token::type::boolean}, code);
  }

  bool on_null(error_code& code) {
    return on_scalar({token::type::null}, code);
  }

private:
  static constexpr std::size_t none = fields<T>.size();

  static std::size_t find(std::string_view key) noexcept {
    std::size_t i = 0;
    while (i < none && fields<T>[i].key != key)
      ++i;
    return i;
  }

  // The parser passes a string with escapes in parts.
  std::string_view whole(std::string_view last) {
    if (parts_.empty())
      return last;
    return parts_ += last;
  }

  [[gnu::always_inline]] bool begin(token x, error_code& code) {
    ++depth_;
    if (skipped_from_ > 0)
      return true;
    switch (depth_) {
    case 1:
      return x.type == token::type::object || refuse_data(x, code);
    case 2:
      return begin_value(x, code);
    case 3:
      return begin_level(x, code);
    default:
      return index_ < 2 ? on_level_value(x, code) : skip();
    }
  }

  bool begin_value(token x, error_code& code) {
    if (current_ == none)
      return skip();
    auto side = std::get_if<std::vector<level> T::*>(&fields<T>[current_].member);
    if (!side || x.type != token::type::array)
      return on_value(x, code);
    levels_ = &(out_.**side);
    levels_->clear();
    levels_->reserve(10); // the depth that most market servers send
    seen_ |= 1u << current_;
    return true;
  }

  [[gnu::always_inline]] bool begin_level(token x, error_code& code) {
    levels_->emplace_back();
    index_ = 0;
    return x.type == token::type::array || refuse_level("must be [price, quantity]", x, code);
  }

  bool skip() noexcept {
    skipped_from_ = depth_;
    return true;
  }

  bool end(error_code& code) {
    auto depth = depth_--;
    if (skipped_from_ > 0) {
      if (skipped_from_ == depth)
        skipped_from_ = 0;
      return true;
    }
    if (depth == 3 && index_ < 2)
      return refuse(level_entity() + " must be [price, quantity], found " + std::to_string(index_)
                        + " values",
                    code);
    return depth > 1 || all_seen(code);
  }

  bool all_seen(error_code& code) {
    for (std::size_t i = 0; i < none; ++i)
      if ((seen_ & (1u << i)) == 0 && !is_optional(i))
        return refuse(entity(i) + " is missing", code);
    return true;
  }

  // A missing field counts as null, if it may be missing.
  bool is_optional(std::size_t i) {
    auto& f = fields<T>[i];
    if (f.optional)
      std::visit([&](auto m) { assign(out_.*m, {token::type::null}, f.nullable); }, f.member);
    return f.optional;
  }

  [[gnu::always_inline]] bool on_scalar(token x, error_code& code) {
    if (skipped_from_ > 0)
      return true;
    switch (depth_) {
    case 0:
      return refuse_data(x, code);
    case 1:
      return on_value(x, code);
    case 2:
      return begin_level(x, code);
    default:
      return on_level_value(x, code);
    }
  }

  bool on_value(token x, error_code& code) {
    if (current_ == none)
      return true;
    auto& f = fields<T>[current_];
    auto wanted = std::visit([&](auto m) { return assign(out_.*m, x, f.nullable); }, f.member);
    if (wanted)
      return refuse_value(wanted, x, code);
    seen_ |= 1u << current_;
    return true;
  }

  [[gnu::always_inline]] bool on_level_value(token x, error_code& code) {
    if (index_ >= 2)
      return true;
    auto& here = levels_->back();
    if (auto wanted = assign(index_ == 0 ? here.price : here.quantity, x))
      return refuse_level_value(wanted, x, code);
    ++index_;
    return true;
  }

  // -- errors ------------------------------------------------------------------

  static std::string entity(std::size_t i) {
    return "key '" + std::string{fields<T>[i].key} + '\'';
  }

  std::string level_entity() const {
    return entity(current_) + ", level " + std::to_string(levels_->size()) + ':';
  }

  bool refuse_data(token x, error_code& code) {
    return refuse("its data must be an object, found " + to_string(x), code);
  }

  // The error paths are cold and not inlined, so that they do not slow down valid input.
  [[gnu::cold, gnu::noinline]] bool refuse_value(std::string_view wanted, token x,
                                                 error_code& code) {
    return refuse(entity(current_).append(" ").append(wanted) + ", found " + to_string(x), code);
  }

  [[gnu::cold, gnu::noinline]] bool refuse_level_value(std::string_view wanted, token x,
                                                       error_code& code) {
    return refuse_level((index_ == 0 ? "price " : "quantity ") + std::string{wanted}, x, code);
  }

  [[gnu::cold, gnu::noinline]] bool refuse_level(std::string_view what, token x, error_code& code) {
    return refuse(level_entity().append(" ").append(what).append(", found ") + to_string(x), code);
  }

  [[gnu::cold, gnu::noinline]] bool refuse(std::string problem, error_code& code) {
    problem_ = std::move(problem);
    code = boost::json::error::exception;
    return false;
  }

  T& out_;
  std::size_t depth_ = 0;
  /// The depth of the outermost array or object that is skipped, or 0.
  std::size_t skipped_from_ = 0;
  /// The field of the last key.
  std::size_t current_ = none;
  std::vector<level>* levels_ = nullptr;
  /// The position within a level.
  std::size_t index_ = 0;
  /// The fields that have their values, one bit each.
  unsigned seen_ = 0;
  std::string parts_;
  std::string problem_;
};

template <class T>
caf::error read(std::string_view text, T& out, std::size_t max_depth) {
  boost::json::parse_options options;
  options.max_depth = max_depth;
  boost::json::basic_parser<reader<T>> parser{options, out};
  auto result = read_all(parser, text, max_depth);
  if (!result)
    return caf::none;
  auto problem = std::move(parser.handler().problem());
  if (problem.empty() && result.code == ec::malformed_json) {
    reader<T> again{out};
    if (read_as_python(again, text, max_depth))
      return caf::none;
    problem = std::move(again.problem());
  }
  if (!problem.empty())
    result = {ec::malformed_json, std::move(problem)};
  return make_error(result.code, std::string{T::event_name} + ": " + result.text);
}

// -- writing ----------------------------------------------------------------------

void append_value(std::string& out, std::string_view x, bool nullable) {
  if (nullable && x.empty())
    out += "null";
  else
    append_quoted(out, x);
}

// A decimal's text needs no escapes.
void append_value(std::string& out, const decimal& x, bool = false) {
  if (x.quoted())
    out += '"';
  out += x.text();
  if (x.quoted())
    out += '"';
}

void append_value(std::string& out, std::int64_t x, bool) {
  char buf[24];
  out.append(buf, std::to_chars(buf, buf + sizeof buf, x).ptr);
}

void append_value(std::string& out, trade_action x, bool) {
  append_quoted(out, to_string(x));
}

void append_value(std::string& out, const std::vector<level>& xs, bool) {
  out += '[';
  auto separator = std::string_view{"["};
  for (auto& x : xs) {
    out += separator;
    append_value(out, x.price);
    out += ", ";
    append_value(out, x.quantity);
    out += ']';
    separator = ", [";
  }
  out += ']';
}

template <class T>
void write(std::string& out, const T& x) {
  auto separator = std::string_view{"{\""};
  for (auto& f : fields<T>) {
    out += separator;
    out += f.key;
    out += "\": ";
    std::visit([&](auto m) { append_value(out, x.*m, f.nullable); }, f.member);
    separator = ", \"";
  }
  out += '}';
}

} // namespace

caf::error from_json(std::string_view text, orderbook& out, std::size_t max_depth) {
  return read(text, out, max_depth);
}

caf::error from_json(std::string_view text, trade& out, std::size_t max_depth) {
  return read(text, out, max_depth);
}

caf::error from_json(std::string_view text, kline& out, std::size_t max_depth) {
  return read(text, out, max_depth);
}

void append_json(std::string& out, const orderbook& x) {
  write(out, x);
}

void append_json(std::string& out, const trade& x) {
  write(out, x);
}

void append_json(std::string& out, const kline& x) {
  write(out, x);
}

} // namespace actors
