#define CAF_SUITE unsent_file

#include "actors/unsent_file.hpp"

#include <filesystem>
#include <fstream>
#include <random>

#include "actors/error.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;

namespace {

struct fixture {
  fixture()
      : path(std::filesystem::temp_directory_path()
             / ("actors-unsent-" + std::to_string(std::random_device{}()))) {
    // nop
  }

  ~fixture() {
    std::filesystem::remove(path);
  }

  std::string path;
};

amqp::publication message(std::uint64_t number) {
  amqp::publication result;
  result.id = number;
  result.exchange = "Trade";
  result.routing_key = "a.\xFF"; // any bytes
  result.subject = "kline_5m";
  result.mandatory = number % 2 == 0;
  result.properties.message_id = "m" + std::to_string(number);
  result.properties.timestamp = 1'558'949'307;
  result.properties.persistent = true;
  result.properties.position = amqp::stream_position{1'558'949'307'370'000, number};
  result.properties.headers = {
      {"s", std::string{"x"}}, {"b", true}, {"i", std::int64_t{-5}}, {"d", 0.5}};
  result.body = std::make_shared<const std::string>("\x78\x9C\x00\xFF\n", 5);
  return result;
}

} // namespace

CAF_TEST_FIXTURE_SCOPE(unsent_file_tests, fixture)

CAF_TEST(what is written is read) {
  CAF_REQUIRE(!write_unsent_file(path, {message(1), message(2)}));
  auto xs = read_unsent_file(path);
  CAF_REQUIRE(xs);
  CAF_REQUIRE_EQUAL(xs->size(), 2u);
  for (std::uint64_t i = 1; i <= 2; ++i) {
    const auto expected = message(i);
    auto& x = (*xs)[i - 1];
    CAF_CHECK_EQUAL(x.exchange, expected.exchange);
    CAF_CHECK(x.routing_key == expected.routing_key);
    CAF_CHECK_EQUAL(x.subject, expected.subject);
    CAF_CHECK_EQUAL(x.mandatory, expected.mandatory);
    CAF_CHECK(x.properties == expected.properties);
    CAF_CHECK(*x.body == *expected.body);
  }
}

CAF_TEST(a message without a place in a stream has none) {
  auto x = message(1);
  x.properties.position.reset();
  CAF_REQUIRE(!write_unsent_file(path, {x}));
  CAF_CHECK(!read_unsent_file(path)->at(0).properties.position);
}

CAF_TEST(without messages there is no file) {
  CAF_CHECK(!write_unsent_file(path, {message(1)}));
  CAF_CHECK(!write_unsent_file(path, {}));
  CAF_CHECK(!std::filesystem::exists(path));
  auto xs = read_unsent_file(path);
  CAF_REQUIRE(xs);
  CAF_CHECK(xs->empty());
}

CAF_TEST(a file that cannot be written is an error with its path) {
  auto err = write_unsent_file("/nowhere/file", {message(1)});
  CAF_CHECK_EQUAL(text_of(err), "file '/nowhere/file.new' of unsent messages: cannot write: No "
                                "such file or directory");
}

CAF_TEST(a line that is no message is an error with its number) {
  CAF_REQUIRE(!write_unsent_file(path, {message(1)}));
  for (auto line : {"{\"exchange\":", "[]", "{\"exchange\": 5}", "\"\""}) {
    std::ofstream{path, std::ios::app} << line << '\n';
    auto xs = read_unsent_file(path);
    CAF_REQUIRE(!xs);
    CAF_CHECK(text_of(xs.error()).find("': line 2: ") != std::string::npos
              || text_of(xs.error()).find("of unsent messages: line 2: ") != std::string::npos);
    CAF_REQUIRE(!write_unsent_file(path, {message(1)}));
  }
}

CAF_TEST_FIXTURE_SCOPE_END()
