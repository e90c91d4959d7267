#include "relay/session.hpp"

#include <algorithm>
#include <iterator>

#include "actors/version.hpp"
#include "amqp/relay/frames.hpp"

namespace actors::amqp {

namespace {

/// The shortest interval of heartbeats that a host can ask for.
constexpr std::chrono::milliseconds shortest_heartbeat{100};

/// The rough size of a publication without its body.
constexpr std::size_t message_overhead = 256;

std::string version_text(std::uint16_t protocol, std::string_view software) {
  return "version " + std::to_string(protocol) + " of the relay's protocol (libactors "
         + std::string{software} + ")";
}

/// Whether a stranger's text is safe to log.
bool fits_a_line(const std::string& text) {
  return std::none_of(text.begin(), text.end(),
                      [](unsigned char c) { return c < ' ' || c == '\x7f'; });
}

class relay_listener : public link_listener {
public:
  explicit relay_listener(std::function<void(relay_frame)> take) : take_(std::move(take)) {
    // nop
  }

  void up(std::string broker) override {
    take_(relay_welcome{std::move(broker)});
  }

  void replied(reply x) override {
    take_(std::move(x));
  }

  void delivered(std::uint32_t generation, std::vector<delivery> xs) override {
    take_(relay_deliveries{generation, std::move(xs)});
  }

  void confirmed(std::vector<confirmation> xs) override {
    take_(relay_confirmations{std::move(xs)});
  }

  void returned(returned_message x) override {
    take_(std::move(x));
  }

  void blocked(std::string reason) override {
    take_(relay_blocked{std::move(reason)});
  }

  void unblocked() override {
    take_(relay_unblocked{});
  }

  void cancelled(consumer_id x) override {
    take_(relay_cancelled{x});
  }

  void refused(std::uint64_t publication, failure reason) override {
    take_(relay_refused{publication, std::move(reason)});
  }

  void channel_closed(closed_channel x) override {
    take_(std::move(x));
  }

  void suspected(std::vector<request_id> xs) override {
    take_(relay_suspected{std::move(xs)});
  }

  void learned(broker_limits x) override {
    take_(x);
  }

  void down(failure reason) override {
    take_(relay_down{std::move(reason)});
  }

private:
  std::function<void(relay_frame)> take_;
};

} // namespace

std::shared_ptr<link_listener> make_relay_listener(std::function<void(relay_frame)> take) {
  return std::make_shared<relay_listener>(std::move(take));
}

relay_session::relay_session(session_limits limits, link_starter start, time_point now)
    : limits_(limits), start_(std::move(start)), began_(now), last_heard_(now), last_said_(now) {
  // nop
}

void relay_session::say(const relay_frame& x) {
  append(output_, x);
}

bool relay_session::try_to_say(const relay_frame& x) {
  const auto start = output_.size();
  append(output_, x);
  if (output_.size() - start - frame_size_bytes <= max_host_frame_)
    return true;
  output_.resize(start);
  return false;
}

// -- from the host ----------------------------------------------------------------------

void relay_session::feed(std::string_view bytes, time_point now) {
  last_heard_ = now;
  input_.add(bytes);
  while (phase_ != phase::down) {
    const auto frame = input_.next();
    if (!frame)
      break;
    if (phase_ == phase::greeting) {
      greet(*frame);
    } else if (phase_ == phase::tuning) {
      tune(*frame, now);
    } else if (auto x = decode_host_frame(*frame)) {
      on_frame(*x);
    } else {
      refuse({ec::protocol_error, "a frame that makes no sense"});
    }
  }
  if (phase_ == phase::down)
    return;
  if (auto size = input_.wrong_size())
    refuse(phase_ == phase::greeting || phase_ == phase::tuning
               ? failure{ec::protocol_error, "no hello of libactors: this port is a relay's"}
               : failure{ec::limit_exceeded,
                         "a frame of " + std::to_string(*size) + " bytes; at most "
                             + std::to_string(limits_.max_frame) + " are allowed"});
}

void relay_session::greet(std::string_view first) {
  auto frame = decode_host_frame(first);
  auto hello = frame ? std::get_if<relay_hello>(&*frame) : nullptr;
  if (!hello || hello->magic != relay_hello{}.magic || !fits_a_line(hello->name)
      || !fits_a_line(hello->software))
    return refuse({ec::protocol_error, "no hello of libactors: this port is a relay's"});
  if (hello->protocol != relay_protocol)
    return refuse({ec::protocol_error, "the relay speaks " + version_text(relay_protocol, version)
                                           + ", the strategy's host "
                                           + version_text(hello->protocol, hello->software)
                                           + ": bring both to one version of libactors"});
  hello_ = std::move(*hello);
  if (hello_.heartbeat_ms > 0)
    heartbeat_ = std::max(std::chrono::milliseconds{hello_.heartbeat_ms}, shortest_heartbeat);
  phase_ = phase::tuning;
}

void relay_session::tune(std::string_view second, time_point now) {
  auto frame = decode_host_frame(second);
  auto* tune = frame ? std::get_if<relay_tune>(&*frame) : nullptr;
  if (!tune)
    return refuse({ec::protocol_error, "a hello without what the host takes"});
  max_host_frame_ = std::max<std::size_t>(tune->max_frame, smallest_host_frame);
  auto started = start_(hello_, *tune);
  if (!started.result)
    return refuse(std::move(started.error));
  link_ = std::move(started.result);
  out_ = link_->out();
  greeted_ = true;
  input_.max_size(limits_.max_frame);
  phase_ = phase::linking;
  began_ = now;
}

void relay_session::on_frame(host_frame& x) {
  if (phase_ == phase::up || std::holds_alternative<close_command>(x)
      || std::holds_alternative<relay_heartbeat>(x))
    std::visit([&](auto& y) { on(y); }, x);
  else if (phase_ == phase::linking)
    refuse({ec::protocol_error, "a frame ahead of the relay's welcome"});
  // While closing, all other frames are ignored.
}

void relay_session::on(relay_hello&) {
  refuse({ec::protocol_error, "a second hello"});
}

void relay_session::on(relay_tune&) {
  refuse({ec::protocol_error, "a second hello"});
}

void relay_session::on(request_command& x) {
  if (auto start = std::get_if<start_consumer>(&x.op)) {
    auto& wanted = start->spec;
    unacknowledged_.erase(wanted.id);
    if (wanted.no_ack) {
      // A prefetch count keeps the broker from sending more than the relay can pass on.
      wanted.no_ack = false;
      wanted.prefetch_count = limits_.window;
      unacknowledged_.insert(wanted.id);
    }
  }
  link_->request(x.id, std::move(x.op));
}

void relay_session::on(publish_command& x) {
  published_ += x.items.size();
  // Publications for a former generation of the channel are dropped without an answer.
  if (x.generation == publishing_generation_)
    for (const auto& y : x.items)
      unconfirmed_.add(y.id, y.body->size() + message_overhead);
  weigh_publications();
  out_->publish(x.generation, std::move(x.items));
}

void relay_session::on(settle_command& x) {
  out_->settle(x.generation, std::move(x.items));
}

void relay_session::on(relay_credit& x) {
  if (x.taken > sent_)
    return refuse({ec::protocol_error, "more deliveries taken than were sent"});
  std::vector<settlement> settled;
  std::uint32_t generation = 0;
  for (; !owed_.empty() && owed_.front().number <= x.taken; owed_.pop_front()) {
    if (owed_.front().generation != generation && !settled.empty())
      out_->settle(generation, std::exchange(settled, {}));
    generation = owed_.front().generation;
    settled.push_back({.tag = owed_.front().tag});
  }
  if (!settled.empty())
    out_->settle(generation, std::move(settled));
}

void relay_session::on(close_command&) {
  if (phase_ == phase::closing)
    return;
  phase_ = phase::closing;
  link_->close();
}

void relay_session::on(relay_heartbeat&) {
  // `feed` has noted the time already.
}

// -- from the broker ----------------------------------------------------------------------

void relay_session::raise(relay_frame event, time_point now) {
  if (phase_ == phase::down)
    return;
  last_said_ = now;
  if (std::holds_alternative<relay_welcome>(event))
    last_heard_ = now;
  const auto was_reading = wants_bytes();
  std::visit([this](auto& y) { pass_on(y); }, event);
  if (!was_reading && wants_bytes())
    last_heard_ = now; // the host's bytes were not read meanwhile
}

void relay_session::pass_on(relay_welcome& x) {
  x.max_frame = static_cast<std::uint32_t>(limits_.max_frame);
  if (phase_ == phase::linking)
    phase_ = phase::up;
  say(std::move(x));
}

void relay_session::pass_on(relay_deliveries& x) {
  note(x);
  give(std::move(x));
}

void relay_session::note(const relay_deliveries& x) {
  for (const auto& y : x.items) {
    ++sent_;
    if (unacknowledged_.contains(y.consumer))
      owed_.push_back({sent_, x.generation, y.tag});
  }
}

// A delivery that is too large for the host arrives without its body and with an error, so that
// one message does not end the link.
void relay_session::give(relay_deliveries x) {
  const auto generation = x.generation;
  relay_frame frame{std::move(x)};
  if (try_to_say(frame))
    return;
  auto& items = std::get<relay_deliveries>(frame).items;
  if (items.size() > 1) {
    const auto half = items.begin() + static_cast<std::ptrdiff_t>(items.size() / 2);
    relay_deliveries rest{generation,
                          {std::make_move_iterator(half), std::make_move_iterator(items.end())}};
    items.erase(half, items.end());
    give({generation, std::move(items)});
    return give(std::move(rest));
  }
  auto& item = items.front();
  item.unreadable = std::make_shared<const failure>(
      failure{ec::limit_exceeded, "its body of " + std::to_string(item.body.size())
                                      + " bytes and its properties are more than the "
                                      + std::to_string(max_host_frame_)
                                      + " that a strategy's host takes of a relay"});
  item.body.clear();
  item.properties = {};
  say(frame);
}

void relay_session::pass_on(relay_confirmations& x) {
  for (const auto& y : x.items)
    unconfirmed_.answered(y.id);
  say(std::move(x));
  weigh_publications();
}

void relay_session::pass_on(relay_refused& x) {
  unconfirmed_.answered(x.publication);
  say(std::move(x));
  weigh_publications();
}

void relay_session::pass_on(returned_message& x) {
  relay_frame frame{std::move(x)};
  if (try_to_say(frame))
    return;
  auto& props = std::get<returned_message>(frame).properties;
  props.headers.clear();
  props.others.reset();
  say(frame);
}

void relay_session::pass_on(relay_blocked& x) {
  blocked_ = true;
  say(std::move(x));
}

void relay_session::pass_on(relay_unblocked& x) {
  blocked_ = false;
  if (!overfull_)
    say(std::move(x));
}

void relay_session::pass_on(relay_cancelled& x) {
  unacknowledged_.erase(x.id);
  say(std::move(x));
}

void relay_session::pass_on(closed_channel& x) {
  if (x.which == channel::deliveries) {
    std::erase_if(owed_, [&](const auto& y) { return y.generation == x.generation; });
    for (auto id : x.consumers)
      unacknowledged_.erase(id);
  } else if (x.which == channel::publishing) {
    ++publishing_generation_;
    unconfirmed_.clear();
  }
  say(std::move(x));
  weigh_publications();
}

void relay_session::pass_on(relay_down& x) {
  say(relay_frame{x});
  down(std::move(x.reason));
}

void relay_session::weigh_publications() {
  const auto limit = limits_.max_unconfirmed;
  if (!overfull_ && unconfirmed_.total() > limit) {
    overfull_ = true;
    if (!blocked_)
      say(relay_blocked{"the relay holds " + std::to_string(unconfirmed_.total())
                        + " bytes that its broker has not confirmed"});
  } else if (overfull_ && unconfirmed_.total() <= limit / 2) {
    overfull_ = false;
    if (!blocked_)
      say(relay_unblocked{});
  }
}

// -- time ------------------------------------------------------------------------------------

void relay_session::tick(time_point now) {
  if ((phase_ == phase::greeting || phase_ == phase::tuning)
      && now - began_ >= limits_.handshake_timeout)
    return refuse({ec::handshake_timeout,
                   "no hello within " + std::to_string(limits_.handshake_timeout.count()) + " ms"});
  // A host sends nothing before it gets its welcome.
  if (phase_ != phase::up && phase_ != phase::closing)
    return;
  if (heartbeat_.count() == 0)
    return;
  if (wants_bytes() && now - last_heard_ >= silent_heartbeats * heartbeat_)
    return refuse(
        {ec::heartbeat_timeout,
         "nothing heard for " + std::to_string((silent_heartbeats * heartbeat_).count()) + " ms"});
  if (now - last_said_ >= heartbeat_) {
    last_said_ = now;
    say(relay_heartbeat{});
  }
}

// -- its end ----------------------------------------------------------------------------------

void relay_session::refuse(failure reason) {
  if (phase_ == phase::down)
    return;
  say(relay_refusal{relay_protocol, reason});
  down(std::move(reason));
}

void relay_session::down(failure why) {
  phase_ = phase::down;
  why_ = std::move(why);
}

} // namespace actors::amqp
