#include "amqp/rabbitmq/session.hpp"

#include <algorithm>

#include <amqp_framing.h>

#include "amqp/rabbitmq/requests.hpp"
#include "amqp/wire_rules.hpp"

namespace actors::amqp {

namespace {

constexpr auto close_limit = std::chrono::seconds{2};

/// The first byte of a TLS record that refuses our greeting.
constexpr char tls_alert = 0x15;

} // namespace

session::session(const endpoint& where, bool confirms, std::shared_ptr<link_listener> events,
                 time_point now)
    : where_(where),
      peer_(to_string(where)),
      confirms_(confirms),
      events_(std::move(events)),
      now_(now),
      phase_limit_(now + where.handshake_timeout),
      last_received_(now),
      last_sent_(now),
      waiting_since_(now) {
  out_.protocol_header();
}

// -- commands ---------------------------------------------------------------------

void session::execute(command wanted, time_point now) {
  now_ = now;
  if (phase_ == phase::closing || phase_ == phase::down)
    return;
  if (in_handshake() && !std::holds_alternative<close_command>(wanted)) {
    early_.push_back(std::move(wanted));
    return;
  }
  auto idle = output().empty();
  std::visit([this](auto& x) { run(x); }, wanted);
  if (idle)
    waiting_since_ = now;
  flush();
}

void session::run(request_command& request) {
  if (auto problem = check(request.op))
    return events_->replied({request.id, std::move(problem), {}});
  if (std::holds_alternative<start_consumer>(request.op))
    start(request);
  else if (std::holds_alternative<cancel_consumer>(request.op))
    cancel(request);
  else
    ask_topology(request);
}

void session::start(request_command& request) {
  const auto& wanted = std::get<start_consumer>(request.op).spec;
  const auto id = wanted.id;
  const auto at = places_.find(id);
  const auto last = at == places_.end() ? place{} : at->second;
  if (last.on && !last.on->consumers.at({id, last.start}))
    return refuse(request, ec::invalid_argument, "it runs already: cancel it first");
  auto on = channels_.delivering(wanted.group);
  if (!on)
    return refuse(request, ec::not_allowed,
                  no_room_text({channels_.allowed(), where_.known.consumers_per_channel}));
  open_channel(*on);
  if (on->generation == 0) {
    on->generation = ++last_generation_;
    lives_.emplace(on->generation, on);
  }
  const consumer_name name{id, last.start + 1};
  set_prefetch(*on, wanted);
  if (!send(request, *on, to_tag(name)))
    return;
  places_[id] = {on, name.start};
  on->consumers.emplace(name, false);
}

// A broker grants the end of a consumer that it does not know, so an unknown one needs no
// request.
void session::cancel(request_command& request) {
  const auto id = std::get<cancel_consumer>(request.op).id;
  auto at = places_.find(id);
  if (at == places_.end() || !at->second.on)
    return events_->replied({request.id, {}, {}});
  auto& on = *at->second.on;
  const consumer_name name{id, at->second.start};
  if (send(request, on, to_tag(name)))
    on.consumers[name] = true;
}

void session::ask_topology(request_command& request) {
  auto& on = channels_.topology(request.op, now_);
  open_channel(on);
  send(request, on, {});
}

void session::refuse(const request_command& x, ec code, const std::string& problem) {
  events_->replied({x.id, {code, to_string(x.op) + ": " + problem}, {}});
}

// Consecutive consumers with the same count need one request.
void session::set_prefetch(line& on, const consumer& x) {
  if (x.no_ack || on.prefetch_count == x.prefetch_count)
    return;
  on.prefetch_count = x.prefetch_count;
  write_prefetch(out_, on.number, x.prefetch_count);
}

bool session::send(request_command& request, line& on, std::string_view tag) {
  if (!write_request(out_, on.number, request.op, tag)) {
    channels_.left(request.op);
    refuse(request, ec::invalid_argument,
           "its arguments do not fit the broker's frame of " + std::to_string(frame_max_)
               + " bytes: give fewer or shorter ones");
    return false;
  }
  if (on.items.empty())
    on.since = now_;
  on.items.push_back(std::move(request));
  ++asked_;
  return true;
}

void session::run(publish_command& batch) {
  // The sender does not know yet that the channel was closed, and will send these again. On the
  // present channel they would overtake earlier publications.
  if (batch.generation != publishing_generation_)
    return;
  for (auto& item : batch.items)
    send_publication(item);
}

void session::send_publication(const publication& message) {
  if (auto problem = message.checked ? failure{} : check(message)) {
    flush();
    return events_->refused(message.id, std::move(problem));
  }
  const auto size = message.body ? message.body->size() : 0;
  const auto largest = where_.known.message_size;
  if (largest != 0 && size > largest)
    return refuse(message, ec::limit_exceeded,
                  "the message has " + std::to_string(size) + " bytes, and the broker takes "
                      + std::to_string(largest)
                      + ": send smaller ones or raise max_message_size there");
  auto& on = open_publishing();
  if (!out_.message(on.number, message))
    return refuse(message, ec::limit_exceeded,
                  "its headers do not fit the broker's frame of " + std::to_string(frame_max_)
                      + " bytes: send fewer or shorter ones");
  if (confirms_)
    unconfirmed_.add(message.id);
  else
    unsent_.emplace_back(out_.total(), message.id);
}

void session::refuse(const publication& message, ec code, const std::string& problem) {
  flush();
  events_->refused(message.id, {code, "publish to exchange '" + printable(message.exchange)
                                          + "' with routing key '" + printable(message.routing_key)
                                          + "': " + problem});
}

void session::run(settle_command& batch) {
  // Tags of a former life of a channel name other deliveries by now.
  auto i = lives_.find(batch.generation);
  if (i == lives_.end())
    return;
  for (auto& item : batch.items)
    settle(*i->second, item);
}

void session::settle(line& on, const settlement& decision) {
  using verdict = settlement::verdict;
  if (decision.outcome == verdict::ack) {
    amqp_basic_ack_t ack{};
    ack.delivery_tag = decision.tag;
    ack.multiple = decision.multiple;
    out_.method(on.number, AMQP_BASIC_ACK_METHOD, ack);
  } else if (decision.outcome == verdict::requeue && !decision.multiple) {
    // basic.reject counts towards a delivery limit, but it has no `multiple`.
    amqp_basic_reject_t reject{};
    reject.delivery_tag = decision.tag;
    reject.requeue = true;
    out_.method(on.number, AMQP_BASIC_REJECT_METHOD, reject);
  } else {
    amqp_basic_nack_t nack{};
    nack.delivery_tag = decision.tag;
    nack.multiple = decision.multiple;
    nack.requeue = decision.outcome != verdict::reject;
    out_.method(on.number, AMQP_BASIC_NACK_METHOD, nack);
  }
}

void session::run(close_command&) {
  if (in_handshake())
    return down(ec::none, {});
  amqp_connection_close_t close{};
  close.reply_code = AMQP_REPLY_SUCCESS;
  close.reply_text = bytes_of("closing");
  out_.method(0, AMQP_CONNECTION_CLOSE_METHOD, close);
  phase_ = phase::closing;
  phase_limit_ = now_ + close_limit;
}

void session::open_channel(line& x) {
  if (!std::exchange(x.open, true))
    out_.method(x.number, AMQP_CHANNEL_OPEN_METHOD, amqp_channel_open_t{});
}

line& session::open_publishing() {
  auto& on = channels_.publishing();
  open_channel(on);
  if (!std::exchange(on.publishes, true) && confirms_)
    out_.method(on.number, AMQP_CONFIRM_SELECT_METHOD, amqp_confirm_select_t{});
  return on;
}

void session::consume(std::size_t size, time_point now) {
  now_ = now;
  out_.consume(size);
  last_sent_ = now;
  waiting_since_ = now;
  while (!unsent_.empty() && unsent_.front().first <= out_.sent()) {
    confirmations_.push_back({unsent_.front().second, true});
    unsent_.pop_front();
  }
  flush();
}

// -- time -------------------------------------------------------------------------

void session::tick(time_point now) {
  now_ = now;
  if (phase_ == phase::down)
    return;
  if (phase_ == phase::closing) {
    if (now >= phase_limit_)
      down(ec::none, {});
    return;
  }
  if (in_handshake()) {
    if (now >= phase_limit_)
      down(ec::handshake_timeout, "the AMQP handshake did not end in time");
    return;
  }
  if (heartbeat_ > duration::zero() && now >= last_received_ + 2 * heartbeat_)
    return down(ec::heartbeat_timeout, "nothing was heard from the broker for two heartbeats");
  // A broker that has blocked us neither reads nor answers, by intent.
  if (!blocked_) {
    if (!output().empty() && now >= waiting_since_ + where_.send_timeout)
      return down(ec::send_timeout, "the broker takes no bytes");
    if (auto late = longest_asked(); late && now >= late->since + where_.request_timeout)
      return on_late(*late);
  }
  if (heartbeat_ > duration::zero() && output().empty() && now >= last_sent_ + heartbeat_ / 2) {
    out_.heartbeat();
    waiting_since_ = now;
  }
}

// A broker that still sends other bytes has trouble with this request, e.g. with a quorum queue
// without a leader.
void session::on_late(const line& late) {
  const auto& first = late.items.front();
  if (last_received_ > late.since)
    events_->suspected(late_on(late));
  down(ec::request_timeout, "no answer in time to: " + to_string(first.op));
}

// A later request to start a consumer may be the one that hangs: each queue grants it through
// the channel, which another queue may hold up.
std::vector<request_id> session::late_on(const line& late) {
  const auto starts = [](const request_command& x) {
    return std::holds_alternative<start_consumer>(x.op);
  };
  std::vector<request_id> result{late.items.front().id};
  if (starts(late.items.front()))
    for (auto i = std::next(late.items.begin()); i != late.items.end(); ++i)
      if (starts(*i))
        result.push_back(i->id);
  return result;
}

const line* session::longest_asked() const {
  const line* result = nullptr;
  if (asked_ == 0)
    return result;
  channels_.for_each([&](const line& candidate) {
    if (!candidate.items.empty() && (!result || candidate.since < result->since))
      result = &candidate;
  });
  return result;
}

session::time_point session::deadline() const {
  if (phase_ == phase::down)
    return time_point::max();
  if (phase_ != phase::up)
    return phase_limit_;
  auto result = time_point::max();
  if (heartbeat_ > duration::zero()) {
    result = last_received_ + 2 * heartbeat_;
    if (output().empty())
      result = std::min(result, last_sent_ + heartbeat_ / 2);
  }
  if (blocked_)
    return result;
  if (!output().empty())
    result = std::min(result, waiting_since_ + where_.send_timeout);
  if (auto late = longest_asked())
    result = std::min(result, late->since + where_.request_timeout);
  return result;
}

// -- bytes ------------------------------------------------------------------------

void session::feed(std::string_view bytes, time_point now) {
  now_ = now;
  last_received_ = now;
  auto idle = output().empty();
  auto buffered = !input_.empty();
  if (buffered)
    input_.append(bytes);
  auto rest = buffered ? std::string_view{input_} : bytes;
  while (phase_ != phase::down && skip(rest)) {
    frame next;
    auto status = read_frame(rest, frame_max_, next);
    if (status == frame_status::incomplete)
      break;
    if (status == frame_status::complete)
      on_frame(next);
    else if (status == frame_status::oversized && !in_handshake())
      on_oversized(rest, next);
    else
      on_malformed(rest);
  }
  if (buffered)
    input_.erase(0, input_.size() - rest.size());
  else
    input_.assign(rest);
  if (idle)
    waiting_since_ = now;
  flush();
}

// -- events -----------------------------------------------------------------------

void session::flush() {
  if (phase_ == phase::down)
    return;
  for (auto* on : arrived_on_)
    events_->delivered(on->generation, std::exchange(on->arrived, {}));
  arrived_on_.clear();
  arrived_bytes_ = 0;
  if (!confirmations_.empty())
    events_->confirmed(std::exchange(confirmations_, {}));
}

void session::down(ec code, std::string text) {
  if (phase_ == phase::down)
    return;
  flush();
  phase_ = phase::down;
  events_->down({code, text.empty() ? std::move(text) : peer_ + ": " + text});
}

void session::on_malformed(std::string_view bytes) {
  if (phase_ != phase::greeting)
    return broken("a frame is malformed");
  if (where_.scheme == scheme::amqp && bytes.starts_with(tls_alert))
    return down(ec::tls_failed, "the broker speaks TLS on this port: write amqps://");
  broken("the peer does not speak AMQP 0-9-1");
}

void session::broken(const std::string& problem) {
  down(ec::protocol_error, problem);
}

void session::lost(failure why) {
  if (phase_ == phase::closing)
    return down(ec::none, {});
  if (in_handshake() && why.code == ec::connection_lost)
    why.text += where_.scheme == scheme::amqps && phase_ == phase::greeting
                    ? " right after the TLS handshake: does it accept our certificate?"
                    : " during the handshake";
  down(why.code, std::move(why.text));
}

// -- state ------------------------------------------------------------------------

bool session::in_handshake() const noexcept {
  return phase_ < phase::up;
}

void session::forget(line& on, const consumer_name& name) {
  on.consumers.erase(name);
  auto at = places_.find(name.id);
  if (at != places_.end() && at->second.on == &on && at->second.start == name.start)
    at->second.on = nullptr;
}

void session::forget_name(consumer_id x) {
  auto at = places_.find(x);
  if (at != places_.end() && !at->second.on)
    places_.erase(at);
}

} // namespace actors::amqp
