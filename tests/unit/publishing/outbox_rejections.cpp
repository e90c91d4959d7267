#define CAF_SUITE outbox.rejections

#include "publishing/outbox.hpp"

#include <chrono>

#include "outbox_messages.hpp"

#include "caf/test/dsl.hpp"

// What the broker could not take.

using namespace actors;

namespace {

using testing::ids;
using testing::ids_of;
using testing::message;
using outcome = outbox::outcome;

const outbox::time_point start{std::chrono::hours{1}};

constexpr std::chrono::milliseconds soon{250};

} // namespace

CAF_TEST(nobody of its exchange overtakes a message that is to be sent again) {
  outbox x{{}};
  x.push(message(1));
  CAF_REQUIRE(ids_of(x.take()) == ids{1});
  CAF_CHECK(x.reject(1, start + soon) == outbox::rejection::again);
  x.push(message(2));
  x.push(message(3, "Order"));
  CAF_CHECK(ids_of(x.take()) == ids{3});
  x.send_again(start);
  CAF_CHECK(x.take().empty());
  x.send_again(start + soon);
  CAF_CHECK(ids_of(x.take()) == (ids{1, 2}));
}

CAF_TEST(several that are to be sent again go together) {
  outbox x{{}};
  for (std::uint64_t id = 1; id <= 3; ++id)
    x.push(message(id));
  CAF_REQUIRE(ids_of(x.take()) == (ids{1, 2, 3}));
  CAF_CHECK(x.reject(1, start + soon) == outbox::rejection::again);
  CAF_CHECK(x.reject(3, start + 2 * soon) == outbox::rejection::again);
  x.push(message(4));
  CAF_CHECK(x.take().empty());
  x.send_again(start + soon);
  CAF_CHECK(ids_of(x.take()) == (ids{1, 3, 4}));
}

CAF_TEST(a queue that rejects all holds up its exchange once in ten seconds) {
  outbox x{{}};
  auto now = start;
  std::uint64_t id = 0;
  const auto reject_one = [&] {
    x.push(message(++id));
    CAF_REQUIRE(ids_of(x.take()) == ids{id});
    CAF_REQUIRE(x.reject(id, now + soon) == outbox::rejection::again);
  };
  const auto reject_again = [&] {
    now += soon;
    x.send_again(now);
    const auto first = id - 1;
    CAF_REQUIRE(ids_of(x.take()) == (ids{first, id}));
    CAF_REQUIRE(x.reject(first, now) == outbox::rejection::final);
    CAF_REQUIRE(x.confirm(id) == outcome::published);
  };
  reject_one();
  x.push(message(++id));
  CAF_CHECK(x.take().empty());
  reject_again();
  reject_one();
  x.push(message(++id));
  CAF_CHECK(ids_of(x.take()) == ids{id});
  now += std::chrono::seconds{10};
  reject_one();
  x.push(message(++id));
  CAF_CHECK(x.take().empty());
}

CAF_TEST(what is to be sent again keeps its place over a loss of the link) {
  outbox x{{}};
  for (std::uint64_t id = 1; id <= 4; ++id)
    x.push(message(id));
  CAF_REQUIRE(ids_of(x.take()) == (ids{1, 2, 3, 4}));
  CAF_CHECK(x.reject(3, start + soon) == outbox::rejection::again);
  CAF_CHECK(x.reject(2, start + soon) == outbox::rejection::again);
  x.push(message(5));
  x.rewind();
  CAF_CHECK(ids_of(x.take()) == (ids{1, 2, 3, 4, 5}));
  // The broker said that it has not got it.
  CAF_CHECK(x.reject(2, start + soon) == outbox::rejection::final);
  CAF_CHECK_EQUAL(x.held(), 0u);
}
