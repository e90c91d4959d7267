#define CAF_SUITE amqp.ec

#include "actors/ec.hpp"

#include <set>

#include <caf/sec.hpp>

#include "actors/error.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;

namespace {

constexpr auto last = ec::shutting_down;

std::string text_of_reply(std::uint16_t code) {
  return std::string{to_string(from_reply_code(code))};
}

} // namespace

CAF_TEST(every code has a name of its own) {
  std::set<std::string_view> names;
  for (auto code = 0; code <= static_cast<int>(last); ++code)
    names.insert(to_string(static_cast<ec>(code)));
  CAF_CHECK_EQUAL(names.size(), static_cast<std::size_t>(last) + 1);
  CAF_CHECK(names.count("unknown_error") == 0);
  CAF_CHECK_EQUAL(to_string(static_cast<ec>(static_cast<int>(last) + 1)), "unknown_error");
}

CAF_TEST(reply codes of the broker map to distinct errors) {
  CAF_CHECK_EQUAL(text_of_reply(312), "no_route");
  CAF_CHECK_EQUAL(text_of_reply(320), "connection_forced");
  CAF_CHECK_EQUAL(text_of_reply(403), "access_refused");
  CAF_CHECK_EQUAL(text_of_reply(404), "not_found");
  CAF_CHECK_EQUAL(text_of_reply(405), "resource_locked");
  CAF_CHECK_EQUAL(text_of_reply(406), "precondition_failed");
  CAF_CHECK_EQUAL(text_of_reply(530), "not_allowed");
  CAF_CHECK_EQUAL(text_of_reply(999), "unknown_reply");
  std::set<ec> distinct;
  for (std::uint16_t code = 200; code < 600; ++code)
    distinct.insert(from_reply_code(code));
  CAF_CHECK_EQUAL(distinct.size(), 19u);
}

CAF_TEST(what a later attempt can heal is transient) {
  CAF_CHECK(is_transient(ec::connection_lost));
  CAF_CHECK(is_transient(ec::not_found));
  CAF_CHECK(is_transient(ec::login_refused));
  CAF_CHECK(!is_transient(ec::none));
  CAF_CHECK(!is_transient(ec::precondition_failed));
  CAF_CHECK(!is_transient(ec::invalid_argument));
}

CAF_TEST(errors keep code and text) {
  auto error = make_error(ec::not_found, "no queue 'x'");
  CAF_CHECK(code_of(error) == ec::not_found);
  CAF_CHECK_EQUAL(text_of(error), "no queue 'x'");
  auto back = to_failure(error);
  CAF_CHECK_EQUAL(to_string(back), "not_found: no queue 'x'");
  CAF_CHECK(code_of(make_error(back)) == ec::not_found);
}

CAF_TEST(no failure is no error) {
  CAF_CHECK(!make_error(failure{}));
  CAF_CHECK(!to_failure(caf::error{}));
  CAF_CHECK_EQUAL(to_string(failure{}), "none");
}

CAF_TEST(errors of others become handler_failed) {
  caf::error foreign{caf::sec::runtime_error};
  CAF_CHECK(code_of(foreign) == ec::none);
  CAF_CHECK(to_failure(foreign).code == ec::handler_failed);
  CAF_CHECK(to_failure(foreign).text == caf::to_string(foreign));
}
