#include "simulation/world.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/stateful_actor.hpp>

#include "actors/amqp/memory_broker.hpp"
#include "actors/connection.hpp"
#include "actors/dispatcher.hpp"
#include "actors/error.hpp"
#include "actors/event_center.hpp"
#include "actors/supervisor.hpp"

namespace actors::simulation {

namespace {

using namespace std::chrono_literals;

constexpr auto platform = "sim";
constexpr std::array keys{"A", "B", "C"};

// -- the strategies ------------------------------------------------------------------

/// What a strategy has seen over all its lives.
struct journal {
  std::string name;
  /// Trades in the order they were handled, by symbol.
  std::map<std::string, std::vector<std::int64_t>> handled;
  /// Those of its present life.
  std::set<std::pair<std::string, std::int64_t>> lately;
  std::vector<std::string> twice;
  /// Chances in a hundred.
  unsigned fails = 0;
  unsigned hesitates = 0;
  unsigned crashes = 0;
  std::mt19937_64 random;

  void handle(const trade& x) {
    handled[x.symbol].push_back(x.timestamp);
    if (!lately.emplace(x.symbol, x.timestamp).second)
      twice.push_back(x.symbol + ' ' + std::to_string(x.timestamp));
  }

  bool happens(unsigned percent) {
    return random() % 100 < percent;
  }
};

struct strategy_state {
  /// Answers that it has put off.
  std::vector<std::pair<caf::response_promise, trade>> open;

  static inline const char* name = "strategy";
};

caf::behavior strategy(caf::stateful_actor<strategy_state>* self, event_center center,
                       const subscription& what, std::shared_ptr<journal> seen) {
  seen->lately.clear();
  // As a user's: without its subscription it ends, and is started again.
  center.subscribe(self, what)
      .then([](const subscribed&) {}, [=](caf::error& err) { self->quit(std::move(err)); });
  return {
      [=](const trade& x) -> caf::result<void> {
        if (seen->happens(seen->crashes)) {
          self->quit(make_error(ec::handler_failed, "crashed"));
          return make_error(ec::handler_failed, "crashed");
        }
        if (seen->happens(seen->fails))
          return make_error(ec::handler_failed, "not now");
        if (seen->happens(seen->hesitates)) {
          self->state.open.emplace_back(self->make_response_promise(), x);
          return caf::delegated<void>{};
        }
        seen->handle(x);
        return caf::unit;
      },
      [=](flush_atom) {
        for (auto& [promise, x] : std::exchange(self->state.open, {})) {
          seen->handle(x);
          if (promise.pending())
            promise.deliver(caf::unit);
        }
      },
  };
}

// -- the publisher ---------------------------------------------------------------------

struct sent {
  std::map<std::string, std::int64_t> last;
  std::map<std::string, std::set<std::int64_t>> confirmed;
  std::size_t open = 0;
};

caf::behavior publisher(caf::event_based_actor* self, const caf::actor& supervisor,
                        std::shared_ptr<sent> log) {
  return {
      [=](publish_atom, const std::string& symbol) {
        trade x;
        x.platform = platform;
        x.symbol = symbol;
        x.timestamp = ++log->last[symbol];
        amqp::publication message;
        message.exchange = trade::exchange;
        message.routing_key = routing_key_of(x);
        message.mandatory = true;
        message.properties.persistent = true;
        message.body = std::make_shared<const std::string>(
            payload_encoder::of_this_thread().seal(trade::event_name, data_of(x)));
        ++log->open;
        self->request(supervisor, caf::infinite, publish_atom_v, std::move(message))
            .then(
                [=](const published&) {
                  --log->open;
                  log->confirmed[symbol].insert(x.timestamp);
                },
                [=](const caf::error&) { --log->open; });
      },
  };
}

// -- the world -----------------------------------------------------------------------------

/// A link of an operator, who declares what outlives a broker restart.
struct operator_sink : amqp::sink {
  void up(std::string) override {
  }
  void replied(amqp::reply) override {
  }
  void delivered(std::uint32_t, std::vector<amqp::delivery>) override {
  }
  void confirmed(std::vector<amqp::confirmation>) override {
  }
  void returned(amqp::returned_message) override {
  }
  void blocked(std::string) override {
  }
  void unblocked() override {
  }
  void cancelled(amqp::consumer_id) override {
  }
  void channel_closed(amqp::channel, failure) override {
  }
  void down(failure) override {
  }
};

struct system_config : caf::actor_system_config {
  system_config() {
    set("scheduler.policy", caf::atom("testing"));
  }
};

class world {
public:
  explicit world(const scenario& what)
      : what_(what),
        random_(what.seed),
        system_(config_),
        scheduler_(dynamic_cast<caf::scheduler::test_coordinator&>(system_.scheduler())),
        broker_(std::make_shared<amqp::memory_broker>()),
        sent_(std::make_shared<sent>()) {
    declare_exchange();
    consuming_ = add_center("consumer");
    publishing_ = add_center("publisher");
    publisher_ = system_.spawn(publisher, publishing_.supervisor, sent_);
    add_strategy("every", trades(platform, "#")
                              .multi(false)
                              .on_durable_queue("every")
                              .prefetch(10)
                              .acked(ack_policy::on_success));
    add_strategy("in order",
                 trades(platform, "A").on_durable_queue("in-order").acked(ack_policy::on_success));
    add_strategy("newest", trades(platform, "#"));
    run();
  }

  ~world() {
    for (auto& x : strategies_)
      caf::anon_send_exit(x.actor, caf::exit_reason::kill);
    for (auto& x : {publisher_, consuming_.dispatcher, consuming_.supervisor,
                    publishing_.dispatcher, publishing_.supervisor})
      caf::anon_send_exit(x, caf::exit_reason::kill);
    run();
  }

  outcome play() {
    for (auto i = std::size_t{0}; i < what_.steps; ++i)
      step();
    settle();
    check();
    for (auto& [key, numbers] : sent_->confirmed)
      result_.confirmed += numbers.size();
    for (auto& x : strategies_)
      for (auto& [key, numbers] : x.seen->handled)
        result_.handled += numbers.size();
    return std::move(result_);
  }

private:
  struct center {
    caf::actor supervisor;
    caf::actor dispatcher;
  };

  struct running_strategy {
    subscription what;
    std::shared_ptr<journal> seen;
    caf::actor actor;
  };

  std::uint64_t pick(std::uint64_t count) {
    return random_() % count;
  }

  void note(std::string line) {
    result_.trace.push_back(std::move(line));
  }

  // -- building it ----------------------------------------------------------------------

  void declare_exchange() {
    auto link = amqp::make_memory_transport(broker_);
    link->connect({}, std::make_shared<operator_sink>());
    amqp::exchange durable{.name = std::string{trade::exchange}, .durable = true};
    link->request(1, amqp::declare_exchange{durable});
  }

  center add_center(const std::string& name) {
    supervisor_settings settings;
    settings.config.server_id = name;
    settings.epoch = what_.seed + 1;
    settings.start_connection = connections_over([this](const amqp::endpoint&) {
      return make_faulty_transport(amqp::make_memory_transport(broker_), what_.fault,
                                   [this](const std::string& text) { violate(text); });
    });
    center result;
    result.supervisor = system_.spawn(supervisor, settings);
    dispatcher_settings queues;
    queues.server_id = name;
    result.dispatcher = system_.spawn(dispatcher, queues, result.supervisor);
    caf::anon_send(result.supervisor, start_atom_v, result.dispatcher);
    return result;
  }

  void add_strategy(const std::string& name, subscription what) {
    auto seen = std::make_shared<journal>();
    seen->name = name;
    seen->random.seed(pick(1'000'000));
    strategies_.push_back({std::move(what), seen, {}});
    start(strategies_.back());
  }

  void start(running_strategy& x) {
    x.actor = system_.spawn(strategy, event_center{consuming_.dispatcher, consuming_.supervisor},
                            x.what, x.seen);
  }

  // -- running it -----------------------------------------------------------------------

  void run() {
    scheduler_.run();
  }

  /// Some actors' turns, in an order of the seed's choice.
  void run_some() {
    const auto turns = 1 + pick(20);
    for (auto i = std::uint64_t{0}; i < turns && scheduler_.has_job(); ++i) {
      if (pick(3) == 0)
        std::swap(scheduler_.jobs.front(), scheduler_.jobs[pick(scheduler_.jobs.size())]);
      scheduler_.try_run_once();
    }
  }

  void advance(std::chrono::milliseconds by) {
    scheduler_.advance_time(by);
  }

  void step() {
    const auto dice = pick(100);
    if (dice < 55) {
      run_some();
    } else if (dice < 75) {
      publish();
    } else if (dice < 82) {
      note("strategies answer");
      answer();
    } else if (dice < 92) {
      const auto by = std::chrono::milliseconds{pick(2'000)};
      note("time passes: " + std::to_string(by.count()) + " ms");
      advance(by);
    } else {
      fault();
    }
    revive();
  }

  void publish() {
    if (sent_->open > 50)
      return;
    const auto count = 1 + pick(4);
    for (auto i = std::uint64_t{0}; i < count; ++i)
      caf::anon_send(publisher_, publish_atom_v, std::string{keys[pick(keys.size())]});
  }

  void answer() {
    for (auto& x : strategies_)
      caf::anon_send(x.actor, flush_atom_v);
  }

  void fault() {
    switch (pick(12)) {
    case 0:
    case 1:
      note("links cut");
      broker_->drop_links();
      break;
    case 2:
      note("broker restarts");
      broker_->restart();
      break;
    case 3:
      note("broker refuses links");
      broker_->refuse_links();
      break;
    case 4:
      note("broker accepts links");
      broker_->accept_links();
      break;
    case 5:
      note("broker blocks publishers");
      broker_->block("low on memory");
      break;
    case 6:
      note("broker unblocks publishers");
      broker_->unblock();
      break;
    case 7:
      note("broker stalls");
      broker_->stall();
      break;
    case 8:
      note("broker goes on");
      broker_->resume();
      break;
    case 9:
      note("the queue of 'newest' is deleted");
      broker_->delete_queue("consumer.Trade.sim.#");
      break;
    case 10:
      note("the next request for a queue is refused");
      broker_->refuse_next("every", ec::internal_error);
      break;
    default:
      trouble();
    }
  }

  /// From now on a strategy fails, hesitates or crashes more or less often.
  void trouble() {
    auto& x = *strategies_[pick(strategies_.size())].seen;
    x.fails = static_cast<unsigned>(pick(30));
    x.hesitates = static_cast<unsigned>(pick(30));
    x.crashes = static_cast<unsigned>(pick(5));
    note("strategy '" + x.name + "' fails " + std::to_string(x.fails) + " %, hesitates "
         + std::to_string(x.hesitates) + " %, crashes " + std::to_string(x.crashes) + " %");
  }

  static bool alive(const caf::actor& x) {
    return !caf::actor_cast<caf::abstract_actor*>(x)->getf(caf::abstract_actor::is_terminated_flag);
  }

  void revive() {
    for (auto& x : strategies_) {
      if (alive(x.actor))
        continue;
      note("strategy '" + x.seen->name + "' starts again");
      start(x);
    }
  }

  /// All faults end; time goes on until nothing moves any more.
  void settle() {
    note("all faults end");
    for (auto& x : strategies_)
      x.seen->fails = x.seen->hesitates = x.seen->crashes = 0;
    broker_->resume();
    broker_->accept_links();
    broker_->unblock();
    for (auto i = 0; i < 12; ++i) {
      run();
      revive();
      answer();
      run();
      advance(11s);
    }
    run();
  }

  // -- judging it -------------------------------------------------------------------------

  void violate(std::string text) {
    result_.violations.push_back(std::move(text));
  }

  void check() {
    check_nothing_lost();
    check_nothing_twice();
    check_order();
    check_topology();
    check_nothing_left();
  }

  void check_nothing_lost() {
    for (auto& x : strategies_) {
      if (x.what.ack != ack_policy::on_success)
        continue;
      for (auto& [key, numbers] : sent_->confirmed) {
        if (x.seen->name == "in order" && key != "A")
          continue;
        auto& handled = x.seen->handled[key];
        const std::set<std::int64_t> seen(handled.begin(), handled.end());
        for (auto number : numbers)
          if (!seen.contains(number))
            violate("lost: '" + x.seen->name + "' never handled the confirmed " + key + ' '
                    + std::to_string(number));
      }
    }
  }

  void check_nothing_twice() {
    for (auto& x : strategies_)
      for (auto& what : x.seen->twice)
        violate("twice: '" + x.seen->name + "' handled " + what + " again");
  }

  void check_order() {
    for (auto& [key, handled] : strategies_[1].seen->handled) {
      std::int64_t highest = 0;
      std::set<std::int64_t> seen;
      for (auto number : handled) {
        if (seen.insert(number).second && number < highest)
          violate("order: '" + strategies_[1].seen->name + "' first saw " + key + ' '
                  + std::to_string(number) + " after " + std::to_string(highest));
        highest = std::max(highest, number);
      }
    }
  }

  void check_topology() {
    std::vector<std::string> found;
    for (auto& x : broker_->queues())
      found.push_back(x.name + ' ' + std::to_string(x.consumers));
    const std::vector<std::string> expected{"consumer.Trade.sim.# 1", "every 1", "in-order 1"};
    if (found != expected) {
      std::string text = "topology: queues and consumers are";
      for (auto& x : found)
        text += " [" + x + ']';
      violate(std::move(text));
    }
    if (broker_->bindings().size() != expected.size())
      violate("topology: " + std::to_string(broker_->bindings().size()) + " bindings");
  }

  void check_nothing_left() {
    for (auto& x : broker_->queues())
      if (x.ready + x.unacked > 0)
        violate("left: queue " + x.name + " has " + std::to_string(x.ready) + " ready, "
                + std::to_string(x.unacked) + " unacknowledged");
    if (sent_->open > 0)
      violate("left: " + std::to_string(sent_->open) + " publications without an answer");
    caf::scoped_actor self{system_};
    for (auto& x : {consuming_, publishing_}) {
      auto request = self->request(x.dispatcher, caf::infinite, status_atom_v);
      run();
      request.receive([this](const center_status& y) { check_nothing_left(y); },
                      [this](const caf::error& err) { violate("no status: " + text_of(err)); });
    }
  }

  void check_nothing_left(const center_status& x) {
    auto& outbox = x.supervisor.outbox;
    if (outbox.waiting + outbox.unconfirmed + outbox.bytes > 0)
      violate("left: an outbox has " + std::to_string(outbox.waiting) + " waiting, "
              + std::to_string(outbox.unconfirmed) + " unconfirmed");
    for (auto& row : x.dispatcher.handlers)
      if (row.in_flight > 0 || !row.consuming)
        violate("left: handler of " + row.queue + " has " + std::to_string(row.in_flight)
                + " in flight" + (row.consuming ? "" : " and does not consume"));
  }

  scenario what_;
  std::mt19937_64 random_;
  system_config config_;
  caf::actor_system system_;
  caf::scheduler::test_coordinator& scheduler_;
  std::shared_ptr<amqp::memory_broker> broker_;
  std::shared_ptr<sent> sent_;
  center consuming_;
  center publishing_;
  caf::actor publisher_;
  std::vector<running_strategy> strategies_;
  outcome result_;
};

} // namespace

outcome simulate(const scenario& what) {
  return world{what}.play();
}

} // namespace actors::simulation
