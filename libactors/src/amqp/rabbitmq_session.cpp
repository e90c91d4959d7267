#include "amqp/rabbitmq_session.hpp"

#include <algorithm>

#include <amqp_framing.h>

#include "actors/amqp/wire_rules.hpp"
#include "amqp/rabbitmq_requests.hpp"

namespace actors::amqp {

namespace {

constexpr auto close_limit = std::chrono::seconds{2};

/// So many requests are ahead of their answers on one channel before another one is opened:
/// a link that asks for little needs no more.
constexpr std::size_t crowd = 16;

/// The first byte of a TLS record that refuses our greeting.
constexpr char tls_alert = 0x15;

failure too_large_headers(const publication& x, std::size_t frame_max) {
  return {ec::limit_exceeded,
          "publish to exchange '" + printable(x.exchange) + "' with routing key '"
              + printable(x.routing_key) + "': its headers do not fit the broker's frame of "
              + std::to_string(frame_max) + " bytes: send fewer or shorter ones"};
}

} // namespace

session::session(const endpoint& where, bool confirms, std::shared_ptr<sink> events, time_point now)
    : where_(where),
      peer_(to_string(where)),
      confirms_(confirms),
      events_(std::move(events)),
      now_(now),
      phase_limit_(now + where.handshake_timeout),
      last_received_(now),
      last_sent_(now),
      waiting_since_(now) {
  requests_[0].channel_number = number_of(channel::deliveries);
  requests_[1].channel_number = number_of(channel::topology);
  auto next = number_of(channel::publishing);
  for (std::size_t i = 2; i < requests_.size(); ++i)
    requests_[i].channel_number = ++next;
  out_.protocol_header();
}

// -- commands ---------------------------------------------------------------------

void session::execute(command x, time_point now) {
  now_ = now;
  if (phase_ == phase::closing || phase_ == phase::down)
    return;
  if (in_handshake() && !std::holds_alternative<close_command>(x)) {
    early_.push_back(std::move(x));
    return;
  }
  auto idle = output().empty();
  std::visit([this](auto& y) { run(y); }, x);
  if (idle)
    waiting_since_ = now;
  flush();
}

void session::run(request_command& x) {
  if (auto problem = check(x.what)) {
    events_->replied({x.id, std::move(problem), {}});
    return;
  }
  auto& on = choose_channel(x.what);
  send(std::move(x), on);
}

// A thousand consumers alike need it once.
void session::set_prefetch(const operation& x) {
  auto start = std::get_if<start_consumer>(&x);
  if (!start || start->what.no_ack || prefetch_count_ == start->what.prefetch_count)
    return;
  prefetch_count_ = start->what.prefetch_count;
  write_prefetch(out_, *prefetch_count_);
}

void session::send(request_command x, request_queue& on) {
  open_channel(on);
  set_prefetch(x.what);
  if (!write_request(out_, on.channel_number, x.what)) {
    leave_channel(x.what);
    events_->replied(
        {x.id,
         {ec::invalid_argument, to_string(x.what) + ": its arguments do not fit into a frame"},
         {}});
    return;
  }
  if (on.items.empty())
    on.since = now_;
  on.items.push_back(std::move(x));
}

void session::run(publish_command& x) {
  // Its sender does not know yet that the channel was closed, and will send
  // again: on the present channel these would overtake what came before them.
  if (x.incarnation != publishing_incarnation_)
    return;
  for (auto& item : x.items)
    send_publication(item);
}

void session::send_publication(const publication& x) {
  if (auto problem = check(x))
    return refuse(x, std::move(problem));
  open_publishing();
  if (!out_.message(number_of(channel::publishing), x))
    return refuse(x, too_large_headers(x, frame_max_));
  if (confirms_)
    unconfirmed_.add(x.id);
  else
    unsent_.emplace_back(out_.total(), x.id);
}

void session::refuse(const publication& x, failure reason) {
  flush();
  events_->refused(x.id, std::move(reason));
}

void session::run(settle_command& x) {
  // Tags of a former life of the channel name other deliveries by now.
  if (x.incarnation != incarnation_)
    return;
  for (auto& item : x.items) {
    if (item.what == settlement::verdict::ack) {
      amqp_basic_ack_t ack{};
      ack.delivery_tag = item.tag;
      ack.multiple = item.multiple;
      out_.method(number_of(channel::deliveries), AMQP_BASIC_ACK_METHOD, ack);
    } else if (item.what == settlement::verdict::requeue && !item.multiple) {
      // Counts towards a delivery limit; basic.reject has no `multiple`.
      amqp_basic_reject_t reject{};
      reject.delivery_tag = item.tag;
      reject.requeue = true;
      out_.method(number_of(channel::deliveries), AMQP_BASIC_REJECT_METHOD, reject);
    } else {
      amqp_basic_nack_t nack{};
      nack.delivery_tag = item.tag;
      nack.multiple = item.multiple;
      nack.requeue = item.what != settlement::verdict::reject;
      out_.method(number_of(channel::deliveries), AMQP_BASIC_NACK_METHOD, nack);
    }
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

void session::open_channel(request_queue& x) {
  if (!std::exchange(x.open, true))
    out_.method(x.channel_number, AMQP_CHANNEL_OPEN_METHOD, amqp_channel_open_t{});
}

void session::open_publishing() {
  constexpr auto number = number_of(channel::publishing);
  if (std::exchange(publishing_open_, true))
    return;
  out_.method(number, AMQP_CHANNEL_OPEN_METHOD, amqp_channel_open_t{});
  if (confirms_)
    out_.method(number, AMQP_CONFIRM_SELECT_METHOD, amqp_confirm_select_t{});
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
  auto waits = [&](const request_queue& x) {
    return !x.items.empty() && now >= x.since + where_.request_timeout;
  };
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
    for (auto& queue : requests_)
      if (waits(queue))
        return down(ec::request_timeout,
                    "no answer in time to: " + to_string(queue.items.front().what));
  }
  if (heartbeat_ > duration::zero() && output().empty() && now >= last_sent_ + heartbeat_ / 2) {
    out_.heartbeat();
    waiting_since_ = now;
  }
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
  for (auto& queue : requests_)
    if (!queue.items.empty())
      result = std::min(result, queue.since + where_.request_timeout);
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
  while (phase_ != phase::down) {
    frame next;
    auto status = read_frame(rest, frame_max_, next);
    if (status == frame_status::incomplete)
      break;
    if (status == frame_status::malformed)
      on_malformed(rest);
    else
      on_frame(next);
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
  if (!deliveries_.empty()) {
    delivered_bytes_ = 0;
    events_->delivered(incarnation_, std::exchange(deliveries_, {}));
  }
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

void session::broken(const std::string& what) {
  down(ec::protocol_error, what);
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

session::request_queue& session::requests(std::uint16_t number) noexcept {
  auto i = std::find_if(requests_.begin(), requests_.end(),
                        [number](const request_queue& x) { return x.channel_number == number; });
  return *i;
}

// Requests about one queue stay on one channel, hence in order. Those about exchanges are
// few and have the first.
session::request_queue& session::choose_channel(const operation& x) {
  auto& first = requests_[1];
  if (channel_of(x) == channel::deliveries)
    return requests_[0];
  const auto queue = queue_of(x);
  if (queue.empty())
    return first;
  auto& at = lanes_[std::string{queue}];
  if (at.requests++ == 0)
    at.channel_number = std::min_element(&first, &first + topology_channels_,
                                         [](const request_queue& y, const request_queue& z) {
                                           return y.items.size() / crowd < z.items.size() / crowd;
                                         })
                            ->channel_number;
  return requests(at.channel_number);
}

void session::leave_channel(const operation& x) {
  auto i = lanes_.find(std::string{queue_of(x)});
  if (i != lanes_.end() && --i->second.requests == 0)
    lanes_.erase(i);
}

request_command session::take_first(request_queue& from) {
  auto result = std::move(from.items.front());
  from.items.pop_front();
  leave_channel(result.what);
  return result;
}

} // namespace actors::amqp
