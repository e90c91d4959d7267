#pragma once

#include <string>
#include <vector>

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include "actors/amqp/transport.hpp"

/// The file in which an event center keeps the messages that it could not send,
/// for the next start to send: one JSON object a line, in order,
///
///     {"exchange": "Trade", "routing_key": "binance.ETH/USDT", "subject": "",
///      "message_id": "...", "timestamp": 1558949307, "epoch": 1558949300000000, "sequence": 7,
///      "persistent": true, "mandatory": false, "headers": {...}, "body": "789c..."}
///
/// with the body as it goes over the wire, in hexadecimal digits.
namespace actors {

/// Replaces the file by these messages; without any there is none. What was
/// there stays if that fails. Error: `ec::invalid_argument`, with the path.
caf::error write_unsent_file(const std::string& path, const std::vector<amqp::publication>& xs);

/// A file that is not there holds no messages. Error: `ec::malformed_json`, with
/// path and line.
caf::expected<std::vector<amqp::publication>> read_unsent_file(const std::string& path);

} // namespace actors
