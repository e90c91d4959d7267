#define CAF_SUITE publication_quarantine

#include "publishing/publication_quarantine.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace std::chrono_literals;

namespace {

amqp::publication message(std::string exchange, std::string routing_key, std::uint64_t id = 1,
                          std::size_t size = 4) {
  amqp::publication result;
  result.id = id;
  result.exchange = std::move(exchange);
  result.routing_key = std::move(routing_key);
  result.body = std::make_shared<const std::string>(size, 'x');
  return result;
}

const failure no_exchange_rights{
    ec::access_refused,
    "ACCESS_REFUSED - access to exchange 'Orders' in vhost '/' refused for user 'u' (403)"};
const failure no_topic_rights{ec::access_refused,
                              "ACCESS_REFUSED - access to topic 'secret' in exchange 'Orders' in "
                              "vhost '/' refused for user 'u' (403)"};
const failure no_default_rights{
    ec::access_refused,
    "ACCESS_REFUSED - access to exchange 'amq.default' in vhost '/' refused for user 'u' (403)"};
const failure too_large{ec::precondition_failed,
                        "PRECONDITION_FAILED - message size 24000000 is larger than configured "
                        "max size 16777216 (406)"};
const failure too_large_once{
    ec::precondition_failed,
    "PRECONDITION_FAILED - message size 24000000 larger than max size 16777216 (406)"};

const failure broken_queue{ec::resource_error,
                           "RESOURCE_ERROR - Stream not found for queue 'tape' in vhost '/' (506)"};

const auto start = publication_quarantine::time_point{} + 1h;

} // namespace

CAF_TEST(the words of the broker speak of an exchange or a routing key or a size) {
  CAF_CHECK(speaks_of(no_exchange_rights, message("Orders", "any")));
  CAF_CHECK(!speaks_of(no_exchange_rights, message("Order", "any")));
  CAF_CHECK(!speaks_of(no_exchange_rights, message("", "Orders")));
  CAF_CHECK(speaks_of(no_topic_rights, message("Orders", "secret")));
  CAF_CHECK(!speaks_of(no_topic_rights, message("Orders", "secre")));
  CAF_CHECK(!speaks_of(no_topic_rights, message("Trade", "secret")));
  CAF_CHECK(speaks_of(no_default_rights, message("", "queue")));
  for (auto& words : {too_large, too_large_once}) {
    CAF_CHECK(speaks_of(words, message("Trade", "k", 1, 24'000'000)));
    CAF_CHECK(!speaks_of(words, message("Trade", "k", 1, 23'999'999)));
    CAF_CHECK(size_limit_in(words) == 16'777'216u);
  }
  CAF_CHECK(!speaks_of({ec::internal_error, "INTERNAL_ERROR (541)"}, message("Orders", "k")));
  CAF_CHECK(!size_limit_in(no_topic_rights));
}

CAF_TEST(a refused exchange refuses all of its messages and no others) {
  publication_quarantine x{10s};
  CAF_CHECK(x.empty());
  x.add(message("Orders", "a"), no_exchange_rights, start);
  CAF_CHECK(x.judge(message("Orders", "b", 2), start).refused.text == no_exchange_rights.text);
  CAF_CHECK(!x.judge(message("Trade", "a", 3), start).refused);
  CAF_CHECK(x.refusal(message("Orders", "b", 2)));
}

CAF_TEST(a refused routing key refuses no other key of its exchange) {
  publication_quarantine x{10s};
  x.add(message("Orders", "secret"), no_topic_rights, start);
  CAF_CHECK(x.judge(message("Orders", "secret", 2), start).refused);
  CAF_CHECK(!x.judge(message("Orders", "open", 3), start).refused);
  CAF_CHECK(!x.judge(message("Trade", "secret", 4), start).refused);
}

CAF_TEST(after its time one message of a refused kind is tried alone) {
  publication_quarantine x{10s};
  x.add(message("Orders", "a"), no_exchange_rights, start);
  CAF_CHECK(x.judge(message("Orders", "a", 2), start + 9s).refused);
  auto trial = x.judge(message("Orders", "a", 3), start + 10s);
  CAF_CHECK(!trial.refused && trial.alone);
  CAF_CHECK(!x.refusal(message("Orders", "a", 3)));
  CAF_CHECK(x.judge(message("Orders", "a", 4), start + 11s).refused);
  CAF_CHECK(x.refusal(message("Orders", "a", 4)));
  // Refused again: for as long again.
  x.add(message("Orders", "a", 3), no_exchange_rights, start + 11s);
  CAF_CHECK(x.judge(message("Orders", "a", 5), start + 20s).refused);
  CAF_CHECK(x.judge(message("Orders", "a", 6), start + 21s).alone);
  x.lift(message("Orders", "a", 6));
  CAF_CHECK(x.empty());
}

CAF_TEST(words about one message refuse no others) {
  publication_quarantine x{10s};
  x.add(message("Trade", "k", 1, 24'000'000), too_large, start);
  CAF_CHECK(x.empty());
  x.add(message("Trade", "k"), broken_queue, start);
  CAF_CHECK(!x.judge(message("Trade", "k", 2), start).refused);
}

CAF_TEST(what costs the connection again and again is refused and no other routing key) {
  publication_quarantine x{10s};
  for (std::uint64_t id = 1; id <= 3; ++id) {
    auto verdict = x.judge(message("Tape", "a", id), start);
    CAF_CHECK(!verdict.refused);
    // From the second on each is tried alone, where nobody else is.
    CAF_CHECK_EQUAL(verdict.alone && verdict.apart, id > 1);
    CAF_CHECK(!x.refusal(message("Tape", "a", 10 + id)));
    x.add(message("Tape", "a", id), broken_queue, start);
    CAF_CHECK_EQUAL(x.keeps_apart("Tape"), id == 3);
  }
  auto refused = x.judge(message("Tape", "a", 4), start + 9s).refused;
  CAF_CHECK_EQUAL(refused.code, ec::resource_error);
  CAF_CHECK_NOT_EQUAL(refused.text.find("others like it: " + broken_queue.text), std::string::npos);
  CAF_CHECK(x.refusal(message("Tape", "a", 4)));
  CAF_CHECK(!x.judge(message("Tape", "b", 5), start + 9s).refused);
  // Its trial harms nobody else; one is taken, and all is as before.
  auto trial = x.judge(message("Tape", "a", 6), start + 10s);
  CAF_CHECK(!trial.refused && trial.alone && trial.apart);
  x.lift(message("Tape", "a", 6));
  CAF_CHECK(!x.keeps_any_apart());
}

CAF_TEST(a good message between bad ones is never refused for them) {
  publication_quarantine x{10s};
  for (std::uint64_t id = 1; id < 20; id += 2) {
    x.add(message("Tape", "a", id), broken_queue, start);
    CAF_CHECK(!x.judge(message("Tape", "a", id + 1), start).refused);
    CAF_CHECK(!x.judge(message("Tape", "a", 100 + id), start).alone);
    x.lift(message("Tape", "a", id % 4 == 1 ? id + 1 : 100 + id));
    CAF_CHECK(x.empty());
  }
}

CAF_TEST(without the message the words alone say what is refused) {
  publication_quarantine x{10s};
  x.add(no_topic_rights, start);
  CAF_CHECK(x.judge(message("Orders", "secret", 2), start).refused);
  CAF_CHECK(!x.judge(message("Orders", "open", 3), start).refused);
  x.add(no_default_rights, start);
  CAF_CHECK(x.judge(message("", "queue", 4), start).refused);
}

CAF_TEST(a kind that nobody publishes to is forgotten) {
  publication_quarantine x{10s};
  x.add(message("Orders", "secret"), no_topic_rights, start);
  x.add(message("Orders", "other"),
        {ec::access_refused, "access to topic 'other' in exchange 'Orders' refused"}, start);
  auto now = start;
  for (std::uint64_t id = 2; now < start + publication_quarantine::idle_limit + 1min; ++id) {
    now += 10s;
    CAF_CHECK(x.judge(message("Orders", "secret", id), now).alone);
    x.add(message("Orders", "secret", id), no_topic_rights, now);
  }
  CAF_CHECK_EQUAL(x.size(), 1u);
  CAF_CHECK(x.refusal(message("Orders", "secret", 1'000)));
  CAF_CHECK(!x.refusal(message("Orders", "other", 1'000)));
}

CAF_TEST(the end of one trial lifts no other) {
  publication_quarantine x{10s};
  x.add(message("Orders", "a"), no_exchange_rights, start);
  x.add(message("Orders", "secret"), no_topic_rights, start);
  x.add(message("", "q"), no_default_rights, start);
  CAF_CHECK_EQUAL(x.size(), 3u);
  CAF_CHECK(x.judge(message("Orders", "secret", 2), start + 10s).alone);
  CAF_CHECK(x.judge(message("", "q", 3), start + 10s).alone);
  x.lift(message("Orders", "a", 4));
  CAF_CHECK_EQUAL(x.size(), 3u);
  x.lift(message("Orders", "a", 3));
  CAF_CHECK_EQUAL(x.size(), 2u);
  CAF_CHECK(!x.refusal(message("", "q", 5)));
  x.clear();
  CAF_CHECK(x.empty());
}

CAF_TEST(of kinds of one time only one makes room) {
  publication_quarantine x{10s};
  for (std::size_t i = 0; i <= publication_quarantine::max_kinds; ++i) {
    const auto name = "E" + std::to_string(i);
    x.add(message(name, "k"),
          {ec::access_refused, "access to exchange '" + name + "' in vhost '/' refused"}, start);
  }
  CAF_CHECK_EQUAL(x.size(), publication_quarantine::max_kinds);
}

CAF_TEST(the number of refused kinds is bounded) {
  publication_quarantine x{10s};
  for (auto i = 0; i < 3'000; ++i) {
    const auto name = "E" + std::to_string(i);
    x.add(message(name, "k"),
          {ec::access_refused, "access to exchange '" + name + "' in vhost '/' refused"},
          start + i * 1ms);
  }
  CAF_CHECK_EQUAL(x.size(), publication_quarantine::max_kinds);
  CAF_CHECK(x.refusal(message("E2999", "k", 9)));
}
