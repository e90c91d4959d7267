#include "amqp/rabbitmq/session.hpp"

#include <algorithm>
#include <optional>

#include <amqp_framing.h>

#include "amqp/rabbitmq/requests.hpp"
#include "amqp/wire_rules.hpp"

// What a session makes of each frame that arrives.

namespace actors::amqp {

namespace {

/// RabbitMQ takes no larger ones by default before 4.0; a larger one is passed over.
constexpr std::uint64_t max_body_size = 128 * 1024 * 1024;
/// A body grows to a size that was only announced in steps of this.
constexpr std::uint64_t trusted_size = 1024 * 1024;
constexpr std::size_t max_batch_items = 64;
constexpr std::size_t max_batch_bytes = 1024 * 1024;

/// AMQP's numbers of a method, e.g. "60.40" for basic.publish.
std::string method_text(amqp_method_number_t id) {
  return std::to_string(id >> 16) + "." + std::to_string(id & 0xFFFF);
}

bool is_about_consumers(const operation& x) noexcept {
  return consumer_of(x).has_value();
}

} // namespace

// -- frames -----------------------------------------------------------------------

void session::on_frame(const frame& x) {
  switch (x.type) {
  case AMQP_FRAME_METHOD:
    return phase_ == phase::greeting ? on_greeting(x.payload) : on_method(x);
  case AMQP_FRAME_HEADER:
    return on_content_header(x, true);
  case AMQP_FRAME_BODY:
    return on_content_body(x);
  default: // a heartbeat, whose arrival is all it says
    return;
  }
}

void session::on_oversized(std::string_view& input, const frame& x) {
  on_content_header(x, false);
  input.remove_prefix(frame_prefix + content_header_size);
  skipping_ = x.size - content_header_size + 1;
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

void session::on_method(const frame& x) {
  field_reader in{x.payload};
  amqp_method_number_t id = in.number<std::uint32_t>();
  if (!in.ok())
    return broken("a method frame is malformed");
  auto arguments = x.payload.substr(sizeof(id));
  if (x.channel == 0)
    return on_connection_method(id, arguments);
  if (in_handshake())
    return broken("a channel is used before the connection is open");
  auto on = channels_.find(x.channel);
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
  for (auto& x : items)
    send(x, on, {});
}

// What shares its channel with nothing else is answered in order, so that the first is to
// blame.
void session::refuse_culprit(const line& on, std::deque<request_command>& items,
                             amqp_method_number_t culprit, const failure& reason) {
  auto i = std::find_if(items.begin(), items.end(), [&](const request_command& x) {
    return channels_.is_for_topology_alone(on)
           || (!is_about_consumers(x.op) && is_made_with(x.op, culprit));
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

// Which of the consumers is to blame is not known: the broker grants some later than it
// refuses others. Those on their way out are gone, as they were to be, unless they have been
// started again.
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
  const auto is_in = [](const std::vector<consumer_id>& xs, consumer_id id) {
    return std::find(xs.begin(), xs.end(), id) != xs.end();
  };
  for (auto& x : items) {
    auto id = consumer_of(x.op);
    if (!id || !is_in(ending, *id))
      continue;
    if (std::holds_alternative<cancel_consumer>(x.op))
      events_->replied({x.id, {}, {}});
    else if (!is_in(closed.consumers, *id))
      refuse(x, reason.code, reason.text);
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
    auto x = decode<amqp_queue_declare_ok_t>(id, arguments);
    if (x == nullptr)
      return;
    answer.queue = view(x->queue);
    answer.messages = x->message_count;
    answer.consumers = x->consumer_count;
  }
  on_granted(on, i, std::move(answer));
}

// Not always in the order of the requests: a consumer is granted by its queue.
void session::on_consumer_answer(line& on, amqp_method_number_t id, std::string_view arguments) {
  // Both answers are made of a tag.
  field_reader in{arguments};
  auto name = parse_tag(in.short_string());
  if (!name)
    return unexpected(id);
  auto i = std::find_if(on.items.begin(), on.items.end(), [&](auto& x) {
    return consumer_of(x.op) == name->id && answer_to(x.op) == id;
  });
  // That a consumer is gone which is gone already harms nobody: it is no reason to end the link.
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
  auto x = decode<amqp_basic_deliver_t>(AMQP_BASIC_DELIVER_METHOD, arguments);
  if (x == nullptr)
    return;
  auto consumer = parse_tag(view(x->consumer_tag));
  if (!consumer || on.generation == 0)
    return broken("a message is for a consumer that we never started");
  on.incoming.type = arriving::kind::delivered;
  auto& to = on.incoming.delivery;
  to.consumer = consumer->id;
  to.tag = x->delivery_tag;
  to.redelivered = x->redelivered;
  to.exchange = view(x->exchange);
  to.routing_key = view(x->routing_key);
}

// A consumer that was too slow for RabbitMQ 4.3 stays until we cancel it as well; basic.cancel-ok
// would do, but costs the connection where its queue was deleted instead.
void session::on_cancelled(line& on, std::string_view arguments) {
  auto x = decode<amqp_basic_cancel_t>(AMQP_BASIC_CANCEL_METHOD, arguments);
  if (x == nullptr)
    return;
  auto name = parse_tag(view(x->consumer_tag));
  if (!name)
    return broken("the broker cancels a consumer that we never started");
  if (keeps_cancelled_) {
    amqp_basic_cancel_t answer{};
    answer.consumer_tag = x->consumer_tag;
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
    if (auto x = decode<amqp_basic_ack_t>(id, arguments))
      known = unconfirmed_.settle(x->delivery_tag, x->multiple, true, confirmations_);
  } else if (auto x = decode<amqp_basic_nack_t>(id, arguments)) {
    known = unconfirmed_.settle(x->delivery_tag, x->multiple, false, confirmations_);
  }
  if (!known)
    broken("the broker confirms a message that we never published");
}

void session::on_return(line& on, std::string_view arguments) {
  auto x = decode<amqp_basic_return_t>(AMQP_BASIC_RETURN_METHOD, arguments);
  if (x == nullptr)
    return;
  auto& to = on.incoming;
  to.type = arriving::kind::returned;
  to.delivery.exchange = view(x->exchange);
  to.delivery.routing_key = view(x->routing_key);
  to.reason = {from_reply_code(x->reply_code),
               "publish to exchange '" + to.delivery.exchange + "' with routing key '"
                   + to.delivery.routing_key + "': " + reply_text(*x)};
}

// -- content ----------------------------------------------------------------------

void session::on_content_header(const frame& x, bool whole) {
  auto on = channels_.find(x.channel);
  if (on && on->closed)
    return;
  auto expected = on && on->incoming.type != arriving::kind::none && !on->incoming.has_header;
  auto size = expected ? read_body_size(x.payload) : std::nullopt;
  if (!size)
    return broken("a content header is malformed or comes without its method");
  on->incoming.has_header = true;
  on->incoming.missing = *size;
  read_content_header(on->incoming, x, whole);
  if (*size == 0)
    finish(*on);
}

void session::read_content_header(arriving& to, const frame& x, bool whole) const {
  auto unreadable = [&](ec code, const std::string& problem) {
    to.delivery.unreadable = std::make_shared<const failure>(failure{
        code, "a message of exchange '" + printable(to.delivery.exchange) + "' with routing key '"
                  + printable(to.delivery.routing_key) + "' is passed over: " + problem});
  };
  if (!whole)
    return unreadable(ec::limit_exceeded, "its headers have " + std::to_string(x.size)
                                              + " bytes, and a frame carries "
                                              + std::to_string(frame_max_ - frame_overhead));
  if (to.missing > max_body_size)
    return unreadable(ec::limit_exceeded, "it has " + std::to_string(to.missing)
                                              + " bytes, and we take "
                                              + std::to_string(max_body_size));
  auto with = read_properties(x.payload);
  if (!with)
    return unreadable(ec::protocol_error, "its properties make no sense");
  to.delivery.properties = std::move(*with);
  if (to.type == arriving::kind::delivered)
    to.delivery.body.reserve(std::min(to.missing, trusted_size));
}

void session::on_content_body(const frame& x) {
  auto on = channels_.find(x.channel);
  if (on && on->closed)
    return;
  if (!on || !on->incoming.has_header || x.payload.size() > on->incoming.missing)
    return broken("a content body does not fit its header");
  auto& to = on->incoming;
  to.missing -= x.payload.size();
  if (to.type == arriving::kind::delivered && !to.delivery.unreadable)
    to.delivery.body.append(x.payload);
  if (to.missing == 0)
    finish(*on);
}

void session::finish(line& on) {
  auto x = std::exchange(on.incoming, {});
  if (x.type == arriving::kind::returned) {
    flush();
    events_->returned({std::move(x.reason), std::move(x.delivery.exchange),
                       std::move(x.delivery.routing_key), std::move(x.delivery.properties)});
    return;
  }
  if (on.arrived.empty())
    arrived_on_.push_back(&on);
  arrived_bytes_ += x.delivery.body.size();
  on.arrived.push_back(std::move(x.delivery));
  if (on.arrived.size() >= max_batch_items || arrived_bytes_ >= max_batch_bytes)
    flush();
}

} // namespace actors::amqp
