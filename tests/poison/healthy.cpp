#include "poison/healthy.hpp"

#include <array>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

#include "actors/error.hpp"
#include "center/messages.hpp"
#include "support/numbered.hpp"

namespace actors::poison {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;
using testing::numbered;

namespace {

constexpr auto pace = 20ms;
constexpr auto events_a_time = 10; // 500 a second

constexpr std::array<const char*, 3> kinds{"kept", "quorum", "default"};

/// The one whose queue goes with its link, as AIOQuant's: it keeps nothing meanwhile.
constexpr std::size_t default_kind = 2;

/// How long something that goes on has stood still, and what took longest.
struct pulse {
  void beat(clock::time_point now, clock::duration took) {
    pause = std::max(pause, now - last);
    longest = std::max(longest, took);
    last = now;
  }

  clock::time_point last = clock::now();
  clock::duration pause{0};
  clock::duration longest{0};
};

std::string seconds(clock::duration x) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(x).count();
  return std::to_string(ms / 1000) + '.' + std::to_string(ms % 1000 / 100) + " s";
}

} // namespace

/// Written by the strategies and the publisher, read by whoever judges; from any thread.
class healthy_books {
public:
  std::uint64_t next() {
    std::lock_guard guard{mutex_};
    events_.emplace_back();
    return events_.size();
  }

  void answered(std::uint64_t number) {
    std::lock_guard guard{mutex_};
    auto& x = events_[number - 1];
    const auto now = clock::now();
    x.confirmed = true;
    ++answered_;
    confirms_.beat(now, now - x.sent);
    changed_.notify_all();
  }

  void refused(const caf::error& reason) {
    std::lock_guard guard{mutex_};
    ++answered_;
    blame("a publication was answered with: " + text_of(reason));
    changed_.notify_all();
  }

  void refused_subscription(std::size_t kind, const caf::error& reason) {
    std::lock_guard guard{mutex_};
    blame(std::string{kinds[kind]} + " was refused: " + text_of(reason));
  }

  void subscribed_one() {
    std::lock_guard guard{mutex_};
    ++subscribed_;
    changed_.notify_all();
  }

  /// Whether all queues are there, so that whatever is confirmed is in all of them.
  bool all_subscribed(std::chrono::milliseconds limit) {
    std::unique_lock guard{mutex_};
    return changed_.wait_for(guard, limit, [&] { return subscribed_ == kinds.size(); });
  }

  void handled(std::size_t kind, std::uint64_t number) {
    std::lock_guard guard{mutex_};
    const auto now = clock::now();
    auto& x = events_[number - 1];
    if (++x.handled[kind] > 1)
      ++doubles_[kind];
    strategies_[kind].beat(now, now - x.sent);
    ++heard_[kind];
    changed_.notify_all();
  }

  bool all_heard(std::chrono::milliseconds limit) {
    std::unique_lock guard{mutex_};
    return changed_.wait_for(guard, limit, [&] {
      return answered_ > 0 && heard_[0] > 0 && heard_[1] > 0 && heard_[2] > 0;
    });
  }

  void watch(std::uint64_t events, std::chrono::milliseconds limit) {
    std::unique_lock guard{mutex_};
    const std::array goals{answered_ + events, heard_[0] + events, heard_[1] + events};
    changed_.wait_for(guard, limit, [&] {
      return answered_ >= goals[0] && heard_[0] >= goals[1] && heard_[1] >= goals[2];
    });
  }

  void forget() {
    std::lock_guard guard{mutex_};
    begin_window();
  }

  std::vector<std::string> problems(std::chrono::milliseconds limit) {
    std::lock_guard guard{mutex_};
    auto result = std::exchange(complaints_, {});
    const auto now = clock::now();
    auto look = [&](const std::string& who, pulse& x, bool keeps) {
      x.pause = std::max(x.pause, now - x.last);
      if (x.pause > limit)
        result.push_back(who + " stood still for " + seconds(x.pause));
      else if (keeps && x.longest > limit)
        result.push_back(who + " waited " + seconds(x.longest));
    };
    look("publishing", confirms_, true);
    for (std::size_t i = 0; i < kinds.size(); ++i) {
      look(kinds[i], strategies_[i], i != default_kind);
      if (auto count = std::exchange(doubles_[i], 0); count > 0)
        result.push_back(std::string{kinds[i]} + " had " + std::to_string(count) + " twice");
    }
    begin_window();
    return result;
  }

  /// The confirmed events that a strategy which keeps them has not had.
  std::uint64_t missing(std::size_t kind) const {
    std::uint64_t result = 0;
    for (auto& x : events_)
      result += x.confirmed && x.handled[kind] == 0 ? 1 : 0;
    return result;
  }

  std::vector<std::string> losses(std::chrono::milliseconds limit) {
    std::unique_lock guard{mutex_};
    auto settled = [&] {
      return answered_ >= events_.size() && missing(0) == 0 && missing(1) == 0;
    };
    const auto end = clock::now() + limit;
    // Looks seldom, as it looks at everything.
    while (clock::now() < end && !settled())
      changed_.wait_for(guard, 500ms);
    std::vector<std::string> result;
    if (answered_ < events_.size())
      result.push_back(std::to_string(events_.size() - answered_) + " publications unanswered");
    for (std::size_t i = 0; i < default_kind; ++i)
      if (auto lost = missing(i); lost > 0)
        result.push_back(std::string{kinds[i]} + " lost " + std::to_string(lost) + " of "
                         + std::to_string(events_.size()));
    return result;
  }

private:
  struct sent_event {
    clock::time_point sent = clock::now();
    bool confirmed = false;
    std::array<std::uint8_t, 3> handled{};
  };

  void blame(std::string what) {
    if (complaints_.size() < 3)
      complaints_.push_back(std::move(what));
  }

  void begin_window() {
    for (auto* x : {&confirms_, &strategies_[0], &strategies_[1], &strategies_[2]})
      x->pause = x->longest = clock::duration{0};
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<sent_event> events_;
  std::uint64_t answered_ = 0;
  std::size_t subscribed_ = 0;
  pulse confirms_;
  std::array<pulse, 3> strategies_;
  std::array<std::uint64_t, 3> heard_{};
  std::array<std::uint64_t, 3> doubles_{};
  std::vector<std::string> complaints_;
};

namespace {

caf::behavior healthy_strategy(caf::event_based_actor* self, const event_center& center,
                               const subscription& what, std::size_t kind,
                               const std::shared_ptr<healthy_books>& books) {
  center.subscribe(self, what)
      .then([=](const subscribed&) { books->subscribed_one(); },
            [=](const caf::error& err) { books->refused_subscription(kind, err); });
  return {[=](const numbered& x) { books->handled(kind, x.number); }};
}

caf::behavior healthy_publisher(caf::event_based_actor* self, const event_center& center,
                                const std::string& key,
                                const std::shared_ptr<healthy_books>& books) {
  return {
      [=](flush_atom) {
        for (auto i = 0; i < events_a_time; ++i) {
          const numbered x{"healthy", key, books->next()};
          // With and without, as the trades and the quotes of the README are published.
          const auto mandatory = x.number % 2 == 0;
          center.publish(self, x, key, {.mandatory = mandatory, .persistent = true})
              .then([=](const published&) { books->answered(x.number); },
                    [=](const caf::error& err) { books->refused(err); });
        }
        self->delayed_send(self, pace, flush_atom_v);
      },
      [=](stop_atom) {
        // What is on its way is still answered.
        self->become([](stop_atom) {}, [](flush_atom) {});
      },
  };
}

} // namespace

healthy::healthy(caf::actor_system& system, const event_center& center, const std::string& name)
    : name_(name), books_(std::make_shared<healthy_books>()) {
  const auto key = name + ".events";
  auto wanted = [&] { return subscription::to<numbered>(key); };
  const std::array<subscription, 3> what{
      wanted()
          .on_durable_queue(name + ".kept")
          .single_active_consumer()
          .acked(ack_policy::on_success)
          .prefetch(100),
      wanted().on_quorum_queue(name + ".quorum").acked(ack_policy::on_success).prefetch(100),
      wanted().prefetch(100),
  };
  for (std::size_t i = 0; i < what.size(); ++i)
    strategies_.push_back(system.spawn(healthy_strategy, center, what[i], i, books_));
  publisher_ = system.spawn(healthy_publisher, center, key, books_);
}

healthy::~healthy() {
  strategies_.push_back(publisher_);
  for (auto& x : strategies_)
    caf::anon_send_exit(x, caf::exit_reason::user_shutdown);
}

bool healthy::starts_within(std::chrono::milliseconds limit) {
  if (!books_->all_subscribed(limit))
    return false;
  caf::anon_send(publisher_, flush_atom_v);
  const auto result = books_->all_heard(limit);
  books_->forget();
  return result;
}

void healthy::watch(std::uint64_t events, std::chrono::milliseconds limit) {
  books_->watch(events, limit);
}

std::vector<std::string> healthy::problems(std::chrono::milliseconds longest_wait) {
  auto result = books_->problems(longest_wait);
  for (auto& x : result)
    x.insert(0, name_ + ": ");
  return result;
}

std::vector<std::string> healthy::finish(std::chrono::milliseconds limit) {
  caf::anon_send(publisher_, stop_atom_v);
  auto result = books_->losses(limit);
  for (auto& x : result)
    x.insert(0, name_ + ": ");
  return result;
}

} // namespace actors::poison
