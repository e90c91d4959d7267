#define CAF_SUITE amqp.endpoint

#include "actors/amqp/endpoint.hpp"

#include "actors/error.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::amqp;

namespace {

endpoint parsed(std::string_view url) {
  auto result = parse_endpoint(url);
  if (!result)
    CAF_FAIL(url << " was refused: " << text_of(result.error()));
  return *result;
}

/// The text of the refusal, empty if there is none.
std::string refusal(std::string_view url) {
  auto result = parse_endpoint(url);
  if (result)
    return {};
  CAF_CHECK(code_of(result.error()) == ec::invalid_endpoint);
  return text_of(result.error());
}

} // namespace

CAF_TEST(a full URL) {
  auto x = parsed("amqp://bob:p%40ss%2Fword@mq.example:5673/trading?heartbeat=7"
                  "&connection_timeout=1500");
  CAF_CHECK(x.scheme == scheme::amqp);
  CAF_CHECK_EQUAL(x.host, "mq.example");
  CAF_CHECK_EQUAL(x.port, 5673u);
  CAF_CHECK_EQUAL(x.username, "bob");
  CAF_CHECK_EQUAL(x.password.reveal(), "p@ss/word");
  CAF_CHECK_EQUAL(x.vhost, "trading");
  CAF_CHECK(x.heartbeat == std::chrono::seconds{7});
  CAF_CHECK(x.connection_timeout == std::chrono::milliseconds{1'500});
}

CAF_TEST(what a URL leaves out has a default) {
  CAF_CHECK(parsed("amqp://") == endpoint{});
  CAF_CHECK(parsed("amqp://localhost") == endpoint{});
  CAF_CHECK(parsed("amqps://mq").port == 5671u);
  CAF_CHECK(parsed("amqp://bob@mq").password.reveal() == "");
}

CAF_TEST(the default vhost is written in three ways) {
  CAF_CHECK(parsed("amqp://mq").vhost == "/");
  CAF_CHECK(parsed("amqp://mq/").vhost == "/");
  CAF_CHECK(parsed("amqp://mq/%2f").vhost == "/");
  CAF_CHECK(parsed("amqp://mq/a%2Fb").vhost == "a/b");
}

CAF_TEST(IPv6 addresses stand in brackets) {
  auto x = parsed("amqp://[::1]:5673/");
  CAF_CHECK_EQUAL(x.host, "::1");
  CAF_CHECK_EQUAL(x.port, 5673u);
  CAF_CHECK_EQUAL(to_string(x), "amqp://[::1]:5673/");
  CAF_CHECK(parsed("amqp://[fe80::2]").port == 5672u);
  CAF_CHECK_EQUAL(to_string(parsed("amqp://[fe80::2%eth0]")), "amqp://[fe80::2%eth0]:5672/");
  CAF_CHECK(!refusal("amqp://[::1").empty());
  CAF_CHECK(!refusal("amqp://[mq.example]").empty());
  CAF_CHECK(!refusal(std::string_view{"amqp://[::1\0]", 13}).empty());
  CAF_CHECK(!refusal("amqp://[::1]x").empty());
}

CAF_TEST(TLS settings) {
  auto x = parsed("amqps://mq?cacertfile=/etc/a%20b.pem&certfile=/me.pem&keyfile=/me.key"
                  "&verify=verify_none&server_name_indication=mq.example&auth_mechanism=external");
  CAF_CHECK(x.tls == (tls_options{"/etc/a b.pem", "/me.pem", "/me.key", false, "mq.example"}));
  CAF_CHECK(x.auth_mechanism == auth_mechanism::external);
  CAF_CHECK(parsed("amqps://mq?verify=verify_peer&auth_mechanism=plain").tls == tls_options{});
}

CAF_TEST(what a URL leaves out may have another default) {
  endpoint defaults;
  defaults.host = "elsewhere";
  defaults.port = 1;
  defaults.username = "bob";
  defaults.password = secret{"hush"};
  defaults.heartbeat = std::chrono::seconds{3};
  defaults.tls.cacertfile = "/ca.pem";
  auto x = parse_endpoint("amqps://mq?heartbeat=4", defaults);
  CAF_REQUIRE(x);
  CAF_CHECK_EQUAL(x->host, "mq");
  CAF_CHECK_EQUAL(x->port, 5671u);
  CAF_CHECK_EQUAL(x->username, "bob");
  CAF_CHECK(x->heartbeat == std::chrono::seconds{4});
  CAF_CHECK_EQUAL(x->tls.cacertfile, "/ca.pem");
  auto y = parse_endpoint("amqps://ann@mq", defaults);
  CAF_REQUIRE(y);
  CAF_CHECK_EQUAL(y->username, "ann");
  CAF_CHECK_EQUAL(y->password.reveal(), "");
}

CAF_TEST(brokers inside the process) {
  CAF_CHECK(parsed("memory:").scheme == scheme::memory);
  CAF_CHECK(parsed("memory:").host == "");
  CAF_CHECK(parsed("memory:demo").host == "demo");
  CAF_CHECK_EQUAL(to_string(parsed("memory:demo")), "memory:demo");
}

// Log lines show it, so that it holds nothing that would break a line either.
CAF_TEST(relays) {
  auto x = parsed("relay://quotes");
  CAF_CHECK(x.scheme == scheme::relay);
  CAF_CHECK_EQUAL(x.host, "quotes");
  CAF_CHECK_EQUAL(x.port, relay_port);
  CAF_CHECK(x.heartbeat == std::chrono::seconds{1});
  CAF_CHECK(parsed("relays://quotes:7/").scheme == scheme::relays);
  CAF_CHECK(parsed("relay://quotes?heartbeat=5").heartbeat == std::chrono::seconds{5});
}

CAF_TEST(a relay has no user and no vhost) {
  auto user = refusal("relay://bob:hush@quotes");
  CAF_CHECK(user.find("no user") != std::string::npos);
  CAF_CHECK(user.find("hush") == std::string::npos);
  CAF_CHECK(refusal("relays://quotes/trading").find("vhost") != std::string::npos);
}

CAF_TEST(what an endpoint is shown as leads to it) {
  for (std::string_view url :
       {"amqp://mq:1/v", "amqps://mq/a%0Ab%2Fc%40d", "amqp://m%C3%BCnchen", "memory:a%25b%0Ac"}) {
    auto x = parsed(url);
    CAF_CHECK(parsed(to_string(x)) == x);
  }
  CAF_CHECK_EQUAL(to_string(parsed("amqp://mq/a%0Ab")), "amqp://mq:5672/a%0Ab");
}

CAF_TEST(a refusal says what is wrong) {
  auto says = [](std::string_view url, std::string_view what) {
    CAF_CHECK(refusal(url).find(what) != std::string::npos);
  };
  says("http://mq", "amqp://");
  says("", "amqp://");
  says("amqp://mq:0", "port");
  says("amqp://mq:65536", "port");
  says("amqp://mq:56x", "port");
  says("amqp://mq:", "port");
  says("amqp://a%0Ab", "host");
  says("amqp://a%20b", "host");
  says("amqp://mq/a/b", "vhost");
  says("amqp://mq/%zz", "vhost");
  says("amqp://a%2:b@mq", "user name");
  says("amqp://a%00:b@mq", "user name");
  says("amqp://mq?heartbeat=-1", "heartbeat");
  says("amqp://mq?connection_timeout=0", "connection_timeout");
  says("amqp://mq?color=red", "unknown query parameter");
  says("amqp://mq#x", "%23");
  says("amqp://mq?cacertfile=/ca.pem", "amqps://");
  says("amqps://mq?verify=yes", "verify_none");
  says("amqps://mq?verify", "unknown query parameter");
  says("amqps://mq?cacertfile=%2", "percent escape");
  says("amqps://mq?keyfile=/me.key", "without certfile");
  says("amqps://mq?auth_mechanism=magic", "external");
  says("amqps://mq?auth_mechanism=external", "certfile");
  says(std::string{"amqp://mq/"} + std::string(256, 'v'), "vhost");
}

// A password with an escape missing must not show up in any error.
CAF_TEST(no refusal and no text holds the password) {
  for (std::string_view url :
       {"amqp://u:hush/hush@mq", "amqp://u:hush#hush@mq", "amqp://u:hush?hush@mq",
        "amqp://u:hush%hush@mq", "amqp://u:hush@mq:hush", "u:hush@mq", "amqp:/u:hush@mq"}) {
    CAF_CHECK(!refusal(url).empty());
    CAF_CHECK(refusal(url).find("hush") == std::string::npos);
  }
  CAF_CHECK_EQUAL(to_string(parsed("amqp://u:hush@mq/a%2Fb")), "amqp://mq:5672/a%2Fb");
}

// Digits before the '/' look like a port, what follows like a vhost or a parameter.
CAF_TEST(a password that is not escaped is refused and not taken for something else) {
  for (std::string_view url :
       {"amqp://u:12345/hush@mq", "amqp://u:12345/hush@mq:5672", "amqp://u:12345/hush@mq/vhost",
        "amqp://u:12345/@mq", "amqp://u:12345?hush@mq", "amqp://u:12345?heartbeat=1@mq",
        "amqp://u:12345#hush@mq", "amqp://u:1@2/hush@mq", "amqp://u:1@2?hush@mq",
        "amqp://u:/hush@mq", "amqp://u:12345/hu/sh@mq", "amqp://u:12345/hu?sh@mq",
        "amqps://u:12345/hush@mq?verify=verify_none", "amqp://u:12345%hush@mq",
        "amqp://u%3Ahush%40mq", "amqp://u%3A12345%2Fhush%40mq", "relay://u:1/hush@mq"}) {
    auto text = refusal(url);
    CAF_CHECK(!text.empty());
    CAF_CHECK(text.find("hush") == std::string::npos);
  }
  auto told = refusal("amqp://u:12345/hush@mq");
  CAF_CHECK(told.find("'@' behind the host; write '/', '?', '#', '@' and '%' in a password as")
            != std::string::npos);
  auto x = parsed("amqp://u:a:b@c@mq/v%40h");
  CAF_CHECK_EQUAL(x.password.reveal(), "a:b@c");
  CAF_CHECK_EQUAL(to_string(x), "amqp://mq:5672/v%40h");
}

CAF_TEST(a host that is a URL is refused and not shown) {
  endpoint x;
  for (auto host : {"amqp://u:hush@mq", "u:hush@mq", "mq/hush", "mq hush", "hush\n", "mq:5672"}) {
    x.host = host;
    auto problem = check(x);
    CAF_CHECK(problem.code == ec::invalid_endpoint);
    CAF_CHECK(problem.text.find("hush") == std::string::npos);
  }
  for (auto host : {"mq", "mq.example", "10.0.0.1", "::1", "fe80::2%eth0", "my_host-1"}) {
    x.host = host;
    CAF_CHECK(!check(x));
  }
}
