#include "actors/config.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include <boost/json/parser.hpp>
#include <unistd.h>

#include "actors/error.hpp"
#include "actors/market.hpp"
#include "amqp/wire_rules.hpp"
#include "settings/config_section.hpp"
#include "settings/spelling.hpp"
#include "wire/json_error.hpp"

namespace actors {

namespace {

void read_timeouts(config_section& in, amqp::endpoint& out) {
  using namespace std::chrono_literals;
  in.read("heartbeat", out.heartbeat, 0s, 3600s);
  in.read("connection_timeout", out.connection_timeout, 1ms, 600'000ms);
  in.read("handshake_timeout", out.handshake_timeout, 1ms, 600'000ms);
  in.read("request_timeout", out.request_timeout, 1ms, 600'000ms);
  in.read("send_timeout", out.send_timeout, 1ms, 600'000ms);
}

// A section with this name switches TLS on.
void read_tls(config_section& rabbitmq, amqp::endpoint& out) {
  if (!rabbitmq.has("tls"))
    return;
  out.scheme = amqp::scheme::amqps;
  out.port = 5671;
  auto in = rabbitmq.inner("tls");
  in.read("cacertfile", out.tls.cacertfile);
  in.read("certfile", out.tls.certfile);
  in.read("keyfile", out.tls.keyfile);
  in.read("verify", out.tls.verify);
  in.read("server_name", out.tls.server_name);
  in.refuse_unknown_keys();
}

// A secret comes from a file or the environment, if a key names one, else from the key itself.
std::string read_credential(config_section& in, const std::string& key, std::string fallback) {
  in.read_secret(key, fallback);
  in.read_secret_from_environment(key + "_env", fallback);
  in.read_secret_from_file(key + "_file", fallback);
  return fallback;
}

void read_login(config_section& in, amqp::endpoint& out) {
  in.read("auth_mechanism", out.auth_mechanism);
  out.username = read_credential(in, "username", out.username);
  out.password = amqp::secret{read_credential(in, "password", out.password.reveal())};
  in.read_secret("password_file", out.password_file);
}

void read_host(config_section& in, amqp::endpoint& out) {
  in.read("host", out.host, not_empty);
  in.read("port", out.port, 1, 65535);
  in.read("vhost", out.vhost, not_empty);
}

// Reads an endpoint of "url" or "endpoints"; `key` is its name in errors.
void add_url(config_section& in, std::string_view key, const std::string& url,
             const amqp::endpoint& defaults, std::vector<amqp::endpoint>& out) {
  auto parsed = amqp::parse_endpoint(url, defaults);
  if (!parsed)
    in.refuse(key, text_of(parsed.error()));
  else if (defaults.scheme == amqp::scheme::amqps && !over_tls(parsed->scheme)
           && parsed->scheme != amqp::scheme::memory)
    in.refuse(key,
              is_relay(parsed->scheme)
                  ? "begins with relay://, but there is a section RABBITMQ.tls: write relays://"
                  : "begins with amqp://, but there is a section RABBITMQ.tls: write amqps://");
  else
    out.push_back(std::move(*parsed));
}

// Endpoints must be of one kind, because the next one takes over all subscriptions of a lost one.
void refuse_mixed(config_section& in, const std::vector<amqp::endpoint>& endpoints) {
  auto count = [&](auto which) {
    return static_cast<std::size_t>(
        std::ranges::count_if(endpoints, which, [](const amqp::endpoint& x) { return x.scheme; }));
  };
  auto is_memory = [](amqp::scheme x) { return x == amqp::scheme::memory; };
  if (auto of_memory = count(is_memory); of_memory > 0 && of_memory < endpoints.size())
    in.refuse("endpoints", "memory: is the broker within the process, for which no other can stand "
                           "in: name it alone, or leave it out");
  else if (auto relays = count(amqp::is_relay); relays > 0 && relays < endpoints.size())
    in.refuse("endpoints", "relay:// and amqp:// stand side by side, and neither can stand in for "
                           "the other: name relays, or the nodes of a broker");
}

// Endpoints come from "url", then from "endpoints"; without either, from "host" and its companions.
std::vector<amqp::endpoint> read_endpoints(config_section in) {
  amqp::endpoint defaults;
  read_timeouts(in, defaults);
  read_tls(in, defaults);
  read_login(in, defaults);
  std::vector<amqp::endpoint> result;
  std::string url;
  in.read_secret("url", url);
  if (!url.empty())
    add_url(in, "url", url, defaults, result);
  std::vector<std::string> urls;
  in.read_secrets("endpoints", urls);
  for (std::size_t i = 0; i < urls.size(); ++i)
    add_url(in, "endpoints[" + std::to_string(i) + ']', urls[i], defaults, result);
  read_host(in, defaults);
  in.refuse_unknown_keys();
  if (result.empty()) {
    if (auto problem = check(defaults))
      in.refuse("host", problem.text);
    result.push_back(std::move(defaults));
  }
  refuse_mixed(in, result);
  return result;
}

void read_log(config_section in, log_config& out) {
  in.read("console", out.console);
  in.read("level", out.level);
  in.read("path", out.path, not_empty);
  in.read("name", out.name, file_name);
  in.read("clear", out.clear);
  in.read("backup_count", out.backup_count, 0, 1000);
  in.read("max_bytes", out.max_bytes, 1024, std::int64_t{1} << 40);
  in.refuse_unknown_keys();
}

void read_heartbeat(config_section in, heartbeat_config& out) {
  using namespace std::chrono_literals;
  in.read("interval", out.interval, 0s, 86'400s);
  in.ignore("broadcast"); // a key of AIOQuant
  in.refuse_unknown_keys();
}

void read_backoff(config_section in, backoff_policy& out) {
  using namespace std::chrono_literals;
  constexpr auto day = std::chrono::milliseconds{24h};
  in.read("first", out.first, 1ms, day);
  in.read("limit", out.limit, 1ms, day);
  in.read("factor", out.factor, 1, 100);
  in.read("jitter", out.jitter, 0, 1);
  in.read("unreachable", out.unreachable, 1ms, day);
  in.read("refused", out.refused, 1ms, day);
  in.read("settled", out.settled, 0ms, day);
  if (out.limit < out.first)
    in.refuse("limit", "is below RECONNECT.first");
  in.refuse_unknown_keys();
}

void read_exchange_limits(config_section& in, exchange_limits& out) {
  in.read("max_messages", out.max_messages, 1, 100'000'000);
  in.read("max_bytes", out.max_bytes, 1, std::int64_t{1} << 40);
  in.read("overflow", out.overflow);
  in.read("ttl", out.ttl, std::chrono::milliseconds{0}, std::chrono::milliseconds{86'400'000});
}

/// The restore timeout exceeds our own verify interval by this margin, so that processes with the
/// same interval have restored their bindings by then.
constexpr std::chrono::milliseconds restore_margin{15'000};

void read_outbox(config_section in, std::chrono::milliseconds verify_interval, outbox_limits& out) {
  out.restore_timeout = std::max(out.restore_timeout, verify_interval + restore_margin);
  read_exchange_limits(in, out.each);
  in.read("window", out.window, 1, 1'000'000);
  in.read("confirm_timeout", out.confirm_timeout, std::chrono::milliseconds{0},
          std::chrono::milliseconds{86'400'000});
  in.read("restore_timeout", out.restore_timeout, std::chrono::milliseconds{0},
          std::chrono::milliseconds{86'400'000});
  auto exchanges = in.inner("exchanges");
  for (auto& name : exchanges.keys()) {
    auto own = exchanges.inner(name);
    read_exchange_limits(own, out.exchanges.emplace(name, out.each).first->second);
    own.refuse_unknown_keys();
  }
  in.refuse_unknown_keys();
}

void read_shutdown(config_section in, shutdown_config& out) {
  using namespace std::chrono_literals;
  in.read("limit", out.limit, 0ms, 3'600'000ms);
  in.read("unsent_file", out.unsent_file);
  in.refuse_unknown_keys();
}

void read_payload(config_section in, payload_limits& out) {
  in.read("max_size", out.max_size, 64, std::int64_t{1} << 32);
  in.read("max_ratio", out.max_ratio, 1, 2000);
  // The depth is limited because the parser recurses for each level.
  in.read("max_depth", out.max_depth, 2, 500);
  in.refuse_unknown_keys();
}

void read_exchanges(config_section& in, std::vector<amqp::exchange>& out) {
  in.read("EXCHANGES", out);
  auto place = [](std::size_t i) { return "EXCHANGES[" + std::to_string(i) + ']'; };
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto& name = out[i].name;
    const auto same = std::ranges::find(out, name, &amqp::exchange::name);
    if (auto problem = amqp::check(amqp::operation{amqp::declare_exchange{out[i]}}))
      in.refuse(place(i), repeatable(name) == name ? problem.text : "no exchange has such a name");
    else if (name.empty())
      in.refuse(place(i), "an exchange has a name");
    else if (*same != out[i])
      in.refuse(place(i), shown(repeatable(name)) + " stands with other settings at "
                              + place(static_cast<std::size_t>(same - out.begin()))
                              + ": leave one of them out");
  }
}

// Unknown keys at the top belong to the app, unless they look like one of ours with a typo.
std::vector<std::string> find_slips(const config_section& in) {
  constexpr std::size_t near = 2;
  std::vector<std::string> result;
  for (auto& [key, meant] : in.unknown_keys())
    if (!meant.empty() && misspelling(key, meant) <= near)
      result.push_back("the key " + shown(repeatable(key))
                       + " is taken for one of the app's; was \"" + std::string{meant}
                       + "\" meant?");
  return result;
}

bool is_about_tls(const boost::json::value& x) {
  auto section = x.if_object();
  return section
         && (section->contains("cacertfile") || section->contains("certfile")
             || section->contains("keyfile") || section->contains("server_name"));
}

// A TLS section beside RABBITMQ instead of inside has no effect: the password would go out in the
// clear.
void refuse_stray_tls(const boost::json::object& document, config_section& in,
                      const std::vector<amqp::endpoint>& endpoints) {
  auto in_the_clear = [](const amqp::endpoint& x) { return x.scheme == amqp::scheme::amqp; };
  if (std::ranges::none_of(endpoints, in_the_clear))
    return;
  for (auto& [key, value] : document)
    if (misspelling(key, "tls") == 0 && is_about_tls(value))
      in.refuse(key, "belongs into the section RABBITMQ, as RABBITMQ.tls: where it stands it "
                     "protects nothing");
}

config read_document(config_section& in) {
  config out;
  in.read("SERVER_ID", out.server_id, not_empty);
  if (in.has("INSTANCE"))
    in.read("INSTANCE", out.instance.emplace());
  out.endpoints = read_endpoints(in.inner("RABBITMQ"));
  read_log(in.inner("LOG"), out.log);
  read_heartbeat(in.inner("HEARTBEAT"), out.heartbeat);
  read_backoff(in.inner("RECONNECT"), out.reconnect);
  in.read("VERIFY_INTERVAL", out.verify_interval, std::chrono::seconds{0},
          std::chrono::seconds{86'400});
  read_outbox(in.inner("OUTBOX"), out.verify_interval, out.outbox);
  read_shutdown(in.inner("SHUTDOWN"), out.shutdown);
  read_payload(in.inner("PAYLOAD"), out.payload);
  read_exchanges(in, out.exchanges);
  in.read("PUBLISHER_CONFIRMS", out.publisher_confirms);
  out.warnings = find_slips(in);
  return out;
}

// Turns an offset into "line 3, column 7".
std::string position(std::string_view text, std::size_t offset) {
  auto before = text.substr(0, offset);
  auto line = 1 + std::count(before.begin(), before.end(), '\n');
  auto start = before.rfind('\n') + 1; // 0 on the first line, as npos + 1 is
  return "line " + std::to_string(line) + ", column " + std::to_string(offset - start + 1);
}

caf::expected<boost::json::value> parse_document(std::string_view text) {
  boost::json::parse_options options;
  options.allow_comments = true;
  options.allow_trailing_commas = true;
  boost::json::parser parser{{}, options};
  boost::json::error_code code;
  auto read = parser.write(text.data(), text.size(), code);
  if (code)
    return make_error(ec::invalid_config, position(text, read) + ": " + code.message());
  return parser.release();
}

char safe_in_queue_names(char c) noexcept {
  auto safe = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-'
              || c == '_';
  return safe ? c : '-';
}

std::string random_letters() {
  constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz234567";
  std::random_device device;
  std::string result;
  for (int i = 0; i < 12; ++i)
    result += letters[device() % letters.size()];
  return result;
}

std::string host_name() {
  char buf[65] = {};
  if (gethostname(buf, sizeof buf - 1) != 0)
    return "host";
  std::string result{buf};
  std::transform(result.begin(), result.end(), result.begin(), safe_in_queue_names);
  return result;
}

} // namespace

amqp::exchange exchange_named(std::string name, std::optional<bool> durable) {
  const auto of_aioquant =
      name == orderbook::exchange || name == trade::exchange || name == kline::exchange;
  return {.name = std::move(name), .durable = durable.value_or(!of_aioquant)};
}

// The random letters are needed because containers may share a host name, and the process is
// number 1 in each.
std::string unique_instance() {
  return host_name() + '-' + std::to_string(getpid()) + '-' + random_letters();
}

caf::expected<config> parse_config(std::string_view text) {
  auto document = parse_document(text);
  if (!document)
    return std::move(document.error());
  auto object = document->if_object();
  if (!object)
    return make_error(ec::invalid_config, "the config must be a JSON object");
  std::string problem;
  config_section root{*object, {}, problem};
  auto result = read_document(root);
  refuse_stray_tls(*object, root, result.endpoints);
  if (!problem.empty())
    return make_error(ec::invalid_config, std::move(problem));
  result.document = std::move(*object);
  return result;
}

caf::expected<config> read_config(const std::string& path) {
  std::error_code not_there;
  if (std::filesystem::is_directory(path, not_there))
    return make_error(ec::invalid_config, "config '" + path + "': is a folder");
  errno = 0;
  std::ifstream in{path, std::ios::binary};
  if (!in)
    return make_error(ec::invalid_config, "config '" + path + "': " + std::strerror(errno));
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  auto result = parse_config(text);
  if (!result)
    return make_error(ec::invalid_config, "config '" + path + "': " + text_of(result.error()));
  return result;
}

} // namespace actors
