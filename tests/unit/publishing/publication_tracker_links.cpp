#define CAF_SUITE publication_tracker.links

#include "publication_tracker_fixture.hpp"

using namespace actors;
using namespace actors::testing;

// Links that are lost because of a message, or leave messages without an answer.

namespace {

const failure refusal{ec::precondition_failed, "PRECONDITION_FAILED"};
const failure fault{ec::internal_error, "INTERNAL_ERROR"};
const failure no_more{ec::not_allowed, "too many connections"};

struct fixture : tracker_fixture {
  /// The broker closes the channel of a link because of a message.
  void close_channel(link_role by, const failure& words = refusal) {
    sut.blame(by, words);
    carry_out();
  }

  bool has_apart() const {
    return links.link(aside).connected && !links.link(aside).closing;
  }

  /// A message to each of "Trade" and "New" is on the wire, of which the broker has taken some
  /// to "Trade" before.
  void send_two() {
    start_up_trading();
    publish("New");
    publish("Trade");
    CAF_REQUIRE(take_sent() == (batches{{usual, {2, 3}}}));
  }

  /// Messages to "Hung" and "Trade" are without an answer, where both had some before.
  void hang() {
    start_up_trading();
    const auto id = publish("Hung");
    flush();
    confirm({id});
    publish("Hung");
    publish("Trade");
    flush();
    confirm({4});
    publish("Trade");
    flush();
    sent.clear();
    sut.look(usual);
    carry_out();
  }
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(publication_tracker_links_tests, fixture)

// -- who may be to blame ------------------------------------------------------------------------

CAF_TEST(a message that is alone on the wire is told when the broker closes the channel) {
  start_up_trading();
  const auto id = publish();
  flush();
  close_channel(usual);
  CAF_CHECK(code_of(id) == ec::precondition_failed);
  CAF_CHECK(has_line("the broker refused a message: publish to Trade:k: "));
  CAF_CHECK(sut.is_drained());
}

CAF_TEST(messages that may be to blame go by a link apart and others do not wait) {
  send_two();
  close_channel(usual);
  CAF_CHECK(has_line("are sent by a link apart"));
  CAF_CHECK(has_apart());
  CAF_CHECK(take_sent() == (batches{{usual, {3}}}));
  bring_up(aside);
  CAF_CHECK(take_sent() == (batches{{aside, {2}}}));
}

CAF_TEST(an exchange that the broker takes messages for comes back and the link apart ends) {
  send_two();
  close_channel(usual);
  bring_up(aside);
  flush();
  confirm({2, 3});
  CAF_CHECK(is_published(2));
  CAF_CHECK(!has_apart());
  publish("New");
  sent.clear();
  CAF_CHECK(take_sent() == (batches{{usual, {4}}}));
}

CAF_TEST(whoever the broker refuses by the link apart is told) {
  send_two();
  close_channel(usual);
  bring_up(aside);
  flush();
  close_channel(aside);
  CAF_CHECK(code_of(2) == ec::precondition_failed);
  CAF_CHECK_EQUAL(told.count(3), 0u);
}

CAF_TEST(without answers of the broker nothing is set aside) {
  tracker_fixture x{{.confirms = false}};
  x.start_up();
  x.publish("Old");
  x.publish("New");
  x.flush();
  x.sut.blame(usual, refusal);
  x.carry_out();
  CAF_CHECK(!x.links.link(aside).connected);
}

CAF_TEST(an exchange that is gone is declared again before anybody is set aside) {
  send_two();
  close_channel(usual, {ec::not_found, "NOT_FOUND - no exchange 'New' in vhost '/'"});
  CAF_CHECK(!has_apart());
  CAF_CHECK_EQUAL(count(wake::reason::probe), 0u); // there is one on its way since the start
  CAF_CHECK(sut.waiting() > 0);
}

CAF_TEST(a size that the broker does not take is heeded until it may have been raised) {
  start_up_trading();
  publish();
  flush();
  close_channel(usual,
                {ec::precondition_failed,
                 "PRECONDITION_FAILED - message size 4 is larger than configured max size 3"});
  CAF_CHECK_EQUAL(publish(), 0u);
  CAF_CHECK(last_refusal.code == ec::content_too_large);
  lose(usual);
  bring_up(usual);
  CAF_CHECK(publish() != 0);
}

CAF_TEST(an accused link is replaced at once until refusals follow each other) {
  start_up_trading();
  const auto id = publish();
  for (int i = 0; i < 2; ++i) { // a fault twice is its message's
    flush();
    lose(usual, fault);
    CAF_CHECK(came_at_once);
    bring_up(usual);
  }
  CAF_CHECK(code_of(id) == ec::in_doubt);
  const auto other = publish("Other");
  sent.clear();
  CAF_REQUIRE(take_sent() == (batches{{usual, {other}}}));
  lose(usual, fault);
  CAF_CHECK(!came_at_once);
}

CAF_TEST(a loss that no message can be laid to is not replaced at once) {
  start_up_trading();
  lose(usual, fault); // nothing was on the wire
  CAF_CHECK(!came_at_once);
  bring_up(usual);
  publish();
  flush();
  lose(usual); // it was the network
  CAF_CHECK(!came_at_once);
}

CAF_TEST(without a link apart all go by the usual one for a time) {
  send_two();
  close_channel(usual);
  CAF_REQUIRE(has_apart());
  lose(aside, no_more);
  CAF_CHECK(has_line("there is no link apart"));
  CAF_CHECK(take_sent() == (batches{{usual, {2}}}));
  confirm({2});
  publish("A");
  publish("B");
  CAF_CHECK(take_sent() == (batches{{usual, {3, 4, 5}}}));
  close_channel(usual);
  CAF_CHECK(!sut.needs_apart());
  pass(10s);
  flush();
  close_channel(usual);
  CAF_CHECK(sut.needs_apart());
}

CAF_TEST(publications need a link apart only where it takes the place of no other) {
  send_two();
  links.on_down(link_role::consuming, {ec::connection_lost, "gone"});
  close_channel(usual);
  CAF_CHECK(!sut.needs_apart());
  bring_up(link_role::consuming);
  CAF_CHECK(sut.needs_apart());
}

// -- links without an answer ----------------------------------------------------------------------

CAF_TEST(a link is looked at while anything is on the wire) {
  start_up();
  CAF_CHECK_EQUAL(count(wake::reason::look), 0u);
  publish();
  flush();
  CAF_CHECK_EQUAL(count(wake::reason::look), 1u);
  publish();
  flush();
  CAF_CHECK_EQUAL(count(wake::reason::look), 1u);
  confirm({1, 2});
  sut.look(usual);
  carry_out();
  CAF_CHECK_EQUAL(count(wake::reason::look), 1u);
}

CAF_TEST(a broker that stands still is not left before the oldest message lost its patience) {
  hang();
  look_for(29'750ms);
  CAF_CHECK(abandoned.empty());
  look_for(250ms);
  CAF_CHECK(abandoned == std::vector{usual});
  CAF_CHECK(has_line("no answer to a message to exchange 'Hung' for 30000 ms"));
}

CAF_TEST(a silent link is left as soon as a new one shows that the broker is there) {
  hang();
  look_for(750ms);
  CAF_CHECK(has_apart());
  CAF_CHECK(abandoned.empty());
  bring_up(aside);
  look_for(250ms);
  CAF_CHECK(abandoned == std::vector{usual});
  CAF_CHECK(has_line("no answer to a message to exchange 'Hung' for 750 ms"));
}

CAF_TEST(an exchange that hangs goes by the link apart and others by the next one) {
  hang();
  look_for(750ms);
  bring_up(aside);
  look_for(250ms);
  lose(usual, {});
  bring_up(usual);
  const auto all = take_sent();
  CAF_CHECK(all == (batches{{aside, {3}}, {usual, {5}}}));
}

CAF_TEST(a link apart that was up already comes up anew to show it) {
  hang();
  bring_up(aside);
  pass(1ms);
  look_for(750ms);
  CAF_CHECK_EQUAL(renewals, 1);
  CAF_CHECK(abandoned.empty());
}

CAF_TEST(a link whose exchanges share the blame tries each of them alone) {
  start_up_trading();
  publish("A");
  publish("B");
  CAF_REQUIRE_EQUAL(take_sent().at(0).messages.size(), 2u);
  sut.look(usual);
  look_for(750ms);
  bring_up(aside);
  look_for(250ms);
  CAF_CHECK(abandoned == std::vector{usual});
  CAF_CHECK(has_line("no answer to any message for 750 ms: trying another link, one exchange"));
  lose(usual, {});
  bring_up(usual);
  CAF_CHECK_EQUAL(take_sent().at(0).messages.size(), 1u);
}

CAF_TEST(without a limit for answers nobody looks) {
  outbox_limits limits;
  limits.confirm_timeout = 0ms;
  tracker_fixture x{{.outbox = limits}};
  x.start_up();
  x.publish();
  x.flush();
  CAF_CHECK_EQUAL(x.count(wake::reason::look), 0u);
}

CAF_TEST_FIXTURE_SCOPE_END()
