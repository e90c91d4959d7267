#include "center/supervisor.hpp"

#include <utility>
#include <variant>

#include <fmt/core.h>

#include "actors/error.hpp"
#include "actors/logging.hpp"
#include "center/guarded.hpp"
#include "runtime/repeated_log.hpp"

namespace actors {

supervisor_state::supervisor_state(caf::event_based_actor* self) : self_(self) {
  // nop
}

void supervisor_state::init(supervisor_settings settings) {
  heartbeat_interval_ = settings.config.heartbeat.interval;
  connections_.emplace(self_, std::move(settings.start_connection));
  work_.emplace(static_cast<supervise_door&>(*this), std::move(settings));
}

// -- what comes in --------------------------------------------------------------------------

void supervisor_state::start(caf::actor dispatcher) {
  connections_->dispatcher(std::move(dispatcher));
  work_->connect(link_role::consuming);
  work_->connect(link_role::publishing);
  if (heartbeat_interval_.count() > 0)
    on_heartbeat();
}

void supervisor_state::on_exit(const caf::actor_addr& source, const caf::error& reason) {
  if (const auto role = connections_->remove(source))
    work_->on_down(*role, to_failure(reason));
  else
    self_->quit(reason);
}

void supervisor_state::on_watcher_down(const caf::actor_addr& watcher) {
  connections_->remove_watcher(watcher);
}

// Nobody but a watcher of links is sent anything that is not asked for.
void supervisor_state::on_unasked_error(const caf::error& reason) {
  const auto who = caf::actor_cast<caf::actor_addr>(self_->current_sender());
  const auto missing = reason == caf::sec::unexpected_message
                           ? ": add a handler of an actors::link_status"
                           : std::string{};
  log_repeated(log_level::error, "link watcher", std::to_string(who.id()),
               fmt::format("actor {}, which called on_link, failed with a link's state: {}{}",
                           who.id(), text_of(reason), missing));
}

void supervisor_state::on_exception(const std::exception_ptr& thrown) {
  const auto text = "the supervisor failed with a message: " + text_of(thrown)
                    + "; its links are renewed, all subscriptions and publications stay";
  log_repeated(log_level::error, "supervisor failed", text, text);
  work_->on_fault(connections_->missing());
}

caf::result<published> supervisor_state::publish(amqp::publication message) {
  if (auto refused = work_->publish(std::move(message)))
    return make_error(std::move(refused));
  return caf::delegated<published>{};
}

void supervisor_state::watch(const caf::actor& watcher) {
  connections_->watch(watcher, work_->links().status());
}

void supervisor_state::on_heartbeat() {
  log(log_level::info, fmt::format("heartbeat {}: {}", heartbeats_++, work_->heartbeat_text()));
  self_->delayed_send(self_, heartbeat_interval_, heartbeat_atom_v);
}

caf::result<stopped> supervisor_state::stop(std::chrono::milliseconds limit) {
  if (!work_->stop())
    return make_error(ec::shutting_down, "the event center is stopping already");
  stop_promise_ = self_->make_response_promise();
  self_->delayed_send(self_, limit, deadline_atom_v, stop_stage::draining);
  work_->continue_stop();
  return caf::delegated<stopped>{};
}

// -- the door -------------------------------------------------------------------------------

std::chrono::steady_clock::time_point supervisor_state::now() const {
  return self_->clock().now();
}

void supervisor_state::carry_out(link_set::order& order) {
  std::visit([this](auto& x) { connections_->carry_out(x); }, order);
}

void supervisor_state::carry_out(publication_tracker::news_item& news) {
  std::visit([this](auto& x) { publishers_.carry_out(x); }, news);
}

void supervisor_state::carry_out(const publication_tracker::wake& order) {
  using reason = publication_tracker::wake::reason;
  switch (order.why) {
  case reason::flush:
    if (order.after.count() == 0)
      return self_->send(self_, flush_atom_v);
    return self_->delayed_send(self_, order.after, flush_atom_v);
  case reason::probe:
    return self_->delayed_send(self_, order.after, probe_atom_v);
  case reason::expire:
    return self_->delayed_send(self_, order.after, expire_atom_v);
  case reason::look:
    return self_->delayed_send(self_, order.after, unconfirmed_atom_v, order.role);
  }
}

void supervisor_state::admit(const amqp::publication& message) {
  publishers_.add(self_, message);
}

void supervisor_state::end_stop(std::vector<amqp::publication> unsent) {
  stop_promise_.deliver(stopped{std::move(unsent)});
  connections_->dispatcher(nullptr);
  self_->quit(caf::exit_reason::user_shutdown); // takes open links along
}

// -- the actor ------------------------------------------------------------------------------

namespace {

/// Makes a handler that tells `supervising` by `f(links, publications, xs...)` what has happened.
template <class... Ts, class F>
auto told(supervisor_state& state, F f) {
  return guarded(state, [&state, f](Ts... xs) {
    state.work().tell([&](auto& links, auto& publications) { f(links, publications, xs...); });
  });
}

} // namespace

caf::behavior supervisor(caf::stateful_actor<supervisor_state>* self,
                         supervisor_settings settings) {
  auto& state = self->state;
  state.init(std::move(settings));
  self->set_exit_handler(
      guarded(state, [&state](caf::exit_msg& x) { state.on_exit(x.source, x.reason); }));
  self->set_down_handler(
      guarded(state, [&state](caf::down_msg& x) { state.on_watcher_down(x.source); }));
  live_on(self, [&state](const caf::error& x) { state.on_unasked_error(x); });
  auto& work = state.work();
  return {
      guarded(state, [&state](start_atom, const caf::actor& x) { state.start(x); }),
      guarded(state, [&work](connect_atom, link_role role) { work.connect(role); }),
      told<close_atom, link_role>(state,
                                  [](auto& links, auto&, auto, auto role) { links.close(role); }),
      told<const link_up&>(state,
                           [](auto& links, auto& publications, auto& x) {
                             links.on_up(x.role, x.broker, x.out);
                             publications.on_up(x.role);
                           }),
      told<const link_blocked&>(
          state, [](auto& links, auto&, auto& x) { links.on_blocked(x.role, x.reason); }),
      told<const link_unblocked&>(state,
                                  [](auto& links, auto& publications, auto& x) {
                                    links.on_unblocked(x.role);
                                    publications.on_unblocked();
                                  }),
      told<const link_reply&>(state, [](auto& links, auto&, auto& x) { links.on_reply(x.reply); }),
      guarded(state, [&work](const channel_lost& x) { work.on_channel_lost(x.role, x.channel); }),
      told<link_suspects&>(
          state,
          [](auto& links, auto&, auto& x) { links.on_suspects(x.role, std::move(x.requests)); }),
      told<const link_learned&>(
          state, [](auto& links, auto&, auto& x) { links.on_learned(x.role, x.limits); }),
      told<const publication_refused&>(
          state,
          [](auto&, auto& publications, auto& x) { publications.on_refused(x.id, x.reason); }),
      told<const consumer_gone&>(state,
                                 [](auto& links, auto&, auto& x) { links.on_consumer_gone(x.id); }),
      told<retry_atom, link_role>(
          state, [](auto& links, auto&, auto, auto role) { links.on_retry(role); }),
      told<tick_atom, link_role>(
          state, [](auto& links, auto&, auto, auto role) { links.on_release(role); }),
      told<verify_atom>(state, [](auto& links, auto&, auto) { links.on_verify(); }),
      told<const wanted_consumer&>(state, [](auto& links, auto&, auto& x) { links.want(x); }),
      told<unwant_atom, amqp::consumer_id>(
          state, [](auto& links, auto&, auto, auto id) { links.unwant(id); }),
      told<unwant_atom, amqp::consumer_id, const amqp::binding&>(
          state, [](auto& links, auto&, auto, auto id, auto& x) { links.unwant(id, x); }),
      guarded(state,
              [&state](publish_atom, amqp::publication& x) { return state.publish(std::move(x)); }),
      guarded(state,
              [&work](publish_atom, failure& reason,
                      const amqp::publication& message) -> caf::result<published> {
                return make_error(work.refuse(std::move(reason), message));
              }),
      guarded(state, [&work](const confirmations& x) { work.on_confirmations(x.items); }),
      told<const amqp::returned_message&>(state,
                                          [](auto& links, auto& publications, auto& x) {
                                            if (x.exchange.empty())
                                              links.on_queue_missing(x.routing_key);
                                            publications.on_returned(x);
                                          }),
      told<unconfirmed_atom, link_role>(
          state, [](auto&, auto& publications, auto, auto role) { publications.look(role); }),
      told<probe_atom>(state, [](auto&, auto& publications, auto) { publications.probe(); }),
      guarded(state, [&work](expire_atom) { work.expire(); }),
      guarded(state, [&work](flush_atom) { work.flush(); }),
      guarded(state,
              [&work](status_atom) -> caf::result<supervisor_status> { return work.status(); }),
      guarded(state, [&state](watch_atom, const caf::actor& x) { state.watch(x); }),
      guarded(state,
              [&state](stop_atom, std::uint64_t limit) {
                return state.stop(std::chrono::milliseconds{limit});
              }),
      guarded(state, [&work](deadline_atom, stop_stage x) { work.on_deadline(x); }),
      guarded(state, [&state](heartbeat_atom) { state.on_heartbeat(); }),
  };
}

} // namespace actors
