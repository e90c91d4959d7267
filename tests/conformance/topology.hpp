#pragma once

#include "caf/test/unit_test.hpp"
#include "conformance/client.hpp"

using namespace actors;
using namespace actors::amqp;
using namespace actors::amqp::conformance;

namespace {

bool mentions(const failure& x, const std::string& entity) {
  return x.text.find("'" + entity + "'") != std::string::npos;
}

} // namespace

// -- exchanges --------------------------------------------------------------------

CONFORMANCE_TEST(declaring_alike_again_is_no_error) {
  client x{broker};
  for (auto i = 0; i < 2; ++i) {
    CAF_CHECK(!x.call(declare_exchange{{broker.name("e"), exchange_type::topic, false, true}}));
    CAF_CHECK(!x.call(declare_queue{{broker.name("q"), false, false, false}}));
  }
}

CONFORMANCE_TEST(an_exchange_of_another_type_is_refused_by_name) {
  client x{broker};
  auto e = x.exchange("e", exchange_type::fanout);
  auto error = x.call(declare_exchange{{e, exchange_type::topic, false, true}});
  CAF_CHECK_EQUAL(to_string(error.code), "precondition_failed");
  CAF_CHECK(mentions(error, e));
  CAF_CHECK(mentions(error, "fanout"));
}

CONFORMANCE_TEST(an_exchange_of_another_durability_or_auto_delete_is_refused) {
  client x{broker};
  auto e = x.exchange("e");
  auto durable = x.call(declare_exchange{{e, exchange_type::topic, true, true}});
  CAF_CHECK_EQUAL(to_string(durable.code), "precondition_failed");
  auto stays = x.call(declare_exchange{{e, exchange_type::topic, false, false}});
  CAF_CHECK_EQUAL(to_string(stays.code), "precondition_failed");
}

CONFORMANCE_TEST(a_passive_declaration_only_asks_for_the_name) {
  client x{broker};
  auto e = x.exchange("e", exchange_type::fanout);
  auto q = x.queue("q");
  CAF_CHECK(!x.call(declare_exchange{{e, exchange_type::direct, true}, true}));
  CAF_CHECK(!x.call(declare_queue{{q, true, false, true}, true}));
  auto missing_exchange = x.call(declare_exchange{{broker.name("no")}, true});
  CAF_CHECK_EQUAL(to_string(missing_exchange.code), "not_found");
  CAF_CHECK(mentions(missing_exchange, broker.name("no")));
  auto missing_queue = x.call(declare_queue{{broker.name("no")}, true});
  CAF_CHECK_EQUAL(to_string(missing_queue.code), "not_found");
  CAF_CHECK(mentions(missing_queue, broker.name("no")));
}

CONFORMANCE_TEST(reserved_names_are_refused) {
  client x{broker};
  auto exchange = x.call(declare_exchange{{"amq.actors-test"}});
  CAF_CHECK_EQUAL(to_string(exchange.code), "access_refused");
  auto queue = x.call(declare_queue{{"amq.actors-test"}});
  CAF_CHECK_EQUAL(to_string(queue.code), "access_refused");
}

CONFORMANCE_TEST(the_predeclared_exchanges_are_there) {
  client x{broker};
  CAF_CHECK(!x.call(declare_exchange{{"amq.topic", exchange_type::topic, true}}));
  CAF_CHECK(!x.call(declare_exchange{{"amq.fanout", exchange_type::fanout, true}}));
  CAF_CHECK(!x.call(declare_exchange{{"amq.direct", exchange_type::direct, true}}));
  CAF_CHECK(!x.call(declare_exchange{{"amq.headers", exchange_type::headers, true}}));
  auto clash = x.call(declare_exchange{{"amq.topic", exchange_type::direct, true}});
  CAF_CHECK_EQUAL(to_string(clash.code), "precondition_failed");
}

CONFORMANCE_TEST(the_default_exchange_is_not_for_clients_to_change) {
  client x{broker};
  auto q = x.queue("q");
  CAF_CHECK_EQUAL(to_string(x.call(declare_exchange{{""}}).code), "access_refused");
  CAF_CHECK_EQUAL(to_string(x.call(bind_queue{{"", q, "k"}}).code), "access_refused");
  CAF_CHECK_EQUAL(to_string(x.call(unbind_queue{{"", q, q}}).code), "access_refused");
}

CONFORMANCE_TEST(an_auto_delete_exchange_goes_with_its_last_binding) {
  client x{broker};
  auto e = x.exchange("e");
  auto q1 = x.queue("q1");
  auto q2 = x.queue("q2");
  CAF_CHECK(x.exchange_exists(e));
  x.bind(e, q1, "a");
  x.bind(e, q2, "b");
  CAF_CHECK(!x.call(unbind_queue{{e, q1, "a"}}));
  CAF_CHECK(x.exchange_exists(e));
  CAF_CHECK(!x.call(delete_queue{q2}));
  CAF_CHECK(!x.exchange_exists(e));
}

// -- queues -----------------------------------------------------------------------

CONFORMANCE_TEST(a_queue_of_other_properties_is_refused_by_name) {
  client x{broker};
  auto q = x.queue("q");
  auto durable = x.call(declare_queue{{q, true, false, false}});
  CAF_CHECK_EQUAL(to_string(durable.code), "precondition_failed");
  CAF_CHECK(mentions(durable, q));
  auto auto_delete = x.call(declare_queue{{q, false, false, true}});
  CAF_CHECK_EQUAL(to_string(auto_delete.code), "precondition_failed");
  auto limited = x.call(declare_queue{{q, false, false, false, {{"x-max-length", 5}}}});
  CAF_CHECK_EQUAL(to_string(limited.code), "precondition_failed");
  CAF_CHECK(!x.call(declare_queue{{q, false, false, false, {{"x-of-our-own", 5}}}}));
}

CONFORMANCE_TEST(a_queue_without_a_name_gets_one_of_the_broker) {
  client x{broker};
  auto first = x.answer(x.send(declare_queue{{"", false, true, true}}));
  auto second = x.answer(x.send(declare_queue{{"", false, true, true}}));
  CAF_CHECK(!first.error);
  CAF_CHECK_EQUAL(first.queue.substr(0, 8), "amq.gen-");
  CAF_CHECK_NOT_EQUAL(first.queue, second.queue);
  CAF_CHECK(x.exists(first.queue));
}

CONFORMANCE_TEST(a_declaration_answers_with_the_name) {
  client x{broker};
  auto name = broker.name("q");
  CAF_CHECK_EQUAL(x.answer(x.send(declare_queue{{name}})).queue, name);
  CAF_CHECK_EQUAL(x.answer(x.send(declare_queue{{name}, true})).queue, name);
}

CONFORMANCE_TEST(a_declaration_answers_with_what_waits_and_who_consumes) {
  client x{broker};
  client other{broker};
  const declare_queue declare{{broker.name("q"), false, false, false}};
  const declare_queue check{{broker.name("q")}, true};
  auto fresh = x.answer(x.send(declare));
  CAF_CHECK_EQUAL(fresh.messages, 0u);
  CAF_CHECK_EQUAL(fresh.consumers, 0u);
  x.fill(declare.spec.name, {"1", "2", "3"});
  CAF_CHECK_EQUAL(x.answer(x.send(check)).messages, 3u);
  // What is in a consumer's hands does not wait.
  x.consume({1, declare.spec.name, 1});
  other.consume({1, declare.spec.name, 1});
  x.take();
  other.take();
  for (auto again : {x.answer(x.send(declare)), x.answer(x.send(check))}) {
    CAF_CHECK_EQUAL(again.messages, 1u);
    CAF_CHECK_EQUAL(again.consumers, 2u);
  }
}

CONFORMANCE_TEST(an_exclusive_queue_is_locked_to_its_link) {
  client owner{broker};
  client other{broker};
  auto q = broker.name("q");
  auto e = owner.exchange("e");
  CAF_REQUIRE(!owner.call(declare_queue{{q, false, true, false}}));
  CAF_CHECK(!owner.call(declare_queue{{q, false, true, false}}));
  owner.bind(e, q, "k");
  const operation refused[] = {
      declare_queue{{q, false, true, false}},
      declare_queue{{q, false, false, false}},
      declare_queue{{q}, true},
      bind_queue{{e, q, "other"}},
      unbind_queue{{e, q, "k"}},
      delete_queue{q},
      start_consumer{{1, q}},
  };
  for (auto& what : refused) {
    auto error = other.call(what);
    CAF_MESSAGE(to_string(what));
    CAF_CHECK_EQUAL(to_string(error.code), "resource_locked");
    CAF_CHECK(mentions(error, q));
  }
  auto not_exclusive = owner.call(declare_queue{{q, false, false, false}});
  CAF_CHECK_EQUAL(to_string(not_exclusive.code), "resource_locked");
  // Anybody may send to it.
  other.fill(q, {"hello"});
  owner.consume({1, q});
  CAF_CHECK_EQUAL(owner.take().body, "hello");
}

CONFORMANCE_TEST(a_shared_queue_does_not_become_exclusive) {
  client x{broker};
  auto q = x.queue("q");
  auto error = x.call(declare_queue{{q, false, true, false}});
  CAF_CHECK_EQUAL(to_string(error.code), "resource_locked");
}

CONFORMANCE_TEST(an_exclusive_queue_goes_with_its_link) {
  client other{broker};
  auto q = broker.name("q");
  {
    client owner{broker};
    CAF_REQUIRE(!owner.call(declare_queue{{q, false, true, false}}));
    owner.close();
    CAF_CHECK(!owner.down());
  }
  CAF_CHECK(eventually([&] { return !other.exists(q); }));
}

CONFORMANCE_TEST(an_exclusive_queue_is_never_durable) {
  client x{broker};
  auto q = broker.name("q");
  CAF_REQUIRE(!x.call(declare_queue{{q, true, true, false}}));
  CAF_CHECK(!x.call(declare_queue{{q, false, true, false}}));
}

CONFORMANCE_TEST(an_auto_delete_queue_goes_with_its_last_consumer) {
  client x{broker};
  auto q = broker.name("q");
  CAF_REQUIRE(!x.call(declare_queue{{q, false, false, true}}));
  CAF_CHECK(x.exists(q));
  x.consume({1, q});
  x.consume({2, q});
  CAF_CHECK(!x.call(cancel_consumer{1}));
  CAF_CHECK(x.exists(q));
  CAF_CHECK(!x.call(cancel_consumer{2}));
  CAF_CHECK(eventually([&] { return !x.exists(q); }));
}

CONFORMANCE_TEST(an_auto_delete_queue_goes_when_its_consumers_link_ends) {
  client other{broker};
  auto q = broker.name("q");
  client owner{broker};
  CAF_REQUIRE(!owner.call(declare_queue{{q, false, false, true}}));
  owner.consume({1, q});
  owner.close();
  CAF_CHECK(!owner.down());
  CAF_CHECK(eventually([&] { return !other.exists(q); }));
}

CONFORMANCE_TEST(a_deleted_queue_is_gone_and_deleting_it_again_is_no_error) {
  client x{broker};
  auto q = x.queue("q");
  CAF_CHECK(!x.call(delete_queue{q}));
  CAF_CHECK(!x.exists(q));
  CAF_CHECK(!x.call(delete_queue{q}));
}

// -- bindings ---------------------------------------------------------------------

CONFORMANCE_TEST(binding_what_is_missing_is_refused_by_name) {
  client x{broker};
  auto e = x.exchange("e");
  auto q = x.queue("q");
  auto no_exchange = x.call(bind_queue{{broker.name("no-e"), q, "k"}});
  CAF_CHECK_EQUAL(to_string(no_exchange.code), "not_found");
  CAF_CHECK(mentions(no_exchange, broker.name("no-e")));
  auto no_queue = x.call(bind_queue{{e, broker.name("no-q"), "k"}});
  CAF_CHECK_EQUAL(to_string(no_queue.code), "not_found");
  CAF_CHECK(mentions(no_queue, broker.name("no-q")));
}

CONFORMANCE_TEST(unbinding_what_is_missing_is_no_error) {
  client x{broker};
  auto e = x.exchange("e");
  auto q = x.queue("q");
  x.bind(e, q, "k");
  CAF_CHECK(!x.call(unbind_queue{{e, q, "other"}}));
  CAF_CHECK(!x.call(unbind_queue{{e, broker.name("no-q"), "k"}}));
  CAF_CHECK(!x.call(unbind_queue{{broker.name("no-e"), q, "k"}}));
}

// -- requests ---------------------------------------------------------------------

CONFORMANCE_TEST(a_refused_request_leaves_the_others_in_place) {
  client x{broker};
  auto e = x.exchange("e");
  auto before = broker.name("before");
  auto after = broker.name("after");
  auto clash = declare_exchange{{e, exchange_type::direct, false, true}};
  auto first = x.send(declare_queue{{before, false, false, false}});
  auto second = x.send(clash);
  auto third = x.send(declare_queue{{after, false, false, false}});
  auto fourth = x.send(clash);
  auto fifth = x.send(bind_queue{{e, after, "k"}});
  CAF_CHECK(!x.answer(first).error);
  CAF_CHECK_EQUAL(to_string(x.answer(second).error.code), "precondition_failed");
  CAF_CHECK(!x.answer(third).error);
  CAF_CHECK_EQUAL(to_string(x.answer(fourth).error.code), "precondition_failed");
  CAF_CHECK(!x.answer(fifth).error);
  CAF_CHECK(x.exists(before));
  x.consume({1, after, 1, true});
  x.publish(e, "k", "routed");
  CAF_CHECK_EQUAL(x.take().body, "routed");
  CAF_CHECK_EQUAL(x.channels_closed(), 0u);
}

CONFORMANCE_TEST(a_refused_request_leaves_the_consumers_in_place) {
  client x{broker};
  auto q = x.queue("q");
  x.consume({1, q});
  CAF_CHECK(x.call(bind_queue{{broker.name("no"), q, "k"}}));
  x.fill(q, {"still here"});
  CAF_CHECK_EQUAL(x.take().body, "still here");
}
