#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "actors/export.hpp"
#include "amqp/link/socket.hpp"
#include "amqp/relay/frames.hpp"
#include "amqp/transport.hpp"
#include "amqp/unconfirmed_bytes.hpp"

namespace actors::amqp {

/// What one strategy host may cost its relay.
struct session_limits {
  /// The largest frame that is taken, and so a publication with its properties.
  std::size_t max_frame = default_relay_frame;
  /// How many deliveries may be on their way to a host for each consumer that does
  /// not acknowledge.
  std::uint16_t window = 500;
  /// What a host may have published without an answer of the broker, in bytes: who has
  /// more is told that it is blocked, and not read from until it has half of it.
  std::size_t max_unconfirmed = 32 * 1024 * 1024;
  /// For the first frames.
  std::chrono::milliseconds handshake_timeout{10'000};
};

/// A relay in protocol with one strategy host, without the connection: bytes, time
/// points and the events of the host's link to the broker go in, bytes and requests to
/// that link come out. It has no thread, no socket and no clock.
///
///     greeting -> tuning -> linking -> up -> closing
///         |         |          |        |       |
///         +---------+----------+--------+-------+--> down
class ACTORS_EXPORT relay_session {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// Starts the link to the broker for a host that has said hello, or says why not. What
  /// the link says comes to `raise`.
  using link_starter = std::function<outcome<transport_ptr>(const relay_hello&, const relay_tune&)>;

  relay_session(session_limits limits, link_starter start, time_point now);

  /// Takes what the host sent.
  void feed(std::string_view bytes, time_point now);

  /// Takes what the link to the broker says.
  void raise(relay_frame x, time_point now);

  /// Does what time asks for: heartbeats, and giving up.
  void tick(time_point now);

  /// Ends the conversation, with its reason for the host.
  void refuse(failure reason);

  /// Whether more is to be read from the host: not while it has published too much.
  bool wants_bytes() const noexcept {
    return !overfull_;
  }

  /// The bytes to send; they are not kept.
  std::string take_output() noexcept {
    return std::exchange(output_, {});
  }

  bool is_down() const noexcept {
    return phase_ == phase::down;
  }

  /// Why it is down; `ec::none` if the host asked for it.
  const failure& why() const noexcept {
    return why_;
  }

  /// Whether the host has said hello and was given a link.
  bool greeted() const noexcept {
    return greeted_;
  }

  /// The host's name, by its own account.
  const std::string& name() const noexcept {
    return hello_.name;
  }

  std::uint64_t delivered() const noexcept {
    return sent_;
  }

  std::uint64_t published() const noexcept {
    return published_;
  }

  /// Gives away the link to the broker, whose end may take a moment.
  transport_ptr release_link() noexcept {
    return std::move(link_);
  }

private:
  enum class phase : std::uint8_t { greeting, tuning, linking, up, closing, down };

  /// A delivery that its host's consumer does not acknowledge: we do, once the host
  /// has taken it.
  struct owed_settlement {
    std::uint64_t number = 0;
    std::uint32_t generation = 0;
    std::uint64_t tag = 0;
  };

  void say(const relay_frame& x);
  /// False if the host does not take so large a frame.
  bool try_to_say(const relay_frame& x);
  void give(relay_deliveries x);
  void greet(std::string_view first);
  void tune(std::string_view second, time_point now);
  void on_frame(host_frame& x);
  void on(relay_hello& x);
  void on(relay_tune& x);
  void on(request_command& x);
  void on(publish_command& x);
  void on(settle_command& x);
  void on(relay_credit& x);
  void on(close_command& x);
  void on(relay_heartbeat& x);

  void pass_on(relay_welcome& x);
  void pass_on(relay_deliveries& x);
  void pass_on(relay_confirmations& x);
  void pass_on(relay_refused& x);
  void pass_on(returned_message& x);
  void pass_on(relay_blocked& x);
  void pass_on(relay_unblocked& x);
  void pass_on(relay_cancelled& x);
  void pass_on(closed_channel& x);
  void pass_on(relay_down& x);
  template <class T>
  void pass_on(T& x) {
    say(std::move(x));
  }

  void note(const relay_deliveries& x);
  /// Stops or goes on to read from the host.
  void weigh_publications();
  void down(failure why);

  session_limits limits_;
  link_starter start_;
  transport_ptr link_;
  link_sender_ptr out_;
  phase phase_ = phase::greeting;
  failure why_;
  bool greeted_ = false;
  relay_hello hello_;
  std::size_t max_host_frame_ = smallest_host_frame;
  frame_reader input_{max_hello_size};
  std::string output_;

  std::set<consumer_id> unacknowledged_;
  std::deque<owed_settlement> owed_;
  std::uint64_t sent_ = 0;
  std::uint64_t published_ = 0;

  /// Of the channel `publishing`.
  std::uint32_t publishing_generation_ = 1;
  unconfirmed_bytes unconfirmed_;
  bool overfull_ = false;
  /// By the broker.
  bool blocked_ = false;

  std::chrono::milliseconds heartbeat_{0};
  time_point began_;
  time_point last_heard_;
  time_point last_said_;
};

/// Gives the events of a link as frames, in its thread.
ACTORS_EXPORT std::shared_ptr<link_listener>
make_relay_listener(std::function<void(relay_frame)> take);

} // namespace actors::amqp
