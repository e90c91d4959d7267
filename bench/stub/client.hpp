#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "stub/wire.hpp"

namespace stub {

/// What flooded consumers get: each message without its delivery tag.
struct flood {
  std::string exchange;
  std::string routing_key;
  std::vector<std::string> bodies;
  /// Messages for each consumer.
  std::uint64_t count = 0;
  /// Whether each has a message id and its place in a stream, as libactors
  /// publishes them.
  bool numbered = false;
};

/// One connection to the stub broker: grants what is asked, floods consumers
/// as far as their prefetch count allows, and swallows publications.
class client {
public:
  client(int fd, const flood& what);
  ~client();
  client(const client&) = delete;
  client& operator=(const client&) = delete;

  int fd() const noexcept {
    return fd_;
  }

  /// Whether there is something to write.
  bool has_output();

  /// Reads what has come; false at the end of the connection.
  bool read();

  /// Writes as far as there is room; false at the end of the connection.
  bool write();

private:
  /// A consumer that is flooded.
  struct consumer {
    std::uint16_t channel = 0;
    /// The deliver method up to the delivery tag, and behind it.
    std::string head;
    std::string tail;
    bool no_ack = false;
    std::uint16_t prefetch = 0;
    std::uint64_t sent = 0;
  };

  /// Deliveries and publications of a channel.
  struct channel {
    std::uint16_t prefetch = 0;
    std::uint64_t last_tag = 0;
    std::uint64_t acked = 0;
    bool confirms = false;
    std::uint64_t published = 0;
    std::uint64_t confirmed = 0;
  };

  void on_frame(const frame& x);
  void on_method(const frame& x, std::uint32_t id, reader in);
  void start_consumer(std::uint16_t number, reader in);
  void confirm();
  void deliver();
  void deliver(consumer& to, std::size_t index);
  bool may_deliver(const consumer& x);
  void answer(std::uint16_t channel, std::uint32_t id, std::string_view arguments = {});

  int fd_;
  const flood& what_;
  bool greeted_ = false;
  std::string input_;
  std::string output_;
  std::size_t written_ = 0;
  std::map<std::uint16_t, channel> channels_;
  std::vector<consumer> consumers_;
};

} // namespace stub
