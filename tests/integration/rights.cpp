#define CAF_SUITE rights

// Users who may do little get all that their rights allow, are told of the rest, and hurt
// nobody with it.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "center/messages.hpp"
#include "support/broker_account.hpp"
#include "support/lateness.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::testing;
using namespace std::chrono_literals;

namespace {

/// All that starts with none of these; RabbitMQ calls the default exchange "amq.default".
constexpr auto all_but_locked = "^(?!locked).*";
constexpr auto all_but_default_exchange = "^(?!amq[.]default).*";

trade trade_of(const std::string& symbol, std::int64_t stamp) {
  trade result;
  result.platform = "it";
  result.symbol = symbol;
  result.timestamp = stamp;
  return result;
}

/// How often the broker's log says that this user was refused something.
std::size_t refusals(const broker_account& of) {
  std::size_t result = 0;
  const auto words = "refused for user '" + of.name + '\'';
  const std::filesystem::path logs = test_broker::folder().path() + "/log";
  for (auto& file : std::filesystem::directory_iterator{logs}) {
    std::ifstream in{file.path()};
    for (std::string line; std::getline(in, line);)
      if (line.find(words) != std::string::npos)
        ++result;
  }
  return result;
}

std::string messages(const broker_account& in, const std::string& queue) {
  auto rows = test_broker::folder().ask_ctl("-q list_queues -p " + in.name
                                            + " name messages --no-table-headers");
  auto row = rows.find(queue + '\t');
  if (row == std::string::npos)
    return "no such queue";
  auto first = row + queue.size() + 1;
  return rows.substr(first, rows.find('\n', first) - first);
}

/// Publications whose answers come later.
class placed {
public:
  placed(center_fixture& from) : center_(from.center), self_(from.sys) {
    // nop
  }

  void publish(const trade& x) {
    answers_.push_back(center_.publish(self_, x));
  }

  /// How many were answered with each code; in the order of publication.
  std::vector<ec> answers() {
    std::vector<ec> result;
    for (auto& x : answers_)
      x.receive([&](const published&) { result.push_back(ec::none); },
                [&](const caf::error& err) { result.push_back(code_of(err)); });
    answers_.clear();
    return result;
  }

private:
  event_center center_;
  caf::scoped_actor self_;
  std::vector<decltype(std::declval<event_center>().publish(std::declval<caf::scoped_actor&>(),
                                                            trade{}))>
      answers_;
};

std::size_t count(const std::vector<ec>& in, ec what) {
  return static_cast<std::size_t>(std::count(in.begin(), in.end(), what));
}

/// Trades that flow all the time, by symbol, and how they come through.
class flow {
public:
  using clock = std::chrono::steady_clock;

  /// The next number.
  std::int64_t publish() {
    std::unique_lock guard{mutex_};
    sent_.push_back(clock::now());
    return static_cast<std::int64_t>(sent_.size());
  }

  void receive(const trade& x) {
    std::unique_lock guard{mutex_};
    auto& last = last_[x.symbol];
    const auto number = static_cast<std::size_t>(x.timestamp);
    // What came before its strategy asked for it is no loss.
    lost_ += last != 0 && number > last + 1 ? number - last - 1 : 0;
    last = std::max(last, number);
    slowest_ = std::max(slowest_, clock::now() - sent_[number - 1]);
  }

  /// Whether each of so many symbols has what is published from now on.
  bool goes_on(std::size_t symbols, std::size_t further = 20) {
    std::unique_lock guard{mutex_};
    const auto goal = sent_.size() + further;
    guard.unlock();
    return eventually([&] {
      std::unique_lock guard{mutex_};
      return last_.size() == symbols
             && std::all_of(last_.begin(), last_.end(), [=](auto& x) { return x.second >= goal; });
    });
  }

  /// Forgets what has come through so far.
  void start_over() {
    std::unique_lock guard{mutex_};
    last_.clear();
    lost_ = 0;
    slowest_ = {};
  }

  std::size_t lost() {
    std::unique_lock guard{mutex_};
    return lost_;
  }

  clock::duration slowest() {
    std::unique_lock guard{mutex_};
    return slowest_;
  }

private:
  std::mutex mutex_;
  std::vector<clock::time_point> sent_;
  std::map<std::string, std::size_t> last_;
  std::size_t lost_ = 0;
  clock::duration slowest_{0};
};

caf::behavior flow_publisher(caf::event_based_actor* self, const event_center& center,
                             const std::vector<std::string>& symbols,
                             const std::shared_ptr<flow>& books) {
  self->send(self, tick_atom_v);
  return {[=](tick_atom) {
    self->delayed_send(self, 5ms, tick_atom_v);
    const auto number = books->publish();
    for (auto& symbol : symbols)
      center.publish(trade_of(symbol, number));
  }};
}

caf::behavior flow_strategy(caf::event_based_actor* self, const event_center& center,
                            subscription what, const std::shared_ptr<flow>& books) {
  center.subscribe(self, std::move(what));
  return {[=](const trade& x) { books->receive(x); }};
}

/// Fails with every trade, and says so.
caf::behavior failing_strategy(caf::event_based_actor* self, const event_center& center,
                               subscription what, const std::shared_ptr<journal>& seen) {
  center.subscribe(self, std::move(what))
      .then([=](const subscribed&) { seen->add("failing subscribed"); },
            [=](const caf::error& err) { seen->add("failing refused: " + text_of(err)); });
  return {
      [=](const trade& x) -> caf::result<void> {
        seen->add("failed " + std::to_string(x.timestamp));
        return make_error(ec::handler_failed, "it always does");
      },
  };
}

/// Whether a line begins so.
bool has_line(journal& seen, const std::string& begin) {
  const auto lines = seen.lines();
  return std::any_of(lines.begin(), lines.end(),
                     [&](const std::string& x) { return x.starts_with(begin); });
}

} // namespace

CAF_TEST(who may only read consumes a queue that is bound already) {
  if (!test_broker::available())
    return;
  broker_account user;
  const auto queue = unique_name("kept");
  const auto what = trades("it", "R").on_durable_queue(queue).acked(ack_policy::on_success);
  journal_fixture admin{user.settings_of_admin()};
  admin.add("admin", what);
  CAF_REQUIRE(admin.seen->wait_for("admin subscribed"));
  caf::anon_send_exit(admin.strategies[0], caf::exit_reason::user_shutdown);
  user.permit("^$", "^$", ".*");
  journal_fixture f{user.settings()};
  f.add("s", what);
  CAF_CHECK(f.seen->wait_for("s subscribed"));
  for (std::int64_t i = 1; i <= 100; ++i)
    admin.publish("R", i);
  for (std::int64_t i = 1; i <= 100; ++i)
    CAF_CHECK(f.seen->wait_for("s R " + std::to_string(i)));
  // What is not there cannot be made, nor written to.
  f.add("none", trades("it", "N").on_durable_queue(unique_name("none")));
  CAF_CHECK(eventually([&] { return has_line(*f.seen, "none refused: "); }));
  placed orders{f};
  orders.publish(trade_of("R", 101));
  CAF_CHECK(orders.answers() == std::vector{ec::access_refused});
}

CAF_TEST(a forbidden routing key is refused alone) {
  if (!test_broker::available())
    return;
  broker_account user;
  journal_fixture admin{user.settings_of_admin()};
  admin.add("s",
            trades("it", "#").on_durable_queue(unique_name("all")).acked(ack_policy::on_success));
  CAF_REQUIRE(admin.seen->wait_for("s subscribed"));
  test_broker::ctl("set_topic_permissions -p " + user.name + ' ' + user.name
                   + " Trade '^it[.](?!bad).*' '.*'");
  auto settings = user.settings();
  settings.reconnect = {};
  center_fixture f{settings};
  const auto start = std::chrono::steady_clock::now();
  placed all{f};
  std::vector<std::string> expected{"s subscribed"};
  std::vector<ec> answers;
  for (auto i = 1; i <= 600; ++i) {
    const auto bad = i % 4 == 0;
    all.publish(trade_of(bad ? "bad" : "good", i));
    answers.push_back(bad ? ec::access_refused : ec::none);
    if (!bad)
      expected.push_back("s good " + std::to_string(i));
  }
  CAF_CHECK(all.answers() == answers);
  const auto periods = (std::chrono::steady_clock::now() - start) / settings.reconnect.limit + 1;
  CAF_CHECK(admin.seen->wait_for(expected.size()));
  CAF_CHECK(admin.seen->lines() == expected);
  // The broker writes its log when it has time.
  CAF_CHECK(eventually([&] { return refusals(user) >= 1; }));
  CAF_CHECK(refusals(user) <= static_cast<std::size_t>(2 * periods));
  CAF_CHECK_EQUAL(f.link(link_role::publishing).losses, 0u);
}

// Copies for the dead letters and for retries go by the default exchange.
CAF_TEST(who may not write to the default exchange keeps what fails in its queue) {
  if (!test_broker::available())
    return;
  broker_account user;
  const std::string dead = unique_name("dead-lettered");
  const std::string retried = unique_name("retried");
  const auto what = {trades("it", "D").on_durable_queue(dead).dead_lettered(),
                     trades("it", "R").on_durable_queue(retried).retried({.delay = 20ms})};
  {
    journal_fixture admin{user.settings_of_admin()};
    for (auto& x : what)
      admin.add(x.routing_key, x);
    for (auto& x : what)
      CAF_REQUIRE(admin.seen->wait_for(x.routing_key + " subscribed"));
  }
  user.permit(".*", all_but_default_exchange, ".*");
  journal_fixture f{user.settings()};
  for (auto& x : what)
    f.strategies.push_back(f.sys.spawn(failing_strategy, event_center{f.center}, x, f.seen));
  CAF_REQUIRE(eventually([&] { return f.seen->count("failing subscribed") == 2; }));
  for (std::int64_t i = 1; i <= 3; ++i) {
    f.publish("D", i);
    f.publish("R", i);
  }
  f.add("healthy", trades("it", "H").on_durable_queue(unique_name("healthy")));
  CAF_REQUIRE(f.seen->wait_for("healthy subscribed"));
  placed others{f};
  for (auto i = 1; i <= 1'000; ++i)
    others.publish(trade_of("H", i));
  CAF_CHECK_EQUAL(count(others.answers(), ec::none), 1'000u);
  // They come again and again.
  CAF_CHECK(eventually([&] { return f.seen->count("failed 1") >= 6; }));
  for (std::int64_t i = 1; i <= 1'000; ++i)
    CAF_CHECK(f.seen->wait_for("healthy H " + std::to_string(i)));
  CAF_CHECK(f.status().supervisor.outbox.rejected > 0);
  CAF_CHECK_EQUAL(f.link(link_role::publishing).losses, 0u);
  CAF_CHECK_EQUAL(f.link(link_role::consuming).losses, 0u);
  for (auto& x : f.strategies)
    caf::anon_send_exit(x, caf::exit_reason::user_shutdown);
  // Some may be there twice, as they were on the wire when a copy cost the channel.
  const auto holds_all = [&](const std::string& queue) {
    return std::atoi(messages(user, queue).c_str()) >= 3;
  };
  CAF_CHECK(eventually([&] { return holds_all(dead); }));
  CAF_CHECK(eventually([&] { return holds_all(retried); }));
  CAF_CHECK_EQUAL(messages(user, dead + ".dead"), "0");
}

// The queue would have to name the default exchange for its dead letters.
CAF_TEST(who may not write to the default exchange is told that dead letters need it) {
  if (!test_broker::available())
    return;
  broker_account user;
  user.permit(".*", all_but_default_exchange, ".*");
  journal_fixture f{user.settings()};
  f.add("healthy", trades("it", "H").on_durable_queue(unique_name("healthy")));
  f.add("s", trades("it", "D").on_durable_queue(unique_name("new")).dead_lettered());
  CAF_CHECK(f.seen->wait_for("healthy subscribed"));
  CAF_CHECK(eventually([&] { return has_line(*f.seen, "s refused: "); }));
  CAF_CHECK(f.comes_through("healthy", "H"));
}

CAF_TEST(a user with few channels has all subscriptions and publications) {
  if (!test_broker::available())
    return;
  broker_account user;
  test_broker::ctl("set_user_limits " + user.name + " '{\"max-channels\": 3}'");
  user.permit(".*", ".*", all_but_locked);
  journal_fixture f{user.settings()};
  for (auto i = 0; i < 6; ++i) {
    const auto symbol = "C" + std::to_string(i);
    const auto what = trades("it", symbol);
    f.add(symbol, i < 2 ? what
                  : i < 4
                      ? what.multi()
                      : what.on_durable_queue(unique_name("kept")).acked(ack_policy::on_success));
  }
  f.add("locked", trades("it", "L").on_durable_queue(unique_name("locked")));
  for (auto i = 0; i < 6; ++i) {
    const auto symbol = "C" + std::to_string(i);
    CAF_CHECK(f.seen->wait_for(symbol + " subscribed"));
    CAF_CHECK(f.comes_through(symbol, symbol));
  }
  CAF_CHECK(eventually([&] { return has_line(*f.seen, "locked refused: "); }));
  placed all{f};
  for (auto i = 0; i < 100; ++i)
    all.publish(trade_of("C0", i));
  CAF_CHECK_EQUAL(count(all.answers(), ec::none), 100u);
}

// Queues as AIOQuant's: they end with their consumers, and so does what is in them.
CAF_TEST(a refused subscription costs those beside it nothing) {
  if (!test_broker::available())
    return;
  broker_account user;
  user.permit(".*", ".*", all_but_locked);
  const std::vector<std::string> symbols{"H0", "H1", "H2"};
  const auto books = std::make_shared<flow>();
  center_fixture admin{user.settings_of_admin()};
  journal_fixture f{user.settings()};
  for (auto& x : {trades("it", "H0"), trades("it", "H1").multi(), trades("it", "H2").prefetch(100)})
    f.strategies.push_back(f.sys.spawn(flow_strategy, event_center{f.center}, x, books));
  admin.strategies.push_back(
      admin.sys.spawn(flow_publisher, event_center{admin.center}, symbols, books));
  // Two seconds: whoever has been running for one shares no channel with a newcomer.
  CAF_REQUIRE(books->goes_on(symbols.size(), 400));
  lateness late;
  f.add("locked", trades("it", "L").on_durable_queue(unique_name("locked")));
  CAF_CHECK(eventually([&] { return has_line(*f.seen, "locked refused: "); }));
  CAF_CHECK(books->goes_on(symbols.size()));
  CAF_MESSAGE("the slowest trade took " << books->slowest() / 1ms << " ms");
  CAF_CHECK_EQUAL(books->lost(), 0u);
  CAF_CHECK(books->slowest() < late.take(2s));
  CAF_CHECK_EQUAL(f.link(link_role::consuming).losses, 0u);
}

// It is tried again and again.
CAF_TEST(a subscription that is refused later costs those beside it nothing) {
  if (!test_broker::available())
    return;
  broker_account user;
  const std::vector<std::string> symbols{"H0", "H1", "H2"};
  const auto books = std::make_shared<flow>();
  center_fixture admin{user.settings_of_admin()};
  journal_fixture f{user.settings()};
  f.add("locked", trades("it", "L").on_durable_queue(unique_name("locked")));
  for (auto& x : {trades("it", "H0"), trades("it", "H1").multi(), trades("it", "H2").prefetch(100)})
    f.strategies.push_back(f.sys.spawn(flow_strategy, event_center{f.center}, x, books));
  admin.strategies.push_back(
      admin.sys.spawn(flow_publisher, event_center{admin.center}, symbols, books));
  CAF_REQUIRE(f.seen->wait_for("locked subscribed"));
  CAF_REQUIRE(books->goes_on(symbols.size()));
  user.permit(".*", ".*", all_but_locked);
  user.close_connections();
  CAF_CHECK(eventually([&] { return !f.status().supervisor.refused.empty(); }));
  CAF_CHECK(books->goes_on(symbols.size(), 400));
  books->start_over();
  lateness late;
  const auto before = refusals(user);
  CAF_CHECK(eventually([&] { return refusals(user) >= before + 4; }));
  CAF_CHECK(books->goes_on(symbols.size()));
  CAF_MESSAGE("the slowest trade took " << books->slowest() / 1ms << " ms");
  CAF_CHECK_EQUAL(books->lost(), 0u);
  CAF_CHECK(books->slowest() < late.take(2s));
  CAF_CHECK_EQUAL(f.link(link_role::consuming).losses, 1u);
}
