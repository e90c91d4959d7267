#include "amqp/relay/client.hpp"

#include <algorithm>
#include <utility>

#include "actors/version.hpp"
#include "amqp/relay/transport.hpp"
#include "amqp/wire_rules.hpp"

namespace actors::amqp {

namespace {

/// The number of sent bytes that are kept before they are erased.
constexpr std::size_t spent_output = 65'536;

/// The bytes of a header besides its key and its text.
constexpr std::size_t field_size = 16;

std::size_t size_of(const field_table& fields) {
  std::size_t result = 0;
  for (auto& [key, value] : fields) {
    result += field_size + key.size();
    if (auto* text = std::get_if<std::string>(&value))
      result += text->size();
    else if (auto* raw = std::get_if<opaque_value>(&value))
      result += raw->bytes.size();
  }
  return result;
}

/// Returns an upper limit for the publication's bytes within a frame: AMQP's names are short.
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

void relay_client::say(const host_frame& frame, time_point now) {
  if (sent_ == output_.size())
    waiting_since_ = now;
  append(output_, frame);
  last_said_ = now;
}

void relay_client::execute(command wanted, time_point now) {
  if (phase_ == phase::greeting && !std::holds_alternative<close_command>(wanted))
    early_.push_back(std::move(wanted));
  else if (phase_ == phase::greeting || phase_ == phase::up)
    std::visit([&](auto& x) { run(x, now); }, wanted);
}

void relay_client::run(request_command& request, time_point now) {
  if (auto problem = check(request.op))
    return events_->replied({request.id, std::move(problem), {}});
  open_request asked{now, {}};
  if (auto* start = std::get_if<start_consumer>(&request.op))
    asked.consumer = start->spec.id;
  open_.emplace(request.id, asked);
  say(std::move(request), now);
}

void relay_client::run(publish_command& batch, time_point now) {
  std::erase_if(batch.items, [&](const publication& message) { return refuse(message); });
  // The relay limits the size of a frame, so a large batch goes out in parts.
  publish_command part{batch.generation, {}};
  std::size_t size = 0;
  for (auto& message : batch.items) {
    if (size + size_of(message) > max_frame_ / 2 && !part.items.empty()) {
      say(std::exchange(part, publish_command{batch.generation, {}}), now);
      size = 0;
    }
    size += size_of(message);
    part.items.push_back(std::move(message));
  }
  if (!part.items.empty())
    say(std::move(part), now);
}

bool relay_client::refuse(const publication& message) {
  auto problem = message.checked ? failure{} : check(message);
  if (!problem && size_of(message) > max_frame_)
    problem = {ec::limit_exceeded,
               "publish to exchange '" + printable(message.exchange) + "' with routing key '"
                   + printable(message.routing_key) + "': the message has about "
                   + std::to_string(size_of(message)) + " bytes, and the relay takes "
                   + std::to_string(max_frame_) + ": send smaller ones"};
  if (!problem)
    return false;
  events_->refused(message.id, std::move(problem));
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
    auto frame = decode_relay_frame(*bytes_of_frame);
    if (!frame)
      return down({ec::protocol_error, "the relay sent a frame that makes no sense: is this a "
                                       "relay of libactors?"});
    on_frame(*frame, now);
  }
  if (phase_ == phase::down)
    return;
  if (auto size = input_.wrong_size())
    return down({ec::protocol_error, "the relay sent a frame of " + std::to_string(*size)
                                         + " bytes: is this a relay of libactors?"});
  flush(now);
}

void relay_client::on_frame(relay_frame& frame, time_point now) {
  const auto greeted = std::holds_alternative<relay_refusal>(frame)
                       || std::holds_alternative<relay_welcome>(frame)
                       || std::holds_alternative<relay_down>(frame)
                       || std::holds_alternative<relay_heartbeat>(frame);
  if ((phase_ == phase::greeting && !greeted)
      || (phase_ != phase::greeting && std::holds_alternative<relay_welcome>(frame)))
    return down({ec::protocol_error, "the relay broke the rules of the handshake"});
  // Deliveries must stay in order with all other events.
  if (!std::holds_alternative<relay_deliveries>(frame))
    flush(now);
  std::visit([&](auto& x) { on(x, now); }, frame);
}

void relay_client::on(relay_refusal& x, time_point) {
  down(std::move(x.reason));
}

void relay_client::on(relay_welcome& welcome, time_point now) {
  phase_ = phase::up;
  max_frame_ = welcome.max_frame;
  events_->up(std::move(welcome.broker));
  for (auto& early : std::exchange(early_, {}))
    execute(std::move(early), now);
}

void relay_client::on(reply& x, time_point now) {
  last_answer_ = now;
  open_.erase(x.id);
  events_->replied(std::move(x));
}

void relay_client::on(relay_deliveries& batch, time_point) {
  if (batch.items.empty())
    return;
  auto of_same = std::find_if(arrived_.begin(), arrived_.end(), [&](const relay_deliveries& known) {
    return known.generation == batch.generation;
  });
  if (of_same == arrived_.end())
    arrived_.push_back(std::move(batch));
  else
    std::move(batch.items.begin(), batch.items.end(), std::back_inserter(of_same->items));
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

void relay_client::on(closed_channel& closed, time_point) {
  // The relay will not answer requests to start these consumers.
  if (closed.which == channel::deliveries)
    std::erase_if(open_, [&](const auto& entry) {
      const auto& id = entry.second.consumer;
      return id
             && std::find(closed.consumers.begin(), closed.consumers.end(), *id)
                    != closed.consumers.end();
    });
  events_->channel_closed(std::move(closed));
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

void relay_client::on(relay_down& end, time_point) {
  if (phase_ == phase::closing)
    return down({});
  if (!end.reason)
    end.reason.code = ec::connection_lost;
  end.reason.text = "the relay has no link to its broker: " + end.reason.text;
  down(std::move(end.reason));
}

void relay_client::on(relay_heartbeat&, time_point) {
  // The arrival of a heartbeat is its only content.
}

// The credit follows the handling of the deliveries: a listener that runs its actors here gets
// no more messages than they can bear.
void relay_client::flush(time_point now) {
  if (arrived_.empty())
    return;
  for (auto& batch : arrived_) {
    taken_ += batch.items.size();
    events_->delivered(batch.generation, std::move(batch.items));
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

// The request with the lowest id is the oldest.
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
