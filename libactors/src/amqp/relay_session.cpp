#include "amqp/relay_session.hpp"

#include <algorithm>

namespace actors::amqp {

namespace {

/// So many silent heartbeats mean that nobody is there any more.
constexpr int silent_heartbeats = 3;

/// A host cannot ask for more signs of life than that.
constexpr std::chrono::milliseconds shortest_heartbeat{100};

std::string version_text(std::uint16_t protocol, const std::string& software) {
  return "version " + std::to_string(protocol) + " of the relay's protocol (libactors " + software
         + ")";
}

/// What a stranger calls itself goes into a log.
bool fits_a_line(const std::string& text) {
  return std::none_of(text.begin(), text.end(),
                      [](unsigned char c) { return c < ' ' || c == '\x7f'; });
}

class relay_sink : public sink {
public:
  explicit relay_sink(std::function<void(relay_frame)> take) : take_(std::move(take)) {
    // nop
  }

  void up(std::string broker) override {
    take_(relay_welcome{std::move(broker)});
  }

  void replied(reply x) override {
    take_(std::move(x));
  }

  void delivered(std::uint32_t incarnation, std::vector<delivery> xs) override {
    take_(relay_deliveries{incarnation, std::move(xs)});
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

std::shared_ptr<sink> make_relay_sink(std::function<void(relay_frame)> take) {
  return std::make_shared<relay_sink>(std::move(take));
}

relay_session::relay_session(session_limits limits, link_starter start, time_point now)
    : limits_(limits), start_(std::move(start)), began_(now), last_heard_(now), last_said_(now) {
  // nop
}

void relay_session::say(const relay_frame& x) {
  append(output_, x);
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
      greet(*frame, now);
    } else if (auto x = decode_host_frame(*frame)) {
      on_frame(*x);
    } else {
      refuse({ec::protocol_error, "a frame that makes no sense"});
    }
  }
  if (phase_ == phase::down)
    return;
  if (auto size = input_.wrong_size())
    refuse(phase_ == phase::greeting
               ? failure{ec::protocol_error, "no hello of libactors: this port is a relay's"}
               : failure{ec::limit_exceeded,
                         "a frame of " + std::to_string(*size) + " bytes; at most "
                             + std::to_string(limits_.max_frame) + " are allowed"});
}

void relay_session::greet(std::string_view first, time_point now) {
  auto frame = decode_host_frame(first);
  auto hello = frame ? std::get_if<relay_hello>(&*frame) : nullptr;
  if (!hello || hello->magic != relay_hello{}.magic || !fits_a_line(hello->name)
      || !fits_a_line(hello->software))
    return refuse({ec::protocol_error, "no hello of libactors: this port is a relay's"});
  if (hello->protocol != relay_protocol)
    return refuse({ec::protocol_error,
                   "the relay speaks " + version_text(relay_protocol, ACTORS_VERSION)
                       + ", the strategy's host " + version_text(hello->protocol, hello->software)
                       + ": bring both to one version of libactors"});
  hello_ = std::move(*hello);
  greeted_ = true;
  if (hello_.heartbeat_ms > 0)
    heartbeat_ = std::max(std::chrono::milliseconds{hello_.heartbeat_ms}, shortest_heartbeat);
  input_.max_size(limits_.max_frame);
  phase_ = phase::linking;
  began_ = now;
  link_ = start_(hello_);
  out_ = link_->out();
}

void relay_session::on_frame(host_frame& x) {
  if (phase_ == phase::up || std::holds_alternative<close_command>(x)
      || std::holds_alternative<relay_heartbeat>(x))
    std::visit([&](auto& y) { on(y); }, x);
  else if (phase_ == phase::linking)
    refuse({ec::protocol_error, "a frame ahead of the relay's welcome"});
  // While closing nothing else counts.
}

void relay_session::on(relay_hello&) {
  refuse({ec::protocol_error, "a second hello"});
}

void relay_session::on(request_command& x) {
  if (auto start = std::get_if<start_consumer>(&x.what)) {
    auto& wanted = start->what;
    unacknowledged_.erase(wanted.id);
    if (wanted.no_ack) {
      // The broker sends no more than we can pass on.
      wanted.no_ack = false;
      wanted.prefetch_count = limits_.window;
      unacknowledged_.insert(wanted.id);
    }
  }
  link_->request(x.id, std::move(x.what));
}

void relay_session::on(publish_command& x) {
  published_ += x.items.size();
  out_->publish(x.incarnation, std::move(x.items));
}

void relay_session::on(settle_command& x) {
  out_->settle(x.incarnation, std::move(x.items));
}

void relay_session::on(relay_credit& x) {
  if (x.taken > sent_)
    return refuse({ec::protocol_error, "more deliveries taken than were sent"});
  std::vector<settlement> settled;
  std::uint32_t incarnation = 0;
  for (; !owed_.empty() && owed_.front().number <= x.taken; owed_.pop_front()) {
    if (owed_.front().incarnation != incarnation && !settled.empty())
      out_->settle(incarnation, std::exchange(settled, {}));
    incarnation = owed_.front().incarnation;
    settled.push_back({.tag = owed_.front().tag});
  }
  if (!settled.empty())
    out_->settle(incarnation, std::move(settled));
}

void relay_session::on(close_command&) {
  if (phase_ == phase::closing)
    return;
  phase_ = phase::closing;
  link_->close();
}

void relay_session::on(relay_heartbeat&) {
  // That it came is all there is to it.
}

// -- from the broker ----------------------------------------------------------------------

void relay_session::raise(relay_frame x, time_point now) {
  if (phase_ == phase::down)
    return;
  if (auto welcome = std::get_if<relay_welcome>(&x)) {
    welcome->max_frame = static_cast<std::uint32_t>(limits_.max_frame);
    if (phase_ == phase::linking)
      phase_ = phase::up;
    last_heard_ = now;
  } else if (auto deliveries = std::get_if<relay_deliveries>(&x)) {
    note(*deliveries);
  } else if (auto closed = std::get_if<closed_channel>(&x)) {
    incarnation_ += closed->which == channel::deliveries ? 1 : 0;
  }
  say(x);
  last_said_ = now;
  if (auto end = std::get_if<relay_down>(&x))
    down(std::move(end->reason));
}

void relay_session::note(relay_deliveries& x) {
  if (x.incarnation == 0)
    x.incarnation = incarnation_;
  for (const auto& y : x.items) {
    ++sent_;
    if (unacknowledged_.contains(y.consumer))
      owed_.push_back({sent_, x.incarnation, y.tag});
  }
}

// -- time ------------------------------------------------------------------------------------

void relay_session::tick(time_point now) {
  if (phase_ == phase::greeting && now - began_ >= limits_.handshake_timeout)
    return refuse({ec::handshake_timeout,
                   "no hello within " + std::to_string(limits_.handshake_timeout.count()) + " ms"});
  // A host speaks once it is welcome.
  if (phase_ != phase::up && phase_ != phase::closing)
    return;
  if (heartbeat_.count() == 0)
    return;
  if (now - last_heard_ >= silent_heartbeats * heartbeat_)
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
