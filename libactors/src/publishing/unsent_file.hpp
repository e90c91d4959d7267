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
/// with the body as it goes over the wire, in hexadecimal digits. `deadline` is when a message
/// expires, in milliseconds since 1970; `others` has the properties of
/// `amqp::other_properties`. Beside it are
///
///     FILE.sent      hashes of the lines that the broker has confirmed since
///     FILE.refused   lines that can never be sent, each as it was
///     FILE.lock      locked by the process that has the file, and its number
namespace actors {

/// What became of a file's lines.
struct unsent_messages {
  std::vector<amqp::publication> items;
  /// Each line that is no message, with its number and why. They are in `FILE.refused`.
  std::vector<std::string> refused;
  /// Messages that expired meanwhile.
  std::size_t expired = 0;
};

/// Such a file, as long as one process has it. A message leaves it only once the broker has
/// it, or when it cannot be sent and is kept aside.
class unsent_file {
public:
  using time_point = std::chrono::system_clock::time_point;

  /// Takes the file, which need not be there. Error: `ec::invalid_argument`, with the path,
  /// when another process has it or there can be no lock.
  static caf::expected<std::shared_ptr<unsent_file>> open(std::string path);

  ~unsent_file();

  unsent_file(const unsent_file&) = delete;
  unsent_file& operator=(const unsent_file&) = delete;

  /// Reads what was not confirmed yet. Error: `ec::invalid_argument`, with the path; then the
  /// file stays as it is.
  caf::expected<unsent_messages> read(time_point now);

  /// A message of the last `read` need not be sent again; `index` is its place among them.
  void settle(std::size_t index);

  /// What was settled is so over a failure of power as well from here on. Gives back whether
  /// there was anything.
  bool sync();

  /// It cannot be sent: it is kept in `FILE.refused`.
  void set_aside(std::size_t index);

  /// Replaces the file by these messages; without any there is none. What was there stays if
  /// that fails. Error: `ec::invalid_argument`, with the path.
  caf::error replace(const std::vector<amqp::publication>& xs, time_point now);

  const std::string& path() const noexcept {
    return path_;
  }

private:
  unsent_file(std::string path, int lock);

  void remove_all();

  std::string path_;
  int lock_;
  /// The lines of the last `read`; empty: settled.
  std::vector<std::string> lines_;
  std::size_t unsettled_ = 0;
  /// Something was settled since the last `sync`.
  bool is_dirty_ = false;
};

} // namespace actors
