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

#include "actors/amqp/transport.hpp"
#include "amqp/relay_frames.hpp"

namespace actors::amqp {

/// What one strategy host may cost its relay.
struct session_limits {
  /// The largest frame that is taken, and so a publication with its properties.
  std::size_t max_frame = default_relay_frame;
  /// How many deliveries may be on their way to a host for each consumer that does
  /// not acknowledge.
  std::uint16_t window = 500;
  /// For the first frame.
  std::chrono::milliseconds handshake_timeout{10'000};
};

/// A relay in conversation with one strategy host, without the connection: bytes, time
/// points and the events of the host's link to the broker go in, bytes and requests to
/// that link come out. It has no thread, no socket and no clock.
///
///     greeting -> linking -> up -> closing
///         |          |        |       |
///         +----------+--------+-------+--> down
class relay_session {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// Starts the link to the broker for a host that has said hello. What the link says
  /// comes to `raise`.
  using link_starter = std::function<transport_ptr(const relay_hello&)>;

  relay_session(session_limits limits, link_starter start, time_point now);

  /// Takes what the host sent.
  void feed(std::string_view bytes, time_point now);

  /// Takes what the link to the broker says.
  void raise(relay_frame x, time_point now);

  /// Does what time asks for: heartbeats, and giving up.
  void tick(time_point now);

  /// Ends the conversation, with its reason for the host.
  void refuse(failure reason);

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

  /// Whether the host has said hello.
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
  enum class phase : std::uint8_t { greeting, linking, up, closing, down };

  /// A delivery that its host's consumer does not acknowledge: we do, once the host
  /// has taken it.
  struct owed_settlement {
    std::uint64_t number = 0;
    std::uint32_t incarnation = 0;
    std::uint64_t tag = 0;
  };

  void say(const relay_frame& x);
  void greet(std::string_view first, time_point now);
  void on_frame(host_frame& x);
  void on(relay_hello& x);
  void on(request_command& x);
  void on(publish_command& x);
  void on(settle_command& x);
  void on(relay_credit& x);
  void on(close_command& x);
  void on(relay_heartbeat& x);
  void note(relay_deliveries& x);
  void down(failure why);

  session_limits limits_;
  link_starter start_;
  transport_ptr link_;
  outlet_ptr out_;
  phase phase_ = phase::greeting;
  failure why_;
  bool greeted_ = false;
  relay_hello hello_;
  frame_reader input_{max_hello_size};
  std::string output_;

  /// Of the channel `deliveries`.
  std::uint32_t incarnation_ = 1;
  std::set<consumer_id> unacknowledged_;
  std::deque<owed_settlement> owed_;
  std::uint64_t sent_ = 0;
  std::uint64_t published_ = 0;

  std::chrono::milliseconds heartbeat_{0};
  time_point began_;
  time_point last_heard_;
  time_point last_said_;
};

/// Gives the events of a link as frames, in its thread.
std::shared_ptr<sink> make_relay_sink(std::function<void(relay_frame)> take);

} // namespace actors::amqp
