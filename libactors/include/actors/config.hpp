#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>
#include <caf/expected.hpp>

#include "actors/amqp/endpoint.hpp"
#include "actors/amqp/topology.hpp"
#include "actors/export.hpp"
#include "actors/logging.hpp"
#include "actors/policies.hpp"

namespace actors {

/// AIOQuant's HEARTBEAT section: a regular line in the log shows that the process is alive.
struct heartbeat_config {
  /// The time between two lines; 0 is never.
  std::chrono::seconds interval{0};

  bool operator==(const heartbeat_config&) const = default;
};

/// How an event center ends.
struct shutdown_config {
  /// How long handlers may take to finish, and then how long the outbox may take to empty.
  std::chrono::milliseconds limit{500};
  /// The file that keeps unsent messages; the next start sends these before its own. Empty:
  /// unsent messages are lost, with a line in the log.
  std::string unsent_file;

  bool operator==(const shutdown_config&) const = default;
};

/// Returns a topic exchange of this name. If `durable` is unset the exchange is durable, so that
/// it survives a restart of the broker, except for AIOQuant's three ("Orderbook", "Trade",
/// "Kline"), which AIOQuant fleets declare as not durable.
ACTORS_EXPORT amqp::exchange exchange_named(std::string name, std::optional<bool> durable = {});

/// The settings of an event center. `config/actors.json` documents the keys of the file.
struct ACTORS_EXPORT config {
  /// SERVER_ID, the first part of each default queue name.
  std::string server_id = "actors";
  /// INSTANCE, the last part of each default queue name. If unset, each event center takes a
  /// unique name (`unique_instance`) and so gets every message. Event centers with the same name
  /// share their queues, and each gets a part of the messages. If empty, queue names have no
  /// suffix, as in AIOQuant.
  std::optional<std::string> instance;
  /// The brokers or relays to connect to, in the order in which they are tried; never empty.
  std::vector<amqp::endpoint> endpoints{amqp::endpoint{}};
  log_config log;
  heartbeat_config heartbeat;
  backoff_policy reconnect;
  outbox_limits outbox;
  /// A callback for an event center that ends before it is stopped, which should never happen. It
  /// gets the reason and runs on another thread. Not part of a file.
  std::function<void(const std::string&)> on_failure;
  shutdown_config shutdown;
  payload_limits payload;
  /// The exchanges to declare at every connect.
  std::vector<amqp::exchange> exchanges{exchange_named("Orderbook"), exchange_named("Trade"),
                                        exchange_named("Kline")};
  /// Whether the broker confirms publications.
  bool publisher_confirms = true;
  /// How often the event center checks that its consumers and bindings still exist on the broker;
  /// 0 is never. The first check comes one second after they were made.
  std::chrono::seconds verify_interval{30};
  /// Possible mistakes, which the event center logs: keys of the app that nearly match a key of
  /// the library.
  std::vector<std::string> warnings;
  /// The whole file, for the app's own keys.
  boost::json::object document;
};

/// Returns a suffix for queue names that is unique among all hosts and containers:
/// "{host}-{process id}-{random letters}".
ACTORS_EXPORT std::string unique_instance();

/// Reads a config from its JSON text (comments and trailing commas allowed).
/// Unknown keys at the top level are the app's, and are kept in `config::document`. Error:
/// `ec::invalid_config`, with the key, the value found and the values allowed, but never a
/// password.
ACTORS_EXPORT caf::expected<config> parse_config(std::string_view text);

/// Reads a config file.
ACTORS_EXPORT caf::expected<config> read_config(const std::string& path);

} // namespace actors
