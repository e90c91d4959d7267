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

/// The resources that one strategy host may take from its relay.
struct session_limits {
  /// The largest frame, and so the largest publication with its properties, in bytes.
  std::size_t max_frame = default_relay_frame;
  /// How many deliveries may be on their way to a host for each consumer that does
  /// not acknowledge.
  std::uint16_t window = 500;
  /// How much a host may have published without an answer of the broker, in bytes. A host that
  /// exceeds the limit is told that its link is blocked; the relay reads from the host again when
  /// half of the limit is left.
  std::size_t max_unconfirmed = 32 * 1024 * 1024;
  /// Limit for the first frames.
  std::chrono::milliseconds handshake_timeout{10'000};
};

/// The relay's side of the protocol with one strategy host, without the connection: bytes, time
/// points and the events of the host's link to the broker go in; bytes and requests to that link
/// come out. A session has no thread, no socket and no clock.
///
///     greeting -> tuning -> linking -> up -> closing
///         |         |          |        |       |
///         +---------+----------+--------+-------+--> down
class ACTORS_EXPORT relay_session {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// Starts the link to the broker for a host that has said hello, or returns an error. The link's
  /// events go to `raise`.
  using link_starter = std::function<outcome<transport_ptr>(const relay_hello&, const relay_tune&)>;

  relay_session(session_limits limits, link_starter start, time_point now);

  /// Takes bytes from the host.
  void feed(std::string_view bytes, time_point now);

  /// Takes an event of the link to the broker.
  void raise(relay_frame event, time_point now);

  /// Handles heartbeats and time limits.
  void tick(time_point now);

  /// Ends the session, and tells the host the reason.
  void refuse(failure reason);

  /// Whether to read from the host: not while too much of its publications is unconfirmed.
  bool wants_bytes() const noexcept {
    return !overfull_;
  }

  /// Removes and returns the bytes to send.
  std::string take_output() noexcept {
    return std::exchange(output_, {});
  }

  bool is_down() const noexcept {
    return phase_ == phase::down;
  }

  /// The reason for being down; `ec::none` if the host closed the link.
  const failure& why() const noexcept {
    return why_;
  }

  /// Whether the host has said hello and was given a link.
  bool greeted() const noexcept {
    return greeted_;
  }

  /// The name that the host gave.
  const std::string& name() const noexcept {
    return hello_.name;
  }

  std::uint64_t delivered() const noexcept {
    return sent_;
  }

  std::uint64_t published() const noexcept {
    return published_;
  }

  /// Hands over the link to the broker, because its destructor may take a moment.
  transport_ptr release_link() noexcept {
    return std::move(link_);
  }

private:
  enum class phase : std::uint8_t { greeting, tuning, linking, up, closing, down };

  /// A delivery that the host's consumer does not acknowledge: the relay acknowledges it once the
  /// host has taken it.
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
  /// Stops or resumes reading from the host.
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

  /// The generation of the channel `publishing`.
  std::uint32_t publishing_generation_ = 1;
  unconfirmed_bytes unconfirmed_;
  bool overfull_ = false;
  /// Whether the broker has blocked the link.
  bool blocked_ = false;

  std::chrono::milliseconds heartbeat_{0};
  time_point began_;
  time_point last_heard_;
  time_point last_said_;
};

/// Makes a listener that passes the events of a link on as frames, in the link's thread.
ACTORS_EXPORT std::shared_ptr<link_listener>
make_relay_listener(std::function<void(relay_frame)> take);

} // namespace actors::amqp
