#include "simulation/world.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <random>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/scoped_actor.hpp>

#include "actors/amqp/memory_broker.hpp"
#include "actors/error.hpp"
#include "actors/event_center.hpp"
#include "amqp/memory/transport.hpp"
#include "center/connection.hpp"
#include "center/messages.hpp"
#include "simulation/invariants.hpp"
#include "simulation/operator_link.hpp"
#include "simulation/process.hpp"
#include "simulation/scratch_file.hpp"
#include "simulation/strategy.hpp"
#include "support/relayed_transport.hpp"
#include "wire/payload.hpp"

namespace actors::simulation {

namespace {

using namespace std::chrono_literals;

constexpr auto platform = "sim";
constexpr std::array keys{"A", "B", "C"};
constexpr std::uint64_t max_outbox = 40;
/// Few, so that what an earlier life has left is sent in many turns.
constexpr std::uint64_t max_in_flight = 5;
/// Fewer than there are keys.
constexpr std::uint64_t max_window = 2;

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
        // Every other world has a newer RabbitMQ.
        broker_(std::make_shared<amqp::memory_broker>(what.seed % 2 == 0
                                                          ? amqp::memory_semantics::rabbitmq_4_3()
                                                          : amqp::memory_semantics{})),
        relay_(spawn_relay()),
        network_([this] { return amqp::make_memory_transport(broker_); },
                 [this] { caf::anon_send(relay_, flush_atom_v); }),
        consuming_(make_process("consumer")) {
    operator_link{broker_}.declare_durable_exchange(std::string{trade::exchange});
    consuming_.start(next_epoch());
    for (auto i : {0, 1})
      add_publisher(i);
    add_strategies();
    run();
    // From now on it is known that candles have a queue.
    publish_one(publishers_[1], candles);
    run();
  }

  ~world() {
    for (auto& x : strategies_)
      caf::anon_send_exit(x.actor, caf::exit_reason::kill);
    for (auto& x : publishers_)
      caf::anon_send_exit(x.actor, caf::exit_reason::kill);
    for (auto& x : publishers_)
      x.home.kill();
    consuming_.kill();
    run();
    caf::anon_send_exit(relay_, caf::exit_reason::kill);
    run();
    network_.run();
  }

  outcome play() {
    for (auto i = std::size_t{0}; i < what_.steps; ++i)
      step();
    settle();
    check();
    for (auto& x : publishers_)
      for (auto& [key, numbers] : x.log->confirmed)
        result_.confirmed += numbers.size();
    for (auto& x : strategies_)
      for (auto& [key, numbers] : x.seen->handled)
        result_.handled += numbers.size();
    return std::move(result_);
  }

private:
  struct running_publisher {
    process home;
    std::shared_ptr<sent> log;
    std::shared_ptr<wire_books> books;
    /// Null, while its process is away.
    caf::actor actor;
    /// Once it was told so much it is killed; 0: it is not.
    std::size_t doom = 0;
  };

  struct running_strategy {
    subscription what;
    std::shared_ptr<journal> seen;
    promise_to promised;
    caf::actor actor;
  };

  std::uint64_t pick(std::uint64_t count) {
    return random_() % count;
  }

  void note(std::string line) {
    result_.trace.push_back(std::move(line));
  }

  // -- building it ----------------------------------------------------------------------

  process make_process(const std::string& name, std::string unsent_file = {},
                       const std::shared_ptr<wire_books>& books = nullptr) {
    process_settings settings;
    settings.defect = what_.fault;
    auto& config = settings.config;
    config.server_id = name;
    config.shutdown.unsent_file = std::move(unsent_file);
    config.outbox.each.max_messages = max_outbox;
    config.outbox.window = max_in_flight;
    // However long consumers are away.
    config.outbox.restore_timeout = what_.fault == defect::impatient_outbox ? 0h : 10'000h;
    if (what_.fault == defect::swallowed_confirmation)
      config.outbox.confirm_timeout = 0ms; // which would heal it
    settings.start_connection = connections_over([=, this](const amqp::endpoint&) {
      return make_faulty_transport(
          what_.relayed ? network_.make_transport() : amqp::make_memory_transport(broker_),
          what_.fault, [this](const std::string& text) { complain(text); }, books);
    });
    return {system_, std::move(settings)};
  }

  std::uint64_t next_epoch() {
    return what_.seed + ++epochs_;
  }

  void complain(const std::string& text) {
    result_.violations.push_back(text);
  }

  /// Moves what is between hosts and relay, when its turn comes.
  caf::actor spawn_relay() {
    return system_.spawn(
        [this]() -> caf::behavior { return {[this](flush_atom) { network_.run(); }}; });
  }

  /// The first one's process is stopped and killed, and has a file of what it could not send.
  void add_publisher(int index) {
    auto books = std::make_shared<wire_books>([this](const std::string& text) { complain(text); });
    auto log = std::make_shared<sent>();
    log->publisher = index;
    auto home = make_process("publisher-" + std::to_string(index),
                             index == 0 ? unsent_.path() : std::string{}, books);
    publishers_.push_back({std::move(home), std::move(log), std::move(books), {}, 0});
    start(publishers_.back());
  }

  void start(running_publisher& x) {
    x.books->started();
    x.home.start(next_epoch());
    x.actor = spawn_publisher(system_, x.home.center(), x.log);
    // While it still sends what its last life has left.
    x.doom = x.log->kept.empty() || settling_ ? 0 : x.books->told() + 1 + pick(20);
  }

  void add_strategies() {
    const std::set<std::string> all{keys.begin(), keys.end()};
    // Its answers may be late, but never too late: a message that is given up and
    // then handled all the same is handled twice.
    add("every",
        trades(platform, "#")
            .on_durable_queue("every")
            .prefetch(10)
            .acked(ack_policy::on_success)
            .within(0ms),
        {nullptr, all, true, order_promise::none});
    add("in order",
        trades(platform, "A")
            .on_durable_queue("in-order")
            .acked(ack_policy::on_success)
            .within(0ms),
        {nullptr, {"A"}, true, order_promise::over_all_lives});
    add("retried",
        trades(platform, "#")
            .on_durable_queue("retried")
            .prefetch(10)
            .retried({.delay = 1s, .factor = 2, .max_delay = 4s, .max_retries = 3})
            .within(10s),
        {nullptr, all, false, order_promise::none});
    // Its exchange, and with it its binding, goes with the broker.
    add("restored",
        klines(platform, candles)
            .on_durable_queue("restored")
            .prefetch(1)
            .acked(ack_policy::on_success)
            .within(0ms),
        {nullptr, {candles}, true, order_promise::over_all_lives});
    add("tape", trades(platform, "#").on_stream("tape", std::string{"first"}),
        {nullptr, all, true, order_promise::within_a_life});
    add("newest", trades(platform, "#").multi(false), {nullptr, {}, true, order_promise::none});
    const auto limit = what_.fault == defect::unbounded_window ? 1'000'000 : max_window;
    add("latest",
        trades(platform, "#")
            .on_queue("latest")
            .keeping(delivery_policy::latest_per_key, limit)
            .within(0ms),
        {nullptr, {}, true, order_promise::within_a_life});
    add("window",
        trades(platform, "#").on_queue("window").keeping(delivery_policy::drop_oldest, limit),
        {nullptr, {}, false, order_promise::none});
  }

  void add(const std::string& name, subscription what, promise_to promised) {
    auto seen = std::make_shared<journal>();
    seen->name = name;
    seen->random.seed(pick(1'000'000));
    promised.seen = seen;
    strategies_.push_back({std::move(what), seen, std::move(promised), {}});
    start(strategies_.back());
  }

  void start(running_strategy& x) {
    x.actor = spawn_strategy(system_, consuming_.center(), x.what, x.seen);
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
    broker_->advance(by);
  }

  void step() {
    const auto dice = pick(100);
    if (dice < 55) {
      run_some();
    } else if (dice < 73) {
      publish();
    } else if (dice < 75) {
      poison();
    } else if (dice < 81) {
      note("strategies answer");
      answer();
    } else if (dice < 90) {
      const auto by = std::chrono::milliseconds{pick(2'000)};
      note("time passes: " + std::to_string(by.count()) + " ms");
      advance(by);
    } else if (dice < 92) {
      note("a quiet moment");
      run();
      delete_tape_if_read();
      check_memory();
    } else {
      fault();
    }
    revive();
  }

  void publish() {
    auto& x = publishers_[pick(publishers_.size())];
    if (!x.actor || x.log->open > 50)
      return;
    const auto count = 1 + pick(4);
    for (auto i = std::uint64_t{0}; i < count; ++i)
      publish_one(x, any_symbol(x));
  }

  std::string any_symbol(const running_publisher& x) {
    // Who stays is the one who knows whether candles had a queue.
    if (x.log->publisher == 1 && pick(4) == 0)
      return candles;
    return keys[pick(keys.size())];
  }

  /// The first publisher asks for the queues of some of its messages, the second one trusts in
  /// them, but for candles.
  bool any_mandatory(const running_publisher& x, const std::string& symbol) {
    return (x.log->publisher == 0 || symbol == candles) && pick(2) == 0;
  }

  void publish_one(running_publisher& x, const std::string& symbol) {
    caf::anon_send(x.actor, publish_atom_v, symbol, any_mandatory(x, symbol));
  }

  /// What nobody should have to notice.
  void poison() {
    auto& from = publishers_[pick(publishers_.size())];
    const auto kind = pick(4);
    if (kind == 0 && from.actor) {
      note("two publications of one message id, one of which no queue takes");
      const std::string symbol = keys[pick(keys.size())];
      caf::anon_send(from.actor, publish_atom_v, symbol, any_mandatory(from, symbol),
                     "id-" + std::to_string(++ids_));
    } else if (kind == 1 && from.actor) {
      note("a publication that cannot be sent");
      event x;
      x.name = "EVENT_POISON";
      x.exchange = "Caf\xe9";
      caf::anon_send(from.actor, publish_atom_v, std::move(x));
    } else if (kind == 2 && consuming_.is_running()) {
      note("a subscription that cannot be");
      consuming_.center().subscribe(strategies_[0].actor,
                                    trades(platform, "#").on_durable_queue("Caf\xe9"));
    } else if (kind == 3) {
      note("a message that is none");
      operator_link{broker_}.publish(std::string{trade::exchange}, "sim.A", "poison");
    }
  }

  void answer() {
    for (auto& x : strategies_)
      caf::anon_send(x.actor, flush_atom_v);
  }

  void fault() {
    struct entry {
      const char* text;
      void (*happen)(world&);
    };
    static constexpr entry faults[] = {
        {"links cut", [](world& x) { x.broker_->drop_links(); }},
        {"links cut", [](world& x) { x.broker_->drop_links(); }},
        {"broker restarts", [](world& x) { x.broker_->restart(); }},
        {"broker refuses links", [](world& x) { x.broker_->refuse_links(); }},
        {"broker accepts links", [](world& x) { x.broker_->accept_links(); }},
        {"broker blocks publishers", [](world& x) { x.broker_->block("low on memory"); }},
        {"broker unblocks publishers", [](world& x) { x.broker_->unblock(); }},
        {"broker stalls", [](world& x) { x.stall(); }},
        {"broker goes on", [](world& x) { x.go_on(); }},
        {"the queue of 'newest' is deleted",
         [](world& x) { x.broker_->delete_queue("consumer.Trade.sim.#"); }},
        {"an empty retry queue is deleted",
         [](world& x) { x.delete_if_empty("retried.retry.1000"); }},
        {"the next request for a queue is refused",
         [](world& x) { x.broker_->refuse_next("every", ec::internal_error); }},
        {"a message comes twice", [](world& x) { x.broker_->duplicate_next("in-order"); }},
        {"a message comes twice", [](world& x) { x.broker_->duplicate_next("every"); }},
        {"deliveries are delayed", [](world& x) { x.broker_->delay_deliveries(true); }},
        {"deliveries go on", [](world& x) { x.broker_->delay_deliveries(false); }},
        {"a consumer is lost without a word",
         [](world& x) { x.broker_->forget_consumers("every"); }},
        {"the clock jumps by an hour", [](world& x) { x.advance(1h); }},
        {"the consumers' process is killed", [](world& x) { x.kill_consumers(); }},
        {"a publisher's process is stopped", [](world& x) { x.stop_publisher(); }},
        {"a publisher's process is killed", [](world& x) { x.kill_publisher(); }},
        {nullptr, [](world& x) { x.trouble(); }},
        {nullptr, [](world& x) { x.trouble(); }},
    };
    static constexpr entry network_faults[] = {
        {"hosts and relay are cut off", [](world& x) { x.network_.cut(); }},
        {"between hosts and relay nothing moves", [](world& x) { x.network_.hold(); }},
        {"between hosts and relay all moves", [](world& x) { x.network_.release(); }},
    };
    const auto of_network = what_.relayed && pick(3) == 0;
    const auto& chosen = of_network ? network_faults[pick(std::size(network_faults))]
                                    : faults[pick(std::size(faults))];
    if (chosen.text)
      note(chosen.text);
    chosen.happen(*this);
  }

  void stall() {
    stalls_ = true;
    broker_->stall();
  }

  void go_on() {
    stalls_ = false;
    broker_->resume();
  }

  void delete_if_empty(const std::string& queue) {
    for (auto& x : broker_->queues())
      if (x.name == queue && x.ready + x.unacked == 0)
        broker_->delete_queue(queue);
  }

  /// With what is in it: nothing may be on its way, and it must be back before anything is.
  void delete_tape_if_read() {
    const auto& tape = *std::find_if(strategies_.begin(), strategies_.end(),
                                     [](auto& x) { return x.seen->name == "tape"; });
    violations unread;
    for (auto& x : publishers_)
      check_nothing_lost(tape.promised, *x.log, {}, unread);
    const auto idle = std::all_of(publishers_.begin(), publishers_.end(),
                                  [](auto& x) { return x.actor && x.log->open == 0; });
    if (!idle || !unread.empty() || stalls_ || what_.relayed || !is_consumed("tape"))
      return;
    note("the stream of 'tape' is deleted");
    broker_->delete_queue("tape");
    run();
  }

  bool is_consumed(const std::string& queue) const {
    const auto queues = broker_->queues();
    return std::any_of(queues.begin(), queues.end(),
                       [&](auto& x) { return x.name == queue && x.consumers > 0; });
  }

  /// From now on a strategy fails, hesitates or crashes more or less often.
  void trouble() {
    auto& x = *strategies_[pick(strategies_.size())].seen;
    // What fails of a stream is not read again, and its reader does not wait for answers.
    const auto answers = x.name == "tape" ? 1u : 30u;
    x.fails = static_cast<unsigned>(pick(answers));
    x.hesitates = static_cast<unsigned>(pick(answers));
    x.crashes = static_cast<unsigned>(pick(5));
    note("strategy '" + x.name + "' fails " + std::to_string(x.fails) + " %, hesitates "
         + std::to_string(x.hesitates) + " %, crashes " + std::to_string(x.crashes) + " %");
  }

  // -- processes ------------------------------------------------------------------------

  void kill_consumers() {
    for (auto& x : strategies_)
      caf::anon_send_exit(x.actor, caf::exit_reason::kill);
    consuming_.kill();
    run(); // its links are closed
  }

  void stop_publisher() {
    auto& x = publishers_[0];
    if (x.actor)
      x.home.stop(std::chrono::milliseconds{pick(2) * pick(2'000)});
  }

  void kill_publisher() {
    auto& x = publishers_[0];
    if (x.actor)
      end(x);
  }

  /// Finds out what a publisher's process has read by now.
  void look_at(const running_publisher& x) {
    system_.spawn([books = x.books, to = x.home.supervisor()](caf::event_based_actor* self) {
      self->request(to, caf::infinite, status_atom_v)
          .then([=, told = books->told()](const supervisor_status&) { books->has_read(told); },
                [](const caf::error&) {});
    });
  }

  void end(running_publisher& x) {
    caf::anon_send_exit(x.actor, caf::exit_reason::kill);
    x.actor = nullptr;
    x.home.kill();
    run(); // its links are closed
    x.log->open = 0;
  }

  void revive() {
    for (auto& x : publishers_)
      revive(x);
    if (!consuming_.is_running()) {
      if (!is_time())
        return;
      note("the consumers' process starts again");
      consuming_.start(next_epoch());
    }
    for (auto& x : strategies_) {
      if (is_alive(x.actor))
        continue;
      note("strategy '" + x.seen->name + "' starts again");
      start(x);
    }
  }

  void revive(running_publisher& x) {
    if (x.actor && x.doom > 0) {
      look_at(x);
      if (x.books->told() >= x.doom) {
        note("a publisher's process is killed");
        end(x);
      }
    }
    if (x.home.is_running())
      return;
    if (x.actor) {
      note("a publisher's process has stopped");
      run();
      check_answered(x);
      end(x);
    }
    if (!is_time())
      return;
    note("a publisher's process starts again");
    start(x);
  }

  /// Whether a process that is away starts again.
  bool is_time() {
    return settling_ || pick(10) == 0;
  }

  /// All faults end; time goes on until nothing moves any more.
  void settle() {
    note("all faults end");
    settling_ = true;
    for (auto& x : strategies_)
      x.seen->fails = x.seen->hesitates = x.seen->crashes = 0;
    network_.release();
    go_on();
    broker_->accept_links();
    broker_->unblock();
    broker_->delay_deliveries(false);
    for (auto i = 0; i < 30; ++i) {
      run_some();
      revive();
    }
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

  void check() {
    auto& out = result_.violations;
    const auto dead = read_dead_letters();
    for (auto& x : strategies_) {
      for (auto& y : publishers_)
        check_nothing_lost(x.promised, *y.log, dead, out);
      for (auto& y : publishers_)
        check_undelivered(x.promised, *y.log, out);
      check_nothing_twice(x.promised, out);
      check_order(x.promised, out);
    }
    check_topology(*broker_,
                   {"consumer.Trade.sim.# 1", "every 1", "in-order 1", "latest 1", "restored 1",
                    "retried 1", "retried.dead 0", "retried.retry.1000 0", "retried.retry.2000 0",
                    "retried.retry.4000 0", "tape 1", "window 1"},
                   strategies_.size(), out);
    check_nothing_left(*broker_, {"retried.dead", "tape"}, out);
    for (auto& x : publishers_)
      check_answers(*x.log, out);
    for (auto& x : publishers_)
      check_answered(x);
    for (auto x : running_processes())
      check_nothing_left(status_of(*x), out);
    check_memory();
  }

  void check_answered(const running_publisher& x) {
    if (x.log->open > 0)
      complain("left: " + std::to_string(x.log->open) + " publications without an answer");
  }

  void check_memory() {
    // Of three exchanges, as each has limits of its own.
    const bounds limits{3 * max_outbox, {{"latest", max_window}, {"window", max_window}}};
    for (auto x : running_processes())
      check_bounded(status_of(*x), limits, result_.violations);
  }

  dead_letters read_dead_letters() {
    dead_letters result;
    payload_decoder decoder;
    for (auto& x : operator_link{broker_}.take_all("retried.dead")) {
      auto parts = decoder.decode(x.body);
      trade y;
      if (parts && !from_json(parts->data, y, 32))
        result.emplace(y.symbol, number_of(y));
    }
    return result;
  }

  /// Those that answer.
  std::vector<const process*> running_processes() const {
    std::vector<const process*> result;
    auto add = [&](const process& x) {
      if (x.is_running() && !x.is_stopping())
        result.push_back(&x);
    };
    add(consuming_);
    for (auto& x : publishers_)
      add(x.home);
    return result;
  }

  center_status status_of(const process& x) {
    center_status result;
    caf::scoped_actor self{system_};
    auto request = self->request(x.dispatcher(), caf::infinite, status_atom_v);
    run();
    request.receive([&](center_status& y) { result = std::move(y); },
                    [&](const caf::error& err) { complain("no status: " + text_of(err)); });
    return result;
  }

  scenario what_;
  std::mt19937_64 random_;
  system_config config_;
  caf::actor_system system_;
  caf::scheduler::test_coordinator& scheduler_;
  std::shared_ptr<amqp::memory_broker> broker_;
  caf::actor relay_;
  testing::relay_network network_;
  std::uint64_t epochs_ = 0;
  std::uint64_t ids_ = 0;
  bool settling_ = false;
  bool stalls_ = false;
  scratch_file unsent_;
  process consuming_;
  std::vector<running_publisher> publishers_;
  std::vector<running_strategy> strategies_;
  outcome result_;
};

} // namespace

outcome simulate(const scenario& what) {
  return world{what}.play();
}

} // namespace actors::simulation
