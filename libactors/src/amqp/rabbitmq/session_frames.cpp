#include "amqp/rabbitmq/session.hpp"

#include <algorithm>
#include <optional>

#include <amqp_framing.h>

#include "amqp/rabbitmq/requests.hpp"
#include "amqp/wire_rules.hpp"

// The reactions of a session to each frame that arrives.

namespace actors::amqp {

namespace {

/// The largest body that we take, as large as RabbitMQ's default limit before 4.0; a larger body
/// is skipped.
constexpr std::uint64_t max_body_size = 128 * 1024 * 1024;
/// The size that is reserved at most for an announced body before its bytes arrive.
constexpr std::uint64_t trusted_size = 1024 * 1024;
constexpr std::size_t max_batch_items = 64;
constexpr std::size_t max_batch_bytes = 1024 * 1024;

/// Returns AMQP's numbers of a method, e.g. "60.40" for basic.publish.
std::string method_text(amqp_method_number_t id) {
  return std::to_string(id >> 16) + "." + std::to_string(id & 0xFFFF);
}

bool is_about_consumers(const operation& x) noexcept {
  return consumer_of(x).has_value();
}

} // namespace

// -- frames -----------------------------------------------------------------------

void session::on_frame(const frame& received) {
  switch (received.type) {
  case AMQP_FRAME_METHOD:
    return phase_ == phase::greeting ? on_greeting(received.payload) : on_method(received);
  case AMQP_FRAME_HEADER:
    return on_content_header(received, true);
  case AMQP_FRAME_BODY:
    return on_content_body(received);
  default: // the arrival of a heartbeat is its only content
    return;
  }
}

void session::on_oversized(std::string_view& input, const frame& received) {
  on_content_header(received, false);
  input.remove_prefix(frame_prefix + content_header_size);
  skipping_ = received.size - content_header_size + 1;
}

bool session::skip(std::string_view& input) {
  if (skipping_ == 0)
    return true;
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(skipping_, input.size()));
  const auto last = size == 0 ? '\0' : input[size - 1];
  input.remove_prefix(size);
  skipping_ -= size;
  if (skipping_ > 0)
    return false;
  if (static_cast<unsigned char>(last) != AMQP_FRAME_END)
    on_malformed({});
  return phase_ != phase::down;
}

void session::on_method(const frame& received) {
  field_reader in{received.payload};
  amqp_method_number_t id = in.number<std::uint32_t>();
  if (!in.ok())
    return broken("a method frame is malformed");
  auto arguments = received.payload.substr(sizeof(id));
  if (received.channel == 0)
    return on_connection_method(id, arguments);
  if (in_handshake())
    return broken("a channel is used before the connection is open");
  auto on = channels_.find(received.channel);
  if (!on)
    return broken("a channel is used that we never opened");
  if (id == AMQP_CHANNEL_CLOSE_METHOD)
    return on_channel_closed(*on, arguments);
  if (id == AMQP_CHANNEL_OPEN_OK_METHOD)
    on->closed = false;
  else if (!on->closed)
    on_channel_method(*on, id, arguments);
}

void session::on_channel_method(line& on, amqp_method_number_t id, std::string_view arguments) {
  if (on.incoming.type != arriving::kind::none)
    return broken("a message is interrupted by a method");
  switch (id) {
  case AMQP_BASIC_DELIVER_METHOD:
    return on_deliver(on, arguments);
  case AMQP_BASIC_CANCEL_METHOD:
    return on_cancelled(on, arguments);
  case AMQP_BASIC_CONSUME_OK_METHOD:
  case AMQP_BASIC_CANCEL_OK_METHOD:
    return on_consumer_answer(on, id, arguments);
  case AMQP_BASIC_QOS_OK_METHOD:
  case AMQP_CONFIRM_SELECT_OK_METHOD:
    return;
  case AMQP_BASIC_ACK_METHOD:
  case AMQP_BASIC_NACK_METHOD:
    return on.publishes ? on_confirmed(id, arguments) : unexpected(id);
  case AMQP_BASIC_RETURN_METHOD:
    return on.publishes ? on_return(on, arguments) : unexpected(id);
  default:
    return on_answer(on, id, arguments);
  }
}

void session::malformed(amqp_method_number_t id) {
  broken("the arguments of method " + method_text(id) + " are malformed");
}

void session::unexpected(amqp_method_number_t id) {
  broken("method " + method_text(id) + " is not expected here");
}

// -- channels ---------------------------------------------------------------------

void session::on_channel_closed(line& on, std::string_view arguments) {
  auto close = decode<amqp_channel_close_t>(AMQP_CHANNEL_CLOSE_METHOD, arguments);
  if (close == nullptr)
    return;
  failure reason{from_reply_code(close->reply_code), reply_text(*close)};
  const auto method = culprit(*close);
  out_.method(on.number, AMQP_CHANNEL_CLOSE_OK_METHOD, amqp_channel_close_ok_t{});
  on.closed = true;
  on.open = false;
  on.incoming = {};
  flush();
  learn(reason);
  auto items = std::exchange(on.items, {});
  asked_ -= items.size();
  refuse_culprit(on, items, method, reason);
  if (std::exchange(on.publishes, false))
    on_publishing_closed(reason);
  if (on.generation != 0)
    on_deliveries_closed(on, items, reason);
  std::erase_if(items, [](auto& x) { return is_about_consumers(x.op); });
  if (!items.empty())
    open_channel(on);
  for (auto& request : items)
    send(request, on, {});
}

// A channel for topology alone answers in order, so that its first request is to blame.
void session::refuse_culprit(const line& on, std::deque<request_command>& items,
                             amqp_method_number_t culprit, const failure& reason) {
  auto i = std::find_if(items.begin(), items.end(), [&](const request_command& request) {
    return channels_.is_for_topology_alone(on)
           || (!is_about_consumers(request.op) && is_made_with(request.op, culprit));
  });
  if (i == items.end())
    return;
  auto refused = std::move(*i);
  items.erase(i);
  channels_.left(refused.op);
  refuse(refused, reason.code, reason.text);
}

void session::on_publishing_closed(const failure& reason) {
  ++publishing_generation_;
  unconfirmed_ = {};
  unsent_.clear();
  events_->channel_closed({channel::publishing, reason});
}

// The consumer to blame is unknown: the broker grants some later than it refuses others.
// Consumers under cancellation have ended as requested, unless they have been started again.
void session::on_deliveries_closed(line& on, const std::deque<request_command>& items,
                                   const failure& reason) {
  closed_channel closed{channel::deliveries, reason, std::exchange(on.generation, 0)};
  lives_.erase(closed.generation);
  on.prefetch_count.reset();
  std::vector<consumer_id> ending;
  for (auto& [name, cancelling] : std::exchange(on.consumers, {})) {
    (cancelling ? ending : closed.consumers).push_back(name.id);
    forget(on, name);
    forget_name(name.id);
  }
  const auto is_in = [](const std::vector<consumer_id>& ids, consumer_id id) {
    return std::find(ids.begin(), ids.end(), id) != ids.end();
  };
  for (auto& request : items) {
    auto id = consumer_of(request.op);
    if (!id || !is_in(ending, *id))
      continue;
    if (std::holds_alternative<cancel_consumer>(request.op))
      events_->replied({request.id, {}, {}});
    else if (!is_in(closed.consumers, *id))
      refuse(request, reason.code, reason.text);
  }
  events_->channel_closed(std::move(closed));
}

// -- answers ----------------------------------------------------------------------

void session::on_answer(line& on, amqp_method_number_t id, std::string_view arguments) {
  auto i = std::find_if(on.items.begin(), on.items.end(),
                        [](auto& x) { return !is_about_consumers(x.op); });
  if (i == on.items.end() || id != answer_to(i->op))
    return unexpected(id);
  reply answer;
  if (id == AMQP_QUEUE_DECLARE_OK_METHOD) {
    auto declared = decode<amqp_queue_declare_ok_t>(id, arguments);
    if (declared == nullptr)
      return;
    answer.queue = view(declared->queue);
    answer.messages = declared->message_count;
    answer.consumers = declared->consumer_count;
  }
  on_granted(on, i, std::move(answer));
}

// Answers may come out of order: each queue grants its own consumers.
void session::on_consumer_answer(line& on, amqp_method_number_t id, std::string_view arguments) {
  // Both answers begin with the consumer's tag.
  field_reader in{arguments};
  auto name = parse_tag(in.short_string());
  if (!name)
    return unexpected(id);
  auto i = std::find_if(on.items.begin(), on.items.end(), [&](auto& x) {
    return consumer_of(x.op) == name->id && answer_to(x.op) == id;
  });
  // A late cancel-ok for a consumer that is gone does no harm, so the link stays.
  if (i == on.items.end())
    return id == AMQP_BASIC_CANCEL_OK_METHOD ? void() : unexpected(id);
  if (id == AMQP_BASIC_CANCEL_OK_METHOD) {
    forget(on, *name);
    forget_name(name->id);
  }
  on_granted(on, i, {});
}

void session::on_granted(line& on, const std::deque<request_command>::iterator& i, reply answer) {
  answer.id = i->id;
  channels_.left(i->op);
  on.items.erase(i);
  --asked_;
  on.since = now_;
  flush();
  events_->replied(std::move(answer));
}

// -- messages ---------------------------------------------------------------------

void session::on_deliver(line& on, std::string_view arguments) {
  auto method = decode<amqp_basic_deliver_t>(AMQP_BASIC_DELIVER_METHOD, arguments);
  if (method == nullptr)
    return;
  auto consumer = parse_tag(view(method->consumer_tag));
  if (!consumer || on.generation == 0)
    return broken("a message is for a consumer that we never started");
  on.incoming.type = arriving::kind::delivered;
  auto& to = on.incoming.delivery;
  to.consumer = consumer->id;
  to.tag = method->delivery_tag;
  to.redelivered = method->redelivered;
  to.exchange = view(method->exchange);
  to.routing_key = view(method->routing_key);
}

// RabbitMQ 4.3 keeps a consumer that was too slow until we cancel it as well. basic.cancel-ok
// would do, but costs the connection if the consumer's queue was deleted instead.
void session::on_cancelled(line& on, std::string_view arguments) {
  auto method = decode<amqp_basic_cancel_t>(AMQP_BASIC_CANCEL_METHOD, arguments);
  if (method == nullptr)
    return;
  auto name = parse_tag(view(method->consumer_tag));
  if (!name)
    return broken("the broker cancels a consumer that we never started");
  if (keeps_cancelled_) {
    amqp_basic_cancel_t answer{};
    answer.consumer_tag = method->consumer_tag;
    answer.nowait = true;
    out_.method(on.number, AMQP_BASIC_CANCEL_METHOD, answer);
  }
  forget(on, *name);
  flush();
  events_->cancelled(name->id);
}

void session::on_confirmed(amqp_method_number_t id, std::string_view arguments) {
  auto known = true;
  if (id == AMQP_BASIC_ACK_METHOD) {
    if (auto method = decode<amqp_basic_ack_t>(id, arguments))
      known = unconfirmed_.settle(method->delivery_tag, method->multiple, true, confirmations_);
  } else if (auto method = decode<amqp_basic_nack_t>(id, arguments)) {
    known = unconfirmed_.settle(method->delivery_tag, method->multiple, false, confirmations_);
  }
  if (!known)
    broken("the broker confirms a message that we never published");
}

void session::on_return(line& on, std::string_view arguments) {
  auto method = decode<amqp_basic_return_t>(AMQP_BASIC_RETURN_METHOD, arguments);
  if (method == nullptr)
    return;
  auto& to = on.incoming;
  to.type = arriving::kind::returned;
  to.delivery.exchange = view(method->exchange);
  to.delivery.routing_key = view(method->routing_key);
  to.reason = {from_reply_code(method->reply_code),
               "publish to exchange '" + to.delivery.exchange + "' with routing key '"
                   + to.delivery.routing_key + "': " + reply_text(*method)};
}

// -- content ----------------------------------------------------------------------

void session::on_content_header(const frame& received, bool whole) {
  auto on = channels_.find(received.channel);
  if (on && on->closed)
    return;
  auto expected = on && on->incoming.type != arriving::kind::none && !on->incoming.has_header;
  auto size = expected ? read_body_size(received.payload) : std::nullopt;
  if (!size)
    return broken("a content header is malformed or comes without its method");
  on->incoming.has_header = true;
  on->incoming.missing = *size;
  read_content_header(on->incoming, received, whole);
  if (*size == 0)
    finish(*on);
}

void session::read_content_header(arriving& to, const frame& received, bool whole) const {
  auto unreadable = [&](ec code, const std::string& problem) {
    to.delivery.unreadable = std::make_shared<const failure>(failure{
        code, "a message of exchange '" + printable(to.delivery.exchange) + "' with routing key '"
                  + printable(to.delivery.routing_key) + "' is passed over: " + problem});
  };
  if (!whole)
    return unreadable(ec::limit_exceeded, "its headers have " + std::to_string(received.size)
                                              + " bytes, and a frame carries "
                                              + std::to_string(frame_max_ - frame_overhead));
  if (to.missing > max_body_size)
    return unreadable(ec::limit_exceeded, "it has " + std::to_string(to.missing)
                                              + " bytes, and we take "
                                              + std::to_string(max_body_size));
  auto with = read_properties(received.payload);
  if (!with)
    return unreadable(ec::protocol_error, "its properties make no sense");
  to.delivery.properties = std::move(*with);
  if (to.type == arriving::kind::delivered)
    to.delivery.body.reserve(std::min(to.missing, trusted_size));
}

void session::on_content_body(const frame& received) {
  auto on = channels_.find(received.channel);
  if (on && on->closed)
    return;
  if (!on || !on->incoming.has_header || received.payload.size() > on->incoming.missing)
    return broken("a content body does not fit its header");
  auto& to = on->incoming;
  to.missing -= received.payload.size();
  if (to.type == arriving::kind::delivered && !to.delivery.unreadable)
    to.delivery.body.append(received.payload);
  if (to.missing == 0)
    finish(*on);
}

void session::finish(line& on) {
  auto message = std::exchange(on.incoming, {});
  if (message.type == arriving::kind::returned) {
    flush();
    events_->returned({std::move(message.reason), std::move(message.delivery.exchange),
                       std::move(message.delivery.routing_key),
                       std::move(message.delivery.properties)});
    return;
  }
  if (on.arrived.empty())
    arrived_on_.push_back(&on);
  arrived_bytes_ += message.delivery.body.size();
  on.arrived.push_back(std::move(message.delivery));
  if (on.arrived.size() >= max_batch_items || arrived_bytes_ >= max_batch_bytes)
    flush();
}

} // namespace actors::amqp
