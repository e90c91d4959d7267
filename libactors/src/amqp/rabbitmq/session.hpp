#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "amqp/link/link.hpp"
#include "amqp/rabbitmq/channels.hpp"
#include "amqp/rabbitmq/codec.hpp"
#include "amqp/rabbitmq/confirms.hpp"
#include "amqp/transport.hpp"

namespace actors::amqp {

/// The largest frame that we take and propose.
constexpr std::size_t wanted_frame_max = 131'072;

/// The AMQP 0-9-1 protocol of one connection.
///
///     greeting -> tuning -> opening -> up -> closing
///         |          |         |       |        |
///         +----------+---------+-------+--------+--> down
class session final : public link_protocol {
public:
  /// Begins the handshake, at the moment the TCP connection was made. Without
  /// `confirms` a publication counts as accepted once its bytes are sent.
  session(const endpoint& where, bool confirms, std::shared_ptr<link_listener> events,
          time_point now);

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

  /// Where a consumer was started last.
  struct place {
    line* on = nullptr;
    std::uint32_t start = 0;
  };

  // -- commands -------------------------------------------------------------------

  void run(request_command& x);
  void run(publish_command& x);
  void run(settle_command& x);
  void run(close_command& x);

  void start(request_command& x);
  void cancel(request_command& x);
  void ask_topology(request_command& x);
  /// Answers a request that was not made.
  void refuse(const request_command& x, ec code, const std::string& problem);
  void refuse(const publication& x, ec code, const std::string& problem);
  void set_prefetch(line& on, const consumer& x);
  /// False, with an answer, if its arguments do not fit into a frame.
  bool send(request_command& x, line& on, std::string_view tag);
  void send_publication(const publication& x);
  void settle(line& on, const settlement& x);
  void open_channel(line& x);
  line& open_publishing();

  // -- frames -----------------------------------------------------------------------

  void on_frame(const frame& x);
  void on_greeting(std::string_view payload);
  void on_method(const frame& x);
  void on_connection_method(amqp_method_number_t id, std::string_view arguments);
  void on_channel_method(line& on, amqp_method_number_t id, std::string_view arguments);
  void on_answer(line& on, amqp_method_number_t id, std::string_view arguments);
  void on_consumer_answer(line& on, amqp_method_number_t id, std::string_view arguments);
  void on_tune(std::string_view arguments);
  void on_connection_closed(std::string_view arguments);
  void on_channel_closed(line& on, std::string_view arguments);
  /// Answers the request about topology that is to blame, if any, and takes it out.
  void refuse_culprit(const line& on, std::deque<request_command>& items,
                      amqp_method_number_t culprit, const failure& reason);
  void on_deliveries_closed(line& on, const std::deque<request_command>& items,
                            const failure& reason);
  void on_publishing_closed(const failure& reason);
  void on_granted(line& on, const std::deque<request_command>::iterator& i, reply answer);
  void on_deliver(line& on, std::string_view arguments);
  void on_return(line& on, std::string_view arguments);
  void on_cancelled(line& on, std::string_view arguments);
  void on_confirmed(amqp_method_number_t id, std::string_view arguments);
  /// `whole` is false for one that is larger than a frame may be: it begins the payload.
  void on_content_header(const frame& x, bool whole);
  void on_content_body(const frame& x);
  void on_oversized(std::string_view& input, const frame& x);
  /// Passes over bytes; false, if there are too few yet.
  bool skip(std::string_view& input);
  void read_content_header(arriving& to, const frame& x, bool whole) const;
  void finish(line& on);

  /// Takes note of a limit that the broker tells of; whether it was news.
  bool learn(const failure& reason);
  std::vector<request_id> suspects(amqp_method_number_t culprit) const;

  /// Decodes a method's arguments; null, and the link is down, if malformed.
  template <class Fields>
  const Fields* decode(amqp_method_number_t id, std::string_view arguments) {
    auto result = static_cast<const Fields*>(methods_.read(id, arguments));
    if (result == nullptr)
      malformed(id);
    return result;
  }

  // -- events -----------------------------------------------------------------------

  /// Raises what was gathered from the bytes of one call.
  void flush();
  void down(ec code, std::string text);
  void on_malformed(std::string_view bytes);
  void broken(const std::string& what);
  void malformed(amqp_method_number_t id);
  void unexpected(amqp_method_number_t id);

  // -- state ------------------------------------------------------------------------

  bool in_handshake() const noexcept;
  /// The channel whose first request waits for its answer the longest, if any.
  const line* longest_asked() const;
  void on_late(const line& x);
  static std::vector<request_id> late_on(const line& x);
  void forget(line& on, const consumer_name& x);
  /// The consumer's names are free, unless it has been started again.
  void forget_name(consumer_id x);

  endpoint where_;
  std::string peer_;
  bool confirms_;
  std::shared_ptr<link_listener> events_;
  phase phase_ = phase::greeting;
  std::vector<command> early_;
  std::string broker_;
  /// Whether it keeps a consumer that it has cancelled until it hears of us.
  bool keeps_cancelled_ = false;

  std::string input_;
  /// So many bytes are passed over yet.
  std::uint64_t skipping_ = 0;
  method_reader methods_;
  frame_writer out_;
  std::size_t frame_max_ = wanted_frame_max;

  channel_plan channels_;
  std::unordered_map<consumer_id, place> places_;
  /// The channels with deliveries, by the life of those.
  std::unordered_map<std::uint32_t, line*> lives_;
  std::uint32_t last_generation_ = 0;
  /// Requests without an answer.
  std::size_t asked_ = 0;
  std::uint32_t publishing_generation_ = 1;
  unconfirmed unconfirmed_;
  /// Without confirms: ids by the end of their bytes in the output.
  std::deque<std::pair<std::uint64_t, std::uint64_t>> unsent_;
  bool blocked_ = false;

  /// The channels with deliveries to raise, and the bytes of all of these.
  std::vector<line*> arrived_on_;
  std::size_t arrived_bytes_ = 0;
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
