#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>

namespace bare {

amqp_bytes_t bytes_of(std::string_view x);

std::string_view view(amqp_bytes_t x);

/// A connection by rabbitmq-c with channel 1 open. What goes wrong ends the
/// program.
class connection {
public:
  explicit connection(const std::string& url);
  ~connection();
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  amqp_connection_state_t get() const noexcept {
    return state_;
  }

  int socket() const noexcept {
    return fd_;
  }

  /// Ends the program if the last call was refused.
  void check(const char* what) const;

  /// Sends bytes whole, waiting for room.
  void send(std::string_view bytes) const;

  // -- requests that wait for their answer ------------------------------------------

  void declare_exchange(const std::string& name) const;
  /// A queue as libactors declares one for a subscription.
  void declare_queue(const std::string& name) const;
  void bind(const std::string& queue, const std::string& exchange, const std::string& key) const;
  void consume(const std::string& queue, std::uint16_t prefetch, bool no_ack) const;
  void select_confirms() const;

private:
  amqp_connection_state_t state_;
  int fd_ = -1;
};

/// A message that has arrived.
struct delivery {
  std::uint64_t tag = 0;
  /// Valid until the next message.
  std::string_view body;
};

/// Takes messages frame by frame, without a copy where a body is one frame.
class delivery_reader {
public:
  explicit delivery_reader(const connection& from) : from_(from) {
    // nop
  }

  /// Waits for the next message.
  delivery next();

  /// Whether no more has been read from the socket.
  bool drained() const;

private:
  amqp_frame_t frame() const;

  const connection& from_;
  std::string whole_;
};

/// Publications as frames that are sent together.
class publish_batch {
public:
  /// With numbers, a message has an id, a time and a place in a stream, as libactors
  /// gives to each.
  publish_batch(const connection& to, std::string exchange, std::string routing_key,
                bool numbered = false);

  void add(std::string_view body);

  /// Sends all in one go.
  void flush();

  std::size_t size() const noexcept {
    return bytes_.size();
  }

private:
  void add_frame(std::uint8_t type, std::string_view payload);
  void append_properties(std::string& to);

  const connection& to_;
  std::string exchange_;
  std::string routing_key_;
  std::string method_;
  std::string bytes_;
  bool numbered_;
  std::uint64_t number_ = 0;
};

/// How many publications the broker has confirmed.
class confirm_reader {
public:
  explicit confirm_reader(const connection& from) : from_(from) {
    // nop
  }

  /// Waits for at least one more, then takes what has come.
  void wait();

  std::uint64_t confirmed() const noexcept {
    return confirmed_;
  }

private:
  void take(const amqp_frame_t& x);

  const connection& from_;
  std::uint64_t confirmed_ = 0;
  /// Of the publications from the first unconfirmed one on.
  std::deque<bool> settled_;
  std::uint64_t first_tag_ = 1;
};

} // namespace bare
