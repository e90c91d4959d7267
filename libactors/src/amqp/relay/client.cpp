#include "amqp/relay/client.hpp"

#include <algorithm>
#include <utility>

#include "actors/version.hpp"
#include "amqp/relay/transport.hpp"
#include "amqp/wire_rules.hpp"

namespace actors::amqp {

namespace {

/// What went out makes room only now and then.
constexpr std::size_t spent_output = 65'536;

/// What a header takes beside its key and its text.
constexpr std::size_t field_size = 16;

std::size_t size_of(const field_table& xs) {
  std::size_t result = 0;
  for (auto& [key, value] : xs) {
    result += field_size + key.size();
    if (auto* text = std::get_if<std::string>(&value))
      result += text->size();
    else if (auto* raw = std::get_if<opaque_value>(&value))
      result += raw->bytes.size();
  }
  return result;
}

/// At least as much as the publication takes within a frame: AMQP's names are short.
std::size_t size_of(const publication& x) {
  constexpr std::size_t names = 3 * max_hello_size;
  return (x.body ? x.body->size() : 0) + size_of(x.properties.headers) + names;
}

} // namespace

transport_ptr make_relay_transport() {
  return make_link([](const endpoint& where, std::shared_ptr<link_listener> events,
                      link_protocol::time_point now) {
    return std::make_unique<relay_client>(where, std::move(events), now);
  });
}

relay_client::relay_client(const endpoint& where, std::shared_ptr<link_listener> events,
                           time_point now)
    : where_(where), events_(std::move(events)), began_(now), last_heard_(now) {
  relay_hello hello;
  hello.software = version;
  hello.name = where.connection_name.substr(0, max_hello_size / 2);
  hello.heartbeat_ms =
      static_cast<std::uint32_t>(std::chrono::milliseconds{where.heartbeat}.count());
  say(hello, now);
  say(relay_tune{default_host_frame, where.known}, now);
}

// -- commands ---------------------------------------------------------------------------

void relay_client::say(const host_frame& x, time_point now) {
  if (sent_ == output_.size())
    waiting_since_ = now;
  append(output_, x);
  last_said_ = now;
}

void relay_client::execute(command x, time_point now) {
  if (phase_ == phase::greeting && !std::holds_alternative<close_command>(x))
    early_.push_back(std::move(x));
  else if (phase_ == phase::greeting || phase_ == phase::up)
    std::visit([&](auto& y) { run(y, now); }, x);
}

void relay_client::run(request_command& x, time_point now) {
  if (auto problem = check(x.op))
    return events_->replied({x.id, std::move(problem), {}});
  open_request asked{now, {}};
  if (auto* start = std::get_if<start_consumer>(&x.op))
    asked.consumer = start->spec.id;
  open_.emplace(x.id, asked);
  say(std::move(x), now);
}

void relay_client::run(publish_command& x, time_point now) {
  std::erase_if(x.items, [&](const publication& y) { return refuse(y); });
  // No frame is larger than the relay takes.
  publish_command part{x.generation, {}};
  std::size_t size = 0;
  for (auto& y : x.items) {
    if (size + size_of(y) > max_frame_ / 2 && !part.items.empty()) {
      say(std::exchange(part, publish_command{x.generation, {}}), now);
      size = 0;
    }
    size += size_of(y);
    part.items.push_back(std::move(y));
  }
  if (!part.items.empty())
    say(std::move(part), now);
}

bool relay_client::refuse(const publication& x) {
  auto problem = x.checked ? failure{} : check(x);
  if (!problem && size_of(x) > max_frame_)
    problem = {ec::limit_exceeded, "publish to exchange '" + printable(x.exchange)
                                       + "' with routing key '" + printable(x.routing_key)
                                       + "': the message has about " + std::to_string(size_of(x))
                                       + " bytes, and the relay takes " + std::to_string(max_frame_)
                                       + ": send smaller ones"};
  if (!problem)
    return false;
  events_->refused(x.id, std::move(problem));
  return true;
}

void relay_client::run(settle_command& x, time_point now) {
  say(std::move(x), now);
}

void relay_client::run(close_command& x, time_point now) {
  if (phase_ == phase::greeting)
    return down({});
  phase_ = phase::closing;
  began_ = now;
  say(x, now);
}

// -- frames -----------------------------------------------------------------------------

void relay_client::feed(std::string_view bytes, time_point now) {
  last_heard_ = now;
  input_.add(bytes);
  while (phase_ != phase::down) {
    const auto bytes_of_frame = input_.next();
    if (!bytes_of_frame)
      break;
    auto x = decode_relay_frame(*bytes_of_frame);
    if (!x)
      return down({ec::protocol_error, "the relay sent a frame that makes no sense: is this a "
                                       "relay of libactors?"});
    on_frame(*x, now);
  }
  if (phase_ == phase::down)
    return;
  if (auto size = input_.wrong_size())
    return down({ec::protocol_error, "the relay sent a frame of " + std::to_string(*size)
                                         + " bytes: is this a relay of libactors?"});
  flush(now);
}

void relay_client::on_frame(relay_frame& x, time_point now) {
  const auto greeted =
      std::holds_alternative<relay_refusal>(x) || std::holds_alternative<relay_welcome>(x)
      || std::holds_alternative<relay_down>(x) || std::holds_alternative<relay_heartbeat>(x);
  if ((phase_ == phase::greeting && !greeted)
      || (phase_ != phase::greeting && std::holds_alternative<relay_welcome>(x)))
    return down({ec::protocol_error, "the relay broke the rules of the handshake"});
  // Order is kept between deliveries and all else.
  if (!std::holds_alternative<relay_deliveries>(x))
    flush(now);
  std::visit([&](auto& y) { on(y, now); }, x);
}

void relay_client::on(relay_refusal& x, time_point) {
  down(std::move(x.reason));
}

void relay_client::on(relay_welcome& x, time_point now) {
  phase_ = phase::up;
  max_frame_ = x.max_frame;
  events_->up(std::move(x.broker));
  for (auto& y : std::exchange(early_, {}))
    execute(std::move(y), now);
}

void relay_client::on(reply& x, time_point now) {
  last_answer_ = now;
  open_.erase(x.id);
  events_->replied(std::move(x));
}

void relay_client::on(relay_deliveries& x, time_point) {
  if (x.items.empty())
    return;
  auto of_same = std::find_if(arrived_.begin(), arrived_.end(), [&](const relay_deliveries& y) {
    return y.generation == x.generation;
  });
  if (of_same == arrived_.end())
    arrived_.push_back(std::move(x));
  else
    std::move(x.items.begin(), x.items.end(), std::back_inserter(of_same->items));
}

void relay_client::on(relay_confirmations& x, time_point) {
  if (!x.items.empty())
    events_->confirmed(std::move(x.items));
}

void relay_client::on(returned_message& x, time_point) {
  events_->returned(std::move(x));
}

void relay_client::on(relay_blocked& x, time_point) {
  events_->blocked(std::move(x.reason));
}

void relay_client::on(relay_unblocked&, time_point) {
  events_->unblocked();
}

void relay_client::on(relay_cancelled& x, time_point) {
  events_->cancelled(x.id);
}

void relay_client::on(closed_channel& x, time_point) {
  // What was to start there is not answered any more.
  if (x.which == channel::deliveries)
    std::erase_if(open_, [&](const auto& y) {
      const auto& id = y.second.consumer;
      return id && std::find(x.consumers.begin(), x.consumers.end(), *id) != x.consumers.end();
    });
  events_->channel_closed(std::move(x));
}

void relay_client::on(relay_refused& x, time_point) {
  events_->refused(x.publication, std::move(x.reason));
}

void relay_client::on(relay_suspected& x, time_point) {
  events_->suspected(std::move(x.requests));
}

void relay_client::on(broker_limits& x, time_point) {
  events_->learned(x);
}

void relay_client::on(relay_down& x, time_point) {
  if (phase_ == phase::closing)
    return down({});
  if (!x.reason)
    x.reason.code = ec::connection_lost;
  x.reason.text = "the relay has no link to its broker: " + x.reason.text;
  down(std::move(x.reason));
}

void relay_client::on(relay_heartbeat&, time_point) {
  // That it came is all there is to it.
}

// Credit comes after the deliveries were handled: where the listener runs its receivers,
// no more come than they bear.
void relay_client::flush(time_point now) {
  if (arrived_.empty())
    return;
  for (auto& x : arrived_) {
    taken_ += x.items.size();
    events_->delivered(x.generation, std::move(x.items));
  }
  arrived_.clear();
  if (phase_ == phase::up)
    say(relay_credit{taken_}, now);
}

// -- time ---------------------------------------------------------------------------------

void relay_client::tick(time_point now) {
  if (phase_ == phase::down)
    return;
  if (sent_ < output_.size() && now - waiting_since_ >= where_.send_timeout)
    return down({ec::send_timeout, "the relay has taken no bytes for "
                                       + std::to_string(where_.send_timeout.count()) + " ms"});
  if (phase_ != phase::up) {
    if (now - began_ < where_.handshake_timeout)
      return;
    if (phase_ == phase::closing)
      return down({});
    return down({ec::handshake_timeout,
                 "no welcome within " + std::to_string(where_.handshake_timeout.count())
                     + " ms: is this a relay of libactors, and does it reach its broker?"});
  }
  if (where_.heartbeat.count() > 0) {
    if (now - last_heard_ >= silent_heartbeats * where_.heartbeat)
      return down({ec::heartbeat_timeout,
                   "nothing heard from the relay for "
                       + std::to_string((silent_heartbeats * where_.heartbeat).count()) + " s"});
    if (now - last_said_ >= where_.heartbeat)
      say(relay_heartbeat{}, now);
  }
  if (now >= answer_limit())
    down({ec::request_timeout, "the relay left a request without an answer for "
                                   + std::to_string(where_.request_timeout.count()) + " ms"});
}

link_protocol::time_point relay_client::deadline() const {
  if (phase_ == phase::down)
    return time_point::max();
  auto result = phase_ == phase::up ? time_point::max() : began_ + where_.handshake_timeout;
  if (sent_ < output_.size())
    result = std::min(result, waiting_since_ + where_.send_timeout);
  if (phase_ != phase::up)
    return result;
  if (where_.heartbeat.count() > 0)
    result = std::min({result, last_said_ + where_.heartbeat,
                       last_heard_ + silent_heartbeats * where_.heartbeat});
  return std::min(result, answer_limit());
}

// Ids ascend with time.
link_protocol::time_point relay_client::answer_limit() const {
  if (open_.empty())
    return time_point::max();
  return std::max(open_.begin()->second.since, last_answer_) + where_.request_timeout;
}

void relay_client::consume(std::size_t size, time_point now) {
  sent_ += size;
  waiting_since_ = now;
  if (sent_ == output_.size() || sent_ > spent_output) {
    output_.erase(0, sent_);
    sent_ = 0;
  }
}

// -- its end --------------------------------------------------------------------------------

void relay_client::lost(failure why) {
  if (phase_ == phase::closing)
    why = {};
  else if (phase_ == phase::greeting && why.code == ec::connection_lost)
    why.text += " before its welcome: is this a relay of libactors, and TLS on both sides or none?";
  down(std::move(why));
}

void relay_client::down(failure reason) {
  if (std::exchange(phase_, phase::down) == phase::down)
    return;
  early_.clear();
  if (reason)
    reason.text = to_string(where_) + ": " + reason.text;
  events_->down(std::move(reason));
}

} // namespace actors::amqp
