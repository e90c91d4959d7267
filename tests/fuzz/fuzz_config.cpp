// No text may crash the config parser; what it accepts is within its limits
// and reads the same once it is written; no error holds a secret.

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "actors/config.hpp"
#include "actors/error.hpp"

using namespace actors;
namespace json_lib = boost::json;

namespace {

void require(bool condition) {
  if (!condition)
    std::abort();
}

json_lib::object document_of(std::string_view text) {
  json_lib::parse_options options;
  options.allow_comments = true;
  options.allow_trailing_commas = true;
  json_lib::error_code code;
  auto result = json_lib::parse(json_lib::string_view{text.data(), text.size()}, code, {}, options);
  return !code && result.is_object() ? std::move(result.get_object()) : json_lib::object{};
}

json_lib::object* broker_of(json_lib::object& document) {
  auto broker = document.if_contains("RABBITMQ");
  return broker ? broker->if_object() : nullptr;
}

// Only these keys make the parser look outside of the text. Random names must
// not: they might be a terminal's, a device's or a pipe's, and wait for ever.
// Names are read by the unit tests, so that nothing is lost.
bool names_a_file_or_variable(json_lib::object& document) {
  auto broker = broker_of(document);
  if (!broker)
    return false;
  for (auto key : {"username_file", "password_file", "username_env", "password_env"})
    if (broker->contains(key))
      return true;
  return false;
}

// A mark that stands in secret places only is not found in an error.
void check_secrecy(json_lib::object document, const std::string& error) {
  constexpr std::string_view mark = "hush";
  auto broker = broker_of(document);
  if (!broker || error.find(mark) == std::string::npos)
    return;
  for (auto key : {"username", "password", "url", "endpoints"})
    broker->erase(key);
  require(json_lib::serialize(document).find(mark) != std::string::npos);
}

void check_refusal(json_lib::object document, const caf::error& error) {
  require(code_of(error) == ec::invalid_config);
  require(!text_of(error).empty());
  check_secrecy(std::move(document), text_of(error));
}

void check_limits(const config& x) {
  require(!x.server_id.empty() && !x.endpoints.empty());
  for (auto& endpoint : x.endpoints) {
    require(!amqp::check(endpoint));
    require(endpoint.scheme == amqp::scheme::memory || !endpoint.host.empty());
  }
  require(x.reconnect.first.count() > 0 && x.reconnect.first <= x.reconnect.limit);
  require(x.reconnect.factor >= 1 && x.reconnect.jitter >= 0 && x.reconnect.jitter <= 1);
  require(x.outbox.each.max_messages > 0 && x.outbox.each.max_bytes > 0);
  for (auto& [exchange, limits] : x.outbox.exchanges)
    require(limits.max_messages > 0 && limits.max_bytes > 0);
  require(x.outbox.window > 0);
  require(x.payload.max_depth > 1 && x.payload.max_depth <= 500);
  for (auto& exchange : x.exchanges)
    require(!exchange.name.empty() && exchange.name.size() <= 255);
}

// Boost.JSON reads a double to the last bit or to the one before.
bool near(double x, double y) {
  return std::abs(x - y) <= 1e-12 * std::abs(x);
}

bool same_backoff(backoff_policy x, const backoff_policy& y) {
  auto same = near(x.factor, y.factor) && near(x.jitter, y.jitter);
  x.factor = y.factor;
  x.jitter = y.jitter;
  return same && x == y;
}

bool same_settings(const config& x, const config& y) {
  return x.server_id == y.server_id && x.endpoints == y.endpoints && x.log == y.log
         && x.heartbeat == y.heartbeat && same_backoff(x.reconnect, y.reconnect)
         && x.outbox == y.outbox && x.shutdown == y.shutdown && x.payload == y.payload
         && x.exchanges == y.exchanges && x.publisher_confirms == y.publisher_confirms
         && x.verify_interval == y.verify_interval;
}

void check_accepted(const config& x) {
  check_limits(x);
  auto text = json_lib::serialize(x.document);
  // Boost.JSON reads numbers beyond all doubles, and writes what is no JSON.
  if (text.find("Infinity") != text.npos || text.find("NaN") != text.npos)
    return;
  auto again = parse_config(text);
  require(again && same_settings(*again, x) && again->warnings == x.warnings);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  std::string_view input{reinterpret_cast<const char*>(bytes), size};
  auto document = document_of(input);
  if (names_a_file_or_variable(document))
    return 0;
  if (auto x = parse_config(input))
    check_accepted(*x);
  else
    check_refusal(std::move(document), x.error());
  return 0;
}
