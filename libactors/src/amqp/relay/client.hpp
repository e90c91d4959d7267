#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "amqp/link/link.hpp"
#include "amqp/relay/frames.hpp"

namespace actors::amqp {

/// The strategy host's side of the protocol with its relay.
///
///     greeting -> up -> closing
///         |        |        |
///         +--------+--------+--> down
class relay_client final : public link_protocol {
public:
  /// Begins the handshake; `now` is the moment the connection was made.
  relay_client(const endpoint& where, std::shared_ptr<link_listener> events, time_point now);

  void execute(command wanted, time_point now) override;
  void feed(std::string_view bytes, time_point now) override;
  void tick(time_point now) override;
  time_point deadline() const override;
  void consume(std::size_t size, time_point now) override;
  void lost(failure why) override;

  std::string_view output() const noexcept override {
    return std::string_view{output_}.substr(sent_);
  }

  bool is_down() const noexcept override {
    return phase_ == phase::down;
  }

private:
  enum class phase : std::uint8_t { greeting, up, closing, down };

  void say(const host_frame& frame, time_point now);

  void run(request_command& request, time_point now);
  void run(publish_command& batch, time_point now);
  /// Refuses a publication that could not be sent on; returns whether it was refused.
  bool refuse(const publication& message);
  void run(settle_command& x, time_point now);
  void run(close_command& x, time_point now);

  void on_frame(relay_frame& frame, time_point now);
  void on(relay_refusal& x, time_point now);
  void on(relay_welcome& welcome, time_point now);
  void on(reply& x, time_point now);
  void on(relay_deliveries& batch, time_point now);
  void on(relay_confirmations& x, time_point now);
  void on(returned_message& x, time_point now);
  void on(relay_blocked& x, time_point now);
  void on(relay_unblocked& x, time_point now);
  void on(relay_cancelled& x, time_point now);
  void on(closed_channel& closed, time_point now);
  void on(relay_refused& x, time_point now);
  void on(relay_suspected& x, time_point now);
  void on(broker_limits& x, time_point now);
  void on(relay_down& end, time_point now);
  void on(relay_heartbeat& x, time_point now);

  /// Raises the deliveries that were gathered from the bytes of one call.
  void flush(time_point now);
  void down(failure reason);

  endpoint where_;
  std::shared_ptr<link_listener> events_;
  phase phase_ = phase::greeting;
  std::vector<command> early_;
  frame_reader input_{default_host_frame};
  std::string output_;
  /// The number of bytes of `output_` that were sent.
  std::size_t sent_ = 0;
  std::size_t max_frame_ = default_relay_frame;

  struct open_request {
    time_point since;
    /// The consumer that the request starts, if any.
    std::optional<consumer_id> consumer;
  };

  /// The moment at which the oldest request has waited too long. Each answer prolongs it,
  /// because many requests may wait.
  time_point answer_limit() const;

  /// The requests without an answer.
  std::map<request_id, open_request> open_;
  time_point last_answer_;
  /// Deliveries that were not raised yet, one item for each channel.
  std::vector<relay_deliveries> arrived_;
  std::uint64_t taken_ = 0;

  time_point began_;
  time_point last_heard_;
  time_point last_said_;
  /// The moment since which the output has waited without progress.
  time_point waiting_since_;
};

} // namespace actors::amqp
