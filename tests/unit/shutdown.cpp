#define CAF_SUITE shutdown

// The end of an event center as its owner sees it, with real threads and time, on
// an in-process broker.

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>

#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>

#include "actors/amqp/memory_broker.hpp"
#include "actors/error.hpp"
#include "actors/event_center.hpp"
#include "actors/system_config.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace std::chrono_literals;

namespace {

struct fixture {
  fixture() : broker(amqp::memory_broker::named("shutdown")) {
    settings.endpoints = {*amqp::parse_endpoint("memory:shutdown")};
    settings.log.level = log_level::off;
    settings.shutdown.limit = 0ms;
    settings.shutdown.unsent_file = std::filesystem::temp_directory_path()
                                    / ("actors-shutdown-" + std::to_string(std::random_device{}()));
  }

  ~fixture() {
    for (auto end : {"", ".lock", ".sent", ".refused"})
      std::filesystem::remove(settings.shutdown.unsent_file + end);
  }

  /// Subscribes on a queue that is kept, and waits for as many trades.
  std::vector<std::int64_t> receive(int count) {
    std::vector<std::int64_t> result;
    actors::system_config cfg;
    caf::actor_system system{cfg};
    scoped_event_center center{system, settings};
    caf::scoped_actor self{system};
    center.subscribe(self, trades("p", "s").on_durable_queue("kept"))
        .receive([](const subscribed&) {}, [](const caf::error& err) { CAF_FAIL(text_of(err)); });
    for (auto i = 0; i < count; ++i)
      self->receive([&](const trade& x) { result.push_back(x.timestamp); },
                    caf::after(30s) >> [] { CAF_FAIL("a trade does not come"); });
    return result;
  }

  std::size_t publish_and_stop(std::int64_t stamp, publish_options options = {}) {
    actors::system_config cfg;
    caf::actor_system system{cfg};
    scoped_event_center center{system, settings};
    trade x;
    x.platform = "p";
    x.symbol = "s";
    x.timestamp = stamp;
    center.publish(x, options);
    return center.stop();
  }

  /// As a process that is killed: nothing is written at the end.
  std::string unsent() const {
    std::ifstream in{settings.shutdown.unsent_file};
    return {std::istreambuf_iterator<char>{in}, {}};
  }

  bool has_file() const {
    return std::filesystem::exists(settings.shutdown.unsent_file);
  }

  std::shared_ptr<amqp::memory_broker> broker;
  config settings;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(shutdown_tests, fixture)

CAF_TEST(what could not be sent is sent by the next start) {
  receive(0); // there is a queue now
  broker->refuse_links();
  CAF_CHECK_EQUAL(publish_and_stop(1), 1u);
  CAF_CHECK(has_file());
  // Still nobody there: it is kept, and the next one behind it.
  CAF_CHECK_EQUAL(publish_and_stop(2), 2u);
  broker->accept_links();
  CAF_CHECK_EQUAL(receive(2), (std::vector<std::int64_t>{1, 2}));
  settings.shutdown.limit = 5s;
  CAF_CHECK_EQUAL(publish_and_stop(3), 0u);
  CAF_CHECK(!has_file());
}

// A start without the consumer.
CAF_TEST(an order stays in the file until a queue takes it) {
  broker->refuse_links();
  CAF_CHECK_EQUAL(publish_and_stop(1, {.mandatory = true, .persistent = true}), 1u);
  broker->accept_links();
  settings.outbox.restore_timeout = 0ms;
  settings.shutdown.limit = 5s;
  CAF_CHECK_EQUAL(publish_and_stop(2), 1u);
  CAF_CHECK(has_file());
  settings.outbox.restore_timeout = 30s; // now there is time for its queue
  CAF_CHECK_EQUAL(receive(1), std::vector<std::int64_t>{1});
  CAF_CHECK_EQUAL(publish_and_stop(3), 0u);
  CAF_CHECK(!has_file());
}

// Its publisher is told neither that it is lost nor that it is published.
CAF_TEST(a publisher is told that the next start sends its message) {
  receive(0);
  broker->refuse_links();
  actors::system_config cfg;
  caf::actor_system system{cfg};
  scoped_event_center center{system, settings};
  caf::scoped_actor self{system};
  trade x;
  x.platform = "p";
  x.symbol = "s";
  auto request = center.publish(self, x);
  CAF_CHECK_EQUAL(center.stop(), 1u);
  request.receive([](const published&) { CAF_ERROR("it is not"); },
                  [](const caf::error& err) { CAF_CHECK(code_of(err) == ec::kept_unsent); });
  CAF_CHECK(has_file());
}

CAF_TEST(two event centers with one unsent file do not lose what is in it) {
  broker->refuse_links();
  CAF_CHECK_EQUAL(publish_and_stop(1), 1u);
  const auto before = unsent();
  actors::system_config cfg;
  caf::actor_system system{cfg};
  scoped_event_center first{system, settings};
  CAF_CHECK_EQUAL(publish_and_stop(2), 1u); // the second: its message is lost, and told so
  CAF_CHECK_EQUAL(unsent(), before);
}

CAF_TEST_FIXTURE_SCOPE_END()
