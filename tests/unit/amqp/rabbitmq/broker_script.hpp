#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "amqp/rabbitmq/codec.hpp"

namespace actors::amqp {

/// What a broker would send, as bytes. Each call gives the bytes of its frames.
struct broker_script {
  template <class Fields>
  static std::string method(std::uint16_t channel, amqp_method_number_t id, Fields fields) {
    frame_writer out;
    out.method(channel, id, fields);
    return std::string{out.pending()};
  }

  template <class Unsigned>
  static std::string number(Unsigned x) {
    std::string result;
    for (auto i = sizeof(Unsigned); i-- > 0;)
      result += static_cast<char>(x >> (8 * i));
    return result;
  }

  static std::string frame(std::uint8_t type, std::uint16_t channel, std::string_view payload) {
    return number(type) + number(channel) + number(static_cast<std::uint32_t>(payload.size()))
           + std::string{payload} + number(std::uint8_t{AMQP_FRAME_END});
  }

  static std::string start(std::string_view mechanisms = "AMQPLAIN PLAIN", std::uint8_t major = 0,
                           const std::string& version = "3.10.8") {
    frame_writer out;
    out.method_with(0, AMQP_CONNECTION_START_METHOD, [&](field_writer& to) {
      to.number(major);
      to.number(std::uint8_t{9});
      to.table({{"product", std::string{"RabbitMQ"}}, {"version", version}});
      to.long_string(mechanisms);
      to.long_string("en_US");
    });
    return std::string{out.pending()};
  }

  static std::string tune(std::uint16_t heartbeat = 60, std::uint32_t frame_max = 131'072,
                          std::uint16_t channel_max = 2047) {
    amqp_connection_tune_t x{};
    x.channel_max = channel_max;
    x.frame_max = frame_max;
    x.heartbeat = heartbeat;
    return method(0, AMQP_CONNECTION_TUNE_METHOD, x);
  }

  static std::string open_ok() {
    return method(0, AMQP_CONNECTION_OPEN_OK_METHOD, amqp_connection_open_ok_t{});
  }

  static std::string handshake() {
    return start() + tune() + open_ok();
  }

  static std::string close_connection(std::uint16_t code, std::string_view text,
                                      amqp_method_number_t culprit = 0) {
    amqp_connection_close_t x{};
    x.reply_code = code;
    x.reply_text = bytes_of(text);
    x.class_id = static_cast<std::uint16_t>(culprit >> 16);
    x.method_id = static_cast<std::uint16_t>(culprit);
    return method(0, AMQP_CONNECTION_CLOSE_METHOD, x);
  }

  static std::string close_channel(std::uint16_t channel, std::uint16_t code, std::string_view text,
                                   amqp_method_number_t culprit = 0) {
    amqp_channel_close_t x{};
    x.reply_code = code;
    x.reply_text = bytes_of(text);
    x.class_id = static_cast<std::uint16_t>(culprit >> 16);
    x.method_id = static_cast<std::uint16_t>(culprit);
    return method(channel, AMQP_CHANNEL_CLOSE_METHOD, x);
  }

  static std::string channel_opened(std::uint16_t channel) {
    return method(channel, AMQP_CHANNEL_OPEN_OK_METHOD, amqp_channel_open_ok_t{});
  }

  static std::string exchange_declared() {
    return method(1, AMQP_EXCHANGE_DECLARE_OK_METHOD, amqp_exchange_declare_ok_t{});
  }

  static std::string queue_declared(std::string_view name, std::uint16_t channel = 1) {
    amqp_queue_declare_ok_t x{};
    x.queue = bytes_of(name);
    return method(channel, AMQP_QUEUE_DECLARE_OK_METHOD, x);
  }

  static std::string consuming(std::string_view tag, std::uint16_t channel = 2) {
    amqp_basic_consume_ok_t x{};
    x.consumer_tag = bytes_of(tag);
    return method(channel, AMQP_BASIC_QOS_OK_METHOD, amqp_basic_qos_ok_t{})
           + method(channel, AMQP_BASIC_CONSUME_OK_METHOD, x);
  }

  static std::string cancelled(std::string_view tag, std::uint16_t channel = 2) {
    amqp_basic_cancel_ok_t x{};
    x.consumer_tag = bytes_of(tag);
    return method(channel, AMQP_BASIC_CANCEL_OK_METHOD, x);
  }

  /// A content header; `properties` begins with the flags.
  static std::string header(std::uint16_t channel, std::uint64_t size,
                            std::string_view properties = {"\0\0", 2}) {
    return frame(AMQP_FRAME_HEADER, channel,
                 number(std::uint16_t{AMQP_BASIC_CLASS}) + number(std::uint16_t{0}) + number(size)
                     + std::string{properties});
  }

  static std::string body(std::uint16_t channel, std::string_view text) {
    return frame(AMQP_FRAME_BODY, channel, text);
  }

  static std::string deliver(std::string_view tag, std::uint64_t delivery_tag,
                             std::uint16_t channel = 2) {
    amqp_basic_deliver_t x{};
    x.consumer_tag = bytes_of(tag);
    x.delivery_tag = delivery_tag;
    x.exchange = bytes_of("Trade");
    x.routing_key = bytes_of("binance.ETH/USDT");
    return method(channel, AMQP_BASIC_DELIVER_METHOD, x);
  }

  static std::string message(std::string_view tag, std::uint64_t delivery_tag,
                             std::string_view text, std::uint16_t channel = 2) {
    return deliver(tag, delivery_tag, channel) + header(channel, text.size()) + body(channel, text);
  }

  static std::string ack(std::uint64_t tag, bool multiple) {
    amqp_basic_ack_t x{};
    x.delivery_tag = tag;
    x.multiple = multiple;
    return method(3, AMQP_BASIC_ACK_METHOD, x);
  }

  static std::string nack(std::uint64_t tag, bool multiple) {
    amqp_basic_nack_t x{};
    x.delivery_tag = tag;
    x.multiple = multiple;
    return method(3, AMQP_BASIC_NACK_METHOD, x);
  }

  static std::string unroutable(std::string_view message_id) {
    amqp_basic_return_t x{};
    x.reply_code = 312;
    x.reply_text = bytes_of("NO_ROUTE");
    x.exchange = bytes_of("Trade");
    x.routing_key = bytes_of("nobody");
    auto properties = number(std::uint16_t{AMQP_BASIC_MESSAGE_ID_FLAG})
                      + number(static_cast<std::uint8_t>(message_id.size()))
                      + std::string{message_id};
    return method(3, AMQP_BASIC_RETURN_METHOD, x) + header(3, 2, properties) + body(3, "{}");
  }

  static std::string blocked(std::string_view reason) {
    amqp_connection_blocked_t x{};
    x.reason = bytes_of(reason);
    return method(0, AMQP_CONNECTION_BLOCKED_METHOD, x);
  }

  static std::string unblocked() {
    return method(0, AMQP_CONNECTION_UNBLOCKED_METHOD, amqp_connection_unblocked_t{});
  }

  static std::string cancel(std::string_view tag) {
    amqp_basic_cancel_t x{};
    x.consumer_tag = bytes_of(tag);
    x.nowait = true;
    return method(2, AMQP_BASIC_CANCEL_METHOD, x);
  }
};

/// The frames in what a session sends, as "channel:class.method" or
/// "channel:header", "channel:body", "heartbeat".
inline std::vector<std::string> frames_of(std::string_view bytes) {
  std::vector<std::string> result;
  if (bytes.starts_with("AMQP"))
    bytes.remove_prefix(8);
  frame x;
  while (read_frame(bytes, 131'072, x) == frame_status::complete) {
    auto channel = std::to_string(x.channel) + ":";
    if (x.type == AMQP_FRAME_METHOD) {
      field_reader in{x.payload};
      auto class_id = in.number<std::uint16_t>();
      auto method_id = in.number<std::uint16_t>();
      result.push_back(channel + std::to_string(class_id) + "." + std::to_string(method_id));
    } else if (x.type == AMQP_FRAME_HEARTBEAT) {
      result.emplace_back("heartbeat");
    } else {
      result.push_back(channel + (x.type == AMQP_FRAME_HEADER ? "header" : "body"));
    }
  }
  return result;
}

} // namespace actors::amqp
