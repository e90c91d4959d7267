#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "actors/amqp/transport.hpp"
#include "amqp/link.hpp"
#include "amqp/rabbitmq_codec.hpp"
#include "amqp/rabbitmq_confirms.hpp"

namespace actors::amqp {

/// The largest frame that we take and propose.
constexpr std::size_t wanted_frame_max = 131'072;

/// RabbitMQ works on the channels of a connection at the same time: several carry out a
/// crowd of declarations sooner.
constexpr std::uint16_t max_topology_channels = 4;

/// The further channels for topology come after those that have a name.
constexpr std::uint16_t max_channels = number_of(channel::publishing) + max_topology_channels - 1;

/// The AMQP 0-9-1 conversation of one connection.
///
///     greeting -> tuning -> opening -> up -> closing
///         |          |         |       |        |
///         +----------+---------+-------+--------+--> down
class session final : public conversation {
public:
  /// Begins the handshake, at the moment the TCP connection was made. Without
  /// `confirms` a publication counts as accepted once its bytes are sent.
  session(const endpoint& where, bool confirms, std::shared_ptr<sink> events, time_point now);

  void execute(command x, time_point now) override;
  void feed(std::string_view bytes, time_point now) override;
  void tick(time_point now) override;
  time_point deadline() const override;
  void consume(std::size_t size, time_point now) override;
  void lost(failure why) override;

  std::string_view output() const noexcept override {
    return out_.pending();
  }

  bool is_down() const noexcept override {
    return phase_ == phase::down;
  }

private:
  using duration = time_point::duration;

  enum class phase : std::uint8_t { greeting, tuning, opening, up, closing, down };

  /// Requests on one channel that the broker has not answered, in the order they were sent.
  struct request_queue {
    std::uint16_t channel_number = 0;
    bool open = false;
    std::deque<request_command> items;
    /// Since when the broker could have been working on the first.
    time_point since;
  };

  /// The one channel that carries the open requests about a queue of the broker.
  struct lane {
    std::uint16_t channel_number = 0;
    std::size_t requests = 0;
  };

  /// A message that arrives frame by frame.
  struct content {
    enum class kind : std::uint8_t { none, delivered, returned };

    kind what = kind::none;
    bool has_header = false;
    std::uint64_t missing = 0;
    amqp::delivery delivery;
    failure reason;
  };

  // -- commands -------------------------------------------------------------------

  void run(request_command& x);
  void run(publish_command& x);
  void run(settle_command& x);
  void run(close_command& x);

  void set_prefetch(const operation& x);
  void send(request_command x, request_queue& on);
  void send_publication(const publication& x);
  void refuse(const publication& x, failure reason);
  void open_channel(request_queue& x);
  void open_publishing();

  // -- frames -----------------------------------------------------------------------

  void on_frame(const frame& x);
  void on_greeting(std::string_view payload);
  void on_method(const frame& x);
  void on_connection_method(amqp_method_number_t id, std::string_view arguments);
  void on_channel_method(std::uint16_t number, amqp_method_number_t id, std::string_view arguments);
  void on_request_method(request_queue& queue, amqp_method_number_t id, std::string_view arguments);
  void on_deliveries_method(amqp_method_number_t id, std::string_view arguments);
  void on_publishing_method(amqp_method_number_t id, std::string_view arguments);
  void on_tune(std::string_view arguments);
  void on_connection_closed(std::string_view arguments);
  void on_channel_closed(std::uint16_t number, std::string_view arguments);
  void on_publishing_closed(failure reason);
  void on_granted(request_queue& queue, reply answer);
  void on_deliver(std::string_view arguments);
  void on_return(std::string_view arguments);
  void on_cancelled(std::string_view arguments);
  void on_confirmed(amqp_method_number_t id, std::string_view arguments);
  void on_content_header(const frame& x);
  void on_content_body(const frame& x);
  void finish(content& x);

  /// Decodes a method's arguments; null, and the link is down, if malformed.
  template <class Fields>
  const Fields* decode(amqp_method_number_t id, std::string_view arguments);

  // -- events -----------------------------------------------------------------------

  /// Raises what was gathered from the bytes of one call.
  void flush();
  void down(ec code, std::string text);
  void on_malformed(std::string_view bytes);
  void broken(const std::string& what);
  void unexpected(amqp_method_number_t id);

  // -- state ------------------------------------------------------------------------

  bool in_handshake() const noexcept;
  request_queue& requests(std::uint16_t number) noexcept;
  request_queue& choose_channel(const operation& x);
  void leave_channel(const operation& x);
  request_command take_first(request_queue& from);
  void send_again(request_queue& queue);

  endpoint where_;
  std::string peer_;
  bool confirms_;
  std::shared_ptr<sink> events_;
  phase phase_ = phase::greeting;
  std::vector<command> early_;
  std::string broker_;

  std::string input_;
  method_reader methods_;
  frame_writer out_;
  std::size_t frame_max_ = wanted_frame_max;

  /// First that of consumers, then those of topology.
  std::array<request_queue, 1 + max_topology_channels> requests_;
  /// How many channels for topology the broker allows.
  std::uint16_t topology_channels_ = max_topology_channels;
  /// By the name of the broker's queue.
  std::unordered_map<std::string, lane> lanes_;
  std::uint32_t incarnation_ = 1;
  content incoming_;
  content returning_;
  bool publishing_open_ = false;
  /// That of the present life of the channel `deliveries`; a new one has none.
  std::optional<std::uint16_t> prefetch_count_;
  std::uint32_t publishing_incarnation_ = 1;
  /// By channel number: the broker has closed it and not opened it again yet. What it still sends
  /// there is of the channel's former life.
  std::array<bool, 1 + max_channels> closed_{};
  unconfirmed unconfirmed_;
  /// Without confirms: ids by the end of their bytes in the output.
  std::deque<std::pair<std::uint64_t, std::uint64_t>> unsent_;
  bool blocked_ = false;

  std::vector<delivery> deliveries_;
  std::size_t delivered_bytes_ = 0;
  std::vector<confirmation> confirmations_;

  duration heartbeat_{0};
  time_point now_;
  /// When the present phase has taken too long.
  time_point phase_limit_;
  time_point last_received_;
  time_point last_sent_;
  /// Since when the output has been waiting without progress.
  time_point waiting_since_;
};

} // namespace actors::amqp
