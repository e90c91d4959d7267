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
  /// Begins the handshake; `now` is the moment the TCP connection was made. Without `confirms` a
  /// publication counts as accepted once its bytes are sent.
  session(const endpoint& where, bool confirms, std::shared_ptr<link_listener> events,
          time_point now);

  void execute(command wanted, time_point now) override;
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

  /// The channel of a consumer's last start, and the number of that start.
  struct place {
    line* on = nullptr;
    std::uint32_t start = 0;
  };

  // -- commands -------------------------------------------------------------------

  void run(request_command& request);
  void run(publish_command& batch);
  void run(settle_command& batch);
  void run(close_command& x);

  void start(request_command& request);
  void cancel(request_command& request);
  void ask_topology(request_command& request);
  /// Answers a request that was not sent to the broker.
  void refuse(const request_command& x, ec code, const std::string& problem);
  void refuse(const publication& message, ec code, const std::string& problem);
  void set_prefetch(line& on, const consumer& x);
  /// Returns false, and answers the request, if its arguments do not fit into a frame.
  bool send(request_command& request, line& on, std::string_view tag);
  void send_publication(const publication& message);
  void settle(line& on, const settlement& decision);
  void open_channel(line& x);
  line& open_publishing();

  // -- frames -----------------------------------------------------------------------

  void on_frame(const frame& received);
  void on_greeting(std::string_view payload);
  void on_method(const frame& received);
  void on_connection_method(amqp_method_number_t id, std::string_view arguments);
  void on_channel_method(line& on, amqp_method_number_t id, std::string_view arguments);
  void on_answer(line& on, amqp_method_number_t id, std::string_view arguments);
  void on_consumer_answer(line& on, amqp_method_number_t id, std::string_view arguments);
  void on_tune(std::string_view arguments);
  void on_connection_closed(std::string_view arguments);
  void on_channel_closed(line& on, std::string_view arguments);
  /// Answers the topology request that is to blame, if any, and removes it from `items`.
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
  /// `whole` is false for a header larger than a frame may be: the payload has only its
  /// beginning.
  void on_content_header(const frame& received, bool whole);
  void on_content_body(const frame& received);
  void on_oversized(std::string_view& input, const frame& received);
  /// Skips bytes of the input; returns false if more must arrive first.
  bool skip(std::string_view& input);
  void read_content_header(arriving& to, const frame& received, bool whole) const;
  void finish(line& on);

  /// Notes a limit that the broker's error names; returns whether the limit was new.
  bool learn(const failure& reason);
  std::vector<request_id> suspects(amqp_method_number_t culprit) const;

  /// Decodes a method's arguments. Malformed arguments end the link; the result is null then.
  template <class Fields>
  const Fields* decode(amqp_method_number_t id, std::string_view arguments) {
    auto result = static_cast<const Fields*>(methods_.read(id, arguments));
    if (result == nullptr)
      malformed(id);
    return result;
  }

  // -- events -----------------------------------------------------------------------

  /// Raises the events that were gathered from the bytes of one call.
  void flush();
  void down(ec code, std::string text);
  void on_malformed(std::string_view bytes);
  void broken(const std::string& problem);
  void malformed(amqp_method_number_t id);
  void unexpected(amqp_method_number_t id);

  // -- state ------------------------------------------------------------------------

  bool in_handshake() const noexcept;
  /// The channel whose first request has waited longest for its answer, if any.
  const line* longest_asked() const;
  void on_late(const line& late);
  static std::vector<request_id> late_on(const line& late);
  void forget(line& on, const consumer_name& name);
  /// Frees the consumer's names, unless the consumer has been started again.
  void forget_name(consumer_id x);

  endpoint where_;
  std::string peer_;
  bool confirms_;
  std::shared_ptr<link_listener> events_;
  phase phase_ = phase::greeting;
  std::vector<command> early_;
  std::string broker_;
  /// Value of `server_greeting::keeps_cancelled`.
  bool keeps_cancelled_ = false;

  std::string input_;
  /// The number of bytes still to skip.
  std::uint64_t skipping_ = 0;
  method_reader methods_;
  frame_writer out_;
  std::size_t frame_max_ = wanted_frame_max;

  channel_plan channels_;
  std::unordered_map<consumer_id, place> places_;
  /// The channels with deliveries, by their generations.
  std::unordered_map<std::uint32_t, line*> lives_;
  std::uint32_t last_generation_ = 0;
  /// The number of requests without an answer.
  std::size_t asked_ = 0;
  std::uint32_t publishing_generation_ = 1;
  unconfirmed unconfirmed_;
  /// Pairs of an output position and the id of the publication that ends there; used without
  /// confirms.
  std::deque<std::pair<std::uint64_t, std::uint64_t>> unsent_;
  bool blocked_ = false;

  /// The channels with deliveries to raise, and the bytes of all these deliveries.
  std::vector<line*> arrived_on_;
  std::size_t arrived_bytes_ = 0;
  std::vector<confirmation> confirmations_;

  duration heartbeat_{0};
  time_point now_;
  /// The moment at which the present phase has taken too long.
  time_point phase_limit_;
  time_point last_received_;
  time_point last_sent_;
  /// The moment since which the output has waited without progress.
  time_point waiting_since_;
};

} // namespace actors::amqp
