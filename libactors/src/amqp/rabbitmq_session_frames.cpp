#include "amqp/rabbitmq_session.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include <amqp_framing.h>

#include "actors/amqp/wire_rules.hpp"
#include "amqp/rabbitmq_requests.hpp"

// What a session makes of each frame that arrives.

namespace actors::amqp {

namespace {

/// RabbitMQ takes no larger ones by default before 4.0; a larger one is passed over.
constexpr std::uint64_t max_body_size = 128 * 1024 * 1024;
/// A body grows to a size that was only announced in steps of this.
constexpr std::uint64_t trusted_size = 1024 * 1024;
constexpr std::size_t max_batch_items = 64;
constexpr std::size_t max_batch_bytes = 1024 * 1024;
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

/// The number behind `before`, if that is in the text; brokers put some in parentheses.
std::optional<std::uint64_t> number_behind(std::string_view text, std::string_view before) {
  auto at = text.find(before);
  if (at == std::string_view::npos)
    return std::nullopt;
  text.remove_prefix(at + before.size());
  text.remove_prefix(std::min(text.find_first_not_of(" ("), text.size()));
  std::uint64_t result = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), result);
  return error == std::errc{} ? std::optional{result} : std::nullopt;
}

bool mentions(std::string_view text, std::string_view what) {
  return text.find(what) != std::string_view::npos;
}

bool is_about_consumers(const operation& x) noexcept {
  return consumer_of(x).has_value();
}

/// The smaller of two limits of which 0 is none.
template <class Number>
Number agree(Number x, Number y) {
  return x == 0 || y == 0 ? std::max(x, y) : std::min(x, y);
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
  if (on.incoming.what != arriving::kind::none)
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
  keeps_cancelled_ = greeting->keeps_cancelled;
  field_table capabilities;
  for (auto name : {"authentication_failure_close", "basic.nack", "connection.blocked",
                    "consumer_cancel_notify", "exchange_exchange_bindings", "publisher_confirms"})
    capabilities.emplace_back(name, true);
  field_table about{{"product", std::string{"libactors"}},
                    {"version", std::string{ACTORS_VERSION}},
                    {"platform", std::string{"C++"}}};
  if (!where_.connection_name.empty())
    about.emplace_back("connection_name", where_.connection_name);
  about.emplace_back("capabilities", as_opaque(capabilities));
  // With EXTERNAL the certificate says it all.
  auto response =
      external ? std::string{} : '\0' + where_.username + '\0' + where_.password.reveal();
  auto written = out_.method_with(0, AMQP_CONNECTION_START_OK_METHOD, [&](field_writer& to) {
    to.table(about);
    to.short_string(mechanism);
    to.long_string(response);
    to.short_string("en_US");
  });
  if (!written)
    return down(ec::invalid_endpoint, "user name, password and connection name are too long");
  phase_ = phase::tuning;
}

void session::on_tune(std::string_view arguments) {
  auto tune = decode<amqp_connection_tune_t>(AMQP_CONNECTION_TUNE_METHOD, arguments);
  if (tune == nullptr)
    return;
  channels_.limit(agree(tune->channel_max, where_.known.channels),
                  where_.known.consumers_per_channel);
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
    channels_.for_each([this](line& x) { x.since = now_; });
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
  flush();
  // A limit explains it all.
  if (!learn({code, text}))
    if (auto xs = suspects(culprit(*close)); !xs.empty())
      events_->suspected(std::move(xs));
  down(code, "the broker closed the connection: " + text);
}

// A channel works on one request at a time. A crash names no method.
std::vector<request_id> session::suspects(amqp_method_number_t culprit) const {
  std::vector<request_id> result;
  channels_.for_each([&](const line& x) {
    auto i = std::find_if(x.items.begin(), x.items.end(), [&](const request_command& y) {
      return culprit == 0 || is_made_with(y.what, culprit);
    });
    if (i != x.items.end())
      result.push_back(i->id);
  });
  return result;
}

// RabbitMQ tells its limits in words alone.
bool session::learn(const failure& reason) {
  auto known = where_.known;
  const std::string_view text = reason.text;
  if (mentions(text, "number of channels opened")) {
    // The user's other links have a share, and have as many at least.
    const auto ours = std::max(1, channels_.open() - 1);
    const auto all = number_behind(text, "limit of").value_or(2);
    known.channels = static_cast<std::uint16_t>(
        std::clamp<std::uint64_t>(all / 2, 1, static_cast<std::uint64_t>(ours)));
  } else if (mentions(text, "of consumers per channel")) {
    std::size_t most = 0;
    channels_.for_each([&](const line& x) { most = std::max(most, x.consumers.size()); });
    known.consumers_per_channel = static_cast<std::uint32_t>(std::max<std::uint64_t>(
        1, number_behind(text, "reached maximum").value_or(most > 0 ? most - 1 : 0)));
  } else if (auto size =
                 mentions(text, "message size ") ? number_behind(text, "max size") : std::nullopt) {
    known.message_size = *size;
  } else if (mentions(text, "transient_nonexcl_queues")) {
    known.transient_queues = false;
  }
  if (known == where_.known)
    return false;
  where_.known = known;
  events_->learned(known);
  return true;
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
  if (on.incarnation != 0)
    on_deliveries_closed(on, items, reason);
  std::erase_if(items, [](auto& x) { return is_about_consumers(x.what); });
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
           || (!is_about_consumers(x.what) && is_made_with(x.what, culprit));
  });
  if (i == items.end())
    return;
  auto refused = std::move(*i);
  items.erase(i);
  channels_.left(refused.what);
  refuse(refused, reason.code, reason.text);
}

void session::on_publishing_closed(const failure& reason) {
  ++publishing_incarnation_;
  unconfirmed_ = {};
  unsent_.clear();
  events_->channel_closed({channel::publishing, reason});
}

// Which of the consumers is to blame is not known: the broker grants some later than it
// refuses others. Those on their way out are gone, as they were to be.
void session::on_deliveries_closed(line& on, const std::deque<request_command>& items,
                                   const failure& reason) {
  closed_channel closed{channel::deliveries, reason, std::exchange(on.incarnation, 0)};
  lives_.erase(closed.incarnation);
  on.prefetch_count.reset();
  std::vector<consumer_id> ending;
  for (auto& [name, cancelling] : std::exchange(on.consumers, {})) {
    (cancelling ? ending : closed.consumers).push_back(name.id);
    forget(on, name);
    forget_name(name.id);
  }
  for (auto& x : items) {
    auto id = consumer_of(x.what);
    if (!id || std::find(ending.begin(), ending.end(), *id) == ending.end())
      continue;
    if (std::holds_alternative<cancel_consumer>(x.what))
      events_->replied({x.id, {}, {}});
    else
      refuse(x, reason.code, reason.text);
  }
  events_->channel_closed(std::move(closed));
}

// -- answers ----------------------------------------------------------------------

void session::on_answer(line& on, amqp_method_number_t id, std::string_view arguments) {
  auto i = std::find_if(on.items.begin(), on.items.end(),
                        [](auto& x) { return !is_about_consumers(x.what); });
  if (i == on.items.end() || id != answer_to(i->what))
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
    return consumer_of(x.what) == name->id && answer_to(x.what) == id;
  });
  if (i == on.items.end())
    return unexpected(id);
  if (id == AMQP_BASIC_CANCEL_OK_METHOD) {
    forget(on, *name);
    forget_name(name->id);
  }
  on_granted(on, i, {});
}

void session::on_granted(line& on, const std::deque<request_command>::iterator& i, reply answer) {
  answer.id = i->id;
  channels_.left(i->what);
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
  if (!consumer || on.incarnation == 0)
    return broken("a message is for a consumer that we never started");
  on.incoming.what = arriving::kind::delivered;
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
  to.what = arriving::kind::returned;
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
  auto expected = on && on->incoming.what != arriving::kind::none && !on->incoming.has_header;
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
  if (to.what == arriving::kind::delivered)
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
  if (to.what == arriving::kind::delivered && !to.delivery.unreadable)
    to.delivery.body.append(x.payload);
  if (to.missing == 0)
    finish(*on);
}

void session::finish(line& on) {
  auto x = std::exchange(on.incoming, {});
  if (x.what == arriving::kind::returned) {
    flush();
    events_->returned({std::move(x.reason), std::move(x.delivery.exchange),
                       std::move(x.delivery.routing_key), std::move(x.delivery.properties)});
    return;
  }
  if (on.incarnation != delivered_in_) {
    flush();
    delivered_in_ = on.incarnation;
  }
  delivered_bytes_ += x.delivery.body.size();
  deliveries_.push_back(std::move(x.delivery));
  if (deliveries_.size() >= max_batch_items || delivered_bytes_ >= max_batch_bytes)
    flush();
}

} // namespace actors::amqp
