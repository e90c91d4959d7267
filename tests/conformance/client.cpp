#include "conformance/client.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>

#include "caf/test/unit_test.hpp"

namespace actors::amqp::conformance {

namespace {

/// No test uses it itself.
constexpr consumer_id fence_consumer = 1'000'000;

constexpr std::chrono::seconds patience{20};

template <class T>
std::optional<T> pop(std::deque<T>& xs) {
  if (xs.empty())
    return std::nullopt;
  auto result = std::move(xs.front());
  xs.pop_front();
  return result;
}

} // namespace

std::vector<std::string> bodies(const std::vector<received>& xs) {
  std::vector<std::string> result;
  for (auto& x : xs)
    result.push_back(x.body);
  return result;
}

// -- recorder ---------------------------------------------------------------------

class client::recorder : public link_listener {
public:
  void up(std::string broker) override {
    record("up", [&] { up_ = std::move(broker); });
  }

  void replied(reply x) override {
    record("replied " + std::to_string(x.id), [&] { replies_.emplace(x.id, std::move(x)); });
  }

  void delivered(std::uint32_t generation, std::vector<delivery> xs) override {
    record("delivered", [&] {
      for (auto& x : xs)
        deliveries_.push_back(received{std::move(x), generation});
    });
  }

  void confirmed(std::vector<confirmation> xs) override {
    for (auto& x : xs)
      record("confirmed " + std::to_string(x.id),
             [&] { confirmations_.emplace(x.id, x.accepted); });
  }

  void returned(returned_message x) override {
    record("returned " + x.properties.message_id, [&] { returned_.push_back(std::move(x)); });
  }

  void blocked(std::string reason) override {
    record("blocked " + reason, [] {});
  }

  void unblocked() override {
    record("unblocked", [] {});
  }

  void cancelled(consumer_id x) override {
    record("cancelled " + std::to_string(x), [&] { cancelled_.push_back(x); });
  }

  void refused(std::uint64_t id, failure reason) override {
    record("refused " + std::to_string(id), [&] { refused_.emplace(id, std::move(reason)); });
  }

  void channel_closed(closed_channel x) override {
    record("closed " + std::string{to_string(x.which)}, [&] {
      ++channels_closed_;
      publishing_generation_ += x.which == channel::publishing ? 1 : 0;
      for (auto id : x.consumers)
        ended_.insert_or_assign(id, x.reason);
      closed_.push_back(std::move(x));
    });
  }

  void suspected(std::vector<request_id>) override {
    // What conformance asks for is granted or refused.
  }

  void learned(broker_limits) override {
    // Its brokers have no such limits.
  }

  void down(failure reason) override {
    record("down", [&] { down_ = std::move(reason); });
  }

  /// Waits until `f` gives a value.
  template <class F>
  auto await(const char* what, F f) {
    decltype(f(*this)) result;
    std::unique_lock guard{mutex_};
    auto in_time = changed_.wait_for(guard, patience, [&] {
      result = f(*this);
      return static_cast<bool>(result);
    });
    if (!in_time) {
      std::string events;
      for (auto& x : log_)
        events += x + ", ";
      guard.unlock();
      CAF_FAIL("no " << what << " came; events: " << events);
    }
    return std::move(*result);
  }

  template <class F>
  auto look(F f) {
    std::lock_guard guard{mutex_};
    return f(*this);
  }

  std::optional<std::string> up_;
  std::map<request_id, reply> replies_;
  std::deque<received> deliveries_;
  std::map<std::uint64_t, bool> confirmations_;
  std::deque<returned_message> returned_;
  std::deque<consumer_id> cancelled_;
  std::deque<closed_channel> closed_;
  /// By a closed channel.
  std::map<consumer_id, failure> ended_;
  std::map<std::uint64_t, failure> refused_;
  std::size_t channels_closed_ = 0;
  std::uint32_t publishing_generation_ = 1;
  std::optional<failure> down_;
  std::vector<std::string> log_;

private:
  template <class F>
  void record(std::string what, F f) {
    std::lock_guard guard{mutex_};
    log_.push_back(std::move(what));
    f();
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
};

// -- client -----------------------------------------------------------------------

client::client(broker_under_test& broker)
    : broker_(broker), events_(std::make_shared<recorder>()), link_(broker.make_link()) {
  link_->connect(broker.where(), events_);
  events_->await("up", [](auto& x) { return x.up_; });
}

client::~client() = default;

testing::broker_version client::version() const {
  return testing::broker_version::of(events_->look([](auto& x) { return x.up_.value_or(""); }));
}

failure client::call(operation what) {
  if (auto* x = std::get_if<start_consumer>(&what))
    return start(x->spec);
  return answer(send(std::move(what))).error;
}

// Who is refused by the end of a channel gets no other answer.
failure client::start(consumer what) {
  const auto consumer = what.id;
  events_->look([&](auto& x) { return x.ended_.erase(consumer); });
  const auto id = send(start_consumer{std::move(what)});
  return events_->await("answer to a consumer", [&](auto& x) -> std::optional<failure> {
    if (auto i = x.replies_.find(id); i != x.replies_.end())
      return i->second.error;
    if (auto i = x.ended_.find(consumer); i != x.ended_.end())
      return i->second;
    return std::nullopt;
  });
}

request_id client::send(operation what) {
  if (auto* x = std::get_if<declare_queue>(&what); x && !x->passive && !x->spec.name.empty())
    broker_.queues.push_back(x->spec.name);
  if (auto* x = std::get_if<declare_exchange>(&what); x && !x->passive)
    broker_.exchanges.push_back(x->spec.name);
  link_->request(++last_request_, std::move(what));
  return last_request_;
}

reply client::answer(request_id id) {
  return events_->await("reply", [id](auto& x) {
    auto i = x.replies_.find(id);
    return i == x.replies_.end() ? std::nullopt : std::optional{i->second};
  });
}

std::string client::exchange(const std::string& name, exchange_type type) {
  auto result = broker_.name(name);
  CAF_REQUIRE(!call(declare_exchange{{result, type, false, true}}));
  return result;
}

std::string client::queue(const std::string& name) {
  auto result = broker_.name(name);
  CAF_REQUIRE(!call(declare_queue{{result, false, false, false}}));
  return result;
}

std::string client::queue(const std::string& name, field_table arguments) {
  auto result = broker_.name(name);
  auto durable = std::any_of(arguments.begin(), arguments.end(),
                             [](auto& x) { return x.first == "x-queue-type"; });
  CAF_REQUIRE(!call(declare_queue{{result, durable, false, false, std::move(arguments)}}));
  return result;
}

void client::bind(const std::string& exchange, const std::string& queue,
                  const std::string& routing_key) {
  CAF_REQUIRE(!call(bind_queue{{exchange, queue, routing_key}}));
}

bool client::exists(const std::string& queue) {
  return !call(declare_queue{{queue}, true});
}

std::uint64_t client::messages(const std::string& queue) {
  return answer(send(declare_queue{{queue}, true})).messages;
}

bool client::exchange_exists(const std::string& exchange) {
  return !call(declare_exchange{{exchange}, true});
}

std::uint64_t client::post(publication x) {
  return post(std::move(x), events_->look([](auto& y) { return y.publishing_generation_; }));
}

std::uint64_t client::post(publication x, std::uint32_t generation) {
  x.id = ++last_publication_;
  std::vector<publication> xs;
  xs.push_back(std::move(x));
  link_->out()->publish(generation, std::move(xs));
  return last_publication_;
}

void client::publish(publication x) {
  CAF_REQUIRE(confirmed(post(std::move(x))));
}

void client::publish(const std::string& exchange, const std::string& routing_key,
                     const std::string& body) {
  publication x;
  x.exchange = exchange;
  x.routing_key = routing_key;
  x.body = std::make_shared<const std::string>(body);
  publish(std::move(x));
}

void client::fill(const std::string& queue, const std::vector<std::string>& bodies) {
  for (auto& body : bodies)
    publish(to_queue(queue, body));
}

bool client::confirmed(std::uint64_t id) {
  return events_->await("confirmation", [id](auto& x) {
    auto i = x.confirmations_.find(id);
    return i == x.confirmations_.end() ? std::nullopt : std::optional{i->second};
  });
}

failure client::refused(std::uint64_t id) {
  return events_->await("refusal", [id](auto& x) {
    auto i = x.refused_.find(id);
    return i == x.refused_.end() ? std::nullopt : std::optional{i->second};
  });
}

returned_message client::returned() {
  return events_->await("return", [](auto& x) { return pop(x.returned_); });
}

std::size_t client::returns() const {
  return events_->look([](auto& x) { return x.returned_.size(); });
}

void client::consume(consumer x) {
  CAF_REQUIRE(!call(start_consumer{std::move(x)}));
}

std::vector<received> client::take(std::size_t n) {
  return events_->await("delivery", [n](auto& x) -> std::optional<std::vector<received>> {
    if (x.deliveries_.size() < n)
      return std::nullopt;
    std::vector<received> result;
    while (result.size() < n)
      result.push_back(*pop(x.deliveries_));
    return result;
  });
}

received client::take() {
  return take(1).front();
}

// A message that goes the same way comes last.
std::vector<received> client::take_all() {
  auto fence = answer(send(declare_queue{{"", false, true, true}})).queue;
  consume({fence_consumer, fence, 0, true});
  fill(fence, {"fence"});
  auto result = events_->await("fence", [](auto& x) -> std::optional<std::vector<received>> {
    auto& xs = x.deliveries_;
    auto i =
        std::find_if(xs.begin(), xs.end(), [](auto& x) { return x.consumer == fence_consumer; });
    if (i == xs.end())
      return std::nullopt;
    xs.erase(i);
    return std::vector<received>(std::make_move_iterator(xs.begin()),
                                 std::make_move_iterator(xs.end()));
  });
  events_->look([](auto& x) { x.deliveries_.clear(); });
  CAF_REQUIRE(!call(cancel_consumer{fence_consumer}));
  return result;
}

void client::settle(const received& x, settlement::verdict what, bool multiple) {
  settle(x.generation, {x.tag, what, multiple});
}

void client::settle(std::uint32_t generation, settlement x) {
  link_->out()->settle(generation, {x});
}

consumer_id client::cancelled() {
  return events_->await("cancel", [](auto& x) { return pop(x.cancelled_); });
}

closed_channel client::channel_closed() {
  return events_->await("closed channel", [](auto& x) { return pop(x.closed_); });
}

std::size_t client::channels_closed() const {
  return events_->look([](auto& x) { return x.channels_closed_; });
}

void client::close() {
  link_->close();
}

failure client::down() {
  return events_->await("end of the link", [](auto& x) { return x.down_; });
}

std::vector<std::string> client::log() const {
  return events_->look([](auto& x) { return x.log_; });
}

std::string client::last_event() const {
  return log().back();
}

// ---------------------------------------------------------------------------------

properties sorted(properties x) {
  std::sort(x.headers.begin(), x.headers.end(), [](auto& a, auto& b) { return a.first < b.first; });
  return x;
}

publication to_queue(const std::string& queue, const std::string& body) {
  publication x;
  x.routing_key = queue;
  x.body = std::make_shared<const std::string>(body);
  return x;
}

void clean_up(broker_under_test& broker) {
  auto queues = std::exchange(broker.queues, {});
  auto exchanges = std::exchange(broker.exchanges, {});
  client janitor{broker};
  for (auto& x : queues)
    janitor.call(delete_queue{x});
  // There is no call to delete an exchange: it goes with a last binding.
  auto last = janitor.answer(janitor.send(declare_queue{{"", false, true, true}})).queue;
  for (auto& x : exchanges)
    janitor.call(bind_queue{{x, last, ""}});
  janitor.call(delete_queue{last});
}

} // namespace actors::amqp::conformance
