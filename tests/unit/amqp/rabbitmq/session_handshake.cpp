#define CAF_SUITE amqp.session.handshake

#include "unit/amqp/rabbitmq/session_fixture.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::amqp;

CAF_TEST_FIXTURE_SCOPE(handshake_tests, session_fixture)

CAF_TEST(login) {
  CAF_CHECK(talk.output() == std::string_view("AMQP\x00\x00\x09\x01", 8));
  sent();
  feed(broker::start());
  auto greeting = std::string{talk.output()};
  CAF_CHECK(greeting.find(std::string{"\0guest\0s3cret", 13}) != std::string::npos);
  CAF_CHECK(greeting.find(std::string{"productS\0\0\0\x09libactors", 21}) != std::string::npos);
  CAF_CHECK(greeting.find("consumer_cancel_notify") != std::string::npos);
  CAF_CHECK(greeting.find("connection.blocked") != std::string::npos);
  CAF_CHECK(sent() == lines{"0:10.11"});
  feed(broker::tune());
  CAF_CHECK(sent() == lines({"0:10.31", "0:10.40"}));
  CAF_CHECK(raised().empty());
  feed(broker::open_ok());
  CAF_CHECK(raised() == lines{"up RabbitMQ 3.10.8"});
}

CAF_TEST(login byte by byte) {
  for (auto byte : broker::handshake())
    feed({&byte, 1});
  CAF_CHECK(raised() == lines{"up RabbitMQ 3.10.8"});
}

CAF_TEST(commands given early are sent after the login) {
  request(1, declare_exchange{{"Trade"}});
  publish(1);
  feed(broker::start() + broker::tune());
  CAF_CHECK(sent() == lines({"0:10.11", "0:10.31", "0:10.40"}));
  feed(broker::open_ok());
  CAF_CHECK(
      sent()
      == lines({"1:20.10", "1:40.10", "3:20.10", "3:85.10", "3:60.40", "3:header", "3:body"}));
}

CAF_TEST(a refused login names the user but not the password) {
  feed(broker::start() + broker::close_connection(403, "ACCESS_REFUSED - Login was refused"));
  CAF_CHECK(raised()
            == lines{"down login_refused: amqp://localhost:5672/: the broker refuses the login of "
                     "user 'guest': ACCESS_REFUSED - Login was refused (403)"});
  CAF_CHECK(sent().back() == "0:10.51");
}

CAF_TEST(a long token is sent where the broker takes it) {
  auto to = where();
  to.password = secret{std::string(7'000, 'x')};
  session_fixture recent{true, to};
  recent.sent();
  recent.feed(broker::start("PLAIN", 0, "4.1.0"));
  CAF_CHECK(recent.sent() == lines{"0:10.11"});
  session_fixture older{true, to};
  older.feed(broker::start("PLAIN", 0, "4.0.5"));
  CAF_CHECK(older.raised()
            == lines{"down invalid_endpoint: amqp://localhost:5672/: user name, password and "
                     "connection name are too long together: RabbitMQ 4.0.5 takes a login of 4096 "
                     "bytes"});
}

CAF_TEST(no event comes before the login) {
  feed(broker::start() + broker::blocked("x"));
  CAF_CHECK(raised()
            == lines{"down protocol_error: amqp://localhost:5672/: method 10.60 is not expected "
                     "here"});
}

CAF_TEST(a refused vhost is named) {
  feed(broker::start() + broker::tune() + broker::close_connection(530, "NOT_ALLOWED - no"));
  CAF_CHECK(raised()
            == lines{"down not_allowed: amqp://localhost:5672/: the broker refuses user 'guest' "
                     "the vhost '/': NOT_ALLOWED - no (530)"});
}

CAF_TEST(a broker that asks for another mechanism) {
  feed(broker::start("EXTERNAL"));
  CAF_CHECK(events->down_code == ec::login_refused);
}

CAF_TEST(a broker of another version) {
  feed(std::string_view{"AMQP\x01\x01\x00\x0A", 8});
  CAF_CHECK(events->down_code == ec::protocol_error);
}

CAF_TEST(a greeting of another version) {
  feed(broker::start("PLAIN", 1));
  CAF_CHECK(events->down_code == ec::protocol_error);
}

CAF_TEST(a peer that speaks another protocol) {
  feed("H");
  CAF_CHECK(raised()
            == lines{"down protocol_error: amqp://localhost:5672/: the peer does not speak AMQP "
                     "0-9-1"});
}

CAF_TEST(a broker with a single channel is enough) {
  feed(broker::start() + broker::tune(60, 131'072, 1) + broker::open_ok());
  CAF_CHECK(raised() == lines{"up RabbitMQ 3.10.8"});
}

// What a port for TLS answers to a greeting without.
CAF_TEST(a broker that speaks TLS) {
  feed(std::string_view{"\x15\x03\x03\x00\x02\x02\x0A", 7});
  CAF_CHECK(raised()
            == lines{"down tls_failed: amqp://localhost:5672/: the broker speaks TLS on this "
                     "port: write amqps://"});
}

// TLS 1.3 refuses a client certificate only after its handshake.
CAF_TEST(a TLS connection that ends during the login keeps its reason) {
  talk.lost({ec::tls_failed, "it demands a client certificate"});
  CAF_CHECK(raised()
            == lines{"down tls_failed: amqp://localhost:5672/: it demands a client certificate"});
}

CAF_TEST(a connection lost during the login) {
  feed(broker::start());
  talk.lost({ec::connection_lost, "the broker closed the TCP connection"});
  CAF_CHECK(raised()
            == lines{"down connection_lost: amqp://localhost:5672/: the broker closed the TCP "
                     "connection during the handshake"});
}

CAF_TEST(closing before the login is done) {
  close();
  CAF_CHECK(raised() == lines{"down none"});
}

// Nothing is said after the last event, whatever still arrives.
CAF_TEST(down is the last event) {
  feed(broker::close_connection(320, "x"));
  raised();
  feed(broker::handshake());
  publish(1);
  close();
  talk.lost({ec::connection_lost, "x"});
  pass(std::chrono::hours{1});
  CAF_CHECK(raised().empty());
}

CAF_TEST_FIXTURE_SCOPE_END()

namespace {

endpoint certified() {
  auto result = session_fixture::where();
  result.scheme = scheme::amqps;
  result.auth_mechanism = auth_mechanism::external;
  result.tls.certfile = "/me.pem";
  return result;
}

struct certified_fixture : session_fixture {
  certified_fixture() : session_fixture(true, certified()) {
    // nop
  }
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(certified_tests, certified_fixture)

CAF_TEST(a login by certificate sends no password) {
  sent();
  feed(broker::start("PLAIN EXTERNAL"));
  auto greeting = std::string{talk.output()};
  CAF_CHECK(greeting.find(std::string{"\x08"
                                      "EXTERNAL\0\0\0\0",
                                      13})
            != std::string::npos);
  CAF_CHECK(greeting.find("s3cret") == std::string::npos);
  CAF_CHECK(greeting.find("guest") == std::string::npos);
}

CAF_TEST(a broker without logins by certificate) {
  feed(broker::start("PLAIN AMQPLAIN"));
  CAF_CHECK(raised()
            == lines{"down login_refused: amqps://localhost:5672/: the broker offers no login by "
                     "certificate (EXTERNAL): enable its plugin rabbitmq_auth_mechanism_ssl and "
                     "the mechanism; it offers only: PLAIN AMQPLAIN"});
}

CAF_TEST(a refused certificate is named) {
  feed(broker::start("EXTERNAL") + broker::close_connection(403, "ACCESS_REFUSED - no"));
  CAF_CHECK(raised()
            == lines{"down login_refused: amqps://localhost:5672/: the broker refuses the login "
                     "of the holder of certificate '/me.pem': ACCESS_REFUSED - no (403)"});
}

CAF_TEST_FIXTURE_SCOPE_END()
