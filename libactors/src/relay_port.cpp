#include "relay_port.hpp"

#include <chrono>
#include <string_view>
#include <utility>

#include <caf/event_based_actor.hpp>
#include <caf/io/middleman.hpp>
#include <caf/send.hpp>
#include <fmt/core.h>
#include <sys/socket.h>

#include "actors/error.hpp"
#include "actors/logging.hpp"
#include "actors/messages.hpp"
#include "relay_tls.hpp"

namespace actors {

namespace {

using namespace std::chrono_literals;

/// How often silence is looked for.
constexpr auto tick_interval = 100ms;

/// What is read at once, so that no host holds up the others.
constexpr std::size_t read_size = 65'536;

} // namespace

relay_port_state::relay_port_state(caf::io::broker* self) : self_(self) {
  // nop
}

void relay_port_state::init(relay_port_settings settings) {
  settings_ = std::move(settings);
}

amqp::relay_session::time_point relay_port_state::now() const {
  return self_->clock().now();
}

caf::expected<std::uint16_t> relay_port_state::listen() {
  auto fail = [&](const caf::error& why) {
    return make_error(ec::invalid_argument,
                      fmt::format("the relay cannot listen on {}:{}: {}; is the port taken, or the "
                                  "address another host's?",
                                  settings_.address, settings_.port, text_of(why)));
  };
  if (!settings_.tls) {
    auto door = self_->add_tcp_doorman(settings_.port, settings_.address.c_str(), true);
    if (!door)
      return fail(door.error());
    settings_.port = door->second;
  } else {
    auto door =
        make_tls_doorman(self_->parent().backend(), settings_.port, settings_.address.c_str());
    if (!door)
      return fail(door.error());
    settings_.port = (*door)->port();
    self_->add_doorman(std::move(*door));
  }
  schedule_tick();
  log(log_level::info, fmt::format("relay: listening on {}:{}{}", settings_.address, settings_.port,
                                   settings_.tls ? " over TLS" : ""));
  return settings_.port;
}

// Without a sender: one that waits in our own mailbox at the end would keep us.
void relay_port_state::schedule_tick() {
  caf::delayed_anon_send(caf::actor_cast<caf::actor>(self_), tick_interval, tick_atom_v);
}

// -- connections ----------------------------------------------------------------------------

void relay_port_state::on_connected(caf::io::connection_handle who) {
  auto address = fmt::format("{}:{}", self_->remote_addr(who), self_->remote_port(who));
  if (peers_.size() >= settings_.limits.max_links)
    return refuse(who, address);
  ++counters_.accepted;
  const auto id = ++last_id_;
  amqp::session_limits limits;
  limits.max_frame = settings_.limits.max_message;
  limits.window = settings_.limits.window;
  limits.handshake_timeout = settings_.limits.handshake_timeout;
  peer x;
  x.id = id;
  x.address = std::move(address);
  x.session = std::make_unique<amqp::relay_session>(
      limits, [this, id](const amqp::relay_hello& hello) { return start_link(id, hello); }, now());
  by_id_.emplace(id, who);
  peers_.emplace(who, std::move(x));
  self_->configure_read(who, caf::io::receive_policy::at_most(read_size));
}

void relay_port_state::refuse(caf::io::connection_handle who, const std::string& address) {
  ++counters_.refused;
  const failure why{ec::limit_exceeded, fmt::format("the relay has {} links, and takes no more",
                                                    settings_.limits.max_links)};
  log(log_level::warning, fmt::format("relay: {} refused: {}", address, why.text));
  std::string bytes;
  append(bytes, amqp::relay_frame{amqp::relay_refusal{amqp::relay_protocol, why}});
  write(who, bytes);
  self_->close(who);
}

amqp::transport_ptr relay_port_state::start_link(std::uint64_t id, const amqp::relay_hello& hello) {
  log(log_level::info, fmt::format("relay: {} is '{}', libactors {}",
                                   peers_.at(by_id_.at(id)).address, hello.name, hello.software));
  auto take = [port = caf::actor_cast<caf::actor>(self_), id](amqp::relay_frame x) {
    caf::anon_send(port, relay_event{id, std::move(x)});
  };
  return settings_.start_link(hello, amqp::make_relay_sink(std::move(take)));
}

void relay_port_state::on_bytes(const caf::io::new_data_msg& x) {
  auto i = peers_.find(x.handle);
  if (i == peers_.end())
    return;
  i->second.session->feed({x.buf.data(), x.buf.size()}, now());
  flush(x.handle, i->second);
}

void relay_port_state::on_event(relay_event& x) {
  auto i = by_id_.find(x.link);
  if (i == by_id_.end())
    return;
  const auto who = i->second;
  auto& to = peers_.at(who);
  to.session->raise(std::move(x.what), now());
  flush(who, to);
}

void relay_port_state::on_tick() {
  schedule_tick();
  for (auto i = peers_.begin(); i != peers_.end();) {
    auto& [who, x] = *i++; // it may be removed
    x.session->tick(now());
    flush(who, x);
  }
}

void relay_port_state::on_disconnected(caf::io::connection_handle who) {
  auto i = peers_.find(who);
  if (i == peers_.end())
    return;
  const auto& x = i->second;
  ++(x.session->greeted() ? counters_.lost : counters_.refused);
  log(log_level::warning,
      x.session->greeted()
          ? fmt::format("relay: {} '{}' lost: the connection ended", x.address, x.session->name())
          : fmt::format("relay: {} left without a hello", x.address));
  remove(who);
}

void relay_port_state::flush(caf::io::connection_handle who, peer& x) {
  auto bytes = x.session->take_output();
  if (!bytes.empty())
    write(who, bytes);
  const auto unsent = self_->wr_buf(who).size();
  if (unsent > settings_.limits.max_unsent)
    x.session->refuse(
        {ec::limit_exceeded, fmt::format("{} bytes wait for it, it is too slow", unsent)});
  if (!x.session->is_down())
    return;
  report(x);
  // Who does not read would otherwise keep what waits for it.
  if (x.session->why().code == ec::heartbeat_timeout || x.session->why().code == ec::limit_exceeded)
    ::shutdown(static_cast<int>(who.id()), SHUT_RDWR);
  self_->close(who);
  remove(who);
}

void relay_port_state::write(caf::io::connection_handle who, const std::string& bytes) {
  auto& buffer = self_->wr_buf(who);
  buffer.insert(buffer.end(), bytes.begin(), bytes.end());
  self_->flush(who);
}

void relay_port_state::report(const peer& x) {
  const auto& why = x.session->why();
  const auto refused = !x.session->greeted();
  if (!why)
    return log(log_level::info,
               fmt::format("relay: {} '{}' has closed", x.address, x.session->name()));
  ++(refused ? counters_.refused : counters_.lost);
  log(log_level::warning, fmt::format("relay: {} '{}' {}: {}", x.address, x.session->name(),
                                      refused ? "refused" : "lost", to_string(why)));
}

void relay_port_state::remove(caf::io::connection_handle who) {
  auto i = peers_.find(who);
  let_go(i->second.session->release_link());
  by_id_.erase(i->second.id);
  peers_.erase(i);
}

// The end of a link waits for its thread, if only for a moment: not here. The broker takes
// back what was unanswered as soon as the connection is closed.
void relay_port_state::let_go(amqp::transport_ptr link) {
  if (!link)
    return;
  auto kept = std::make_shared<amqp::transport_ptr>(std::move(link));
  self_->system().spawn([kept](caf::event_based_actor*) { kept->reset(); });
}

relay_status relay_port_state::status() {
  auto result = counters_;
  for (auto& [who, x] : peers_)
    result.links.push_back({x.address, x.session->name(), x.session->delivered(),
                            x.session->published(), self_->wr_buf(who).size()});
  return result;
}

void relay_port_state::stop() {
  for (auto i = peers_.begin(); i != peers_.end();) {
    auto& [who, x] = *i++; // it is removed
    x.session->refuse({ec::connection_forced, "the relay is stopping"});
    flush(who, x);
  }
  self_->quit(caf::exit_reason::user_shutdown);
}

caf::behavior relay_port(caf::stateful_actor<relay_port_state, caf::io::broker>* self,
                         relay_port_settings settings) {
  auto& state = self->state;
  state.init(std::move(settings));
  return {
      [&state](start_atom) -> caf::result<std::uint16_t> {
        auto port = state.listen();
        if (!port)
          return std::move(port.error());
        return *port;
      },
      [&state](const caf::io::new_connection_msg& x) { state.on_connected(x.handle); },
      [&state](const caf::io::new_data_msg& x) { state.on_bytes(x); },
      [&state](const caf::io::connection_closed_msg& x) { state.on_disconnected(x.handle); },
      [](const caf::io::acceptor_closed_msg&) {
        log(log_level::error, "relay: the port takes no more connections");
      },
      [&state](relay_event& x) { state.on_event(x); },
      [&state](tick_atom) { state.on_tick(); },
      [&state](status_atom) -> caf::result<relay_status> { return state.status(); },
      [&state](stop_atom) { state.stop(); },
  };
}

} // namespace actors
