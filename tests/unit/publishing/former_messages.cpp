#define CAF_SUITE former_messages

#include "publishing/former_messages.hpp"

#include <filesystem>
#include <memory>
#include <random>
#include <string>

#include "outbox_messages.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace std::chrono_literals;

namespace {

using testing::ids;
using testing::ids_of;
using testing::message;

struct fixture {
  fixture()
      : folder(std::filesystem::temp_directory_path()
               / ("actors-former-" + std::to_string(std::random_device{}()))) {
    std::filesystem::create_directory(folder);
  }

  ~fixture() {
    std::filesystem::remove_all(folder);
  }

  std::shared_ptr<unsent_file> open() const {
    auto result = unsent_file::open((folder / "unsent.jsonl").string());
    CAF_REQUIRE(result);
    return *result;
  }

  /// The messages of a file with so many.
  former_messages former(std::uint64_t count) const {
    std::vector<amqp::publication> xs;
    for (std::uint64_t id = 1; id <= count; ++id)
      xs.push_back(message(id));
    const auto time = std::chrono::system_clock::now();
    CAF_REQUIRE(!open()->replace(xs, time));
    auto file = open();
    CAF_REQUIRE(file->read(time));
    former_messages result{file};
    for (auto& x : xs)
      result.add(std::move(x), now);
    return result;
  }

  /// How many messages the next start has.
  std::size_t left() const {
    return open()->read(std::chrono::system_clock::now())->items.size();
  }

  bool has_refused() const {
    return std::filesystem::exists(folder / "unsent.jsonl.refused");
  }

  std::filesystem::path folder;
  former_messages::time_point now{1h};
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(former_messages_tests, fixture)

CAF_TEST(they have the first ids and wait in order) {
  auto x = former(2);
  CAF_CHECK(x.contains(1) && x.contains(2) && !x.contains(3));
  CAF_CHECK_EQUAL(x.waiting(), 2u);
  CAF_CHECK_EQUAL(x.next().id, 1u);
  CAF_CHECK_EQUAL(x.take_next(now).id, 1u);
  CAF_CHECK_EQUAL(x.take_next(now).id, 2u);
  CAF_CHECK(!x.any_waiting());
  CAF_CHECK(x.any_left()); // until the broker has them
}

CAF_TEST(without any nothing waits) {
  former_messages x;
  CAF_CHECK(!x.contains(1) && !x.any_waiting() && !x.any_left());
  CAF_CHECK_EQUAL(x.waiting(), 0u);
}

CAF_TEST(the time that a message has goes on while it waits) {
  former_messages x;
  auto limited = message(1);
  limited.properties.expiration = 10s;
  x.add(std::move(limited), now);
  x.add(message(2), now);
  CAF_CHECK(x.take_next(now + 4s).properties.expiration == 6s);
  CAF_CHECK(x.take_next(now + 4s).properties.expiration == 0s);
}

CAF_TEST(a time that is over is told from none) {
  CAF_CHECK(time_left(now, now + 1s) == 1ms);
  CAF_CHECK(time_left(now + 1500us, now) == 2ms);
}

CAF_TEST(what the broker has leaves the file) {
  {
    auto x = former(3);
    x.finish(1, {});
    x.finish(2, {ec::expired, ""});
    x.sync();
  }
  CAF_CHECK_EQUAL(left(), 1u);
  CAF_CHECK(!has_refused());
}

CAF_TEST(what can never be sent is kept aside) {
  {
    auto x = former(2);
    x.finish(1, {ec::content_too_large, ""});
    x.sync();
  }
  CAF_CHECK_EQUAL(left(), 1u);
  CAF_CHECK(has_refused());
}

CAF_TEST(what was refused for now stays in the file and is unsent at the end) {
  auto x = former(2);
  x.take_next(now);
  x.take_next(now);
  x.finish(1, {ec::no_route, ""});
  x.finish(2, {});
  CAF_CHECK(ids_of(x.join({})) == ids{1});
}

CAF_TEST(all that is unsent is one list by id) {
  auto x = former(3);
  x.take_next(now);
  x.take_next(now);
  x.finish(1, {ec::access_refused, ""});
  // The second is in the outbox still, the third never got there.
  const auto rest = x.join({{message(2), true, {}}, {message(7), false, {}}});
  CAF_CHECK(ids_of(rest) == (ids{1, 2, 3, 7}));
  CAF_CHECK(rest[1].in_doubt);
  CAF_CHECK(!x.any_left());
}

CAF_TEST(messages of this run are none of theirs) {
  {
    auto x = former(1);
    x.finish(2, {});
    CAF_CHECK(x.any_left());
  }
  CAF_CHECK_EQUAL(left(), 1u);
}

CAF_TEST(the next start has what is kept and without a file it has nothing) {
  auto x = former(1);
  const auto keeping = x.keep({message(5), message(6)});
  CAF_CHECK(keeping.kept && !keeping.error);
  CAF_CHECK_EQUAL(keeping.path, (folder / "unsent.jsonl").string());
  CAF_CHECK(!x.keep({message(5)}).kept);
  CAF_CHECK_EQUAL(left(), 2u);
  CAF_CHECK(!former_messages{}.keep({message(5)}).kept);
}

CAF_TEST_FIXTURE_SCOPE_END()
