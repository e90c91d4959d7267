#define CAF_SUITE publication_failures

#include "publishing/publication_failures.hpp"

#include "outbox_messages.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;

CAF_TEST(a reason names its message once) {
  const auto once = about(testing::message(1), {ec::no_route, "no queue"});
  CAF_CHECK_EQUAL(once.text, "publish to Trade:k: no queue");
  CAF_CHECK_EQUAL(about(testing::message(1), once).text, once.text);
  CAF_CHECK_EQUAL(about(testing::message(1), failure{}).text, "");
}

CAF_TEST(what can never be sent is told from what may be taken another time) {
  CAF_CHECK(is_for_good({ec::content_too_large, ""}));
  CAF_CHECK(is_for_good({ec::invalid_argument, ""}));
  CAF_CHECK(!is_for_good({ec::access_refused, ""}));
  CAF_CHECK(!is_for_good({ec::no_route, ""}));
}

CAF_TEST(what the broker may have taken is in doubt whatever the reason) {
  const auto x = in_doubt({ec::access_refused, "no right"});
  CAF_CHECK(x.code == ec::in_doubt);
  CAF_CHECK(x.text.starts_with("no right; but"));
}

CAF_TEST(a message that came back is named and what to do is said) {
  CAF_CHECK(no_route("Trade", "k")
                .text.starts_with("publish to Trade:k: no queue took the message: bind one"));
}

CAF_TEST(a dropped message tells why) {
  const auto text = [](ec reason, bool replaced) {
    return failure_of(outbox::dropped{1, reason, replaced, "Trade", "k"}).text;
  };
  CAF_CHECK(text(ec::expired, false).find("expired") != std::string::npos);
  CAF_CHECK(text(ec::in_doubt, false).find("may have taken it") != std::string::npos);
  CAF_CHECK(text(ec::outbox_dropped, true).find("newer") != std::string::npos);
  CAF_CHECK(text(ec::outbox_full, false).find("full") != std::string::npos);
}

CAF_TEST(at the end what is kept is told from what may be lost) {
  CAF_CHECK(stopped_before(false, true).code == ec::kept_unsent);
  CAF_CHECK(stopped_before(true, true).code == ec::kept_unsent);
  CAF_CHECK(stopped_before(true, true).text.find("whether it has") != std::string::npos);
  CAF_CHECK(stopped_before(true, false).code == ec::in_doubt);
  CAF_CHECK(stopped_before(false, false).code == ec::shutting_down);
}
