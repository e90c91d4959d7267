#include "amqp/rabbitmq_session.hpp"

#include <algorithm>

#include <amqp_framing.h>

#include "actors/amqp/wire_rules.hpp"
#include "amqp/rabbitmq_requests.hpp"

// What a session makes of each frame that arrives.

namespace actors::amqp {

namespace {

constexpr std::uint64_t max_body_size = 128 * 1024 * 1024;
/// A body grows to a size that was only announced in steps of this.
constexpr std::uint64_t trusted_size = 1024 * 1024;
constexpr std::size_t max_batch_items = 64;
constexpr std::size_t max_batch_bytes = 1024 * 1024;
/// A link does not come up with fewer channels.
constexpr auto min_channels = number_of(channel::publishing);

constexpr auto no_plain = "the broker offers no login by password (PLAIN), only: ";
constexpr auto no_external =
    "the broker offers no login by certificate (EXTERNAL): enable its "
    "plugin rabbitmq_auth_mechanism_ssl and the mechanism; it offers only: ";

/// Who logs in.
std::string who(const endpoint& x) {
  return x.auth_mechanism == auth_mechanism::external
             ? "the holder of certificate '" + x.tls.certfile + "'"
             : "user '" + x.username + "'";
}

template <class Close>
std::string reply_text(const Close& x) {
  return std::string{view(x.reply_text)} + " (" + std::to_string(x.reply_code) + ")";
}

template <class Close>
amqp_method_number_t culprit(const Close& x) noexcept {
  return amqp_method_number_t{x.class_id} << 16 | x.method_id;
}

/// AMQP's numbers of a method, e.g. "60.40" for basic.publish.
std::string method_text(amqp_method_number_t id) {
  return std::to_string(id >> 16) + "." + std::to_string(id & 0xFFFF);
}

/// The smaller of two limits of which 0 is none.
template <class Number>
Number agree(Number x, Number y) {
  return x == 0 || y == 0 ? std::max(x, y) : std::min(x, y);
}

} // namespace

// -- frames -----------------------------------------------------------------------

void session::on_frame(const frame& x) {
  if (x.type != AMQP_FRAME_METHOD && x.channel <= max_channels && closed_[x.channel])
    return;
  switch (x.type) {
  case AMQP_FRAME_METHOD:
    return phase_ == phase::greeting ? on_greeting(x.payload) : on_method(x);
  case AMQP_FRAME_HEADER:
    return on_content_header(x);
  case AMQP_FRAME_BODY:
    return on_content_body(x);
  default: // a heartbeat, whose arrival is all it says
    return;
  }
}

void session::on_method(const frame& x) {
  field_reader in{x.payload};
  amqp_method_number_t id = in.number<std::uint32_t>();
  if (!in.ok() || x.channel > max_channels)
    return broken("a method frame is malformed");
  auto arguments = x.payload.substr(sizeof(id));
  if (x.channel == 0)
    return on_connection_method(id, arguments);
  if (in_handshake())
    return broken("a channel is used before the connection is open");
  if (id == AMQP_CHANNEL_CLOSE_METHOD)
    return on_channel_closed(x.channel, arguments);
  if (id == AMQP_CHANNEL_OPEN_OK_METHOD)
    closed_[x.channel] = false;
  else if (!closed_[x.channel])
    on_channel_method(x.channel, id, arguments);
}

void session::on_channel_method(std::uint16_t number, amqp_method_number_t id,
                                std::string_view arguments) {
  switch (number) {
  case number_of(channel::deliveries):
    return on_deliveries_method(id, arguments);
  case number_of(channel::publishing):
    return on_publishing_method(id, arguments);
  default:
    return on_request_method(requests(number), id, arguments);
  }
}

template <class Fields>
const Fields* session::decode(amqp_method_number_t id, std::string_view arguments) {
  auto result = static_cast<const Fields*>(methods_.read(id, arguments));
  if (result == nullptr)
    broken("the arguments of method " + std::to_string(id >> 16) + "." + std::to_string(id & 0xFFFF)
           + " are malformed");
  return result;
}

void session::unexpected(amqp_method_number_t id) {
  broken("method " + method_text(id) + " is not expected here");
}

// -- the connection ---------------------------------------------------------------

void session::on_greeting(std::string_view payload) {
  field_reader in{payload};
  if (in.number<std::uint32_t>() != AMQP_CONNECTION_START_METHOD)
    return broken("the broker does not greet as AMQP 0-9-1 asks");
  auto greeting = read_server_greeting(payload.substr(sizeof(std::uint32_t)));
  if (!greeting || greeting->major != 0 || greeting->minor != 9)
    return broken("the broker does not greet as AMQP 0-9-1 asks");
  const auto external = where_.auth_mechanism == auth_mechanism::external;
  const std::string mechanism = external ? "EXTERNAL" : "PLAIN";
  if ((" " + greeting->mechanisms + " ").find(" " + mechanism + " ") == std::string::npos)
    return down(ec::login_refused, (external ? no_external : no_plain) + greeting->mechanisms);
  broker_ = std::move(greeting->broker);
  table_view capabilities{{}};
  for (auto name : {"authentication_failure_close", "basic.nack", "connection.blocked",
                    "consumer_cancel_notify", "exchange_exchange_bindings", "publisher_confirms"})
    capabilities.add_flag(name);
  table_view about{{}};
  about.add("product", "libactors");
  about.add("version", ACTORS_VERSION);
  about.add("platform", "C++");
  if (!where_.connection_name.empty())
    about.add("connection_name", where_.connection_name);
  about.add("capabilities", capabilities);
  // With EXTERNAL the certificate says it all.
  auto response =
      external ? std::string{} : '\0' + where_.username + '\0' + where_.password.reveal();
  amqp_connection_start_ok_t start{};
  start.client_properties = about.get();
  start.mechanism = bytes_of(mechanism);
  start.response = bytes_of(response);
  start.locale = bytes_of("en_US");
  if (!out_.method(0, AMQP_CONNECTION_START_OK_METHOD, start))
    return down(ec::invalid_endpoint, "user name, password and connection name are too long");
  phase_ = phase::tuning;
}

void session::on_tune(std::string_view arguments) {
  auto tune = decode<amqp_connection_tune_t>(AMQP_CONNECTION_TUNE_METHOD, arguments);
  if (tune == nullptr)
    return;
  if (tune->channel_max != 0 && tune->channel_max < min_channels)
    return down(ec::not_allowed, "the broker allows fewer than the " + std::to_string(min_channels)
                                     + " channels that a link needs");
  if (tune->channel_max != 0)
    topology_channels_ =
        std::min<std::uint16_t>(max_topology_channels, tune->channel_max - min_channels + 1);
  auto frame_max = agree<std::size_t>(tune->frame_max, wanted_frame_max);
  if (frame_max < AMQP_FRAME_MIN_SIZE)
    return broken("the broker asks for frames below AMQP's minimum");
  frame_max_ = frame_max;
  out_.frame_max(frame_max);
  auto wanted =
      static_cast<std::uint16_t>(std::clamp<std::int64_t>(where_.heartbeat.count(), 0, 0xFFFF));
  auto seconds = wanted == 0 ? wanted : agree(wanted, tune->heartbeat);
  heartbeat_ = std::chrono::seconds{seconds};
  amqp_connection_tune_ok_t agreed{};
  agreed.channel_max = tune->channel_max == 0 ? 0xFFFF : tune->channel_max;
  agreed.frame_max = static_cast<std::uint32_t>(frame_max);
  agreed.heartbeat = seconds;
  out_.method(0, AMQP_CONNECTION_TUNE_OK_METHOD, agreed);
  amqp_connection_open_t open{};
  open.virtual_host = bytes_of(where_.vhost);
  if (where_.vhost.size() > max_short_string || !out_.method(0, AMQP_CONNECTION_OPEN_METHOD, open))
    return down(ec::invalid_endpoint, "the vhost's name is longer than 255 bytes");
  phase_ = phase::opening;
}

void session::on_connection_method(amqp_method_number_t id, std::string_view arguments) {
  switch (id) {
  case AMQP_CONNECTION_CLOSE_METHOD:
    return on_connection_closed(arguments);
  case AMQP_CONNECTION_CLOSE_OK_METHOD:
    if (phase_ == phase::closing)
      return down(ec::none, {});
    break;
  case AMQP_CONNECTION_TUNE_METHOD:
    if (phase_ == phase::tuning)
      return on_tune(arguments);
    break;
  case AMQP_CONNECTION_OPEN_OK_METHOD:
    if (phase_ != phase::opening)
      break;
    phase_ = phase::up;
    events_->up(broker_);
    for (auto& x : std::exchange(early_, {}))
      std::visit([this](auto& y) { run(y); }, x);
    return;
  case AMQP_CONNECTION_BLOCKED_METHOD:
    if (in_handshake())
      break;
    if (auto x = decode<amqp_connection_blocked_t>(id, arguments)) {
      blocked_ = true;
      flush();
      events_->blocked(std::string{view(x->reason)});
    }
    return;
  case AMQP_CONNECTION_UNBLOCKED_METHOD:
    if (in_handshake())
      break;
    blocked_ = false;
    waiting_since_ = now_;
    for (auto& queue : requests_)
      queue.since = now_;
    flush();
    return events_->unblocked();
  default:
    break;
  }
  unexpected(id);
}

void session::on_connection_closed(std::string_view arguments) {
  auto close = decode<amqp_connection_close_t>(AMQP_CONNECTION_CLOSE_METHOD, arguments);
  if (close == nullptr)
    return;
  out_.method(0, AMQP_CONNECTION_CLOSE_OK_METHOD, amqp_connection_close_ok_t{});
  auto code = from_reply_code(close->reply_code);
  auto text = reply_text(*close);
  if (phase_ == phase::closing)
    return down(ec::none, {});
  if (phase_ == phase::tuning && code == ec::access_refused)
    return down(ec::login_refused, "the broker refuses the login of " + who(where_) + ": " + text);
  if (phase_ == phase::opening && (code == ec::not_allowed || code == ec::invalid_path))
    return down(ec::not_allowed,
                "the broker refuses " + who(where_) + " the vhost '" + where_.vhost + "': " + text);
  down(code, "the broker closed the connection: " + text);
}

// -- channels ---------------------------------------------------------------------

void session::on_channel_closed(std::uint16_t number, std::string_view arguments) {
  auto close = decode<amqp_channel_close_t>(AMQP_CHANNEL_CLOSE_METHOD, arguments);
  if (close == nullptr)
    return;
  failure reason{from_reply_code(close->reply_code), reply_text(*close)};
  out_.method(number, AMQP_CHANNEL_CLOSE_OK_METHOD, amqp_channel_close_ok_t{});
  closed_[number] = true;
  flush();
  if (number == number_of(channel::publishing))
    return on_publishing_closed(std::move(reason));
  const auto consumes = number == number_of(channel::deliveries);
  auto& queue = requests(number);
  queue.open = false;
  // Requests are answered in order, so the first is to blame; a channel with
  // consumers can also fall for a settlement or a delivery.
  if (!queue.items.empty()
      && (!consumes || is_made_with(queue.items.front().what, culprit(*close)))) {
    auto refused = take_first(queue);
    events_->replied({refused.id, {reason.code, to_string(refused.what) + ": " + reason.text}, {}});
  }
  if (consumes) {
    ++incarnation_;
    incoming_ = {};
    prefetch_count_.reset();
    events_->channel_closed({channel::deliveries, std::move(reason), incarnation_ - 1});
  }
  send_again(queue);
}

void session::on_publishing_closed(failure reason) {
  publishing_open_ = false;
  ++publishing_incarnation_;
  returning_ = {};
  unconfirmed_ = {};
  unsent_.clear();
  events_->channel_closed({channel::publishing, std::move(reason)});
}

void session::send_again(request_queue& queue) {
  for (auto& x : std::exchange(queue.items, {}))
    send(std::move(x), queue);
}

void session::on_request_method(request_queue& queue, amqp_method_number_t id,
                                std::string_view arguments) {
  if (queue.items.empty() || id != answer_to(queue.items.front().what))
    return unexpected(id);
  reply answer;
  if (id == AMQP_QUEUE_DECLARE_OK_METHOD) {
    auto x = decode<amqp_queue_declare_ok_t>(id, arguments);
    if (x == nullptr)
      return;
    answer.queue = view(x->queue);
    answer.messages = x->message_count;
    answer.consumers = x->consumer_count;
  }
  on_granted(queue, std::move(answer));
}

void session::on_granted(request_queue& queue, reply answer) {
  answer.id = take_first(queue).id;
  queue.since = now_;
  flush();
  events_->replied(std::move(answer));
}

void session::on_deliveries_method(amqp_method_number_t id, std::string_view arguments) {
  if (incoming_.what != content::kind::none)
    return broken("a message is interrupted by a method");
  switch (id) {
  case AMQP_BASIC_DELIVER_METHOD:
    return on_deliver(arguments);
  case AMQP_BASIC_CANCEL_METHOD:
    return on_cancelled(arguments);
  case AMQP_BASIC_QOS_OK_METHOD:
    return;
  default:
    return on_request_method(requests_[0], id, arguments);
  }
}

void session::on_deliver(std::string_view arguments) {
  auto x = decode<amqp_basic_deliver_t>(AMQP_BASIC_DELIVER_METHOD, arguments);
  if (x == nullptr)
    return;
  auto consumer = parse_consumer_tag(view(x->consumer_tag));
  if (!consumer)
    return broken("a message is for a consumer that we never started");
  incoming_ = {};
  incoming_.what = content::kind::delivered;
  auto& to = incoming_.delivery;
  to.consumer = *consumer;
  to.tag = x->delivery_tag;
  to.redelivered = x->redelivered;
  to.exchange = view(x->exchange);
  to.routing_key = view(x->routing_key);
}

void session::on_cancelled(std::string_view arguments) {
  auto x = decode<amqp_basic_cancel_t>(AMQP_BASIC_CANCEL_METHOD, arguments);
  if (x == nullptr)
    return;
  auto consumer = parse_consumer_tag(view(x->consumer_tag));
  if (!consumer)
    return broken("the broker cancels a consumer that we never started");
  flush();
  events_->cancelled(*consumer);
}

void session::on_publishing_method(amqp_method_number_t id, std::string_view arguments) {
  if (returning_.what != content::kind::none)
    return broken("a message is interrupted by a method");
  switch (id) {
  case AMQP_CONFIRM_SELECT_OK_METHOD:
    return;
  case AMQP_BASIC_ACK_METHOD:
  case AMQP_BASIC_NACK_METHOD:
    return on_confirmed(id, arguments);
  case AMQP_BASIC_RETURN_METHOD:
    return on_return(arguments);
  default:
    unexpected(id);
  }
}

void session::on_confirmed(amqp_method_number_t id, std::string_view arguments) {
  auto known = true;
  if (id == AMQP_BASIC_ACK_METHOD) {
    if (auto x = decode<amqp_basic_ack_t>(id, arguments))
      known = unconfirmed_.settle(x->delivery_tag, x->multiple, true, confirmations_);
  } else if (auto x = decode<amqp_basic_nack_t>(id, arguments)) {
    known = unconfirmed_.settle(x->delivery_tag, x->multiple, false, confirmations_);
  }
  if (!known)
    broken("the broker confirms a message that we never published");
}

void session::on_return(std::string_view arguments) {
  auto x = decode<amqp_basic_return_t>(AMQP_BASIC_RETURN_METHOD, arguments);
  if (x == nullptr)
    return;
  returning_ = {};
  returning_.what = content::kind::returned;
  returning_.delivery.exchange = view(x->exchange);
  returning_.delivery.routing_key = view(x->routing_key);
  returning_.reason = {from_reply_code(x->reply_code),
                       "publish to exchange '" + returning_.delivery.exchange
                           + "' with routing key '" + returning_.delivery.routing_key
                           + "': " + reply_text(*x)};
}

// -- content ----------------------------------------------------------------------

void session::on_content_header(const frame& x) {
  auto& to = x.channel == number_of(channel::publishing) ? returning_ : incoming_;
  auto expected =
      (x.channel == number_of(channel::publishing) || x.channel == number_of(channel::deliveries))
      && to.what != content::kind::none && !to.has_header;
  auto header = expected ? read_content_header(x.payload) : std::nullopt;
  if (!header)
    return broken("a content header is malformed or comes without its method");
  if (header->body_size > max_body_size)
    return broken("a message of " + std::to_string(header->body_size) + " bytes is too large");
  to.has_header = true;
  to.missing = header->body_size;
  to.delivery.properties = std::move(header->properties);
  if (to.what == content::kind::delivered)
    to.delivery.body.reserve(std::min(to.missing, trusted_size));
  if (to.missing == 0)
    finish(to);
}

void session::on_content_body(const frame& x) {
  auto& to = x.channel == number_of(channel::publishing) ? returning_ : incoming_;
  auto expected =
      (x.channel == number_of(channel::publishing) || x.channel == number_of(channel::deliveries))
      && to.has_header && x.payload.size() <= to.missing;
  if (!expected)
    return broken("a content body does not fit its header");
  to.missing -= x.payload.size();
  if (to.what == content::kind::delivered)
    to.delivery.body.append(x.payload);
  if (to.missing == 0)
    finish(to);
}

void session::finish(content& x) {
  if (x.what == content::kind::returned) {
    flush();
    events_->returned({std::move(x.reason), std::move(x.delivery.exchange),
                       std::move(x.delivery.routing_key), std::move(x.delivery.properties)});
  } else {
    delivered_bytes_ += x.delivery.body.size();
    deliveries_.push_back(std::move(x.delivery));
    if (deliveries_.size() >= max_batch_items || delivered_bytes_ >= max_batch_bytes)
      flush();
  }
  x = {};
}

} // namespace actors::amqp
