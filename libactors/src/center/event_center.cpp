#include "actors/event_center.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <random>

#include <caf/after.hpp>
#include <caf/exit_reason.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <fmt/core.h>

#include "actors/amqp/memory_broker.hpp"
#include "actors/error.hpp"
#include "actors/logging.hpp"
#include "amqp/relay/transport.hpp"
#include "amqp/wire_rules.hpp"
#include "center/broker_transport.hpp"
#include "center/connection.hpp"
#include "center/spawn_center.hpp"
#include "publishing/unsent_file.hpp"
#include "runtime/repeated_log.hpp"
#include "runtime/run_inline.hpp"
#include "runtime/run_on_links.hpp"
#include "wire/payload.hpp"

namespace actors {

namespace {

amqp::transport_ptr make_transport(const amqp::endpoint& where, bool confirms) {
  return is_relay(where.scheme) ? amqp::make_relay_transport()
                                : make_broker_transport(where, confirms);
}

supervisor_settings settings_for_supervisor(const config& settings) {
  supervisor_settings result;
  result.config = settings;
  result.epoch = make_epoch(std::chrono::system_clock::now(), std::random_device{}());
  result.start_connection =
      connections_over([confirms = settings.publisher_confirms](const amqp::endpoint& where) {
        return make_transport(where, confirms);
      });
  return result;
}

/// Returns why receivers refuse an event that is not UTF-8, or no failure.
failure check_text(std::string_view name, std::string_view data) {
  if (!amqp::is_utf8(name))
    return {ec::invalid_argument, "body: the event's name '" + amqp::printable(name)
                                      + "' is not UTF-8: write it in UTF-8"};
  if (!amqp::is_utf8(data))
    return {ec::invalid_argument, "body: a text of event '" + std::string{name}
                                      + "' is not UTF-8, and no receiver takes it: write it in "
                                        "UTF-8"};
  return {};
}

/// The text around an event's name and data.
constexpr std::string_view frame_of_event = R"({"n": "", "d": })";

/// Encodes an event into the body of a message. Returns why receivers would refuse the message, or
/// no failure.
failure encode(amqp::publication& out, std::string_view name, std::string_view data, bool is_flat) {
  const payload_limits limits;
  const auto size = name.size() + data.size() + frame_of_event.size();
  // An event that is too large uncompressed is refused before it is compressed.
  if (auto refused = check_size(size, size, limits))
    return refused;
  if (auto refused = check_text(name, data))
    return refused;
  if (auto refused = is_flat ? failure{} : check_depth(data, limits))
    return refused;
  out.body =
      std::make_shared<const std::string>(payload_encoder::of_this_thread().encode(name, data));
  return check_size(size, out.body->size(), limits);
}

/// Lists the links that are not up, with the reasons that are known.
std::string not_up_text(std::chrono::milliseconds limit,
                        const std::map<link_role, link_status>& links) {
  auto result = fmt::format("no link after {} ms", limit.count());
  for (auto& [role, status] : links)
    if (status.state == link_state::down || status.state == link_state::connecting)
      result +=
          fmt::format("; {} link to {}: {}", to_string(role), status.endpoint,
                      status.last_error.empty() ? to_string(status.state) : status.last_error);
  return result;
}

/// No stop exceeds its limit by this much, unless something is wrong.
constexpr auto stop_grace = std::chrono::seconds{5};

/// A limit that a time point has room for.
std::chrono::milliseconds bounded(std::chrono::milliseconds limit) noexcept {
  constexpr std::chrono::milliseconds longest = std::chrono::hours{24 * 365};
  return std::min(limit, longest);
}

} // namespace

// -- event_center ---------------------------------------------------------------------

event_center::event_center(caf::actor dispatcher, caf::actor supervisor)
    : dispatcher_(std::move(dispatcher)), supervisor_(std::move(supervisor)) {
  // nop
}

config event_center::remote(std::vector<amqp::endpoint> relays, config settings) {
  settings.endpoints = std::move(relays);
  return settings;
}

config event_center::remote(std::string host, std::uint16_t port, amqp::tls_options tls,
                            config settings) {
  auto where = *amqp::parse_endpoint("relays://");
  where.host = std::move(host);
  where.port = port;
  where.tls = std::move(tls);
  return remote({std::move(where)}, std::move(settings));
}

subscription_id event_center::next_subscription_id() noexcept {
  static std::atomic<subscription_id> last{0};
  return ++last;
}

caf::message event_center::subscribe_request(subscription_id id, subscription spec,
                                             caf::actor subscriber) {
  return caf::make_message(subscribe_atom_v, id, std::move(spec), std::move(subscriber));
}

caf::message event_center::unsubscribe_request(subscription_id id) {
  return caf::make_message(unsubscribe_atom_v, id);
}

caf::message event_center::status_request() {
  return caf::make_message(status_atom_v);
}

subscription_id event_center::subscribe(caf::actor strategy, subscription spec) const {
  const auto id = next_subscription_id();
  caf::anon_send(dispatcher_, subscribe_request(id, std::move(spec), std::move(strategy)));
  return id;
}

void event_center::publish(const event& x, publish_options options) const {
  send(publish_request(x, std::move(options)));
}

caf::message event_center::publish_request(const event& x, publish_options options) {
  return publish_request({x.name, x.exchange, x.routing_key, {}, {}, false}, x.data.text(),
                         std::move(options));
}

caf::message event_center::publish_request(envelope to, std::string_view data,
                                           publish_options options) {
  amqp::publication message;
  if (options.exchange.empty()) {
    message.exchange = to.exchange;
    message.durable_exchange = to.durable_exchange;
  } else {
    message.exchange = std::move(options.exchange);
  }
  message.routing_key = std::move(to.routing_key);
  message.subject = std::move(to.subject);
  message.mandatory = options.mandatory;
  message.properties.persistent = options.persistent;
  message.properties.message_id = std::move(options.message_id);
  message.properties.expiration = options.ttl;
  if (auto refused = encode(message, to.event_name, data, to.is_flat))
    return caf::make_message(publish_atom_v, std::move(refused), std::move(message));
  return caf::make_message(publish_atom_v, std::move(message));
}

caf::message_id event_center::request_here(caf::scheduled_actor& self, caf::message request,
                                           caf::duration limit) const {
  const auto id = self.new_request_id(caf::message_priority::normal);
  if (!supervisor_) {
    self.eq_impl(id.response_id(), self.ctrl(), self.context(),
                 caf::make_error(caf::sec::invalid_argument));
  } else if (runs_inline_) {
    run_inline here{self.system()};
    supervisor_->enqueue(self.ctrl(), id, std::move(request), &here);
  } else {
    supervisor_->enqueue(self.ctrl(), id, std::move(request), self.context());
  }
  if (supervisor_)
    self.request_response_timeout(limit, id);
  return id.response_id();
}

void event_center::send(caf::message request) const {
  if (!supervisor_ || !runs_inline_)
    return caf::anon_send(supervisor_, std::move(request));
  run_inline here{supervisor_->home_system()};
  supervisor_->enqueue(nullptr, caf::make_message_id(), std::move(request), &here);
}

void event_center::watch_links(const caf::actor& watcher) const {
  caf::anon_send(supervisor_, watch_atom_v, watcher);
}

caf::error event_center::wait_until_up(std::chrono::milliseconds limit) const {
  if (!supervisor_)
    return make_error(ec::invalid_argument, "the event center is not started: nothing to wait for");
  const auto until = std::chrono::steady_clock::now() + bounded(limit);
  caf::scoped_actor self{supervisor_->home_system()};
  self->monitor(supervisor_);
  on_link(self);
  std::map<link_role, link_status> links;
  auto is_up = [&links](link_role role) {
    const auto found = links.find(role);
    return found != links.end()
           && (found->second.state == link_state::up || found->second.state == link_state::blocked);
  };
  auto has_ended = false;
  while (!is_up(link_role::consuming) || !is_up(link_role::publishing)) {
    const auto left = until - std::chrono::steady_clock::now();
    if (has_ended)
      return make_error(ec::shutting_down, "the event center has ended: start another one");
    if (left.count() <= 0)
      return make_error(ec::connect_timeout, not_up_text(limit, links));
    self->receive(
        [&](link_status& status) { links.insert_or_assign(status.role, std::move(status)); },
        [&](const caf::down_msg&) { has_ended = true; },
        caf::after(std::chrono::ceil<std::chrono::milliseconds>(left)) >> [] {});
  }
  return {};
}

// -- scoped_event_center --------------------------------------------------------------

scoped_event_center::scoped_event_center(caf::actor_system& system, config settings)
    : system_(system), shutdown_(settings.shutdown) {
  open_log(settings.log);
  for (auto& warning : settings.warnings)
    log(log_level::warning, "config: " + warning);
  if (settings.endpoints.empty())
    settings.endpoints.emplace_back();
  for (auto& endpoint : settings.endpoints)
    if (endpoint.scheme == amqp::scheme::memory)
      brokers_.push_back(amqp::memory_broker::named(endpoint.host));
  auto links = settings_for_supervisor(settings);
  take_unsent(links);
  // An in-process broker works in the thread that publishes. The supervisor's thread serves it
  // better, with many messages at once.
  runs_inline_ = brokers_.empty() && runs_on_links(system);
  auto started = spawn_center(system, settings, std::move(links));
  supervisor_ = std::move(started.supervisor);
  dispatcher_ = std::move(started.dispatcher);
}

scoped_event_center::~scoped_event_center() {
  stop();
}

std::size_t scoped_event_center::stop() {
  return stop(shutdown_.limit);
}

std::size_t scoped_event_center::stop(std::chrono::milliseconds limit) {
  if (!supervisor_)
    return 0;
  limit = bounded(limit);
  drain(limit);
  const auto unsent = stop_supervisor(limit);
  caf::scoped_actor self{system_};
  self->send(dispatcher_, stop_atom_v);
  self->wait_for(supervisor_, dispatcher_);
  supervisor_ = nullptr;
  runs_inline_ = false;
  dispatcher_ = nullptr;
  return unsent;
}

void scoped_event_center::drain(std::chrono::milliseconds limit) {
  caf::scoped_actor self{system_};
  self->request(dispatcher_, limit + stop_grace, drain_atom_v,
                static_cast<std::uint64_t>(limit.count()))
      .receive([](const drained&) {},
               [](const caf::error& err) {
                 log(log_level::error, "event center was not drained: " + text_of(err));
               });
}

std::size_t scoped_event_center::stop_supervisor(std::chrono::milliseconds limit) {
  std::size_t unsent = 0;
  caf::scoped_actor self{system_};
  self->request(supervisor_, limit + stop_grace, stop_atom_v,
                static_cast<std::uint64_t>(limit.count()))
      .receive([&](const stopped& result) { unsent = result.unsent.size(); },
               [&](const caf::error& err) {
                 log(log_level::error, "event center did not stop: " + text_of(err));
                 caf::anon_send_exit(supervisor_, caf::exit_reason::kill);
               });
  return unsent;
}

void scoped_event_center::take_unsent(supervisor_settings& to) const {
  auto& path = shutdown_.unsent_file;
  if (path.empty())
    return;
  auto file = unsent_file::open(path);
  auto messages = file ? (*file)->read(std::chrono::system_clock::now())
                       : caf::expected<unsent_messages>{file.error()};
  if (!messages) {
    log(log_level::error,
        text_of(messages.error()) + "; it stays as it is, and what cannot be sent will be lost");
    return;
  }
  for (auto& line : messages->refused)
    log_repeated(log_level::error, "unsent message refused", path,
                 fmt::format("{}; it is kept in '{}.refused'", line, path));
  if (messages->expired > 0)
    log(log_level::warning,
        std::to_string(messages->expired) + " messages in '" + path + "' have expired");
  to.unsent = std::move(messages->items);
  to.unsent_file = std::move(*file);
}

} // namespace actors
