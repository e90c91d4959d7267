#define CAF_SUITE repeated_lines

#include "runtime/repeated_lines.hpp"

#include <string>
#include <vector>

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace std::chrono_literals;

namespace {

struct fixture {
  bool say(line_kind kind, const std::string& entity, const std::string& text) {
    return lines.say(log_level::warning, kind, entity, text, now).has_value();
  }

  // A try to connect, and a link that is up or lost.
  void tries() {
    for (auto& x : {"connecting", "refused"})
      if (lines.say(log_level::info, "try", x, x, now, link))
        written.emplace_back(x);
  }

  void changes(line_kind state) {
    for (auto& x : lines.change(log_level::info, link, state, state.name(), now))
      written.push_back(x.text);
  }

  // What is written on the way to a later time, as a timer would that is never late.
  std::vector<std::string> pass(std::chrono::milliseconds time) {
    std::vector<std::string> result;
    auto end = now + time;
    while (lines.next_due() && *lines.next_due() <= end) {
      now = *lines.next_due();
      for (auto& x : lines.due(now))
        result.push_back(x.text);
    }
    now = end;
    return result;
  }

  static constexpr line_subject link{"link", "consuming"};
  repeated_lines lines{60s, 3};
  std::vector<std::string> written;
  repeated_lines::time_point now{1000s};
};

using texts = std::vector<std::string>;

} // namespace

CAF_TEST_FIXTURE_SCOPE(repeated_lines_tests, fixture)

CAF_TEST(the first line is written and what follows is counted) {
  CAF_CHECK(say("refused", "q", "queue 'q' refused"));
  for (int i = 0; i < 6'000; ++i)
    CAF_CHECK(!say("refused", "q", "queue 'q' refused"));
  CAF_CHECK(pass(59s) == texts{});
  CAF_CHECK(pass(1s) == texts{"still: queue 'q' refused, 6000 times in 60 s"});
}

CAF_TEST(a line a minute is all that any rate makes) {
  for (auto every : {20ms, 500ms, 7'000ms, 59'000ms}) {
    lines.take_all(now);
    std::size_t written = 0;
    auto end = now + 600s;
    while (now < end) {
      written += say("refused", "q", "queue 'q' refused");
      written += pass(every).size();
    }
    CAF_CHECK_LESS_OR_EQUAL(written, 11u);
    CAF_CHECK_GREATER_OR_EQUAL(written, 9u);
  }
}

CAF_TEST(what was silent for an interval is new again) {
  CAF_CHECK(say("refused", "q", "no"));
  CAF_CHECK(pass(61s) == texts{});
  CAF_CHECK(!lines.next_due());
  CAF_CHECK(say("refused", "q", "no"));
}

CAF_TEST(each entity and each kind has a line of its own) {
  CAF_CHECK(say("refused", "a", "a refused"));
  CAF_CHECK(say("refused", "b", "b refused"));
  CAF_CHECK(say("lost", "a", "a lost"));
  CAF_CHECK(!say("refused", "b", "b refused"));
  CAF_CHECK(pass(60s) == texts{"still: b refused, 1 time in 60 s"});
}

CAF_TEST(the count comes with the latest text) {
  CAF_CHECK(say("malformed", "q", "at offset 1"));
  CAF_CHECK(!say("malformed", "q", "at offset 7"));
  CAF_CHECK(pass(60s) == texts{"still: at offset 7, 1 time in 60 s"});
}

CAF_TEST(the level is that of the latest) {
  lines.say(log_level::warning, "lost", "link", "lost", now);
  lines.say(log_level::error, "lost", "link", "lost", now);
  auto counts = lines.due(now + 60s);
  CAF_REQUIRE_EQUAL(counts.size(), 1u);
  CAF_CHECK(counts[0].level == log_level::error);
}

CAF_TEST(entities beyond the limit share a line) {
  for (auto name : {"a", "b", "c"})
    CAF_CHECK(say("refused", name, name));
  CAF_CHECK(say("refused", "d", "d"));
  for (int i = 0; i < 1'000; ++i)
    CAF_CHECK(!say("refused", "x" + std::to_string(i), "x" + std::to_string(i)));
  CAF_CHECK(say("lost", "a", "another kind has its own limit"));
  CAF_CHECK(pass(60s)
            == texts{"still: refused, 1000 times in 60 s for others than those told "
                     "of above, the last: x999"});
}

CAF_TEST(an entity that rests makes room for another) {
  for (auto name : {"a", "b", "c"})
    CAF_CHECK(say("refused", name, name));
  CAF_CHECK(pass(61s) == texts{});
  for (auto name : {"d", "e", "f"})
    CAF_CHECK(say("refused", name, name));
  CAF_CHECK(!say("refused", "f", "f"));
  CAF_CHECK(pass(60s) == texts{"still: f, 1 time in 60 s"});
}

CAF_TEST(a late count says how long it was) {
  say("refused", "q", "no");
  say("refused", "q", "no");
  auto counts = lines.due(now + 75s);
  CAF_REQUIRE_EQUAL(counts.size(), 1u);
  CAF_CHECK_EQUAL(counts[0].text, "still: no, 1 time in 75 s");
}

CAF_TEST(a long text is kept in part) {
  CAF_CHECK(say("malformed", std::string(100'000, 'q'), std::string(100'000, 'x')));
  CAF_CHECK(!say("malformed", std::string(100'000, 'q'), std::string(100'000, 'x')));
  CAF_CHECK(pass(60s) == texts{"still: " + std::string(1024, 'x') + ", 1 time in 60 s"});
}

CAF_TEST(all counts are taken at the end) {
  say("refused", "q", "no");
  say("refused", "q", "no");
  say("refused", "r", "once");
  auto counts = lines.take_all(now + 5s);
  CAF_REQUIRE_EQUAL(counts.size(), 1u);
  CAF_CHECK_EQUAL(counts[0].text, "still: no, 1 time in 5 s");
  CAF_CHECK(!lines.next_due());
  CAF_CHECK(say("refused", "q", "no"));
}

CAF_TEST(each change of a state is written and what repeats before it ends with it) {
  changes("up");
  for (auto i = 0; i < 2; ++i) {
    changes("lost");
    for (auto k = 0; k < 4; ++k) {
      tries();
      CAF_CHECK(pass(5s) == texts{});
    }
    changes("up");
  }
  const texts outage{"lost",
                     "connecting",
                     "refused",
                     "still: connecting, 3 times in 20 s",
                     "still: refused, 3 times in 20 s",
                     "up"};
  texts expected{"up"};
  for (auto i = 0; i < 2; ++i)
    expected.insert(expected.end(), outage.begin(), outage.end());
  CAF_CHECK_EQUAL(written, expected);
  CAF_CHECK(pass(60s) == texts{});
}

CAF_TEST(a state that changes at any rate makes a few lines a minute) {
  for (auto every : {20ms, 500ms, 4'000ms}) {
    lines.take_all(now);
    written.clear();
    std::size_t counts = 0;
    for (const auto end = now + 600s; now < end;) {
      changes("lost");
      tries();
      changes("up");
      counts += pass(every).size();
    }
    // Of each kind three, a try more, and the counts.
    CAF_CHECK_LESS_OR_EQUAL(written.size() + counts, 10u * 20);
    CAF_CHECK_GREATER_OR_EQUAL(written.size(), 10u * 6);
  }
}

CAF_TEST(the count of changes is the last that is written of a subject) {
  for (auto i = 0; i < 5; ++i) {
    changes("lost");
    tries();
    tries();
    changes("up");
  }
  auto counts = lines.take_all(now + 30s);
  CAF_REQUIRE_EQUAL(counts.size(), 3u);
  CAF_CHECK_EQUAL(counts[0].text, "still: connecting, 3 times in 30 s");
  CAF_CHECK_EQUAL(counts[2].text, "still: up, the last of 4 changes in 30 s");
  CAF_CHECK(!lines.next_due());
  // The same in an interval's course.
  for (auto i = 0; i < 5; ++i) {
    changes("lost");
    tries();
    tries();
    changes("up");
  }
  auto in_time = pass(60s);
  CAF_REQUIRE_EQUAL(in_time.size(), 3u);
  CAF_CHECK_EQUAL(in_time.back(), "still: up, the last of 4 changes in 60 s");
  // Each interval has its own.
  written.clear();
  changes("lost");
  changes("up");
  CAF_CHECK_EQUAL(written, (texts{"lost", "up"}));
}

CAF_TEST(a state that is rare is written after the count of one that is not ) {
  for (auto i = 0; i < 6; ++i)
    changes("blocked");
  changes("lost");
  CAF_CHECK_EQUAL(written, (texts{"blocked", "blocked", "blocked",
                                  "still: blocked, the last of 3 changes in 0 s", "lost"}));
}

CAF_TEST(the count of changes is at the highest of their levels) {
  for (auto i = 0; i < 4; ++i) {
    lines.change(log_level::warning, link, "lost", "lost", now);
    lines.change(log_level::info, link, "up", "up", now);
  }
  auto counts = lines.due(now + 60s);
  CAF_REQUIRE_EQUAL(counts.size(), 1u);
  CAF_CHECK(counts[0].level == log_level::warning);
  CAF_CHECK_EQUAL(counts[0].text, "still: up, the last of 2 changes in 60 s");
}

CAF_TEST(many subjects share lines and are apart from other lines of their kind) {
  for (auto name : {"a", "b", "c", "d"})
    for (auto i = 0; i < 4; ++i)
      lines.change(log_level::info, {"host", name}, "lost", name, now);
  CAF_CHECK(say("host", "a", "a"));
  for (auto name : {"e", "f"})
    CAF_CHECK(lines.change(log_level::info, {"host", name}, "lost", name, now).empty());
  CAF_CHECK(
      pass(60s)
      == (texts{"still: a, the last of 1 change in 60 s", "still: b, the last of 1 change in 60 s",
                "still: c, the last of 1 change in 60 s",
                "still: host, 3 changes in 60 s for others than those told of above, the last: "
                "f"}));
}

CAF_TEST_FIXTURE_SCOPE_END()
