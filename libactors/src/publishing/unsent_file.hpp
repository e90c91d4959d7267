#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include "actors/ec.hpp"
#include "amqp/transport.hpp"

/// The file in which an event center keeps the messages that it could not send,
/// for the next start to send: one JSON object a line, in order,
///
///     {"exchange": "Trade", "routing_key": "binance.ETH/USDT", "subject": "",
///      "message_id": "...", "timestamp": 1558949307, "epoch": 1558949300000000, "sequence": 7,
///      "persistent": true, "mandatory": false, "headers": {...}, "body": "789c..."}
///
/// with the wire form of the body in hexadecimal digits. A key `deadline` is the time at which the
/// message expires, in milliseconds since 1970; a key `others` has the properties of
/// `amqp::other_properties`. Other files beside FILE are
///
///     FILE.sent      hashes of the lines that the broker has confirmed since
///     FILE.refused   lines that can never be sent, unchanged
///     FILE.lock      locked by the process that uses the file, with the process id
namespace actors {

/// The content of a file.
struct unsent_messages {
  std::vector<amqp::publication> items;
  /// A text for each line that is no message: the line's number and the reason. `FILE.refused`
  /// has these lines.
  std::vector<std::string> refused;
  /// The number of messages that expired meanwhile.
  std::size_t expired = 0;
};

/// The file while one process owns it. A message leaves the file only when the broker has the
/// message, or when the message cannot be sent and is kept in `FILE.refused`.
class unsent_file {
public:
  using time_point = std::chrono::system_clock::time_point;

  /// Locks the file, which need not exist. Error: `ec::invalid_argument` with the path, if another
  /// process owns the file or no lock can be made.
  static caf::expected<std::shared_ptr<unsent_file>> open(std::string path);

  ~unsent_file();

  unsent_file(const unsent_file&) = delete;
  unsent_file& operator=(const unsent_file&) = delete;

  /// Reads the unconfirmed messages. Error: `ec::invalid_argument` with the path; the file then
  /// stays unchanged.
  caf::expected<unsent_messages> read(time_point now);

  /// Marks a message as sent; `index` is its place in the result of the last `read`.
  void settle(std::size_t index);

  /// Makes all calls of `settle` survive a power failure. Returns whether there were any.
  bool sync();

  /// Moves a message that cannot be sent to `FILE.refused`.
  void set_aside(std::size_t index);

  /// Replaces the content of the file; without messages the file is removed. The old content stays
  /// if that fails. Error: `ec::invalid_argument` with the path.
  caf::error replace(const std::vector<amqp::publication>& messages, time_point now);

  const std::string& path() const noexcept {
    return path_;
  }

private:
  unsent_file(std::string path, int lock);

  void remove_all();

  std::string path_;
  int lock_;
  /// The lines of the last `read`; a settled line is empty.
  std::vector<std::string> lines_;
  std::size_t unsettled_ = 0;
  /// Whether anything was settled since the last `sync`.
  bool is_dirty_ = false;
};

} // namespace actors
