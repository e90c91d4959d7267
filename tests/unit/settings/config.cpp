#define CAF_SUITE config

#include "actors/config.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <unistd.h>

#include "actors/error.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace std::chrono_literals;

namespace {

config read(std::string_view text) {
  auto x = parse_config(text);
  if (!x)
    CAF_FAIL("unexpected: " << text_of(x.error()));
  return std::move(*x);
}

std::string problem(std::string_view text) {
  auto x = parse_config(text);
  if (x)
    return "none";
  CAF_CHECK(code_of(x.error()) == ec::invalid_config);
  return text_of(x.error());
}

amqp::endpoint first_endpoint(std::string_view text) {
  return read(text).endpoints.at(0);
}

bool same_settings(const config& x, const config& y) {
  return x.server_id == y.server_id && x.endpoints == y.endpoints && x.log == y.log
         && x.heartbeat == y.heartbeat && x.reconnect == y.reconnect && x.outbox == y.outbox
         && x.shutdown == y.shutdown && x.payload == y.payload && x.exchanges == y.exchanges
         && x.publisher_confirms == y.publisher_confirms && x.verify_interval == y.verify_interval;
}

std::string example(const std::string& name) {
  return std::string{ACTORS_CONFIG_DIR} + '/' + name;
}

} // namespace

CAF_TEST(an empty config has the defaults) {
  auto x = read("{}");
  CAF_CHECK(same_settings(x, config{}));
  CAF_CHECK_EQUAL(x.endpoints.size(), 1u);
}

CAF_TEST(what waits for its queue outlasts a look at the bindings) {
  CAF_CHECK(read("{}").outbox.restore_timeout > config{}.verify_interval);
  CAF_CHECK(read(R"({"VERIFY_INTERVAL": 60})").outbox.restore_timeout == 75s);
  auto x = read(R"({"VERIFY_INTERVAL": 60, "OUTBOX": {"restore_timeout": 5000}})");
  CAF_CHECK(x.outbox.restore_timeout == 5s);
}

// -- the examples ----------------------------------------------------------------------

CAF_TEST(the commented example has every key with its default) {
  auto x = read_config(example("actors.json"));
  CAF_REQUIRE(x);
  CAF_CHECK(same_settings(*x, config{}));
  CAF_CHECK(!x->instance);
  CAF_CHECK_EQUAL(x->document.size(), 12u);
  CAF_CHECK_EQUAL(x->document.at("RABBITMQ").as_object().size(), 18u);
}

CAF_TEST(a config of AIOQuant works as it is) {
  auto x = read_config(example("aioquant.json"));
  CAF_REQUIRE(x);
  CAF_CHECK_EQUAL(x->server_id, "strategy-1");
  CAF_CHECK(x->endpoints == std::vector<amqp::endpoint>{amqp::endpoint{}});
  CAF_CHECK(x->heartbeat.interval == 60s);
  CAF_CHECK(x->log.clear);
  CAF_CHECK_EQUAL(x->log.name, "strategy.log");
  CAF_CHECK(x->document.contains("MARKETS"));
}

// -- sections --------------------------------------------------------------------------

CAF_TEST(the broker) {
  auto x = first_endpoint(R"({"RABBITMQ": {"host": "10.0.0.1", "port": 5673, "username": "u",
    "password": "p", "vhost": "md", "heartbeat": 5, "connection_timeout": 1, "handshake_timeout": 2,
    "request_timeout": 3, "send_timeout": 4}})");
  CAF_CHECK_EQUAL(x.host, "10.0.0.1");
  CAF_CHECK_EQUAL(x.port, 5673u);
  CAF_CHECK_EQUAL(x.username, "u");
  CAF_CHECK_EQUAL(x.password.reveal(), "p");
  CAF_CHECK_EQUAL(x.vhost, "md");
  CAF_CHECK(x.heartbeat == 5s);
  CAF_CHECK(x.connection_timeout == 1ms && x.handshake_timeout == 2ms);
  CAF_CHECK(x.request_timeout == 3ms && x.send_timeout == 4ms);
}

CAF_TEST(numbers may stand in quotes or have a point) {
  CAF_CHECK(first_endpoint(R"({"RABBITMQ": {"port": "5673"}})").port == 5673u);
  CAF_CHECK(first_endpoint(R"({"RABBITMQ": {"port": 5673.0}})").port == 5673u);
}

CAF_TEST(a missing section and null are the defaults) {
  CAF_CHECK(first_endpoint(R"({"RABBITMQ": null})") == amqp::endpoint{});
  CAF_CHECK(first_endpoint(R"({"RABBITMQ": {"host": null, "url": null}})") == amqp::endpoint{});
}

CAF_TEST(url and endpoints replace the host) {
  auto x = read(R"({"RABBITMQ": {"host": "a", "username": "u", "url": "amqp://b:1",
                                 "endpoints": ["amqp://c", "amqps://d"]}})");
  CAF_REQUIRE_EQUAL(x.endpoints.size(), 3u);
  CAF_CHECK_EQUAL(x.endpoints[0].host, "b");
  CAF_CHECK_EQUAL(x.endpoints[0].port, 1u);
  CAF_CHECK_EQUAL(x.endpoints[0].username, "u");
  CAF_CHECK_EQUAL(x.endpoints[1].host, "c");
  CAF_CHECK(x.endpoints[2].scheme == amqp::scheme::amqps);
  CAF_CHECK_EQUAL(x.endpoints[2].host, "d");
  CAF_CHECK(first_endpoint(R"({"RABBITMQ": {"url": "memory:e"}})").scheme == amqp::scheme::memory);
}

CAF_TEST(what a URL sets itself stands above the section) {
  auto x = read(R"({"RABBITMQ": {"heartbeat": 7, "connection_timeout": 8, "request_timeout": 9,
    "endpoints": ["amqp://a?heartbeat=10", "amqp://b?connection_timeout=5000"]}})");
  CAF_REQUIRE_EQUAL(x.endpoints.size(), 2u);
  CAF_CHECK(x.endpoints[0].heartbeat == 10s);
  CAF_CHECK(x.endpoints[0].connection_timeout == 8ms);
  CAF_CHECK(x.endpoints[0].request_timeout == 9ms);
  CAF_CHECK(x.endpoints[1].heartbeat == 7s);
  CAF_CHECK(x.endpoints[1].connection_timeout == 5000ms);
}

CAF_TEST(a section on TLS switches it on) {
  auto x = first_endpoint(R"({"RABBITMQ": {"host": "h", "auth_mechanism": "external",
    "tls": {"cacertfile": "/ca", "certfile": "/c", "keyfile": "/k", "verify": false,
            "server_name": "s"}}})");
  CAF_CHECK(x.scheme == amqp::scheme::amqps);
  CAF_CHECK_EQUAL(x.port, 5671u);
  CAF_CHECK(x.tls == (amqp::tls_options{"/ca", "/c", "/k", false, "s"}));
  CAF_CHECK(x.auth_mechanism == amqp::auth_mechanism::external);
  CAF_CHECK(first_endpoint(R"({"RABBITMQ": {"tls": {}}})").scheme == amqp::scheme::amqps);
  CAF_CHECK(first_endpoint(R"({"RABBITMQ": {"tls": {}, "port": 9}})").port == 9u);
}

CAF_TEST(the section on TLS holds for URLs too) {
  auto x = read(R"({"RABBITMQ": {"tls": {"cacertfile": "/ca"},
    "endpoints": ["amqps://a", "amqps://b?cacertfile=/other"]}})");
  CAF_CHECK(x.endpoints.at(0).tls.cacertfile == "/ca");
  CAF_CHECK(x.endpoints.at(1).tls.cacertfile == "/other");
  CAF_CHECK_EQUAL(problem(R"({"RABBITMQ": {"tls": {}, "url": "amqp://a"}})"),
                  "RABBITMQ.url: begins with amqp://, but there is a section RABBITMQ.tls: write "
                  "amqps://");
  CAF_CHECK_EQUAL(problem(R"({"RABBITMQ": {"auth_mechanism": "external", "tls": {}}})"),
                  "RABBITMQ.host: auth_mechanism external needs amqps:// and a client certificate "
                  "(certfile)");
}

CAF_TEST(credentials come from files and the environment) {
  const auto path =
      (std::filesystem::temp_directory_path() / ("actors-password-" + std::to_string(getpid())))
          .string();
  auto login = [](const std::string& keys) {
    auto x = first_endpoint(R"({"RABBITMQ": {"password": "plain", )" + keys + "}}");
    return x.username + ' ' + x.password.reveal();
  };
  auto from_file = "\"password_file\": \"" + path + '"';
  std::ofstream{path} << "from file\n";
  ::setenv("ACTORS_TEST_USER", "bob", 1);
  CAF_CHECK_EQUAL(login(from_file), "guest from file");
  CAF_CHECK_EQUAL(login(R"("username_env": "ACTORS_TEST_USER")"), "bob plain");
  CAF_CHECK_EQUAL(login(R"("password_env": "ACTORS_TEST_USER", )" + from_file), "guest from file");
  auto x = first_endpoint(R"({"RABBITMQ": {"url": "amqp://mq", )" + from_file + "}}");
  CAF_CHECK_EQUAL(x.password.reveal(), "from file");
  CAF_CHECK_EQUAL(x.password_file, path);
  auto y = first_endpoint(R"({"RABBITMQ": {"url": "amqp://ann:own@mq", )" + from_file + "}}");
  CAF_CHECK_EQUAL(y.password.reveal(), "own");
  CAF_CHECK_EQUAL(y.password_file, "");
  auto z = first_endpoint(R"({"RABBITMQ": {"url": "amqp://ann@mq", )" + from_file + "}}");
  CAF_CHECK_EQUAL(z.username, "ann");
  CAF_CHECK_EQUAL(z.password.reveal(), "from file");
  CAF_CHECK_EQUAL(z.password_file, path);
  std::ofstream{path, std::ios::trunc} << "\n";
  CAF_CHECK_EQUAL(problem(R"({"RABBITMQ": {)" + from_file + "}}"),
                  "RABBITMQ.password_file: there is nothing in it");
  std::filesystem::remove(path);
}

// Some put the secret itself where its place should stand.
CAF_TEST(a credential that is not there is not repeated) {
  CAF_CHECK_EQUAL(problem(R"({"RABBITMQ": {"password_file": "271828"}})"),
                  "RABBITMQ.password_file: the file cannot be read: No such file or directory");
  CAF_CHECK_EQUAL(problem(R"({"RABBITMQ": {"password_file": "/"}})"),
                  "RABBITMQ.password_file: the file cannot be read: Is a directory");
  CAF_CHECK_EQUAL(problem(R"({"RABBITMQ": {"password_file": "/dev/zero"}})"),
                  "RABBITMQ.password_file: the file is larger than 64 KiB");
  CAF_CHECK_EQUAL(problem(R"({"RABBITMQ": {"password_env": "271828"}})"),
                  "RABBITMQ.password_env: the environment has no variable of this name");
}

CAF_TEST(the log) {
  auto x = read(R"({"LOG": {"console": false, "level": "warning", "path": "/p", "name": "n",
                            "clear": true, "backup_count": 2, "max_bytes": 4096}})")
               .log;
  CAF_CHECK(x == (log_config{false, log_level::warning, "/p", "n", true, 2, 4096}));
  auto level = [](const std::string& name) {
    return read(R"({"LOG": {"level": ")" + name + "\"}}").log.level;
  };
  CAF_CHECK(level("Debug") == log_level::debug);
  CAF_CHECK(level("INFO") == log_level::info);
  CAF_CHECK(level("WARN") == log_level::warning);
  CAF_CHECK(level("error") == log_level::error);
  CAF_CHECK(level("FATAL") == log_level::critical);
  CAF_CHECK(level("CRITICAL") == log_level::critical);
  CAF_CHECK(level("OFF") == log_level::off);
}

CAF_TEST(the other sections) {
  auto x = read(R"({"SERVER_ID": "s", "INSTANCE": "i", "EXCHANGES": ["Signals"],
    "PUBLISHER_CONFIRMS": false, "HEARTBEAT": {"interval": 30, "broadcast": 1},
    "OUTBOX": {"max_messages": 1, "max_bytes": 2, "overflow": "drop_oldest", "window": 3,
               "confirm_timeout": 4, "exchanges": {"Trade": {"overflow": "block", "max_bytes": 5, "ttl": 6}}},
    "SHUTDOWN": {"limit": 7, "unsent_file": "/f"}, "VERIFY_INTERVAL": 8,
    "RECONNECT": {"first": 1, "limit": 2, "factor": 1.5, "jitter": 0, "unreachable": 3, "refused": 4,
                  "settled": 5},
    "PAYLOAD": {"max_size": 100, "max_ratio": 2, "max_depth": 3}})");
  CAF_CHECK_EQUAL(x.server_id, "s");
  CAF_CHECK(x.instance == "i");
  CAF_CHECK(x.exchanges == std::vector{exchange_named("Signals")});
  CAF_CHECK(!x.publisher_confirms);
  CAF_CHECK(x.heartbeat.interval == 30s);
  CAF_CHECK(x.outbox
            == (outbox_limits{{1, 2, overflow_policy::drop_oldest},
                              {{"Trade", {1, 5, overflow_policy::block, 6ms}}},
                              3,
                              4ms}));
  CAF_CHECK(x.shutdown == (shutdown_config{7ms, "/f"}));
  CAF_CHECK(x.verify_interval == 8s);
  CAF_CHECK(x.reconnect == (backoff_policy{1ms, 2ms, 1.5, 0, 3ms, 4ms, 5ms}));
  CAF_CHECK(x.payload == (payload_limits{100, 2, 3}));
}

CAF_TEST(the outbox knows each policy by its name) {
  for (auto policy :
       {overflow_policy::reject, overflow_policy::drop_oldest, overflow_policy::drop_newest,
        overflow_policy::block, overflow_policy::latest_per_key}) {
    const std::string name{to_string(policy)};
    auto x = read(R"({"OUTBOX": {"overflow": ")" + name + R"("}})");
    CAF_CHECK(x.outbox.each.overflow == policy);
  }
}

CAF_TEST(keys of the app stay readable) {
  auto x = read(R"({"MY": {"spread": 0.5}, "TLS": true})");
  CAF_CHECK(x.document.at("MY").at("spread").as_double() == 0.5);
  CAF_CHECK(x.warnings.empty());
}

CAF_TEST(a misspelt key in a section is an error that names the nearest) {
  auto told = [](const std::string& section, const std::string& key, const std::string& meant) {
    auto text = "{\"" + section + "\": {\"" + key + "\": null}}";
    auto expected = section + '.' + key + ": is no key of " + section + ", did you mean \"" + meant
                    + "\"? (An app's own keys stand outside of the sections.)";
    CAF_CHECK_EQUAL(problem(text), expected);
  };
  told("RABBITMQ", "tsl", "tls");
  told("RABBITMQ", "TLS", "tls");
  told("RABBITMQ", "hearbeat", "heartbeat");
  told("RABBITMQ", "hartbeat", "heartbeat");
  told("RABBITMQ", "pasword_file", "password_file");
  told("RABBITMQ", "Host", "host");
  told("OUTBOX", "max_mesages", "max_messages");
  told("LOG", "max-bytes", "max_bytes");
  told("HEARTBEAT", "intervall", "interval");
  told("RECONNECT", "fist", "first");
  told("SHUTDOWN", "unsent_fil", "unsent_file");
  told("PAYLOAD", "maxdepth", "max_depth");
  CAF_CHECK(problem(R"({"RABBITMQ": {"tls": {"cacertfil": "/ca"}}})")
                .starts_with("RABBITMQ.tls.cacertfil: is no key of RABBITMQ.tls, did you mean "
                             "\"cacertfile\"?"));
  CAF_CHECK(problem(R"({"OUTBOX": {"exchanges": {"Trade": {"tll": 5}}}})")
                .starts_with("OUTBOX.exchanges.Trade.tll: is no key of OUTBOX.exchanges.Trade, did "
                             "you mean \"ttl\"?"));
  CAF_CHECK(problem(R"({"EXCHANGES": [{"name": "a", "durabel": true}]})")
                .starts_with("EXCHANGES[0].durabel: is no key of EXCHANGES[0], did you mean "
                             "\"durable\"?"));
}

CAF_TEST(a key that is short for ours is told and none that is far) {
  auto meant = [](const std::string& text) {
    const auto x = problem(text);
    const auto begin = x.find("did you mean \"");
    return begin == x.npos ? std::string{}
                           : x.substr(begin + 14, x.find('"', begin + 14) - begin - 14);
  };
  for (auto key : {"cafile", "ca_file", "cacert", "CAcertFile"})
    CAF_CHECK_EQUAL(meant("{\"RABBITMQ\": {\"tls\": {\"" + std::string{key} + "\": \"/ca\"}}}"),
                    "cacertfile");
  CAF_CHECK_EQUAL(meant(R"({"LOG": {"bytes": 1}})"), "max_bytes");
  CAF_CHECK_EQUAL(problem(R"({"OUTBOX": {"exchanges": {"X": {"window": 1}}}})"),
                  "OUTBOX.exchanges.X.window: is no key of OUTBOX.exchanges.X, config/actors.json "
                  "has them all. (An app's own keys stand outside of the sections.)");
  CAF_CHECK_EQUAL(meant(R"({"RABBITMQ": {"x": 1}})"), "");
  CAF_CHECK_EQUAL(meant(R"({"LOG": {"rotation": 1}})"), "");
  CAF_CHECK(read(R"({"A": 1, "": 2})").warnings.empty());
}

CAF_TEST(a key of the app that is nearly ours gets a warning) {
  auto x = read(R"({"RABITMQ": {}, "Exchanges": [], "OUTBXO": 1, "STRATEGY": {}})");
  CAF_CHECK(x.warnings
            == (std::vector<std::string>{
                "the key \"RABITMQ\" is taken for one of the app's; was \"RABBITMQ\" meant?",
                "the key \"Exchanges\" is taken for one of the app's; was \"EXCHANGES\" meant?",
                "the key \"OUTBXO\" is taken for one of the app's; was \"OUTBOX\" meant?"}));
  CAF_CHECK(x.document.contains("RABITMQ"));
}

CAF_TEST(a config that means TLS never goes without) {
  for (auto section :
       {R"("tsl": {})", R"("TLS": {})", R"("ssl": {})", R"("tls ": {})", R"("tls": true)",
        R"("tls": "yes")", R"("tls": [])", R"("tls": {"cafile": "/ca"})",
        R"("tls": {}, "url": "amqp://a")", R"("tls": {}, "url": "relay://a")",
        R"("tls": {}, "endpoints": ["amqps://a", "amqp://b"])",
        R"("url": "amqp://a?cacertfile=/ca")", R"("url": "amqp://a?tls=1")"})
    CAF_CHECK_NOT_EQUAL(problem("{\"RABBITMQ\": {" + std::string{section} + "}}"), "none");
  auto stray = R"({"RABBITMQ": {"host": "h"}, "TLS": {"cacertfile": "/ca"}})";
  CAF_CHECK_EQUAL(problem(stray), "TLS: belongs into the section RABBITMQ, as RABBITMQ.tls: where "
                                  "it stands it protects nothing");
  CAF_CHECK_EQUAL(problem(R"({"RABBITMQ": {"tls": {}}, "TLS": {"cacertfile": "/ca"}})"), "none");
}

CAF_TEST(exchanges are names or say more) {
  auto x = read(R"({"EXCHANGES": ["Trade", "Orders", {"name": "Ticks", "durable": false},
                                  {"name": "Kline", "durable": true, "type": "fanout"}]})");
  CAF_CHECK(x.exchanges
            == (std::vector<amqp::exchange>{
                {.name = "Trade", .durable = false},
                {.name = "Orders", .durable = true},
                {.name = "Ticks", .durable = false},
                {.name = "Kline", .type = amqp::exchange_type::fanout, .durable = true}}));
  CAF_CHECK_EQUAL(problem(R"({"EXCHANGES": [{"name": ""}]})"),
                  "EXCHANGES[0].name: found \"\", allowed is a string that is not empty");
  CAF_CHECK_EQUAL(
      problem(R"({"EXCHANGES": [{"name": "a", "type": "Topic"}]})"),
      "EXCHANGES[0].type: found \"Topic\", allowed is topic, fanout, direct or headers");
  CAF_CHECK_EQUAL(problem(R"({"EXCHANGES": "Trade"})"),
                  "EXCHANGES: found a string, allowed is an array of names and objects");
}

CAF_TEST(an instance is left to the event center unless it is given) {
  CAF_CHECK(!config{}.instance);
  CAF_CHECK(!read("{}").instance);
  CAF_CHECK(!read(R"({"INSTANCE": null})").instance);
  CAF_CHECK(read(R"({"INSTANCE": ""})").instance == "");
}

// In two containers host name, process id and count may be the same.
CAF_TEST(an instance that nobody gave is unique by chance) {
  auto x = unique_instance();
  auto y = unique_instance();
  auto start = x.find("-" + std::to_string(getpid()) + "-");
  CAF_REQUIRE(start != std::string::npos);
  CAF_CHECK_EQUAL(x.substr(0, start), y.substr(0, start));
  CAF_CHECK(x.find_first_of(". /#*") == std::string::npos);
  auto same = 0;
  for (auto i = x.size() - 12; i < x.size(); ++i)
    same += x[i] == y[i];
  CAF_CHECK_LESS(same, 8);
}

// -- errors ----------------------------------------------------------------------------

CAF_TEST(a wrong value names its key and what is allowed) {
  CAF_CHECK_EQUAL(problem(R"({"RABBITMQ": {"port": "abc"}})"),
                  "RABBITMQ.port: found \"abc\", allowed is an integer from 1 to 65535");
  CAF_CHECK_EQUAL(problem(R"({"RABBITMQ": {"port": 65536}})"),
                  "RABBITMQ.port: found 65536, allowed is an integer from 1 to 65535");
  CAF_CHECK_EQUAL(problem(R"({"RABBITMQ": {"port": 0.5}})"),
                  "RABBITMQ.port: found 0.5, allowed is an integer from 1 to 65535");
  CAF_CHECK_EQUAL(problem(R"({"RABBITMQ": {"heartbeat": -1}})"),
                  "RABBITMQ.heartbeat: found -1, allowed is an integer from 0 to 3600");
  CAF_CHECK_EQUAL(problem(R"({"RABBITMQ": []})"), "RABBITMQ: found an array, allowed is an object");
  CAF_CHECK_EQUAL(problem(R"({"SERVER_ID": ""})"),
                  "SERVER_ID: found \"\", allowed is a string that is not empty");
  CAF_CHECK_EQUAL(problem(R"({"SERVER_ID": 5})"), "SERVER_ID: found 5, allowed is a string");
  CAF_CHECK_EQUAL(problem(R"({"LOG": {"console": "yes"}})"),
                  "LOG.console: found \"yes\", allowed is true or false");
  CAF_CHECK_EQUAL(problem(R"({"LOG": {"level": "LOUD"}})"),
                  "LOG.level: found \"LOUD\", allowed is DEBUG, INFO, WARNING, ERROR, CRITICAL or "
                  "OFF");
  CAF_CHECK_EQUAL(problem(R"({"OUTBOX": {"overflow": "wait"}})"),
                  "OUTBOX.overflow: found \"wait\", allowed is reject, drop_oldest, "
                  "drop_newest, block or latest_per_key");
  CAF_CHECK_EQUAL(problem(R"({"RECONNECT": {"jitter": 1.5}})"),
                  "RECONNECT.jitter: found 1.5, allowed is a number from 0 to 1");
  CAF_CHECK_EQUAL(problem(R"({"RECONNECT": {"first": 20000}})"),
                  "RECONNECT.limit: is below RECONNECT.first");
  CAF_CHECK_EQUAL(problem(R"({"PAYLOAD": {"max_depth": 100000}})"),
                  "PAYLOAD.max_depth: found 100000, allowed is an integer from 2 to 500");
  CAF_CHECK_EQUAL(problem(R"({"EXCHANGES": ["a", 5]})"),
                  "EXCHANGES[1]: found a number, allowed is a name, or an object with a name");
  CAF_CHECK_EQUAL(problem(R"({"EXCHANGES": [""]})"), "EXCHANGES[0]: an exchange has a name");
  CAF_CHECK(problem(R"({"EXCHANGES": ["a", "b\nc"]})").starts_with("EXCHANGES[1]: "));
  CAF_CHECK(problem("{\"EXCHANGES\": [\"" + std::string(256, 'x') + "\"]}")
                .starts_with("EXCHANGES[0]: "));
}

// The next endpoint stands in for one that is lost.
CAF_TEST(endpoints of which none can stand in for the other are refused) {
  auto with = [](const std::string& endpoints) { return "{\"RABBITMQ\": {" + endpoints + "}}"; };
  for (auto text :
       {R"("endpoints": ["memory:", "amqp://a"])", R"("endpoints": ["amqp://a", "memory:x"])",
        R"("url": "memory:", "endpoints": ["relay://a"])"})
    CAF_CHECK(problem(with(text)).starts_with("RABBITMQ.endpoints: memory: is the broker within"));
  for (auto text :
       {R"("endpoints": ["relay://a", "amqp://a"])", R"("endpoints": ["amqps://a", "relays://a"])",
        R"("url": "amqp://a", "endpoints": ["relay://a"])"})
    CAF_CHECK(
        problem(with(text)).starts_with("RABBITMQ.endpoints: relay:// and amqp:// stand side"));
  for (auto text : {R"("endpoints": ["amqp://a", "amqps://b"])",
                    R"("endpoints": ["relay://a", "relays://b"])", R"("endpoints": ["memory:"])"})
    CAF_CHECK_EQUAL(problem(with(text)), "none");
}

CAF_TEST(an exchange has one kind of settings) {
  CAF_CHECK_EQUAL(problem(R"({"EXCHANGES": ["a", "b", {"name": "a", "type": "fanout"}]})"),
                  "EXCHANGES[2]: \"a\" stands with other settings at EXCHANGES[0]: leave one of "
                  "them out");
  CAF_CHECK_EQUAL(problem(R"({"EXCHANGES": ["a", {"name": "a"}]})"), "none");
}

CAF_TEST(the log file has no folder in its name) {
  for (auto name : {"a/b", "/b", "b/", ".", ".."})
    CAF_CHECK_EQUAL(
        problem("{\"LOG\": {\"name\": \"" + std::string{name} + "\"}}"),
        "LOG.name: found \"" + std::string{name}
            + "\", allowed is the name of a file without its folder, which is LOG.path");
  CAF_CHECK_EQUAL(problem(R"({"LOG": {"name": "..a.log"}})"), "none");
}

CAF_TEST(of several problems the first is told) {
  CAF_CHECK_EQUAL(problem(R"({"LOG": {"clear": 1}, "PUBLISHER_CONFIRMS": 1, "SERVER_ID": 1})"),
                  "SERVER_ID: found 1, allowed is a string");
}

CAF_TEST(no error repeats a credential) {
  CAF_CHECK_EQUAL(problem(R"({"RABBITMQ": {"password": 271828}})"),
                  "RABBITMQ.password: found a number, allowed is a string");
  CAF_CHECK_EQUAL(problem(R"({"RABBITMQ": {"username": ["271828"]}})"),
                  "RABBITMQ.username: found an array, allowed is a string");
  for (auto text : {R"({"RABBITMQ": {"url": "http://user:271828@host"}})",
                    R"({"RABBITMQ": {"url": "amqp://user:271828@host:port"}})",
                    R"({"RABBITMQ": {"url": "amqp://user:271828@host?heartbeat=x"}})",
                    R"({"RABBITMQ": {"endpoints": ["amqp://ok", "user:271828@host"]}})",
                    R"({"RABBITMQ": {"url": {"271828": 1}}})",
                    R"({"RABBITMQ": {"password": "271828", "port": 0}})",
                    R"({"RABBITMQ": {"password": "271828" "port": 0}})"}) {
    auto x = problem(text);
    CAF_CHECK(x != "none");
    CAF_CHECK(x.find("271828") == std::string::npos);
  }
}

// Also one that stands in the wrong place, or is longer than what is shown of a text.
CAF_TEST(no error repeats the password of a URL) {
  const std::string url = "amqp://bob:271828@host/vhost";
  const std::string longer = "amqp://bob:271828" + std::string(80, 'x') + "@host";
  for (auto& x : {url, longer, std::string{"bob:271828@host"}}) {
    for (std::string text :
         {R"({"RABBITMQ": {"%": 1}})", R"({"RABBITMQ": {"%": null}})", R"({"OUTBOX": {"%": 1}})",
          R"({"RABBITMQ": {"port": "%"}})", R"({"LOG": {"level": "%"}})",
          R"({"LOG": {"console": "%"}})", R"({"RECONNECT": {"jitter": "%"}})",
          R"({"OUTBOX": {"overflow": "%"}})", R"({"OUTBOX": {"exchanges": {"%": 1}}})",
          R"({"OUTBOX": {"exchanges": {"%": {"t": 1}}}})", R"({"RABBITMQ": {"host": "%"}})",
          R"({"EXCHANGES": ["%", {"name": "%", "durable": false}]})",
          R"({"EXCHANGES": [{"name": "a", "type": "%"}]})", R"({"EXCHANGES": ["%\n"]})",
          R"({"LOG": {"name": "a/%"}})", R"({"RABBITMQ": {"auth_mechanism": "%"}})"}) {
      for (auto at = text.find('%'); at != text.npos; at = text.find('%'))
        text.replace(at, 1, x);
      const auto told = problem(text);
      CAF_CHECK_NOT_EQUAL(told, "none");
      CAF_CHECK(told.find("2718") == told.npos);
    }
    CAF_CHECK(read("{\"" + x + "\": 1}").warnings.empty());
  }
  CAF_CHECK_EQUAL(problem(R"({"RABBITMQ": {"port": "amqp://bob:271828@host"}})"),
                  "RABBITMQ.port: found \"amqp://...\", allowed is an integer from 1 to 65535");
  CAF_CHECK_EQUAL(problem(R"({"RABBITMQ": {"port": "s3cr3t"}})"),
                  "RABBITMQ.port: found \"s3cr3t\", allowed is an integer from 1 to 65535");
}

CAF_TEST(a wrong URL names its place) {
  CAF_CHECK(problem(R"({"RABBITMQ": {"url": "http://host"}})").starts_with("RABBITMQ.url: "));
  CAF_CHECK(problem(R"({"RABBITMQ": {"endpoints": ["amqp://ok", "x"]}})")
                .starts_with("RABBITMQ.endpoints[1]: "));
}

CAF_TEST(a syntax error has line and column) {
  CAF_CHECK_EQUAL(problem("{\n  \"SERVER_ID\": \"s\"\n  \"LOG\": {}\n}"),
                  "line 3, column 3: syntax error");
  CAF_CHECK_EQUAL(problem("nope"), "line 1, column 1: syntax error");
  CAF_CHECK_EQUAL(problem("{}\n}"), "line 2, column 1: extra data");
  CAF_CHECK_EQUAL(problem("{\"a\": "), "line 1, column 7: incomplete JSON");
  CAF_CHECK_EQUAL(problem("[]"), "the config must be a JSON object");
}

// -- files -----------------------------------------------------------------------------

CAF_TEST(a file that cannot be read is named) {
  auto x = read_config("/nonexistent/config.json");
  CAF_REQUIRE(!x);
  CAF_CHECK_EQUAL(text_of(x.error()),
                  "config '/nonexistent/config.json': No such file or directory");
  auto y = read_config("/");
  CAF_REQUIRE(!y);
  CAF_CHECK_EQUAL(text_of(y.error()), "config '/': is a folder");
}

CAF_TEST(a problem within a file names the file) {
  auto path = (std::filesystem::temp_directory_path()
               / ("actors-config-" + std::to_string(getpid()) + ".json"))
                  .string();
  std::ofstream{path} << R"({"SERVER_ID": 5})";
  auto x = read_config(path);
  std::filesystem::remove(path);
  CAF_REQUIRE(!x);
  CAF_CHECK_EQUAL(text_of(x.error()),
                  "config '" + path + "': SERVER_ID: found 5, allowed is a string");
}
