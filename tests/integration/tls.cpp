#define CAF_SUITE tls

// Links to a real RabbitMQ over TLS: who is let in, and what is said of those
// who are not.

#include <chrono>
#include <future>
#include <string>
#include <vector>

#include "actors/error.hpp"
#include "amqp/rabbitmq/transport.hpp"
#include "conformance/client.hpp"
#include "support/test_broker.hpp"
#include "support/tls_broker.hpp"
#include "unit/amqp/rabbitmq/recorded_events.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::amqp;
using namespace actors::testing;
using namespace std::chrono_literals;

namespace {

constexpr auto patience = 30s;
constexpr auto password = "unspeakable";

/// A link whose beginning and end can be waited for.
class watched_link : public recorded_events {
public:
  void up(std::string broker) override {
    recorded_events::up(std::move(broker));
    was_up_ = true;
    outcome_.set_value({});
  }

  void down(failure reason) override {
    recorded_events::down(reason);
    if (!was_up_)
      outcome_.set_value(reason);
    end_.set_value(std::move(reason));
  }

  /// Why the link did not come up; nothing if it did.
  failure outcome() {
    auto result = outcome_.get_future();
    if (result.wait_for(patience) != std::future_status::ready)
      CAF_FAIL("the link is neither up nor down");
    return result.get();
  }

  bool ends_within(std::chrono::milliseconds time) {
    return end_.get_future().wait_for(time) == std::future_status::ready;
  }

private:
  std::promise<failure> outcome_;
  std::promise<failure> end_;
  /// Used by the link's thread only.
  bool was_up_ = false;
};

struct fixture {
  endpoint parsed(const std::string& url) const {
    auto result = parse_endpoint(url);
    CAF_REQUIRE(result);
    result->connection_name = "tls test";
    return *result;
  }

  /// With all that is needed to be let in.
  endpoint accepted() const {
    auto result = parsed(broker.url());
    result.tls.cacertfile = broker.file("authority.pem");
    result.tls.certfile = broker.file("client.pem");
    result.tls.keyfile = broker.file("client.key");
    return result;
  }

  endpoint showing(const std::string& certificate) const {
    auto result = accepted();
    result.tls.certfile = broker.file(certificate + ".pem");
    result.tls.keyfile = broker.file(certificate + ".key");
    return result;
  }

  failure connect(const endpoint& where) const {
    auto events = std::make_shared<watched_link>();
    auto link = make_rabbitmq_transport();
    link->connect(where, events);
    return events->outcome();
  }

  /// Whether a link fails with this code, and says this and no secret.
  bool fails(endpoint where, const std::string& what, ec code = ec::tls_failed) const {
    where.password = secret{password};
    auto reason = connect(where);
    CAF_MESSAGE(to_string(reason));
    auto says = [&](const std::string& text) {
      return reason.text.find(text) != std::string::npos;
    };
    return reason.code == code && says(what) && !says(password) && !says("PRIVATE KEY");
  }

  tls_broker& broker = tls_broker::instance();
};

} // namespace

CAF_TEST(a broker with a valid certificate is reached by name and by address) {
  if (!test_broker::available())
    return;
  fixture f;
  auto where = f.accepted();
  CAF_CHECK(!f.connect(where));
  where.host = "localhost";
  CAF_CHECK(!f.connect(where));
  where.host = "127.0.0.1";
  where.tls.server_name = "localhost";
  CAF_CHECK(!f.connect(where));
}

CAF_TEST(each wrong certificate of the broker is explained) {
  if (!test_broker::available())
    return;
  fixture f;
  auto where = f.accepted();
  auto shows = [&](const std::string& certificate, const std::string& what) {
    f.broker.show(certificate);
    return f.fails(where, what);
  };
  CAF_CHECK(shows("server-expired", "the broker's certificate 'CN=localhost' expired on "));
  CAF_CHECK(shows("server-early", "the broker's certificate 'CN=localhost' is not valid before "));
  CAF_CHECK(shows("server-self-signed", "is self-signed: "));
  CAF_CHECK(shows("server-foreign", "an authority that is not trusted, 'CN=Foreign Authority'"));
  CAF_CHECK(shows("client", "is not meant for a server"));
  CAF_CHECK(shows("server-elsewhere", "is for mq.example, 192.0.2.7, not for '127.0.0.1'"));
  where.host = "localhost";
  CAF_CHECK(f.fails(where, "is for mq.example, 192.0.2.7, not for 'localhost'"));
  // The way out that the message names.
  where.tls.server_name = "mq.example";
  CAF_CHECK(!f.connect(where));
  where.tls.server_name = "192.0.2.7";
  CAF_CHECK(!f.connect(where));
  f.broker.show("server-self-signed");
  where = f.accepted();
  where.tls.cacertfile = f.broker.file("server-self-signed.pem");
  CAF_CHECK(!f.connect(where));
  f.broker.show("server");
}

CAF_TEST(without verification every certificate will do) {
  if (!test_broker::available())
    return;
  fixture f;
  auto where = f.accepted();
  where.tls.verify = false;
  f.broker.show("server-expired");
  CAF_CHECK(!f.connect(where));
  f.broker.show("server");
}

CAF_TEST(the authorities of the system do not know the broker) {
  if (!test_broker::available())
    return;
  fixture f;
  auto where = f.accepted();
  where.tls.cacertfile.clear();
  CAF_CHECK(f.fails(where, "an authority that is not trusted, 'CN=Test Authority'"));
}

CAF_TEST(a port with TLS and one without are told apart) {
  if (!test_broker::available())
    return;
  fixture f;
  auto plain = f.parsed(f.broker.plain_url());
  CAF_CHECK(!f.connect(plain));
  auto secure = f.accepted();
  std::swap(plain.port, secure.port);
  CAF_CHECK(f.fails(plain, "the broker speaks TLS on this port: write amqps://"));
  CAF_CHECK(f.fails(secure, "the broker does not speak TLS on this port"));
}

CAF_TEST(a broker that refuses our certificate is quoted) {
  if (!test_broker::available())
    return;
  fixture f;
  auto where = f.accepted();
  where.tls.certfile.clear();
  where.tls.keyfile.clear();
  CAF_CHECK(f.fails(where, "it demands a client certificate, set certfile and keyfile"));
  // The refusal comes after the handshake, and right behind it the end of the
  // connection, in the middle of our first write.
  for (auto i = 0; i < 50; ++i)
    CAF_CHECK(
        f.fails(f.showing("client-foreign"), "does not know the authority of our certificate"));
  CAF_CHECK(f.fails(f.showing("client-expired"), "our certificate must be renewed"));
}

CAF_TEST(a file that is no good is named) {
  if (!test_broker::available())
    return;
  fixture f;
  auto with = [&](std::string tls_options::*which, const std::string& name) {
    auto result = f.accepted();
    result.tls.*which = f.broker.file(name);
    return result;
  };
  auto named = [&](const std::string& key, const std::string& name) {
    return key + " '" + f.broker.file(name) + "' ";
  };
  CAF_CHECK(f.fails(with(&tls_options::cacertfile, "none.pem"),
                    named("cacertfile", "none.pem") + "cannot be read: No such file"));
  CAF_CHECK(f.fails(with(&tls_options::cacertfile, "openssl.cnf"),
                    named("cacertfile", "openssl.cnf") + "holds no certificate"));
  CAF_CHECK(f.fails(with(&tls_options::certfile, "none.pem"),
                    named("certfile", "none.pem") + "cannot be read: No such file"));
  CAF_CHECK(f.fails(with(&tls_options::certfile, "client.key"),
                    named("certfile", "client.key") + "holds no certificate"));
  CAF_CHECK(f.fails(with(&tls_options::keyfile, "none.key"),
                    named("keyfile", "none.key") + "cannot be read: No such file"));
  CAF_CHECK(f.fails(with(&tls_options::keyfile, "client.pem"),
                    named("keyfile", "client.pem") + "holds no private key"));
  CAF_CHECK(f.fails(with(&tls_options::keyfile, "server.key"),
                    named("keyfile", "server.key") + "holds another key"));
  CAF_CHECK(f.fails(with(&tls_options::keyfile, "client-locked.key"),
                    named("keyfile", "client-locked.key") + "needs a passphrase"));
}

CAF_TEST(a login by certificate) {
  if (!test_broker::available())
    return;
  fixture f;
  auto where = f.accepted();
  where.auth_mechanism = auth_mechanism::external;
  CAF_CHECK(
      f.fails(where, "the holder of certificate '" + where.tls.certfile + "'", ec::login_refused));
  f.broker.ctl("add_user certified unused");
  f.broker.ctl("set_permissions certified '.*' '.*' '.*'");
  CAF_CHECK(!f.connect(where));
  f.broker.ctl("delete_user certified");
}

CAF_TEST(a wrong password stays unspoken over TLS) {
  if (!test_broker::available())
    return;
  fixture f;
  CAF_CHECK(f.fails(f.accepted(), "user 'guest'", ec::login_refused));
}

// Both sides give up after two heartbeats of silence.
CAF_TEST(heartbeats keep a silent link alive) {
  if (!test_broker::available())
    return;
  fixture f;
  auto where = f.accepted();
  where.heartbeat = 1s;
  auto events = std::make_shared<watched_link>();
  auto link = make_rabbitmq_transport();
  link->connect(where, events);
  CAF_REQUIRE(!events->outcome());
  CAF_CHECK(!events->ends_within(5s));
}

// What a call leaves over of a TLS record shows in no poll, and no heartbeat
// comes to the rescue.
CAF_TEST(messages of any size arrive at once) {
  if (!test_broker::available())
    return;
  fixture f;
  auto where = f.accepted();
  where.heartbeat = 0s;
  conformance::broker_under_test broker{[] { return make_rabbitmq_transport(); }, where};
  {
    conformance::client x{broker};
    auto queue = x.queue("q");
    x.consume({1, queue, 0, true});
    for (std::size_t size : {0, 1'000, 5'000, 16'000, 17'000, 100'000}) {
      x.publish("", queue, std::string(size, 'z'));
      CAF_CHECK_EQUAL(x.take().body.size(), size);
    }
  }
  conformance::clean_up(broker);
}

CAF_TEST(many messages go both ways at once) {
  if (!test_broker::available())
    return;
  fixture f;
  conformance::broker_under_test broker{[] { return make_rabbitmq_transport(); }, f.accepted()};
  {
    conformance::client x{broker};
    auto queue = x.queue("q");
    x.consume({1, queue, 0, true});
    std::vector<std::string> sent;
    for (auto i = 0; i < 10'000; ++i)
      sent.push_back(std::to_string(i) + std::string(static_cast<std::size_t>(i % 1'000), 'x'));
    // More than a record, more than the kernel holds, and less than RabbitMQ 4 refuses.
    sent.push_back(std::string(15'000'000, 'y'));
    x.fill(queue, sent);
    CAF_CHECK(conformance::bodies(x.take(sent.size())) == sent);
  }
  conformance::clean_up(broker);
}
