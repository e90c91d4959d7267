#include "actors/amqp/endpoint.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "actors/error.hpp"

// No error in this file quotes the URL: where an escape is missing, any part of the URL may be a
// piece of the password.

namespace actors::amqp {

namespace {

constexpr std::uint16_t plain_port = 5672;
constexpr std::uint16_t tls_port = 5671;
constexpr std::size_t max_short_string = 255;
/// The default heartbeat towards a relay. A short one lets a strategy's host move to another
/// relay soon.
constexpr std::chrono::seconds relay_heartbeat{1};

caf::error invalid(std::string text) {
  return make_error(ec::invalid_endpoint, "broker URL: " + std::move(text));
}

bool consume_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix))
    return false;
  text.remove_prefix(prefix.size());
  return true;
}

/// Cuts `text` at the first of `stops`, which stays in the rest.
std::string_view take_until(std::string_view& text, std::string_view stops) {
  auto result = text.substr(0, text.find_first_of(stops));
  text.remove_prefix(result.size());
  return result;
}

template <class Number>
std::optional<Number> to_number(std::string_view text, Number lowest, Number highest) {
  Number result{};
  auto last = text.data() + text.size();
  auto [end, error] = std::from_chars(text.data(), last, result);
  if (error != std::errc{} || end != last || result < lowest || result > highest)
    return std::nullopt;
  return result;
}

/// Resolves percent escapes. Returns nothing if an escape is malformed or stands for NUL, which
/// neither AMQP names nor SASL PLAIN can carry.
std::optional<std::string> unescape(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto byte = text[i];
    if (byte == '%') {
      std::uint8_t value = 0;
      auto first = text.data() + i + 1;
      if (i + 2 >= text.size() || std::from_chars(first, first + 2, value, 16).ptr != first + 2)
        return std::nullopt;
      byte = static_cast<char>(value);
      i += 2;
    }
    if (byte == '\0')
      return std::nullopt;
    result += byte;
  }
  return result;
}

constexpr std::string_view unreserved =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

/// Whether the host is an address that needs brackets. It may name a zone after a '%', as in
/// fe80::1%eth0. No other host has two colons.
bool is_ipv6(std::string_view host) {
  auto digits = host.substr(0, host.find('%'));
  auto zone = host.substr(digits.size());
  auto colons = std::count(digits.begin(), digits.end(), ':');
  return colons >= 2 && digits.find_first_not_of("0123456789abcdefABCDEF:.") == digits.npos
         && zone.find_first_not_of(unreserved, 1) == zone.npos;
}

/// Whether the text can be a host's name or address. Any other text may be a piece of a URL with
/// a password, and must not be shown.
bool is_host(std::string_view text) {
  return is_ipv6(text) || std::all_of(text.begin(), text.end(), [](char c) {
           return unreserved.find(c) != unreserved.npos || static_cast<unsigned char>(c) >= 0x80;
         });
}

std::string scheme_text(scheme used) {
  switch (used) {
  case scheme::amqps:
    return "amqps://";
  case scheme::relay:
    return "relay://";
  case scheme::relays:
    return "relays://";
  default:
    return "amqp://";
  }
}

std::string escape(std::string_view text) {
  constexpr std::string_view hex = "0123456789ABCDEF";
  std::string result;
  for (auto c : text) {
    if (unreserved.find(c) != std::string_view::npos) {
      result += c;
      continue;
    }
    auto byte = static_cast<unsigned char>(c);
    result += {'%', hex[byte >> 4], hex[byte & 15]};
  }
  return result;
}

caf::error read_credentials(std::string_view text, endpoint& result) {
  if (is_relay(result.scheme))
    return invalid("a relay asks for no user and no password: it logs in to the broker itself; "
                   "write relay://host:port, or relays:// and a certificate");
  auto colon = text.find(':');
  auto username = unescape(text.substr(0, colon));
  auto password =
      colon == std::string_view::npos ? std::string{} : unescape(text.substr(colon + 1));
  if (!username || !password)
    return invalid("a percent escape in the user name or password is malformed; "
                   "write each '%' itself as %25");
  result.username = std::move(*username);
  if (colon == std::string_view::npos && !result.password_file.empty())
    return {};
  result.password = secret{std::move(*password)};
  result.password_file.clear();
  return {};
}

caf::error read_port(std::string_view text, endpoint& result) {
  auto port = to_number<std::uint16_t>(text, 1, 65'535);
  if (!port)
    return invalid("the port is not a number from 1 to 65535; "
                   "write '/', ':' and '@' in a password as %2F, %3A and %40");
  result.port = *port;
  return {};
}

caf::error read_host(std::string_view text, endpoint& result) {
  if (consume_prefix(text, "[")) {
    result.host = take_until(text, "]");
    if (!is_ipv6(result.host) || !consume_prefix(text, "]"))
      return invalid("an IPv6 address stands in brackets, as in amqp://[::1]:5672");
    if (text.empty())
      return {};
    return consume_prefix(text, ":") ? read_port(text, result)
                                     : invalid("only a port may follow the IPv6 address");
  }
  auto host = unescape(take_until(text, ":"));
  if (!host)
    return invalid("a percent escape in the host name is malformed");
  if (!host->empty())
    result.host = std::move(*host);
  return consume_prefix(text, ":") ? read_port(text, result) : caf::error{};
}

caf::error read_vhost(std::string_view text, endpoint& result) {
  if (text.empty())
    return {};
  auto vhost = unescape(text);
  if (!vhost || text.find('/') != std::string_view::npos || vhost->size() > max_short_string)
    return invalid("the vhost is one path segment of up to 255 bytes; "
                   "write a '/' within it as %2F");
  result.vhost = std::move(*vhost);
  return {};
}

caf::error read_heartbeat(std::string_view text, endpoint& result) {
  auto seconds = to_number<std::uint16_t>(text, 0, 65'535);
  if (!seconds)
    return invalid("heartbeat is a number of seconds from 0 to 65535");
  result.heartbeat = std::chrono::seconds{*seconds};
  return {};
}

caf::error read_connection_timeout(std::string_view text, endpoint& result) {
  auto limit = to_number<std::uint32_t>(text, 1, 3'600'000);
  if (!limit)
    return invalid("connection_timeout is a number of milliseconds from 1 to 3600000");
  result.connection_timeout = std::chrono::milliseconds{*limit};
  return {};
}

caf::error read_auth_mechanism(std::string_view text, endpoint& result) {
  for (auto mechanism : {auth_mechanism::plain, auth_mechanism::external})
    if (text == to_string(mechanism)) {
      result.auth_mechanism = mechanism;
      return {};
    }
  return invalid("auth_mechanism is plain or external");
}

caf::error read_verify(std::string_view text, endpoint& result) {
  if (text != "verify_peer" && text != "verify_none")
    return invalid("verify is verify_peer or verify_none");
  result.tls.verify = text == "verify_peer";
  return {};
}

/// Reads a parameter whose value is any text, e.g. the name of a file.
template <std::string tls_options::*Member>
caf::error read_text(std::string_view text, endpoint& result) {
  auto value = unescape(text);
  if (!value)
    return invalid("a percent escape in a query parameter is malformed; "
                   "write each '%' itself as %25");
  result.tls.*Member = std::move(*value);
  return {};
}

struct parameter {
  std::string_view name;
  caf::error (*read)(std::string_view text, endpoint& result);
};

constexpr std::array<parameter, 8> parameters{{
    {"heartbeat", &read_heartbeat},
    {"connection_timeout", &read_connection_timeout},
    {"auth_mechanism", &read_auth_mechanism},
    {"verify", &read_verify},
    {"cacertfile", &read_text<&tls_options::cacertfile>},
    {"certfile", &read_text<&tls_options::certfile>},
    {"keyfile", &read_text<&tls_options::keyfile>},
    {"server_name_indication", &read_text<&tls_options::server_name>},
}};

caf::error read_parameter(std::string_view text, endpoint& result) {
  auto name = take_until(text, "=");
  for (auto& candidate : parameters)
    if (name == candidate.name && consume_prefix(text, "="))
      return candidate.read(text, result);
  std::string known;
  for (auto& candidate : parameters)
    known.append(known.empty() ? "" : ", ").append(candidate.name);
  return invalid("unknown query parameter; known are " + known);
}

caf::error read_parameters(std::string_view text, endpoint& result) {
  while (!text.empty()) {
    if (auto error = read_parameter(take_until(text, "&"), result))
      return error;
    consume_prefix(text, "&");
  }
  return {};
}

caf::error read_scheme(std::string_view& url, endpoint& result) {
  if (consume_prefix(url, "amqp://")) {
    result.scheme = scheme::amqp;
    result.port = plain_port;
  } else if (consume_prefix(url, "amqps://")) {
    result.scheme = scheme::amqps;
    result.port = tls_port;
  } else if (auto tls = consume_prefix(url, "relays://"); tls || consume_prefix(url, "relay://")) {
    // The heartbeat of a broker would be too long for a relay.
    if (!is_relay(result.scheme))
      result.heartbeat = relay_heartbeat;
    result.scheme = tls ? scheme::relays : scheme::relay;
    result.port = relay_port;
  } else {
    return invalid("it starts with none of amqp://, amqps://, relay://, relays:// and memory:");
  }
  return {};
}

caf::expected<endpoint> parse_memory(std::string_view text, const endpoint& defaults) {
  auto name = unescape(text);
  if (!name)
    return invalid("a percent escape in the name of the in-process broker is malformed");
  auto result = defaults;
  result.scheme = scheme::memory;
  result.host = std::move(*name);
  return result;
}

} // namespace

caf::expected<endpoint> parse_endpoint(std::string_view url, const endpoint& defaults) {
  if (consume_prefix(url, "memory:"))
    return parse_memory(url, defaults);
  auto result = defaults;
  result.host = endpoint{}.host;
  result.vhost = endpoint{}.vhost;
  if (auto error = read_scheme(url, result))
    return error;
  if (url.find('#') != std::string_view::npos)
    return invalid("a '#' has no meaning here; percent-escape it in a password or vhost, as %23");
  auto authority = take_until(url, "/?");
  if (auto at = authority.rfind('@'); at != std::string_view::npos) {
    if (auto error = read_credentials(authority.substr(0, at), result))
      return error;
    authority.remove_prefix(at + 1);
  }
  // The last '@' precedes the host. An '@' after the first '/' or '?' shows that these belong to
  // a password. The rest of that password must not pass for a vhost and be shown.
  if (url.find('@') != std::string_view::npos)
    return invalid("there is an '@' behind the host; write '/', '?', '#', '@' and '%' in a "
                   "password as %2F, %3F, %23, %40 and %25, and an '@' behind the host as %40");
  if (auto error = read_host(authority, result))
    return error;
  auto path = take_until(url, "?");
  consume_prefix(path, "/");
  if (auto error = read_vhost(path, result))
    return error;
  consume_prefix(url, "?");
  if (auto error = read_parameters(url, result))
    return error;
  if (auto problem = check(result))
    return invalid(std::move(problem.text));
  return result;
}

failure check(const endpoint& where) {
  auto wrong = [](std::string text) { return failure{ec::invalid_endpoint, std::move(text)}; };
  if (where.scheme == scheme::memory)
    return {};
  if (!is_host(where.host))
    return wrong("the host is a name or an address: letters, digits, '-', '.' and '_'; a whole "
                 "URL is none");
  if (!over_tls(where.scheme) && where.tls != tls_options{})
    return wrong(is_relay(where.scheme) ? "TLS settings need TLS: write relays://"
                                        : "TLS settings need TLS: write amqps://");
  if (is_relay(where.scheme) && where.vhost != endpoint{}.vhost)
    return wrong("a relay names the vhost itself: write nothing behind its port");
  if (where.tls.certfile.empty() && !where.tls.keyfile.empty())
    return wrong("keyfile without certfile: name the certificate that the key belongs to");
  if (where.auth_mechanism == auth_mechanism::external
      && (where.scheme != scheme::amqps || where.tls.certfile.empty()))
    return wrong("auth_mechanism external needs amqps:// and a client certificate (certfile)");
  return {};
}

std::string_view to_string(auth_mechanism x) noexcept {
  return x == auth_mechanism::external ? "external" : "plain";
}

std::string to_string(const endpoint& where) {
  if (where.scheme == scheme::memory)
    return "memory:" + escape(where.host);
  auto result = scheme_text(where.scheme);
  result += is_ipv6(where.host) ? "[" + where.host + "]" : escape(where.host);
  result += ":" + std::to_string(where.port);
  if (is_relay(where.scheme))
    return result;
  result += '/';
  if (where.vhost != "/")
    result += escape(where.vhost);
  return result;
}

} // namespace actors::amqp
