#define CAF_SUITE amqp.command_queue

#include "amqp/link/command_queue.hpp"

#include <chrono>
#include <cstdint>
#include <future>
#include <thread>
#include <variant>
#include <vector>

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::amqp;
using namespace std::chrono_literals;

namespace {

/// Notes what is carried out, and in which thread.
struct noting_link : idle_link {
  void carry_out(command x) override {
    generations.push_back(std::get<publish_command>(x).generation);
    thread = std::this_thread::get_id();
    if (hold.valid()) {
      began.set_value();
      hold.wait();
    }
  }

  std::vector<std::uint32_t> generations;
  std::thread::id thread;
  std::promise<void> began;
  std::future<void> hold;
};

using numbers = std::vector<std::uint32_t>;

struct fixture {
  /// The link's thread looks for commands, and waits for bytes then.
  void wait_for_bytes() {
    taken = generations_of(sut.take());
    sut.lend(link);
  }

  static numbers generations_of(const std::vector<command>& xs) {
    numbers result;
    for (auto& x : xs)
      if (auto* y = std::get_if<publish_command>(&x))
        result.push_back(y->generation);
    return result;
  }

  void publish(std::uint32_t generation) {
    sut.publish(generation, {});
  }

  command_queue sut;
  noting_link link;
  numbers taken;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(command_queue_tests, fixture)

CAF_TEST(what comes before the link waits is left to its thread) {
  publish(1);
  CAF_CHECK(link.generations.empty());
  wait_for_bytes();
  CAF_CHECK_EQUAL(taken, numbers{1});
}

CAF_TEST(what comes alone while the link waits is carried out by the sender) {
  wait_for_bytes();
  publish(1);
  CAF_CHECK_EQUAL(link.generations, numbers{1});
  CAF_CHECK(link.thread == std::this_thread::get_id());
  sut.reclaim();
  CAF_CHECK(sut.take().empty());
}

CAF_TEST(what comes soon after is queued and keeps its order) {
  wait_for_bytes();
  publish(1);
  const auto began = std::chrono::steady_clock::now();
  publish(2);
  publish(3);
  if (std::chrono::steady_clock::now() - began >= command_queue::pause)
    return; // the machine was too busy to tell
  CAF_CHECK_EQUAL(link.generations, numbers{1});
  sut.reclaim();
  CAF_CHECK_EQUAL(generations_of(sut.take()), (numbers{2, 3}));
}

CAF_TEST(nothing overtakes what is queued) {
  wait_for_bytes();
  sut.post(publish_command{1, {}});
  publish(2);
  CAF_CHECK(link.generations.empty());
  sut.reclaim();
  CAF_CHECK_EQUAL(generations_of(sut.take()), (numbers{1, 2}));
}

CAF_TEST(a link that sends publications in batches is not lent) {
  publish(1);
  wait_for_bytes(); // for more of them, until the pause is over
  publish(2);
  CAF_CHECK(link.generations.empty());
}

CAF_TEST(a link comes back when its user is done) {
  std::promise<void> go_on;
  link.hold = go_on.get_future();
  wait_for_bytes();
  auto user = std::async(std::launch::async, [this] { publish(1); });
  link.began.get_future().wait();
  auto back = std::async(std::launch::async, [this] { sut.reclaim(); });
  CAF_CHECK(back.wait_for(10ms) == std::future_status::timeout);
  publish(2); // somebody else, who need not wait
  go_on.set_value();
  back.get();
  user.get();
  CAF_CHECK_EQUAL(link.generations, numbers{1});
  CAF_CHECK_EQUAL(generations_of(sut.take()), numbers{2});
}

CAF_TEST_FIXTURE_SCOPE_END()
