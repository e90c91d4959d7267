#define CAF_SUITE outbox.wire

#include "publishing/outbox.hpp"

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>

#include "outbox_messages.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;

namespace {

using testing::ids;
using testing::ids_of;
using outcome = outbox::outcome;

amqp::publication message(std::uint64_t id, std::string key = "k", std::string exchange = "Trade",
                          std::size_t size = 4) {
  amqp::publication result;
  result.id = id;
  result.exchange = std::move(exchange);
  result.routing_key = std::move(key);
  result.properties.message_id = "m" + std::to_string(id);
  result.properties.position = amqp::stream_position{7, id};
  result.body = std::make_shared<const std::string>(size, 'x');
  return result;
}

amqp::publication persistent(std::uint64_t id, std::string key = "k") {
  auto result = message(id, std::move(key));
  result.properties.persistent = true;
  return result;
}

amqp::returned_message return_of(const amqp::publication& x) {
  return {{ec::no_route, "NO_ROUTE"}, x.exchange, x.routing_key, x.properties};
}

const failure fault{ec::internal_error, "INTERNAL_ERROR (541)"};
const failure refusal{ec::access_refused, "ACCESS_REFUSED (403)"};

/// A broker that handles messages in order and closes the channel because of bad ones.
/// Of what it takes it confirms some at once, others later.
struct strict_broker {
  std::set<std::uint64_t> bad;
  /// What it says.
  std::function<failure(std::uint64_t)> words = [](std::uint64_t) { return refusal; };
  std::mt19937 random{1};
  std::vector<std::uint64_t> taken;
  std::map<std::uint64_t, failure> refused;
  int closed = 0;

  /// Sends what may be sent, and answers, until all is quiet.
  void work(outbox& x) {
    for (auto batch = x.take(); !batch.empty(); batch = x.take()) {
      ids late;
      auto up = true;
      for (auto& y : batch) {
        if (bad.count(y.id)) {
          close(x, words(y.id));
          up = false;
          break;
        }
        taken.push_back(y.id);
        if (random() % 2)
          CAF_REQUIRE(x.confirm(y.id) == outcome::published);
        else
          late.push_back(y.id);
      }
      for (auto id : late)
        if (up)
          CAF_REQUIRE(x.confirm(id) == outcome::published);
    }
  }

  void close(outbox& x, const failure& why) {
    ++closed;
    if (auto culprit = x.accuse(why))
      refused.emplace(culprit->message.id, why);
  }

  /// What it took, each once, in the order of the first time: receivers drop copies.
  ids order() const {
    ids result;
    std::set<std::uint64_t> seen;
    for (auto id : taken)
      if (seen.insert(id).second)
        result.push_back(id);
    return result;
  }
};

void fill(outbox& x, std::uint64_t count) {
  for (std::uint64_t id = 1; id <= count; ++id)
    x.push(message(id));
}

} // namespace

// -- the culprit ----------------------------------------------------------------------------

CAF_TEST(one bad message among a thousand is found and no other is blamed) {
  for (std::uint64_t bad : {1u, 2u, 500u, 999u, 1'000u}) {
    outbox x{{}};
    fill(x, 1'500);
    strict_broker broker;
    broker.bad = {bad};
    broker.work(x);
    CAF_CHECK(x.empty());
    CAF_REQUIRE_EQUAL(broker.refused.size(), 1u);
    CAF_CHECK_EQUAL(broker.refused.begin()->first, bad);
    CAF_CHECK_EQUAL(broker.order().size(), 1'499u);
    CAF_CHECK_LESS_OR_EQUAL(broker.closed, 12); // 2 + log2(1000)
  }
}

CAF_TEST(messages to denied exchanges are found at the first time) {
  outbox x{{}};
  strict_broker broker;
  for (std::uint64_t id = 1; id <= 500; ++id) {
    const auto denied = id % 10 == 0;
    x.push(message(id, "k", denied ? "Secret" + std::to_string(id) : "Trade"));
    if (denied)
      broker.bad.insert(id);
  }
  broker.words = [](std::uint64_t id) {
    return failure{ec::access_refused, "write access to exchange 'Secret" + std::to_string(id)
                                           + "' in vhost '/' refused"};
  };
  broker.work(x);
  CAF_CHECK(x.empty());
  CAF_CHECK_EQUAL(broker.refused.size(), 50u);
  CAF_CHECK_EQUAL(broker.closed, 50);
  CAF_CHECK_EQUAL(broker.order().size(), 450u);
}

CAF_TEST(what the broker names is found at the second time) {
  outbox x{{}};
  x.push(message(1, "k", "Secret"));
  x.take();
  x.confirm(1); // so that others may have been taken, too
  for (std::uint64_t id = 2; id <= 1'000; ++id)
    x.push(message(id, "k", id == 700 ? "Secret" : "Trade"));
  strict_broker broker;
  broker.bad = {700};
  broker.words = [](std::uint64_t) {
    return failure{ec::access_refused, "access to exchange 'Secret' in vhost '/' refused"};
  };
  broker.work(x);
  CAF_CHECK_EQUAL(broker.refused.size(), 1u);
  CAF_CHECK_EQUAL(broker.closed, 2);
}

CAF_TEST(the order of good messages is kept however many bad ones there are) {
  for (auto seed = 0u; seed < 200; ++seed) {
    std::mt19937 random{seed};
    outbox x{{.window = 1 + random() % 60}};
    strict_broker broker;
    broker.random.seed(seed);
    const auto count = 1 + random() % 200;
    for (std::uint64_t id = 1; id <= count; ++id)
      if (random() % (1 + random() % 40) == 0)
        broker.bad.insert(id);
    // Half of them are named by words, in part wrongly; some words are of faults.
    broker.words = [&](std::uint64_t id) -> failure {
      switch (random() % 3) {
      case 0:
        return {ec::access_refused, "access to topic 'k" + std::to_string(id + random() % 2)
                                        + "' in exchange 'Trade' in vhost '/' refused"};
      case 1:
        return fault;
      default:
        return refusal;
      }
    };
    std::uint64_t next = 0;
    while (next < count || !x.empty()) {
      for (auto i = random() % 30; i > 0 && next < count; --i) {
        ++next;
        x.push(message(next, "k" + std::to_string(next)));
      }
      broker.work(x);
      // A mere loss of the link blames nobody.
      if (random() % 3 == 0) {
        x.take();
        x.rewind();
      }
    }
    ids good;
    for (std::uint64_t id = 1; id <= count; ++id)
      if (!broker.bad.count(id))
        good.push_back(id);
    CAF_REQUIRE_EQUAL(broker.order(), good);
    CAF_REQUIRE_EQUAL(broker.refused.size(), broker.bad.size());
    for (auto& [id, why] : broker.refused)
      CAF_REQUIRE(broker.bad.count(id));
    CAF_REQUIRE_LESS_OR_EQUAL(broker.closed, 8 * static_cast<int>(broker.bad.size()));
  }
}

CAF_TEST(a loss of the link blames nobody however often) {
  outbox x{{}};
  fill(x, 1);
  for (auto i = 0; i < 100; ++i) {
    CAF_CHECK_EQUAL(ids_of(x.take()), ids{1});
    x.rewind();
    CAF_CHECK(!x.has_suspects());
  }
}

// An exchange may come back, a broker may have had a fault: once is not enough.
CAF_TEST(a fault of the broker blames a message only when it was alone for the second time) {
  outbox x{{}};
  fill(x, 1);
  x.take();
  CAF_CHECK(!x.accuse(fault));
  x.take();
  CAF_CHECK(x.accuse(fault));
  fill(x, 1);
  x.take();
  CAF_CHECK(x.accuse(refusal));
}

CAF_TEST(nothing is beside a suspect on the wire and all goes on once it was answered) {
  outbox x{{}};
  fill(x, 4);
  x.take();
  CAF_CHECK(!x.accuse(refusal));
  CAF_CHECK(x.has_suspects());
  x.push(message(5));
  CAF_CHECK_EQUAL(ids_of(x.take()), (ids{1, 2}));
  CAF_CHECK(x.take().empty());
  x.confirm(1);
  CAF_CHECK(x.take().empty());
  x.confirm(2);
  CAF_CHECK_EQUAL(ids_of(x.take()), ids{3});
  auto found = x.accuse(refusal);
  CAF_REQUIRE(found);
  CAF_CHECK_EQUAL(found->message.id, 3u);
  CAF_CHECK(!found->in_doubt);
  CAF_CHECK_EQUAL(ids_of(x.take()), (ids{4, 5}));
}

CAF_TEST(a message that is to go alone does) {
  outbox x{{}};
  x.push(message(1));
  x.push(message(2), {}, outbox::manner::alone);
  x.push(message(3));
  CAF_CHECK_EQUAL(ids_of(x.take()), ids{1});
  CAF_CHECK(x.take().empty());
  x.confirm(1);
  CAF_CHECK_EQUAL(ids_of(x.take()), ids{2});
  CAF_CHECK(x.take().empty());
  x.confirm(2);
  CAF_CHECK_EQUAL(ids_of(x.take()), ids{3});
}

// -- what no queue takes --------------------------------------------------------------------

CAF_TEST(a message that is given back is found by all that it has) {
  outbox x{{}};
  std::vector<amqp::publication> sent;
  for (std::uint64_t id = 1; id <= 4; ++id) {
    auto y = message(id, id == 2 ? "other" : "k");
    y.properties.message_id = "the same";
    y.mandatory = true;
    sent.push_back(y);
    x.push(std::move(y));
  }
  x.take();
  CAF_REQUIRE(x.returned(return_of(sent[2])));
  CAF_CHECK_EQUAL(x.returned(return_of(sent[1]))->id, 2u);
  CAF_CHECK(!x.returned(return_of(sent[1])));
  CAF_CHECK(x.confirm(1) == outcome::published);
  CAF_CHECK(x.confirm(2) == outcome::unroutable);
  CAF_CHECK(x.confirm(3) == outcome::unroutable);
  CAF_CHECK(x.confirm(4) == outcome::published);
}

CAF_TEST(copies of one message are told apart by their mark) {
  outbox x{{}};
  std::vector<amqp::publication> sent;
  for (std::uint64_t id = 1; id <= 2; ++id) {
    auto y = message(id, "queue.dead", "");
    y.properties.message_id = "theirs";
    y.properties.position.reset();
    y.properties.headers = {{std::string{copy_header}, "ours-" + std::to_string(id)}};
    y.mandatory = true;
    sent.push_back(y);
    x.push(std::move(y));
  }
  x.take();
  CAF_CHECK_EQUAL(x.returned(return_of(sent[1]))->id, 2u);
  CAF_CHECK(x.confirm(1) == outcome::published);
  CAF_CHECK(x.confirm(2) == outcome::unroutable);
}

CAF_TEST(not delivered is said only if it is certain) {
  outbox x{{}};
  auto order = message(1);
  order.mandatory = true;
  x.push(order);
  x.take();
  x.rewind(); // the broker may have taken it
  x.take();
  x.returned(return_of(order));
  CAF_CHECK(x.confirm(1) == outcome::in_doubt);
  // This one was given back each time.
  order.id = 2;
  x.push(order);
  x.take();
  x.returned(return_of(order));
  x.rewind();
  x.take();
  x.returned(return_of(order));
  CAF_CHECK(x.confirm(2) == outcome::unroutable);
}

CAF_TEST(a refused message that was on the wire before is in doubt) {
  outbox x{{}};
  fill(x, 3);
  x.take();
  x.rewind();
  x.take();
  CAF_CHECK(x.settle(1).value().in_doubt);
  CAF_CHECK(!x.settle(1));
  x.confirm(2);
  auto found = x.accuse(refusal);
  CAF_REQUIRE(found);
  CAF_CHECK(found->in_doubt);
  x.push(message(4));
  x.take();
  CAF_CHECK(!x.settle(4).value().in_doubt);
}

// Only those in front of the culprit may have been taken.
CAF_TEST(the search for a culprit leaves no doubt of it and of those behind it) {
  outbox x{{}};
  fill(x, 3);
  x.take();
  CAF_CHECK(!x.accuse(refusal)); // because of the second
  CAF_CHECK_EQUAL(ids_of(x.take()), ids{1});
  CAF_CHECK(x.settle(1).value().in_doubt);
  CAF_CHECK_EQUAL(ids_of(x.take()), ids{2});
  auto found = x.accuse(refusal);
  CAF_REQUIRE(found);
  CAF_CHECK(!found->in_doubt);
  CAF_CHECK_EQUAL(ids_of(x.take()), ids{3});
  CAF_CHECK(!x.settle(3).value().in_doubt);
}

CAF_TEST(a fault of the broker leaves a doubt) {
  outbox x{{}};
  fill(x, 1);
  x.take();
  x.accuse(fault);
  x.take();
  auto found = x.accuse(fault);
  CAF_REQUIRE(found);
  CAF_CHECK(found->in_doubt);
}

CAF_TEST(what was on the wire is in doubt when it is dropped or cleared) {
  outbox x{{.each = {.max_messages = 2, .overflow = overflow_policy::drop_oldest}}};
  x.push(message(1));
  x.take();
  x.rewind();
  x.push(message(2));
  CAF_CHECK((x.push(message(3)) == std::vector<outbox::dropped>{{1, ec::in_doubt}}));
  auto rest = x.clear();
  CAF_REQUIRE_EQUAL(rest.size(), 2u);
  CAF_CHECK(!rest[0].in_doubt);
}

// -- restoring ------------------------------------------------------------------------------

namespace {

/// Queues took persistent messages, then the broker was restarted.
outbox restarted() {
  outbox result{{}};
  result.push(persistent(1));
  result.take();
  result.confirm(1);
  result.rewind();
  result.restore();
  return result;
}

} // namespace

CAF_TEST(the broker is to give back what is persistent) {
  outbox x{{}};
  x.push(persistent(1));
  x.push(message(2));
  auto sent = x.take();
  CAF_CHECK(sent[0].mandatory && !sent[1].mandatory);
  x.returned(return_of(sent[0]));
  CAF_CHECK(x.confirm(1) == outcome::unroutable);
}

CAF_TEST(without confirms nothing is given back that nobody asks for) {
  outbox x{{}, false};
  x.push(persistent(1));
  auto order = persistent(2);
  order.mandatory = true;
  x.push(order);
  auto sent = x.take();
  CAF_CHECK(!sent[0].mandatory && sent[1].mandatory);
  x.clear();
  x.push(persistent(3));
  CAF_CHECK(!x.take()[0].mandatory);
}

CAF_TEST(persistent messages wait for their queue after a restart and keep their order) {
  auto x = restarted();
  for (std::uint64_t id = 2; id <= 4; ++id)
    x.push(persistent(id));
  x.push(message(5)); // not persistent: goes as ever
  auto sent = x.take();
  CAF_CHECK_EQUAL(ids_of(sent), (ids{2, 5}));
  CAF_CHECK_EQUAL(x.held(), 2u);
  x.returned(return_of(sent[0]));
  CAF_CHECK(x.confirm(2) == outcome::held);
  CAF_CHECK(x.take().empty());
  x.push(persistent(6));
  CAF_CHECK(x.take().empty());
  CAF_CHECK_EQUAL(x.held(), 4u);
  // Tried again, still nobody there.
  x.probe();
  sent = x.take();
  CAF_CHECK_EQUAL(ids_of(sent), ids{2});
  x.returned(return_of(sent[0]));
  CAF_CHECK(x.confirm(2) == outcome::held);
  // Now there is.
  x.probe();
  CAF_CHECK_EQUAL(ids_of(x.take()), ids{2});
  CAF_CHECK(x.confirm(2) == outcome::published);
  CAF_CHECK_EQUAL(ids_of(x.take()), (ids{3, 4, 6}));
  for (auto id : {3, 4, 5, 6})
    CAF_CHECK(x.confirm(id) == outcome::published);
  CAF_CHECK(x.empty());
}

CAF_TEST(one routing key without a queue holds up no other) {
  auto x = restarted();
  x.push(persistent(2, "a"));
  x.push(persistent(3, "b"));
  x.push(persistent(4, "b"));
  auto sent = x.take();
  CAF_CHECK_EQUAL(ids_of(sent), (ids{2, 3}));
  x.returned(return_of(sent[0]));
  CAF_CHECK(x.confirm(2) == outcome::held);
  CAF_CHECK(x.confirm(3) == outcome::published);
  CAF_CHECK_EQUAL(ids_of(x.take()), ids{4});
}

CAF_TEST(a persistent message that no queue takes in time is never published) {
  auto x = restarted();
  x.push(persistent(2));
  x.push(persistent(3));
  auto sent = x.take();
  x.returned(return_of(sent[0]));
  CAF_CHECK(x.tries_again(2));
  CAF_CHECK(x.confirm(2) == outcome::held);
  x.end_restore();
  sent = x.take();
  CAF_CHECK_EQUAL(ids_of(sent), (ids{2, 3}));
  for (auto& y : sent) {
    x.returned(return_of(y));
    CAF_CHECK(!x.tries_again(y.id));
    CAF_CHECK(x.confirm(y.id) == outcome::unroutable);
  }
  // Nobody wants this key: the next loss of the link does not hold it up.
  x.restore();
  x.push(persistent(4));
  x.push(persistent(5));
  CAF_CHECK_EQUAL(ids_of(x.take()), (ids{4, 5}));
}

CAF_TEST(one that was sent before a loss of the link and finds no queue now is in doubt) {
  auto x = restarted();
  x.push(persistent(2));
  x.take();
  x.rewind();
  auto sent = x.take();
  x.returned(return_of(sent[0]));
  CAF_CHECK(x.confirm(2) == outcome::held);
  x.end_restore();
  sent = x.take();
  x.returned(return_of(sent[0]));
  CAF_CHECK(x.confirm(2) == outcome::in_doubt);
}

CAF_TEST(after a start of the process persistent messages wait for their queue as well) {
  outbox x{{}};
  x.restore();
  x.push(persistent(1));
  x.push(persistent(2));
  auto sent = x.take();
  CAF_CHECK_EQUAL(ids_of(sent), ids{1});
  x.returned(return_of(sent[0]));
  CAF_CHECK(x.confirm(1) == outcome::held);
  x.probe();
  CAF_CHECK_EQUAL(ids_of(x.take()), ids{1});
  CAF_CHECK(x.confirm(1) == outcome::published);
  CAF_CHECK_EQUAL(ids_of(x.take()), ids{2});
}

// A recorder publishes what nobody wants yet, faster than anything else.
CAF_TEST(what never had a queue fills half of its exchange and holds up no other) {
  outbox x{{.each = {.max_messages = 100}}};
  x.restore();
  std::uint64_t last = 0;
  ids refused;
  auto order_of = std::map<std::string, ids>{};
  auto serve = [&] {
    for (auto batch = x.take(); !batch.empty(); batch = x.take())
      for (auto& y : batch) {
        x.returned(return_of(y));
        if (x.confirm(y.id) == outcome::unroutable) {
          refused.push_back(y.id);
          order_of[y.routing_key].push_back(y.id);
        }
      }
  };
  CAF_CHECK(x.push(persistent(++last, "wanted")).empty());
  serve();
  for (auto i = 0; i < 1'000; ++i) {
    for (auto key : {"often", "at times"})
      if (key == std::string{"often"} || i % 10 == 0)
        CAF_REQUIRE(x.push(persistent(++last, key)).empty());
    serve();
    x.probe();
    CAF_REQUIRE_LESS_OR_EQUAL(x.held(), 51u);
  }
  for (auto& [key, xs] : order_of)
    CAF_CHECK(std::is_sorted(xs.begin(), xs.end()));
  // The rare one still waits for its queue.
  CAF_CHECK(std::find(refused.begin(), refused.end(), 1u) == refused.end());
  CAF_CHECK_GREATER(order_of["often"].size(), 900u);
  serve();
  x.probe();
  auto sent = x.take();
  CAF_REQUIRE(!sent.empty());
  CAF_CHECK_EQUAL(sent[0].routing_key, "wanted");
  CAF_CHECK(x.confirm(1) == outcome::published);
}

CAF_TEST(an exchange that had queues holds as much as it may) {
  outbox x{{.each = {.max_messages = 100}}};
  x.restore(); // as after a start
  x.push(persistent(1));
  x.take();
  x.confirm(1);
  x.rewind();
  x.restore();
  for (std::uint64_t id = 2; id <= 101; ++id)
    CAF_REQUIRE(x.push(persistent(id)).empty());
  auto sent = x.take();
  x.returned(return_of(sent[0]));
  x.confirm(2);
  CAF_CHECK(x.take().empty());
  CAF_CHECK_EQUAL(x.held(), 100u);
  CAF_CHECK((x.push(persistent(102)) == std::vector<outbox::dropped>{{102, ec::outbox_full}}));
}

CAF_TEST(an order that nobody waits for is patient) {
  auto x = restarted();
  auto order = persistent(2);
  order.mandatory = true;
  x.push(order, {}, outbox::manner::patient);
  x.take();
  x.returned(return_of(order));
  CAF_CHECK(x.confirm(2) == outcome::held);
  x.end_restore();
  x.take();
  x.returned(return_of(order));
  CAF_CHECK(x.confirm(2) == outcome::unroutable);
}

CAF_TEST(who asks whether a queue takes it is told at once) {
  auto x = restarted();
  auto order = persistent(2);
  order.mandatory = true;
  x.push(order);
  x.take();
  x.returned(return_of(order));
  CAF_CHECK(x.confirm(2) == outcome::unroutable);
}

CAF_TEST(a further loss of the link keeps order and count of what is held) {
  auto x = restarted();
  for (std::uint64_t id = 2; id <= 5; ++id)
    x.push(persistent(id, id % 2 ? "a" : "b"));
  auto sent = x.take();
  x.returned(return_of(sent[0]));
  x.confirm(2);
  x.rewind();
  CAF_CHECK_EQUAL(x.held(), 0u);
  CAF_CHECK_EQUAL(x.waiting(), 4u);
  x.restore();
  x.take();
  CAF_CHECK_EQUAL(x.held(), 2u);
  auto rest = x.clear();
  CAF_REQUIRE_EQUAL(rest.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i)
    CAF_CHECK_EQUAL(rest[i].message.id, i + 2);
  CAF_CHECK(x.empty());
}

CAF_TEST(held messages expire in time) {
  using namespace std::chrono_literals;
  auto x = restarted();
  const auto start = outbox::time_point{} + 1h;
  for (std::uint64_t id = 2; id <= 4; ++id) {
    auto y = persistent(id);
    if (id != 3)
      y.properties.expiration = 1s;
    x.push(std::move(y), start);
  }
  auto sent = x.take(start);
  x.returned(return_of(sent[0]));
  x.confirm(2);
  x.expire(start + 2s);
  CAF_CHECK((x.take_dropped() == std::vector<outbox::dropped>{{2, ec::expired}, {4, ec::expired}}));
  CAF_CHECK(x.take(start + 2s).empty());
  x.probe();
  CAF_CHECK_EQUAL(ids_of(x.take(start + 2s)), ids{3});
}

// A broker with random bindings, losses of links and a window: each message arrives or is
// confirmed, and those of one key in order.
CAF_TEST(nothing persistent vanishes while bindings come back) {
  for (auto seed = 0u; seed < 200; ++seed) {
    std::mt19937 random{seed};
    outbox x{{.window = 1 + random() % 9}};
    std::map<std::string, bool> bound{{"a", true}, {"b", true}, {"c", true}};
    std::map<std::string, ids> arrived;
    std::uint64_t last = 0;
    auto publish = [&] {
      ++last;
      x.push(persistent(last, std::string(1, "abc"[last % 3])));
    };
    auto serve = [&] {
      for (auto batch = x.take(); !batch.empty(); batch = x.take())
        for (auto& y : batch) {
          if (!bound[y.routing_key])
            x.returned(return_of(y));
          else if (auto& to = arrived[y.routing_key]; to.empty() || to.back() < y.id)
            to.push_back(y.id);
          x.confirm(y.id);
        }
    };
    for (auto i = 0; i < 30; ++i)
      publish();
    serve();
    for (auto step = 0; step < 200; ++step) {
      switch (random() % 6) {
      case 0:
        x.rewind();
        x.restore();
        for (auto& [key, is] : bound)
          is = random() % 2;
        break;
      case 1:
        if (auto i = bound.find(std::string(1, "abc"[random() % 3])); x.restoring())
          i->second = true;
        break;
      case 2:
        x.probe();
        break;
      case 3:
        x.take(); // and the link is lost
        x.rewind();
        x.restore();
        break;
      default:
        publish();
        serve();
      }
    }
    for (auto& [key, is] : bound)
      is = true;
    x.probe();
    serve();
    CAF_REQUIRE(x.empty());
    std::size_t count = 0;
    for (auto& [key, xs] : arrived) {
      CAF_REQUIRE(std::is_sorted(xs.begin(), xs.end()));
      count += xs.size();
    }
    CAF_REQUIRE_EQUAL(count, last);
  }
}

// -- exchanges that are not there yet -----------------------------------------------------

CAF_TEST(messages to exchanges that are not there are overtaken by those to others) {
  outbox x{{}};
  for (auto& to : {message(1, "k", "New"), message(2), message(3, "k", "New"), message(4)})
    x.push(to);
  const outbox::gate open = [](const std::string& exchange) { return exchange != "New"; };
  CAF_CHECK_EQUAL(ids_of(x.take({}, open)), (ids{2, 4}));
  CAF_CHECK_EQUAL(x.waiting(), 2u);
  CAF_CHECK(!x.empty());
  x.push(message(5, "k", "New"));
  CAF_CHECK(x.take({}, open).empty());
  CAF_CHECK_EQUAL(ids_of(x.take()), (ids{1, 3, 5}));
}

CAF_TEST(messages that wait for their exchange are dropped and given back like others) {
  outbox_limits limits;
  limits.each = {.max_messages = 2, .overflow = overflow_policy::drop_oldest};
  outbox x{limits};
  const outbox::gate closed = [](const std::string&) { return false; };
  x.push(message(1));
  x.push(message(2));
  CAF_CHECK(x.take({}, closed).empty());
  const auto drops = x.push(message(3));
  CAF_REQUIRE_EQUAL(drops.size(), 1u);
  CAF_CHECK_EQUAL(drops[0].id, 1u);
  auto rest = x.clear();
  CAF_REQUIRE_EQUAL(rest.size(), 2u);
  CAF_CHECK_EQUAL(rest[0].message.id, 2u);
  CAF_CHECK(x.empty());
}

CAF_TEST(the order of each exchange is kept however long it is in coming) {
  std::mt19937 random{7};
  for (auto round = 0; round < 200; ++round) {
    outbox_limits limits;
    limits.window = 3;
    outbox x{limits};
    std::set<std::string> closed{"A", "B"};
    const outbox::gate open = [&](const std::string& name) { return !closed.contains(name); };
    std::map<std::string, ids> arrived;
    std::vector<amqp::publication> wire;
    std::uint64_t last = 0;
    const auto confirm = [&] {
      for (auto& y : std::exchange(wire, {})) {
        x.confirm(y.id);
        arrived[y.exchange].push_back(y.id);
      }
    };
    const auto lose = [&] {
      wire.clear();
      random() % 2 ? x.rewind() : static_cast<void>(x.accuse(fault));
      x.restore();
    };
    for (auto step = 0; step < 100; ++step) {
      const auto name = std::string(1, "ABC"[random() % 3]);
      switch (random() % 6) {
      case 0:
        wire.size() > 1 || random() % 2 ? confirm() : lose();
        break;
      case 1:
        closed.erase(name);
        break;
      case 2:
        closed.insert(name);
        break;
      case 3:
        for (auto& y : x.take({}, open)) {
          CAF_REQUIRE(open(y.exchange));
          wire.push_back(std::move(y));
        }
        break;
      default:
        auto y = message(++last, "k", name);
        y.properties.persistent = round % 2 == 0;
        x.push(std::move(y));
      }
    }
    do {
      for (auto& y : x.take())
        wire.push_back(std::move(y));
      confirm();
      x.probe();
    } while (x.waiting() > 0);
    CAF_REQUIRE(x.empty());
    for (auto& [name, xs] : arrived)
      CAF_REQUIRE(std::is_sorted(xs.begin(), xs.end()));
  }
}

CAF_TEST(an exchange whose message cost the connection is as one that never took any) {
  outbox x{{}};
  outbox apart{{}};
  for (std::uint64_t id = 1; id <= 2; ++id) {
    x.push(message(id));
    x.push(message(10 + id, "k", "Order"));
  }
  x.take();
  for (std::uint64_t id : {1u, 11u, 12u})
    x.confirm(id);
  CAF_REQUIRE(!x.accuse(fault)); // once may be chance
  CAF_CHECK(!x.move_unproven(apart));
  CAF_REQUIRE(ids_of(x.take()) == ids{2});
  auto culprit = x.accuse(fault);
  CAF_REQUIRE(culprit);
  CAF_CHECK_EQUAL(culprit->message.id, 2u);
  x.push(message(3));
  x.push(message(13, "k", "Order"));
  CAF_CHECK(x.move_unproven(apart));
  CAF_CHECK(ids_of(apart.take()) == ids{3});
  CAF_CHECK(ids_of(x.take()) == ids{13});
}
