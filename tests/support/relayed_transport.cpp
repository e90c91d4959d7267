#include "support/relayed_transport.hpp"

#include <chrono>
#include <deque>
#include <string>
#include <utility>

#include "amqp/relay/client.hpp"
#include "relay/session.hpp"

namespace actors::testing {

using namespace amqp;

namespace {

using clock = std::chrono::steady_clock;

} // namespace

/// What is to be done, in order.
class relay_network::work {
public:
  explicit work(std::function<void()> wake_up) : wake_up_(std::move(wake_up)) {
    // nop
  }

  void add(std::function<void()> x) {
    {
      std::lock_guard guard{mutex_};
      jobs_.push_back(std::move(x));
      if (jobs_.size() > 1)
        return;
    }
    wake_up_();
  }

  void run() {
    for (;;) {
      std::function<void()> next;
      {
        std::lock_guard guard{mutex_};
        if (jobs_.empty())
          return;
        next = jobs_.front();
      }
      next();
      std::lock_guard guard{mutex_};
      jobs_.pop_front();
    }
  }

private:
  std::function<void()> wake_up_;
  std::mutex mutex_;
  std::deque<std::function<void()>> jobs_;
};

/// One connection: both ends, and what lies between them.
class relay_network::wire : public std::enable_shared_from_this<wire> {
public:
  using job = std::function<void(wire&)>;

  wire(std::shared_ptr<work> to_do, make_link to_broker, bool holding)
      : work_(std::move(to_do)), to_broker_(std::move(to_broker)), holding_(holding) {
    // nop
  }

  void post(job x) {
    work_->add([me = shared_from_this(), y = std::move(x)] {
      y(*me);
      me->move_bytes();
    });
  }

  void connect(const endpoint& where, std::shared_ptr<link_listener> events) {
    auto quiet = where;
    quiet.heartbeat = std::chrono::seconds{0}; // time does not pass here
    client_ = std::make_unique<relay_client>(quiet, std::move(events), clock::now());
    session_ = std::make_unique<relay_session>(
        session_limits{},
        [this](const relay_hello&, const relay_tune& tune) {
          return outcome<transport_ptr>{start_link(tune.known), {}};
        },
        clock::now());
  }

  void execute(command x) {
    if (client_)
      client_->execute(std::move(x), clock::now());
  }

  void cut() {
    session_.reset();
    if (client_)
      client_->lost({ec::connection_lost, "the connection was cut"});
  }

  void hold(bool on) {
    holding_ = on;
  }

private:
  transport_ptr start_link(const broker_limits& known) {
    auto result = to_broker_();
    auto take = [me = weak_from_this()](relay_frame x) {
      if (auto self = me.lock())
        self->post([y = std::make_shared<relay_frame>(std::move(x))](wire& z) {
          if (z.session_)
            z.session_->raise(std::move(*y), clock::now());
        });
    };
    endpoint where;
    where.known = known;
    result->connect(where, make_relay_listener(std::move(take)));
    return result;
  }

  void move_bytes() {
    while (!holding_ && session_ && client_) {
      std::string out{client_->output()};
      client_->consume(out.size(), clock::now());
      const auto in = session_->take_output();
      if (out.empty() && in.empty())
        return;
      if (!out.empty())
        session_->feed(out, clock::now());
      if (!in.empty() && !client_->is_down())
        client_->feed(in, clock::now());
    }
  }

  std::shared_ptr<work> work_;
  make_link to_broker_;
  bool holding_;
  std::unique_ptr<relay_client> client_;
  std::unique_ptr<relay_session> session_;
};

namespace {

/// Publications and settlements of a host.
class wire_sender : public link_sender {
public:
  explicit wire_sender(const std::shared_ptr<relay_network::wire>& to) : to_(to) {
    // nop
  }

  void publish(std::uint32_t generation, std::vector<publication> xs) override {
    post(publish_command{generation, std::move(xs)});
  }

  void settle(std::uint32_t generation, std::vector<settlement> xs) override {
    post(settle_command{generation, std::move(xs)});
  }

private:
  void post(command x) {
    if (auto to = to_.lock())
      to->post([y = std::make_shared<command>(std::move(x))](relay_network::wire& z) {
        z.execute(std::move(*y));
      });
  }

  std::weak_ptr<relay_network::wire> to_;
};

class relayed_transport : public transport {
public:
  explicit relayed_transport(std::shared_ptr<relay_network::wire> to)
      : to_(std::move(to)), out_(std::make_shared<wire_sender>(to_)) {
    // nop
  }

  ~relayed_transport() override {
    // The host's end of the program: nothing is said any more.
    silent_->quiet();
    to_->post([](relay_network::wire& x) { x.cut(); });
  }

  void connect(const endpoint& where, std::shared_ptr<link_listener> events) override {
    silent_ = std::make_shared<ending_listener>(std::move(events));
    to_->post([=, me = silent_](relay_network::wire& x) { x.connect(where, me); });
  }

  void request(request_id id, operation what) override {
    auto x = std::make_shared<command>(request_command{id, std::move(what)});
    to_->post([x](relay_network::wire& y) { y.execute(std::move(*x)); });
  }

  link_sender_ptr out() override {
    return out_;
  }

  bool has_thread() const noexcept override {
    return false;
  }

  void close() override {
    to_->post([](relay_network::wire& x) { x.execute(close_command{}); });
  }

private:
  /// Passes events on until the link is gone.
  class ending_listener : public link_listener {
  public:
    explicit ending_listener(std::shared_ptr<link_listener> to) : to_(std::move(to)) {
      // nop
    }

    void quiet() {
      std::lock_guard guard{mutex_};
      to_ = nullptr;
    }

    void up(std::string x) override {
      pass([&](link_listener& to) { to.up(std::move(x)); });
    }

    void replied(reply x) override {
      pass([&](link_listener& to) { to.replied(std::move(x)); });
    }

    void delivered(std::uint32_t generation, std::vector<delivery> xs) override {
      pass([&](link_listener& to) { to.delivered(generation, std::move(xs)); });
    }

    void confirmed(std::vector<confirmation> xs) override {
      pass([&](link_listener& to) { to.confirmed(std::move(xs)); });
    }

    void returned(returned_message x) override {
      pass([&](link_listener& to) { to.returned(std::move(x)); });
    }

    void blocked(std::string x) override {
      pass([&](link_listener& to) { to.blocked(std::move(x)); });
    }

    void unblocked() override {
      pass([](link_listener& to) { to.unblocked(); });
    }

    void cancelled(consumer_id x) override {
      pass([&](link_listener& to) { to.cancelled(x); });
    }

    void refused(std::uint64_t id, failure x) override {
      pass([&](link_listener& to) { to.refused(id, std::move(x)); });
    }

    void channel_closed(closed_channel x) override {
      pass([&](link_listener& to) { to.channel_closed(std::move(x)); });
    }

    void suspected(std::vector<request_id> xs) override {
      pass([&](link_listener& to) { to.suspected(std::move(xs)); });
    }

    void learned(broker_limits x) override {
      pass([&](link_listener& to) { to.learned(x); });
    }

    void down(failure x) override {
      pass([&](link_listener& to) { to.down(std::move(x)); });
    }

  private:
    template <class F>
    void pass(F f) {
      std::lock_guard guard{mutex_};
      if (to_)
        f(*to_);
    }

    std::recursive_mutex mutex_;
    std::shared_ptr<link_listener> to_;
  };

  std::shared_ptr<relay_network::wire> to_;
  link_sender_ptr out_;
  std::shared_ptr<ending_listener> silent_ = std::make_shared<ending_listener>(nullptr);
};

} // namespace

relay_network::relay_network(make_link to_broker, std::function<void()> wake_up)
    : to_broker_(std::move(to_broker)), work_(std::make_shared<work>(std::move(wake_up))) {
  // nop
}

relay_network::~relay_network() = default;

void relay_network::run() {
  work_->run();
}

transport_ptr relay_network::make_transport() {
  std::lock_guard guard{mutex_};
  auto result = std::make_shared<wire>(work_, to_broker_, holding_);
  std::erase_if(wires_, [](auto& x) { return x.expired(); });
  wires_.push_back(result);
  return std::make_unique<relayed_transport>(std::move(result));
}

std::vector<std::shared_ptr<relay_network::wire>> relay_network::wires() {
  std::lock_guard guard{mutex_};
  std::vector<std::shared_ptr<wire>> result;
  for (auto& x : wires_)
    if (auto y = x.lock())
      result.push_back(std::move(y));
  return result;
}

void relay_network::cut() {
  for (auto& x : wires())
    x->post([](wire& y) { y.cut(); });
}

void relay_network::hold() {
  {
    std::lock_guard guard{mutex_};
    holding_ = true;
  }
  for (auto& x : wires())
    x->post([](wire& y) { y.hold(true); });
}

void relay_network::release() {
  {
    std::lock_guard guard{mutex_};
    holding_ = false;
  }
  for (auto& x : wires())
    x->post([](wire& y) { y.hold(false); });
}

} // namespace actors::testing
