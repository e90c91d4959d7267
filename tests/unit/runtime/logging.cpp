#define CAF_SUITE logging

#include "actors/logging.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "caf/test/dsl.hpp"
#include "runtime/repeated_log.hpp"

using namespace actors;

namespace fs = std::filesystem;

namespace {

std::string text_of_file(const fs::path& path) {
  std::ifstream in{path};
  return {std::istreambuf_iterator<char>{in}, {}};
}

struct fixture {
  fixture() : folder(fs::temp_directory_path() / ("actors-log-" + std::to_string(getpid()))) {
    fs::remove_all(folder);
    fs::create_directories(folder);
    settings.console = false;
    settings.path = (folder / "made" / "for" / "it").string();
    settings.name = "test.log";
  }

  ~fixture() {
    close_log();
    fs::remove_all(folder);
  }

  fs::path file() const {
    return fs::path{settings.path} / settings.name;
  }

  // What `f` makes the library write to standard error.
  template <class F>
  std::string on_terminal(F f) {
    auto path = folder / "stderr";
    fflush(stderr);
    auto saved = dup(STDERR_FILENO);
    auto target = open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
    dup2(target, STDERR_FILENO);
    close(target);
    f();
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    return text_of_file(path);
  }

  fs::path folder;
  log_config settings;
};

bool matches(const std::string& text, const std::string& pattern) {
  return std::regex_match(text, std::regex{pattern});
}

const std::string time_stamp = "\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d\\.\\d{3} ";

} // namespace

CAF_TEST_FIXTURE_SCOPE(logging_tests, fixture)

CAF_TEST(a line has time and level and text) {
  open_log(settings);
  log(log_level::info, "queue 'q': bound");
  log(log_level::warning, "{} is not a format");
  close_log();
  CAF_CHECK(matches(text_of_file(file()), time_stamp + "info  queue 'q': bound\n" + time_stamp
                                              + "warning \\{\\} is not a format\n"));
}

CAF_TEST(a program with a log of its own gets the lines) {
  std::vector<std::pair<log_level, std::string>> taken;
  set_log_sink([&](log_level level, std::string_view text) { taken.emplace_back(level, text); });
  open_log(settings);
  log(log_level::info, "one");
  log(log_level::debug, "below the level");
  log(log_level::error, "two\nlines");
  close_log();
  CAF_CHECK_EQUAL(on_terminal([] { log(log_level::warning, "without an open log"); }), "");
  set_log_sink({});
  CAF_CHECK_EQUAL(text_of_file(file()), "");
  CAF_REQUIRE_EQUAL(taken.size(), 3u);
  CAF_CHECK(taken[0] == std::pair(log_level::info, std::string{"one"}));
  CAF_CHECK(taken[1] == std::pair(log_level::error, std::string{"two lines"}));
  CAF_CHECK(taken[2] == std::pair(log_level::warning, std::string{"without an open log"}));
  open_log(settings);
  log(log_level::info, "back in the file");
  close_log();
  CAF_CHECK(matches(text_of_file(file()), time_stamp + "info  back in the file\n"));
}

CAF_TEST(a sink that throws ends nothing) {
  set_log_sink([](log_level, std::string_view) { throw std::runtime_error("full"); });
  open_log(settings);
  on_terminal([] {
    log(log_level::error, "one");
    close_log();
    log(log_level::error, "two");
  });
  set_log_sink({});
}

CAF_TEST(lines below the level are not written) {
  settings.level = log_level::error;
  open_log(settings);
  CAF_CHECK(!log_enabled(log_level::warning));
  CAF_CHECK(log_enabled(log_level::error));
  log(log_level::warning, "no");
  log(log_level::error, "yes");
  log(log_level::off, "no");
  close_log();
  CAF_CHECK(matches(text_of_file(file()), time_stamp + "error yes\n"));
}

CAF_TEST(off is off) {
  settings.level = log_level::off;
  open_log(settings);
  CAF_CHECK(!log_enabled(log_level::critical));
  CAF_CHECK(!log_enabled(log_level::off));
  log(log_level::critical, "no");
  close_log();
  CAF_CHECK_EQUAL(text_of_file(file()), "");
}

CAF_TEST(an entry stays one line) {
  open_log(settings);
  log(log_level::info, "broker says\r\nfoo\x1b[0m");
  close_log();
  CAF_CHECK(matches(text_of_file(file()), time_stamp + "info  broker says  foo \\[0m\n"));
}

CAF_TEST(a file is kept or cleared at start) {
  for (auto clear : {false, false, true}) {
    settings.clear = clear;
    open_log(settings);
    log(log_level::info, "line");
    close_log();
  }
  auto lines = [this] {
    auto text = text_of_file(file());
    return std::count(text.begin(), text.end(), '\n');
  };
  CAF_CHECK_EQUAL(lines(), 1);
  settings.clear = false;
  open_log(settings);
  log(log_level::info, "line");
  close_log();
  CAF_CHECK_EQUAL(lines(), 2);
}

CAF_TEST(a file is rotated at its size) {
  settings.max_bytes = 1024;
  settings.backup_count = 2;
  open_log(settings);
  for (int i = 0; i < 100; ++i)
    log(log_level::info, std::string(100, 'x'));
  close_log();
  auto files = std::distance(fs::directory_iterator{settings.path}, fs::directory_iterator{});
  CAF_CHECK_EQUAL(files, 3);
  CAF_CHECK_LESS_OR_EQUAL(fs::file_size(file()), 1024u);
}

CAF_TEST(a file that cannot be opened is told on the terminal) {
  std::ofstream{folder / "file"} << "in the way";
  settings.path = (folder / "file").string();
  auto text = on_terminal([this] {
    open_log(settings);
    log(log_level::info, "goes on");
    close_log();
  });
  CAF_CHECK(text.find("log file '" + file().string() + "': ") != std::string::npos);
  CAF_CHECK(text.find("info  goes on\n") != std::string::npos);
}

CAF_TEST(the terminal is standard error) {
  settings.console = true;
  auto text = on_terminal([this] {
    open_log(settings);
    log(log_level::info, "hello");
    close_log();
  });
  CAF_CHECK(matches(text, time_stamp + "info  hello\n"));
}

CAF_TEST(without an open log warnings go to the terminal) {
  CAF_CHECK(!log_enabled(log_level::info));
  CAF_CHECK(log_enabled(log_level::warning));
  auto text = on_terminal([] {
    log(log_level::info, "no");
    log(log_level::warning, "yes");
  });
  CAF_CHECK(matches(text, time_stamp + "warning yes\n"));
}

CAF_TEST(a line that repeats is written once and counted at the end) {
  open_log(settings);
  for (int i = 0; i < 60'000; ++i)
    log_repeated(log_level::warning, "message dropped", "q", "queue 'q': message dropped");
  log_repeated(log_level::warning, "message dropped", "r", "queue 'r': message dropped");
  close_log();
  CAF_CHECK(matches(text_of_file(file()),
                    time_stamp + "warning queue 'q': message dropped\n" + time_stamp
                        + "warning queue 'r': message dropped\n" + time_stamp
                        + "warning still: queue 'q': message dropped, 59999 times in \\d+ s\n"));
}

CAF_TEST(each log tells of what repeats anew) {
  for (int i = 0; i < 2; ++i) {
    open_log(settings);
    log_repeated(log_level::info, "link lost", "", "link lost");
    close_log();
  }
  CAF_CHECK(matches(text_of_file(file()),
                    time_stamp + "info  link lost\n" + time_stamp + "info  link lost\n"));
}

CAF_TEST(what repeats below the level is not counted) {
  settings.level = log_level::error;
  open_log(settings);
  log_repeated(log_level::info, "link lost", "", "link lost");
  log_repeated(log_level::error, "link lost", "", "link lost");
  close_log();
  CAF_CHECK(matches(text_of_file(file()), time_stamp + "error link lost\n"));
}

CAF_TEST(a change ends what was counted before it also where it is not written itself) {
  settings.level = log_level::warning;
  open_log(settings);
  constexpr line_subject link{"link", "consuming"};
  for (int i = 0; i < 2; ++i) {
    log_change(log_level::warning, link, "lost", "link lost");
    for (int k = 0; k < 3; ++k)
      log_repeated(log_level::warning, "not connected", "a", "not connected", link);
    log_change(log_level::info, link, "up", "link up");
  }
  close_log();
  const auto outage = time_stamp + "warning link lost\n" + time_stamp + "warning not connected\n"
                      + time_stamp + "warning still: not connected, 2 times in \\d+ s\n";
  CAF_CHECK(matches(text_of_file(file()), outage + outage));
}

CAF_TEST(many threads write while the log is opened and closed) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([] {
      for (int n = 0; n < 2'000; ++n)
        if (n % 2 == 0)
          log(log_level::info, "line");
        else
          log_repeated(log_level::info, "kind", std::to_string(n), "line");
    });
  for (int i = 0; i < 20; ++i) {
    open_log(settings);
    close_log();
  }
  for (auto& x : threads)
    x.join();
  CAF_CHECK(!log_enabled(log_level::info));
}

CAF_TEST_FIXTURE_SCOPE_END()
