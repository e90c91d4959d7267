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

/// AIOQuant's HEARTBEAT section: a line in the log now and then says that the
/// process lives.
struct heartbeat_config {
  /// Between two lines; 0 is never.
  std::chrono::seconds interval{0};

  bool operator==(const heartbeat_config&) const = default;
};

/// How an event center ends.
struct shutdown_config {
  /// How long handlers may finish and what waits in the outbox may get away.
  std::chrono::milliseconds limit{500};
  /// Where messages are kept that could not be sent; the next start sends them,
  /// ahead of its own. Empty: they are lost, with a line in the log.
  std::string unsent_file;

  bool operator==(const shutdown_config&) const = default;
};

/// An exchange of which only the name is said: of type topic, and durable, so that it outlives
/// the broker. AIOQuant's three ("Orderbook", "Trade", "Kline") are not: its fleets declare them
/// so.
ACTORS_EXPORT amqp::exchange exchange_named(std::string name, std::optional<bool> durable = {});

/// Everything that an event center is started with. The keys of the file are
/// documented in `config/actors.json`.
struct ACTORS_EXPORT config {
  /// SERVER_ID, the first part of each default queue name.
  std::string server_id = "actors";
  /// INSTANCE, the last part of each default queue name. Nothing: each event
  /// center takes a name that no other has (`unique_instance`), so that it gets
  /// every message. Two with one name share each queue, each getting a part of
  /// its messages. Empty: no suffix, the queue name of AIOQuant.
  std::optional<std::string> instance;
  /// Never empty; the first is tried first.
  std::vector<amqp::endpoint> endpoints{amqp::endpoint{}};
  log_config log;
  heartbeat_config heartbeat;
  backoff_policy reconnect;
  outbox_limits outbox;
  /// Called with the reason, from another thread, if the event center has ended before it was
  /// stopped, which it never should. Not part of a file.
  std::function<void(const std::string&)> on_failure;
  shutdown_config shutdown;
  payload_limits payload;
  /// Exchanges declared at every connect.
  std::vector<amqp::exchange> exchanges{exchange_named("Orderbook"), exchange_named("Trade"),
                                        exchange_named("Kline")};
  /// Whether the broker confirms publications.
  bool publisher_confirms = true;
  /// How often the broker is asked whether our consumers and bindings are still
  /// there; 0 is never. The first time is a second after they were made.
  std::chrono::seconds verify_interval{30};
  /// What may be a mistake: a key of the app that is nearly one of ours. The event
  /// center writes them to the log.
  std::vector<std::string> warnings;
  /// The whole file, for the app's own keys.
  boost::json::object document;
};

/// A suffix for queue names that no other event center has, on any host or in any
/// container: "{host}-{process id}-{random letters}".
ACTORS_EXPORT std::string unique_instance();

/// Reads a config from its JSON text (comments and trailing commas allowed).
/// Unknown keys are kept in `config::document`. Error: `ec::invalid_config`,
/// naming the key, what was found and what is allowed; never a password.
ACTORS_EXPORT caf::expected<config> parse_config(std::string_view text);

/// Reads a config file.
ACTORS_EXPORT caf::expected<config> read_config(const std::string& path);

} // namespace actors
