#include "actors/relay.hpp"

#include <utility>

#include <caf/io/middleman.hpp>
#include <caf/openssl/manager.hpp>
#include <caf/openssl/session.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include "actors/amqp/memory_broker.hpp"
#include "actors/error.hpp"
#include "actors/logging.hpp"
#include "center/broker_transport.hpp"
#include "center/messages.hpp"
#include "relay/feeds.hpp"
#include "relay/port.hpp"

namespace actors {

namespace {

/// A limit that is longer than any answer takes.
constexpr auto answer_limit = std::chrono::seconds{10};

/// Makes links to the brokers of a config in turn, so that a host whose link ends reaches the next
/// broker when it asks again.
relayed_link_starter links_to(caf::actor_system& system, const config& x,
                              const event_center& feeds) {
  return [&system, x, feeds,
          next = std::size_t{0}](const amqp::relay_hello& hello, const amqp::broker_limits& known,
                                 std::shared_ptr<amqp::link_listener> events) mutable {
    auto where = x.endpoints[next++ % x.endpoints.size()];
    where.known = known;
    if (!hello.name.empty())
      where.connection_name = hello.name;
    auto result =
        make_feeding_transport(system, feeds, make_broker_transport(where, x.publisher_confirms));
    result->connect(where, std::move(events));
    return result;
  };
}

} // namespace

// -- relay_system_config ------------------------------------------------------------------

relay_system_config::relay_system_config() {
  load<caf::io::middleman>();
}

relay_system_config::relay_system_config(const amqp::tls_options& tls) {
  load<caf::io::middleman>();
  load<caf::openssl::manager>();
  openssl_cafile = tls.cacertfile;
  openssl_certificate = tls.certfile;
  openssl_key = tls.keyfile.empty() ? tls.certfile : tls.keyfile;
}

caf::error relay_system_config::check(const amqp::tls_options& tls) {
  if (tls.certfile.empty() || tls.cacertfile.empty())
    return make_error(ec::tls_failed, "a relay over TLS needs a certificate of its own (certfile) "
                                      "and the authorities of its hosts' (cacertfile)");
  relay_system_config settings{tls};
  caf::actor_system system{settings};
  try {
    if (caf::openssl::session{system}.init())
      return {};
  } catch (const std::exception& err) {
    return make_error(ec::tls_failed, std::string{"the relay's certificates: "} + err.what()
                                          + " (certfile '" + tls.certfile + "', keyfile '"
                                          + settings.openssl_key + "', cacertfile '"
                                          + tls.cacertfile + "')");
  }
  return make_error(ec::tls_failed, "the relay's certificates cannot be used");
}

// -- scoped_relay ---------------------------------------------------------------------------

scoped_relay::scoped_relay(caf::actor_system& system, relay_settings settings)
    : system_(system), settings_(std::move(settings)), center_(system, settings_.center) {
  if (settings_.center.endpoints.empty())
    settings_.center.endpoints.emplace_back();
}

caf::error scoped_relay::start() {
  if (!system_.has_middleman())
    return make_error(ec::invalid_argument,
                      "a relay needs the middleman: make its actor system of a "
                      "relay_system_config");
  relay_port_settings settings;
  settings.address = settings_.address;
  settings.port = settings_.port;
  settings.limits = settings_.limits;
  settings.tls = system_.has_openssl_manager();
  settings.start_link = links_to(system_, settings_.center, center_);
  port_ = system_.middleman().spawn_broker(relay_port, std::move(settings));
  caf::error result;
  caf::scoped_actor self{system_};
  self->request(port_, answer_limit, start_atom_v)
      .receive([&](std::uint16_t port) { settings_.port = port; },
               [&](caf::error& err) { result = std::move(err); });
  return result;
}

scoped_relay::~scoped_relay() {
  if (!port_)
    return;
  caf::scoped_actor self{system_};
  self->send(port_, stop_atom_v);
  self->wait_for(port_);
}

relay_status scoped_relay::status() const {
  relay_status result;
  if (!port_)
    return result;
  caf::scoped_actor self{system_};
  self->request(port_, answer_limit, status_atom_v)
      .receive([&](relay_status& x) { result = std::move(x); },
               [](const caf::error& err) {
                 log(log_level::error, "relay: no status: " + text_of(err));
               });
  return result;
}

} // namespace actors
