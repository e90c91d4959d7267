#define CAF_SUITE unsent_file

#include "publishing/unsent_file.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>

#include <sys/stat.h>
#include <unistd.h>

#include "actors/error.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace std::chrono_literals;

namespace {

const auto now = std::chrono::system_clock::time_point{} + 1'790'000'000s;

struct fixture {
  fixture()
      : folder(std::filesystem::temp_directory_path()
               / ("actors-unsent-" + std::to_string(std::random_device{}()))),
        path((folder / "unsent.jsonl").string()) {
    std::filesystem::create_directory(folder);
  }

  ~fixture() {
    std::filesystem::remove_all(folder);
  }

  /// The file as a process that starts has it.
  std::shared_ptr<unsent_file> open() const {
    auto result = unsent_file::open(path);
    CAF_REQUIRE(result);
    return *result;
  }

  /// What a start sends.
  std::vector<std::string> ids() const {
    std::vector<std::string> result;
    auto messages = open()->read(now);
    CAF_REQUIRE(messages);
    for (auto& x : messages->items)
      result.push_back(x.properties.message_id);
    return result;
  }

  bool exists(const std::string& suffix = {}) const {
    return std::filesystem::exists(path + suffix);
  }

  std::size_t lines(const std::string& suffix) const {
    std::ifstream in{path + suffix};
    std::size_t result = 0;
    for (std::string line; std::getline(in, line);)
      ++result;
    return result;
  }

  std::filesystem::path folder;
  std::string path;
};

amqp::publication message(std::uint64_t number) {
  amqp::publication result;
  result.id = number;
  result.exchange = "Trade";
  result.routing_key = "a.b";
  result.subject = "kline_5m";
  result.mandatory = number % 2 == 0;
  auto& p = result.properties;
  p.message_id = "m" + std::to_string(number);
  p.timestamp = 1'558'949'307;
  p.persistent = true;
  p.position = amqp::stream_position{1'558'949'307'370'000, number};
  p.headers = {{"s", std::string{"x"}},
               {"b", true},
               {"i", std::int64_t{-5}},
               {"d", 0.5},
               {"", false},
               {"list", amqp::opaque_value{'A', std::string("\0\0\0\2t\1", 6)}}};
  p.others = std::make_shared<amqp::other_properties>(
      amqp::other_properties{.content_type = "text/plain", .reply_to = "q", .priority = 3});
  result.body = std::make_shared<const std::string>("\x78\x9C\x00\xFF\n", 5);
  return result;
}

using strings = std::vector<std::string>;

} // namespace

CAF_TEST_FIXTURE_SCOPE(unsent_file_tests, fixture)

CAF_TEST(what is written is read with all that it has) {
  CAF_REQUIRE(!open()->replace({message(1), message(2)}, now));
  auto xs = open()->read(now);
  CAF_REQUIRE(xs);
  CAF_REQUIRE_EQUAL(xs->items.size(), 2u);
  CAF_CHECK(xs->refused.empty());
  for (std::uint64_t i = 1; i <= 2; ++i) {
    const auto expected = message(i);
    auto& x = xs->items[i - 1];
    CAF_CHECK_EQUAL(x.exchange, expected.exchange);
    CAF_CHECK_EQUAL(x.routing_key, expected.routing_key);
    CAF_CHECK_EQUAL(x.subject, expected.subject);
    CAF_CHECK_EQUAL(x.mandatory, expected.mandatory);
    CAF_CHECK(x.properties == expected.properties);
    CAF_CHECK(*x.body == *expected.body);
  }
}

CAF_TEST(a number that is none survives) {
  auto x = message(1);
  x.properties.headers = {{"d", std::nan("")}};
  CAF_REQUIRE(!open()->replace({x}, now));
  auto xs = open()->read(now);
  CAF_REQUIRE(xs && xs->items.size() == 1);
  auto value = std::get_if<amqp::opaque_value>(&xs->items[0].properties.headers[0].second);
  CAF_REQUIRE(value);
  CAF_CHECK(value->kind == 'd' && value->bytes.size() == 8);
}

CAF_TEST(a message without a place in a stream has none) {
  auto x = message(1);
  x.properties.position.reset();
  CAF_REQUIRE(!open()->replace({x}, now));
  CAF_CHECK(!open()->read(now)->items.at(0).properties.position);
}

CAF_TEST(without messages there is no file) {
  auto file = open();
  CAF_CHECK(!file->replace({message(1)}, now));
  CAF_CHECK(!file->replace({}, now));
  CAF_CHECK(!exists());
  auto xs = file->read(now);
  CAF_REQUIRE(xs);
  CAF_CHECK(xs->items.empty());
}

CAF_TEST(nobody else may read it) {
  std::ofstream{path} << "";
  CAF_REQUIRE(!open()->replace({message(1)}, now));
  struct stat status {};
  CAF_REQUIRE(::stat(path.c_str(), &status) == 0);
  CAF_CHECK_EQUAL(status.st_mode & 0777u, 0600u);
}

CAF_TEST(a second process is told who has the file) {
  auto file = open();
  auto other = unsent_file::open(path);
  CAF_REQUIRE(!other);
  CAF_CHECK_EQUAL(text_of(other.error()), "file '" + path + "' of unsent messages: process "
                                              + std::to_string(::getpid())
                                              + " uses it: each needs one of its own");
  file = nullptr;
  CAF_CHECK(unsent_file::open(path));
}

CAF_TEST(a link to the file is the file) {
  auto file = open();
  const auto link = folder / "link";
  std::filesystem::create_symlink(std::filesystem::path{path}.filename(), link);
  CAF_CHECK(!unsent_file::open(link.string()));
  file = nullptr;
  CAF_CHECK(unsent_file::open(link.string()));
  CAF_CHECK(std::filesystem::is_symlink(link));
}

CAF_TEST(a folder that is not there is an error with its path) {
  auto file = unsent_file::open("/nowhere/file");
  CAF_REQUIRE(!file);
  CAF_CHECK_EQUAL(text_of(file.error()), "file '/nowhere/file.lock' of unsent messages: cannot "
                                         "write: No such file or directory");
}

CAF_TEST(what was confirmed is not sent again after a crash) {
  CAF_REQUIRE(!open()->replace({message(1), message(2), message(3)}, now));
  {
    auto file = open();
    CAF_REQUIRE(file->read(now));
    file->settle(1);
    file->settle(1);
  } // killed
  CAF_CHECK_EQUAL(ids(), (strings{"m1", "m3"}));
  {
    auto file = open();
    CAF_REQUIRE(file->read(now));
    file->settle(0);
  }
  CAF_CHECK_EQUAL(ids(), strings{"m3"});
}

CAF_TEST(what was confirmed is synced in batches) {
  CAF_REQUIRE(!open()->replace({message(1), message(2), message(3)}, now));
  auto file = open();
  CAF_REQUIRE(file->read(now));
  CAF_CHECK(!file->sync());
  file->settle(0);
  file->settle(1);
  CAF_CHECK(file->sync());
  CAF_CHECK(!file->sync());
  file->settle(2);
  CAF_CHECK(!file->sync()); // there is no file any more
}

CAF_TEST(once all is confirmed the file is gone) {
  CAF_REQUIRE(!open()->replace({message(1), message(2)}, now));
  auto file = open();
  CAF_REQUIRE(file->read(now));
  file->settle(0);
  CAF_CHECK(exists());
  file->settle(1);
  CAF_CHECK(!exists());
  CAF_CHECK(!exists(".sent"));
}

// The process died between the new file and the end of the old one's hashes.
CAF_TEST(hashes of a former file harm no new one) {
  CAF_REQUIRE(!open()->replace({message(1), message(2)}, now));
  {
    auto file = open();
    CAF_REQUIRE(file->read(now));
    file->settle(0);
    std::filesystem::copy_file(path + ".sent", path + ".kept");
    CAF_REQUIRE(!file->replace({message(2), message(3)}, now));
  }
  CAF_CHECK(!exists(".sent"));
  std::filesystem::rename(path + ".kept", path + ".sent");
  CAF_CHECK_EQUAL(ids(), (strings{"m2", "m3"}));
}

CAF_TEST(a bad line costs itself and is kept aside) {
  for (std::string line : {"{\"exchange\":", "[]", "{\"exchange\": 5}", "\"\"", ""}) {
    CAF_REQUIRE(!open()->replace({message(1), message(2)}, now));
    std::filesystem::remove(path + ".refused");
    std::ofstream{path, std::ios::app} << line << '\n';
    auto xs = open()->read(now);
    CAF_REQUIRE(xs);
    CAF_CHECK_EQUAL(xs->items.size(), 2u);
    CAF_REQUIRE_EQUAL(xs->refused.size(), 1u);
    CAF_CHECK(xs->refused[0].starts_with("file '" + path + "' of unsent messages: line 3: "));
    CAF_CHECK_EQUAL(lines(".refused"), 1u);
    // Once is enough.
    CAF_CHECK(open()->read(now)->refused.empty());
  }
}

CAF_TEST(a message that cannot be sent is kept aside and named) {
  auto x = message(1);
  x.routing_key = "B\xE9ta";
  CAF_REQUIRE(!open()->replace({x, message(2)}, now));
  auto xs = open()->read(now);
  CAF_REQUIRE(xs);
  CAF_CHECK_EQUAL(xs->items.size(), 1u);
  CAF_CHECK_EQUAL(xs->refused.size(), 1u);
  auto file = open();
  CAF_REQUIRE(file->read(now));
  file->set_aside(0);
  CAF_CHECK_EQUAL(lines(".refused"), 2u);
  CAF_CHECK(!exists());
}

CAF_TEST(a message keeps its deadline and is not sent after it) {
  auto x = message(1);
  x.properties.expiration = 5s;
  CAF_REQUIRE(!open()->replace({x, message(2)}, now));
  CAF_CHECK(open()->read(now + 3s)->items.at(0).properties.expiration == 2s);
  auto late = open()->read(now + 5s);
  CAF_REQUIRE_EQUAL(late->items.size(), 1u);
  CAF_CHECK_EQUAL(late->expired, 1u);
}

CAF_TEST(a file that cannot be replaced stays as it was) {
  auto file = open();
  CAF_REQUIRE(!file->replace({message(1)}, now));
  std::filesystem::create_directory(path + ".new");
  CAF_CHECK(file->replace({message(2)}, now));
  file = nullptr;
  CAF_CHECK_EQUAL(ids(), strings{"m1"});
}

CAF_TEST_FIXTURE_SCOPE_END()
