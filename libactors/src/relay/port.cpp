#include "relay/port.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <string_view>
#include <system_error>
#include <utility>

#include <caf/event_based_actor.hpp>
#include <caf/io/middleman.hpp>
#include <caf/io/network/default_multiplexer.hpp>
#include <caf/send.hpp>
#include <fmt/core.h>
#include <sys/socket.h>

#include "actors/error.hpp"
#include "actors/logging.hpp"
#include "center/messages.hpp"
#include "relay/door.hpp"
#include "runtime/repeated_log.hpp"

namespace actors {

namespace {

using namespace std::chrono_literals;

/// The interval of the checks for silent peers.
constexpr auto tick_interval = 100ms;

/// The most bytes per read, so that no host holds up the others.
constexpr std::size_t read_size = 65'536;

/// The most bytes per read from a stranger.
constexpr std::size_t stranger_read_size = 2 * amqp::max_hello_size;

/// How long a connection may stay open after its end was announced.
constexpr auto farewell = 300ms;

/// How long the door stays shut when the system has no resources for another connection.
constexpr auto shortage_pause = 1s;

/// The most unsent bytes with which a host still gets the reason for the end of its link.
constexpr std::size_t small_rest = 1024 * 1024;

/// Up to `burst` times `relay_limits::max_unsent` may wait for a host for the time `burst_time`.
constexpr std::size_t burst = 4;
constexpr auto burst_time = 5s;

caf::error check(const relay_limits& x) {
  if (x.max_links == 0 || x.max_strangers == 0)
    return make_error(
        ec::invalid_argument,
        "a relay without room for hosts (max_links) and for connections that have not "
        "said hello (max_strangers) serves nobody: give it 1 or more of each");
  if (x.max_message < relay_limits::least_message)
    return make_error(
        ec::invalid_argument,
        fmt::format("the largest message of a host (max_message, --max-message) is {} bytes: the "
                    "least is {}, as names and headers need room as well",
                    x.max_message, relay_limits::least_message));
  return {};
}

/// Whether the host has broken the rules or is gone, so that its unsent bytes can be dropped.
bool is_fault(ec code) noexcept {
  return code == ec::protocol_error || code == ec::limit_exceeded || code == ec::heartbeat_timeout
         || code == ec::handshake_timeout;
}

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
  if (auto err = check(settings_.limits))
    return err;
  auto fail = [&](const caf::error& why) {
    return make_error(ec::invalid_argument,
                      fmt::format("the relay cannot listen on {}:{}: {}; is the port taken, or the "
                                  "address another host's?",
                                  settings_.address, settings_.port, text_of(why)));
  };
  auto* loop = dynamic_cast<caf::io::network::default_multiplexer*>(&self_->parent().backend());
  sockets_ = loop != nullptr;
  if (sockets_) {
    auto door = make_relay_door(*loop, {settings_.address.c_str(), settings_.port, settings_.tls,
                                        [this](int code) { on_shortage(code); }});
    if (!door)
      return fail(door.error());
    settings_.port = (*door)->port();
    door_ = (*door)->hdl();
    self_->add_doorman(std::move(*door));
  } else {
    auto door = self_->add_tcp_doorman(settings_.port, settings_.address.c_str(), true);
    if (!door)
      return fail(door.error());
    door_ = door->first;
    settings_.port = door->second;
  }
  schedule_tick();
  log(log_level::info, fmt::format("relay: listening on {}:{}{}", settings_.address, settings_.port,
                                   settings_.tls ? " over TLS" : ""));
  return settings_.port;
}

// The message has no sender, because a pending one would keep the actor alive at its end.
void relay_port_state::schedule_tick() {
  caf::delayed_anon_send(caf::actor_cast<caf::actor>(self_), tick_interval, tick_atom_v);
}

// -- the door --------------------------------------------------------------------------------

// The door is halted for a while, because a waiting connection would wake us again at once.
void relay_port_state::on_shortage(int code) {
  log_repeated(
      log_level::error, "relay shortage", std::to_string(code),
      fmt::format("relay: no connection can be accepted: {}; raise the limit of open files "
                  "(ulimit -n, LimitNOFILE), or lower --max-links",
                  std::generic_category().message(code)));
  self_->halt(door_);
  closed_until_ = now() + shortage_pause;
  if (!strangers_.empty())
    drop_stranger();
}

void relay_port_state::reopen() {
  if (!closed_until_ || now() < *closed_until_)
    return;
  closed_until_.reset();
  self_->trigger(door_);
}

// Strangers cannot keep hosts out: the oldest connections are closed first, and those of the
// address with the most connections before all others.
void relay_port_state::make_room() {
  const auto most = std::max<std::size_t>(settings_.limits.max_strangers, 1);
  while (strangers_.size() + leaving_.size() >= most) {
    if (leaving_.empty())
      drop_stranger();
    else
      drop(leaving_.extract(leaving_.begin()).key());
  }
}

void relay_port_state::drop_stranger() {
  std::unordered_map<std::string_view, std::size_t> counts;
  for (auto& [id, who] : strangers_)
    ++counts[peers_.at(who).host];
  auto victim = strangers_.begin();
  auto most = std::size_t{0};
  for (auto i = strangers_.begin(); i != strangers_.end(); ++i)
    if (const auto count = counts[peers_.at(i->second).host]; count > most) {
      most = count;
      victim = i;
    }
  const auto who = victim->second;
  ++counters_.refused;
  log_repeated(log_level::warning, "relay strangers", peers_.at(who).host,
               fmt::format("relay: {} refused: {} connections are without a hello, {} of them from "
                           "there: the oldest of these goes",
                           peers_.at(who).address(), strangers_.size(), most));
  remove(who);
  drop(who);
}

// -- connections ----------------------------------------------------------------------------

std::string relay_port_state::peer::address() const {
  return fmt::format("{}:{}", host, port);
}

void relay_port_state::on_connected(caf::io::connection_handle who) {
  if (stopping_)
    return drop(who);
  make_room();
  ++counters_.accepted;
  const auto id = ++last_id_;
  amqp::session_limits limits;
  limits.max_frame = settings_.limits.max_message;
  limits.window = settings_.limits.window;
  limits.max_unconfirmed = settings_.limits.max_unconfirmed;
  limits.handshake_timeout = settings_.limits.handshake_timeout;
  peer added;
  added.id = id;
  added.host = self_->remote_addr(who);
  added.port = self_->remote_port(who);
  added.session = std::make_unique<amqp::relay_session>(
      limits,
      [this, id](const amqp::relay_hello& hello, const amqp::relay_tune& tune) {
        return start_link(id, hello, tune);
      },
      now());
  by_id_.emplace(id, who);
  strangers_.emplace(id, who);
  peers_.emplace(who, std::move(added));
  self_->configure_read(who, caf::io::receive_policy::at_most(stranger_read_size));
}

amqp::outcome<amqp::transport_ptr> relay_port_state::start_link(std::uint64_t id,
                                                                const amqp::relay_hello& hello,
                                                                const amqp::relay_tune& tune) {
  if (peers_.size() - strangers_.size() >= settings_.limits.max_links)
    return {
        nullptr,
        {ec::limit_exceeded, fmt::format("the relay has {} links, and takes no more (--max-links)",
                                         settings_.limits.max_links)}};
  const auto who = by_id_.at(id);
  auto& host = peers_.at(who);
  log_change(
      log_level::info, {"relay host", host.host + ' ' + hello.name}, "up",
      fmt::format("relay: {} is '{}', libactors {}", host.address(), hello.name, hello.software));
  strangers_.erase(id);
  self_->configure_read(who, caf::io::receive_policy::at_most(read_size));
  auto take = [port = caf::actor_cast<caf::actor>(self_), id](amqp::relay_frame x) {
    caf::anon_send(port, relay_event{id, std::move(x)});
  };
  host.limits = tighten(tune.known, memory_.assumed());
  return {settings_.start_link(hello, host.limits, amqp::make_relay_listener(std::move(take))), {}};
}

void relay_port_state::on_bytes(const caf::io::new_data_msg& received) {
  auto i = peers_.find(received.handle);
  if (i == peers_.end())
    return;
  i->second.heard = true;
  i->second.session->feed({received.buf.data(), received.buf.size()}, now());
  flush(received.handle, i->second);
}

void relay_port_state::on_event(relay_event& event) {
  auto i = by_id_.find(event.link);
  if (i == by_id_.end())
    return;
  const auto who = i->second;
  auto& to = peers_.at(who);
  remember(to, event.frame);
  to.session->raise(std::move(event.frame), now());
  flush(who, to);
}

// Limits that one host's link has learned are known to the links of all hosts.
void relay_port_state::remember(peer& host, const amqp::relay_frame& frame) {
  if (auto* up = std::get_if<amqp::relay_welcome>(&frame)) {
    host.broker = up->broker;
    memory_.met(host.broker);
  } else if (auto* limits = std::get_if<amqp::broker_limits>(&frame)) {
    memory_.learned(host.broker, host.limits, *limits);
    host.limits = *limits;
  }
}

void relay_port_state::on_tick() {
  schedule_tick();
  reopen();
  for (auto i = peers_.begin(); i != peers_.end();) {
    auto& [who, x] = *i++; // `flush` may remove the peer
    x.session->tick(now());
    flush(who, x);
  }
  for (auto i = leaving_.begin(); i != leaving_.end();) {
    const auto [who, limit] = *i;
    const auto over = now() >= limit;
    i = over ? leaving_.erase(i) : std::next(i);
    if (over)
      drop(who);
  }
  if (stopping_ && leaving_.empty())
    self_->quit(caf::exit_reason::user_shutdown);
}

void relay_port_state::on_disconnected(caf::io::connection_handle who) {
  leaving_.erase(who);
  auto i = peers_.find(who);
  if (i == peers_.end())
    return;
  const auto& x = i->second;
  if (x.session->greeted()) {
    ++counters_.lost;
    log_change(
        log_level::warning, {"relay host", x.host + ' ' + x.session->name()}, "lost",
        fmt::format("relay: {} '{}' lost: the connection ended", x.address(), x.session->name()));
  } else {
    ++counters_.refused;
    log_repeated(log_level::warning, "relay stranger left", x.host,
                 fmt::format("relay: {} left without a hello", x.address()));
  }
  remove(who);
}

void relay_port_state::flush(caf::io::connection_handle who, peer& x) {
  if (auto why = too_slow(x, self_->wr_buf(who).size()))
    x.session->refuse(std::move(why));
  if (x.session->is_down())
    return end(who, x);
  regulate(who, x);
  if (auto bytes = x.session->take_output(); !bytes.empty())
    write(who, bytes);
}

// A few large messages may exceed the limit at once, so a host gets some time to take them.
failure relay_port_state::too_slow(peer& host, std::size_t unsent) const {
  const auto limit = settings_.limits.max_unsent;
  if (unsent <= limit) {
    host.overfull_since.reset();
    return {};
  }
  if (!host.overfull_since)
    host.overfull_since = now();
  if (unsent <= burst * limit && now() - *host.overfull_since < burst_time)
    return {};
  return {ec::limit_exceeded, fmt::format("{} bytes wait for it, it is too slow", unsent)};
}

// Over TLS nothing may be written before the handshake is done: CAF would retry in a busy loop
// (actor-framework#1060).
void relay_port_state::end(caf::io::connection_handle who, peer& x) {
  report(x);
  auto last_words = x.session->take_output();
  auto& waiting = self_->wr_buf(who);
  const auto much = waiting.size() > small_rest;
  if (is_fault(x.session->why().code))
    waiting.clear(); // the bytes already being sent end with a whole frame
  const auto hears = (x.heard || !settings_.tls) && !much;
  remove(who);
  if (!hears)
    return drop(who);
  write(who, last_words);
  leave(who);
}

void relay_port_state::regulate(caf::io::connection_handle who, peer& x) {
  const auto halted = !x.session->wants_bytes();
  if (std::exchange(x.halted, halted) == halted)
    return;
  if (halted)
    self_->halt(who);
  else
    self_->trigger(who);
}

void relay_port_state::write(caf::io::connection_handle who, const std::string& bytes) {
  auto& buffer = self_->wr_buf(who);
  buffer.insert(buffer.end(), bytes.begin(), bytes.end());
  self_->flush(who);
}

void relay_port_state::leave(caf::io::connection_handle who) {
  if (!sockets_) {
    self_->close(who);
    return;
  }
  self_->trigger(who); // the peer's close must be seen
  leaving_.emplace(who, now() + farewell);
}

// `shutdown` is needed because CAF keeps a closed connection until its peer closes as well.
void relay_port_state::drop(caf::io::connection_handle who) {
  if (sockets_) {
    self_->trigger(who);
    ::shutdown(static_cast<int>(who.id()), SHUT_RDWR);
  }
  self_->close(who);
}

void relay_port_state::report(const peer& x) {
  const auto& why = x.session->why();
  const auto host = x.host + ' ' + x.session->name();
  if (!why)
    return log_change(log_level::info, {"relay host", host}, "closed",
                      fmt::format("relay: {} '{}' has closed", x.address(), x.session->name()));
  if (x.session->greeted()) {
    ++counters_.lost;
    return log_change(
        log_level::warning, {"relay host", host}, "lost",
        fmt::format("relay: {} '{}' lost: {}", x.address(), x.session->name(), to_string(why)));
  }
  ++counters_.refused;
  const auto text = x.session->name().empty()
                        ? fmt::format("relay: {} refused: {}", x.address(), to_string(why))
                        : fmt::format("relay: {} '{}' refused: {}", x.address(), x.session->name(),
                                      to_string(why));
  log_repeated(log_level::warning, "relay refusal", fmt::format("{} {}", host, to_string(why.code)),
               text);
}

void relay_port_state::remove(caf::io::connection_handle who) {
  auto i = peers_.find(who);
  let_go(i->second.session->release_link());
  strangers_.erase(i->second.id);
  by_id_.erase(i->second.id);
  peers_.erase(i);
}

// The destructor of a link waits for its thread, so another actor runs that destructor. The broker
// takes unacknowledged messages back as soon as the connection is closed.
void relay_port_state::let_go(amqp::transport_ptr link) {
  if (!link)
    return;
  auto kept = std::make_shared<amqp::transport_ptr>(std::move(link));
  self_->system().spawn([kept](caf::event_based_actor*) { kept->reset(); });
}

relay_status relay_port_state::status() {
  auto result = counters_;
  result.strangers = strangers_.size();
  for (auto& [who, x] : peers_)
    if (x.session->greeted())
      result.links.push_back({x.address(), x.session->name(), x.session->delivered(),
                              x.session->published(), self_->wr_buf(who).size()});
  return result;
}

// Hosts are told the reason, and get a moment to read it.
void relay_port_state::stop() {
  stopping_ = true;
  for (auto i = peers_.begin(); i != peers_.end();) {
    auto& [who, x] = *i++; // `flush` removes the peer
    x.session->refuse({ec::connection_forced, "the relay is stopping"});
    flush(who, x);
  }
  if (leaving_.empty())
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
