// Bad entities, messages, users' code and strangers, one after the other and then all at
// once, beside healthy strategies that must not notice. scripts/poison runs it.

#include <filesystem>
#include <fstream>
#include <iostream>

#include <CLI/CLI.hpp>

#include "actors/amqp/endpoint.hpp"
#include "poison/cases.hpp"
#include "poison/limited_user.hpp"
#include "support/lateness.hpp"

using namespace actors::poison;
using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

namespace {

struct options {
  std::string broker;
  std::string only;
  std::size_t cases = 0;
  /// Of each healthy publisher, after each case: one and a half seconds.
  std::uint64_t watched_events = 750;
  double longest_wait = 2;
  std::vector<std::string> scenes{"memory", "relay", "rabbitmq"};
  bool keep_log = false;
};

constexpr auto answer_limit = 20s;
/// How long the events after a case may take to come, on a busy machine.
constexpr auto watch_limit = 30s;
/// What the log may say about one bad thing within a minute.
constexpr std::size_t most_lines = 3;

/// Reads on in the log.
class log_reader {
public:
  explicit log_reader(std::filesystem::path file) : file_(std::move(file)) {
    // nop
  }

  std::vector<std::string> new_lines() {
    std::ifstream in{file_};
    in.seekg(position_);
    std::vector<std::string> result;
    for (std::string line; std::getline(in, line);) {
      position_ += static_cast<std::streamoff>(line.size()) + 1;
      result.push_back(std::move(line));
    }
    return result;
  }

private:
  std::filesystem::path file_;
  std::streamoff position_ = 0;
};

std::string tag_of(const std::string& scene, std::size_t number) {
  return "p" + scene.substr(0, 2) + std::to_string(number) + "x"
         + std::to_string(clock_type::now().time_since_epoch().count() % 1'000'000) + "x";
}

class judge {
public:
  explicit judge(const options& how) : options_(how) {
    std::string name = (std::filesystem::temp_directory_path() / "actors-poison-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }

  ~judge() {
    if (options_.keep_log)
      std::cout << "the log is in " << folder_ << '\n';
    else
      std::filesystem::remove_all(folder_);
  }

  judge(const judge&) = delete;
  judge& operator=(const judge&) = delete;

  void play(const std::string& name, scene what, const actors::amqp::endpoint& broker,
            const limited_user* user = nullptr) {
    scene_ = name;
    const auto is_real = broker.scheme != actors::amqp::scheme::memory;
    const auto is_played = [&](need x) {
      return x == need::nothing || (x == need::relay && what == scene::relay)
             || (x == need::rabbitmq && is_real) || (x == need::few_rights && is_real && user);
    };
    const auto cases = chosen(is_played);
    std::cout << name << ": " << cases.size() << " cases" << std::endl;
    stage here{what, broker, is_real && user ? user->login(broker) : broker, folder_};
    if (!here.starts()) {
      violation("start", {"the healthy do not start"});
      return;
    }
    longest_wait();
    std::size_t number = 0;
    for (auto& x : cases)
      play(here, x, tag_of(name, ++number));
    play_all(here, cases);
    violation("in the end", here.finish());
  }

  std::size_t cases() const {
    return cases_;
  }

  std::size_t violations() const {
    return violations_;
  }

private:
  std::vector<bad_case> chosen(const std::function<bool(need)>& is_played) const {
    std::vector<bad_case> all;
    for (auto make :
         {bad_subscriptions, bad_publications, bad_messages, bad_handlers, denied, strangers})
      for (auto& x : make())
        if (is_played(x.needs) && x.name.find(options_.only) != std::string::npos)
          all.push_back(std::move(x));
    if (options_.cases == 0 || options_.cases >= all.size())
      return all;
    // Of every kind some.
    std::vector<bad_case> some;
    for (std::size_t i = 0; i < options_.cases; ++i)
      some.push_back(all[i * all.size() / options_.cases]);
    return some;
  }

  void play(stage& here, const bad_case& x, const std::string& tag) {
    ++cases_;
    std::vector<std::string> wrong;
    {
      attempt bad{here, tag, x.expected};
      x.act(bad);
      wrong = bad.answers_within(answer_limit);
      here.watch(options_.watched_events, watch_limit);
    }
    append(wrong, here.problems(longest_wait()));
    const auto said = log_.new_lines();
    append(wrong, too_much_said(x.needs == need::relay ? said : about(tag, said)));
    violation(x.name, wrong);
  }

  void play_all(stage& here, const std::vector<bad_case>& cases) {
    std::vector<std::string> wrong;
    std::vector<std::string> tags;
    {
      std::vector<std::unique_ptr<attempt>> all;
      for (auto& x : cases) {
        tags.push_back(tag_of(scene_, 1'001 + tags.size()));
        all.push_back(std::make_unique<attempt>(here, tags.back(), x.expected));
        x.act(*all.back());
      }
      for (std::size_t i = 0; i < all.size(); ++i)
        for (auto& y : all[i]->answers_within(answer_limit))
          wrong.push_back(cases[i].name + ": " + y);
      here.watch(10 * options_.watched_events, 2 * watch_limit);
    }
    append(wrong, here.problems(longest_wait()));
    const auto said = log_.new_lines();
    for (auto& x : tags)
      append(wrong, too_much_said(about(x, said)));
    violation("all at once", wrong);
  }

  std::chrono::milliseconds longest_wait() {
    const auto limit =
        std::chrono::milliseconds{static_cast<std::int64_t>(1'000 * options_.longest_wait)};
    return late_.take(limit);
  }

  static std::vector<std::string> about(const std::string& tag,
                                        const std::vector<std::string>& lines) {
    std::vector<std::string> result;
    for (auto& x : lines)
      if (x.find(tag) != std::string::npos)
        result.push_back(x);
    return result;
  }

  static std::vector<std::string> too_much_said(const std::vector<std::string>& lines) {
    if (lines.size() <= most_lines)
      return {};
    return {std::to_string(lines.size()) + " lines in the log, as: " + lines.front().substr(0, 160),
            "... " + lines.back().substr(0, 160)};
  }

  static void append(std::vector<std::string>& to, std::vector<std::string> xs) {
    to.insert(to.end(), std::make_move_iterator(xs.begin()), std::make_move_iterator(xs.end()));
  }

  void violation(const std::string& name, const std::vector<std::string>& what) {
    if (what.empty())
      return;
    ++violations_;
    std::cout << "VIOLATION " << scene_ << ": " << name << '\n';
    for (auto& x : what)
      std::cout << "    " << x << '\n';
    std::cout << std::flush;
  }

  options options_;
  std::string folder_;
  std::string scene_;
  actors::testing::lateness late_;
  log_reader log_{std::filesystem::path{folder_} / "poison.log"};
  std::size_t cases_ = 0;
  std::size_t violations_ = 0;
};

/// Plays all scenes; what the program ends with.
int play(const options& x) {
  const auto memory = *actors::amqp::parse_endpoint("memory:poison");
  auto broker = actors::amqp::parse_endpoint(x.broker.empty() ? "memory:poison" : x.broker);
  if (!broker) {
    std::cerr << "poison: '" << x.broker << "' is no broker's URL\n";
    return 2;
  }
  const auto on_memory = x.scenes == std::vector<std::string>{"memory"};
  const auto user = on_memory ? nullptr : limited_user_of(x.broker);
  judge all{x};
  for (auto& name : x.scenes) {
    if (name == "memory")
      all.play(name, scene::memory, memory);
    else if (name == "relay")
      all.play(name, scene::relay, *broker, user.get());
    else if (!x.broker.empty())
      all.play(name, scene::rabbitmq, *broker, user.get());
    else
      std::cout << "SKIPPED: no broker; --broker or ACTORS_TEST_BROKER names one\n";
  }
  std::cout << all.cases() << " cases, " << all.violations() << " violations" << std::endl;
  return all.violations() == 0 ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
  try {
    options x;
    CLI::App app{"Bad entities, messages, code and strangers beside healthy strategies."};
    app.add_option("--broker", x.broker,
                   "A RabbitMQ's URL; without one, the in-process broker alone")
        ->envname("ACTORS_TEST_BROKER");
    app.add_option("--cases", x.cases, "How many of the cases; 0 is all")->capture_default_str();
    app.add_option("--only", x.only, "Those whose names hold this text");
    app.add_option("--on", x.scenes, "Where to play; all three if missing")
        ->delimiter(',')
        ->check(CLI::IsMember({"memory", "relay", "rabbitmq"}));
    app.add_option("--watch", x.watched_events,
                   "How many events of the healthy to look at after each")
        ->capture_default_str();
    app.add_option("--longest-wait", x.longest_wait, "For how many seconds the healthy may wait")
        ->capture_default_str();
    app.add_flag("--keep-log", x.keep_log, "Leave the log behind");
    CLI11_PARSE(app, argc, argv);
    return play(x);
  } catch (const std::exception& err) {
    std::cerr << "poison: " << err.what() << '\n';
    return 2;
  }
}
