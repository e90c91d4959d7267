#include "actors/unsent_file.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string_view>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_to.hpp>

#include "actors/error.hpp"

namespace actors {

namespace {

namespace js = boost::json;

std::string to_hex(std::string_view bytes) {
  constexpr char digits[] = "0123456789abcdef";
  std::string result;
  result.reserve(bytes.size() * 2);
  for (unsigned char x : bytes) {
    result += digits[x >> 4];
    result += digits[x & 15];
  }
  return result;
}

int digit_of(char x) noexcept {
  if (x >= '0' && x <= '9')
    return x - '0';
  return x >= 'a' && x <= 'f' ? x - 'a' + 10 : -1;
}

std::optional<std::string> from_hex(std::string_view text) {
  if (text.size() % 2 != 0)
    return std::nullopt;
  std::string result;
  result.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const auto high = digit_of(text[i]);
    const auto low = digit_of(text[i + 1]);
    if (high < 0 || low < 0)
      return std::nullopt;
    result += static_cast<char>(high << 4 | low);
  }
  return result;
}

struct as_json {
  js::value operator()(const amqp::opaque_value&) const {
    return nullptr;
  }

  js::value operator()(const auto& x) const {
    return js::value(x);
  }
};

js::object headers_of(const amqp::field_table& xs) {
  js::object result;
  for (auto& [name, value] : xs)
    result[name] = std::visit(as_json{}, value);
  return result;
}

std::optional<amqp::field_value> to_field(const js::value& x) {
  if (auto y = x.if_bool())
    return *y;
  if (auto y = x.if_int64())
    return *y;
  if (auto y = x.if_double())
    return *y;
  if (auto y = x.if_string())
    return std::string{*y};
  return std::nullopt;
}

js::object to_json(const amqp::publication& x) {
  auto& p = x.properties;
  js::object result{{"exchange", x.exchange},   {"routing_key", x.routing_key},
                    {"subject", x.subject},     {"message_id", p.message_id},
                    {"timestamp", p.timestamp}, {"persistent", p.persistent},
                    {"mandatory", x.mandatory}, {"headers", headers_of(p.headers)}};
  if (p.position) {
    result["epoch"] = p.position->epoch;
    result["sequence"] = p.position->sequence;
  }
  result["body"] = to_hex(x.body ? std::string_view{*x.body} : std::string_view{});
  return result;
}

/// Throws, as Boost.JSON does, if a key is missing or of the wrong type.
amqp::publication from_json(const js::object& in) {
  auto text = [&](const char* key) { return std::string{in.at(key).as_string()}; };
  auto number = [&](const char* key) { return in.at(key).to_number<std::uint64_t>(); };
  amqp::publication result;
  result.exchange = text("exchange");
  result.routing_key = text("routing_key");
  result.subject = text("subject");
  result.mandatory = in.at("mandatory").as_bool();
  result.properties.message_id = text("message_id");
  result.properties.timestamp = number("timestamp");
  result.properties.persistent = in.at("persistent").as_bool();
  if (in.contains("epoch"))
    result.properties.position = amqp::stream_position{number("epoch"), number("sequence")};
  for (auto& [name, value] : in.at("headers").as_object())
    if (auto field = to_field(value))
      result.properties.headers.emplace_back(name, std::move(*field));
  auto body = from_hex(text("body"));
  if (!body)
    throw std::invalid_argument("key 'body': not hexadecimal digits");
  result.body = std::make_shared<const std::string>(std::move(*body));
  return result;
}

caf::expected<amqp::publication> parse_line(const std::string& line) {
  js::parse_options options;
  options.allow_invalid_utf8 = true; // a routing key is any bytes
  try {
    return from_json(js::parse(line, {}, options).as_object());
  } catch (const std::exception& e) {
    return make_error(ec::malformed_json, e.what());
  }
}

caf::error cannot(std::string_view what, const std::string& path) {
  return make_error(ec::invalid_argument, "file '" + path + "' of unsent messages: cannot "
                                              + std::string{what} + ": " + std::strerror(errno));
}

} // namespace

caf::error write_unsent_file(const std::string& path, const std::vector<amqp::publication>& xs) {
  std::error_code code;
  if (xs.empty()) {
    std::filesystem::remove(path, code);
    return caf::none;
  }
  // Beside it, and then in its place, so that there is always one of them whole.
  const auto fresh = path + ".new";
  errno = 0;
  std::ofstream out{fresh, std::ios::binary | std::ios::trunc};
  for (auto& x : xs)
    out << js::serialize(to_json(x)) << '\n';
  out.close();
  if (!out)
    return cannot("write", fresh);
  std::filesystem::rename(fresh, path, code);
  if (code) {
    errno = code.value();
    return cannot("replace", path);
  }
  return caf::none;
}

caf::expected<std::vector<amqp::publication>> read_unsent_file(const std::string& path) {
  std::vector<amqp::publication> result;
  std::error_code code;
  if (!std::filesystem::exists(path, code))
    return result;
  errno = 0;
  std::ifstream in{path, std::ios::binary};
  if (!in)
    return cannot("read", path);
  std::string line;
  for (auto number = 1; std::getline(in, line); ++number) {
    auto x = parse_line(line);
    if (!x)
      return make_error(ec::malformed_json, "file '" + path + "' of unsent messages: line "
                                                + std::to_string(number) + ": "
                                                + text_of(x.error()));
    result.push_back(std::move(*x));
  }
  return result;
}

} // namespace actors
