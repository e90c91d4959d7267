#include "center/supervisor.hpp"

#include <algorithm>
#include <utility>

#include <caf/result.hpp>
#include <fmt/core.h>

#include "actors/error.hpp"
#include "actors/logging.hpp"
#include "center/guarded.hpp"
#include "publishing/publication_failures.hpp"
#include "runtime/repeated_log.hpp"

namespace actors {

supervisor_state::supervisor_state(caf::event_based_actor* self) : self_(self) {
  // nop
}

void supervisor_state::init(supervisor_settings settings) {
  auto& config = settings.config;
  connections_.emplace(self_, std::move(settings.start_connection));
  heartbeat_interval_ = config.heartbeat.interval;
  links_.emplace(link_set::settings{std::move(config.endpoints), config.reconnect, config.server_id,
                                    config.verify_interval, settings.epoch});
  for (auto& exchange : config.exchanges)
    links_->want_from_start(exchange);
  for (auto& message : settings.unsent)
    links_->want_for_former(exchange_named(message.exchange));
  // Retries and dead letters go by the default exchange: a copy without room in the outbox leaves
  // its message in the queue.
  config.outbox.exchanges.try_emplace("", exchange_limits{});
  publications_.emplace(
      publication_tracker::settings{std::move(config.outbox), config.publisher_confirms,
                                    config.reconnect.limit, std::move(config.server_id),
                                    settings.epoch, std::move(settings.unsent_file)},
      *links_);
  tell_time();
  publications_->send_first(std::move(settings.unsent));
  carry_out();
}

// -- what the values order --------------------------------------------------------------

namespace {

/// Has each order carried out, and removes the orders that are done, even if one throws.
template <class Order, class F>
void carry_out_each(std::vector<Order>& orders, F carry_out) {
  std::size_t done = 0;
  try {
    while (done < orders.size())
      std::visit(carry_out, orders[done++]);
  } catch (...) {
    orders.erase(orders.begin(), orders.begin() + static_cast<std::ptrdiff_t>(done));
    throw;
  }
  orders.clear();
}

} // namespace

void supervisor_state::tell_time() {
  const auto now = self_->clock().now();
  links_->at(now);
  publications_->at(now);
}

void supervisor_state::carry_out() {
  if (links_->take_exchanges_changed())
    publications_->on_exchanges_changed();
  carry_out_each(publications_->news, [this](auto& order) { publishers_.carry_out(order); });
  carry_out_each(publications_->orders, [this](auto& order) { this->carry_out(order); });
  const auto links_need_it = links_->take_apart_changed();
  if (publications_->take_apart_changed() || links_need_it)
    links_->tend_apart(publications_->needs_apart());
  carry_out_each(links_->orders, [this](auto& order) { connections_->carry_out(order); });
}

void supervisor_state::carry_out(const link_set::close_link& order) {
  connections_->carry_out(order);
}

void supervisor_state::carry_out(publication_tracker::batch& order) {
  auto& by = links_->link(order.by);
  by.out->publish(by.generation, std::move(order.messages));
}

void supervisor_state::carry_out(publication_tracker::redeclare_exchanges) {
  links_->redeclare_exchanges();
}

void supervisor_state::carry_out(publication_tracker::renew_apart) {
  links_->renew_apart();
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

// -- links ------------------------------------------------------------------------------

void supervisor_state::start(caf::actor dispatcher) {
  connections_->dispatcher(std::move(dispatcher));
  connect(link_role::consuming);
  connect(link_role::publishing);
  carry_out();
  if (heartbeat_interval_.count() > 0)
    on_heartbeat();
}

void supervisor_state::connect(link_role role) {
  links_->connect(role, publications_->needs_apart());
}

void supervisor_state::on_exit(const caf::actor_addr& source, const caf::error& reason) {
  const auto role = connections_->remove(source);
  if (!role)
    return self_->quit(reason);
  tell_time();
  auto end = links_->on_down(*role, to_failure(reason));
  carry_out();
  end.at_once = publications_->on_down(end) || end.at_once;
  carry_out();
  const auto comes_back = links_->reconnect(end, publications_->needs_apart());
  carry_out();
  if (!comes_back)
    continue_stop();
}

// The exception is a fault of this library. Open requests and publications go to new links: no
// subscription and no publication may stay without an answer.
void supervisor_state::on_exception(const std::exception_ptr& thrown) {
  const auto text = "the supervisor failed with a message: " + text_of(thrown)
                    + "; its links are renewed, all subscriptions and publications stay";
  log_repeated(log_level::error, "supervisor failed", text, text);
  tell_time();
  publications_->on_fault();
  for (auto role : {link_role::consuming, link_role::publishing, link_role::quarantine})
    if (!connections_->has(role))
      links_->on_not_connected(role);
  links_->renew_all(publications_->needs_apart());
  carry_out();
}

void supervisor_state::on_channel_lost(const channel_lost& lost) {
  tell_time();
  links_->on_channel_lost(lost.role, lost.channel);
  carry_out();
  if (lost.channel.which == amqp::channel::publishing)
    publications_->blame(lost.role, lost.channel.reason);
  carry_out();
  links_->follow_channel_lost(lost.role);
  carry_out();
}

// -- publishing ---------------------------------------------------------------------------

caf::result<published> supervisor_state::publish(amqp::publication message) {
  if (publications_->heeds_time(message))
    tell_time();
  auto judgement = publications_->judge(message);
  if (judgement.refused)
    return refuse(std::move(judgement.refused), message);
  if (judgement.is_exchange_new)
    links_->want_for_publications(exchange_named(message.exchange, message.durable_exchange));
  publications_->stamp(message, judgement);
  publishers_.add(self_, message);
  publications_->push(std::move(message), judgement);
  carry_out();
  return caf::delegated<published>{};
}

caf::error supervisor_state::refuse(failure reason, const amqp::publication& message) {
  auto result = make_error(publications_->refuse(std::move(reason), message));
  carry_out();
  return result;
}

void supervisor_state::on_confirmations(const confirmations& batch) {
  if (publications_->heeds_time(batch.items))
    tell_time();
  publications_->on_answers(batch.items);
  carry_out();
  continue_stop();
}

void supervisor_state::flush() {
  if (publications_->heeds_time())
    tell_time();
  publications_->flush();
  carry_out();
  continue_stop();
}

// -- end ------------------------------------------------------------------------------------

caf::result<stopped> supervisor_state::stop(std::chrono::milliseconds limit) {
  tell_time();
  if (!links_->stop())
    return make_error(ec::shutting_down, "the event center is stopping already");
  stop_promise_ = self_->make_response_promise();
  carry_out();
  self_->delayed_send(self_, limit, deadline_atom_v, stop_stage::draining);
  continue_stop();
  return caf::delegated<stopped>{};
}

void supervisor_state::continue_stop() {
  if (!links_->stopping().has_begun())
    return;
  const auto is_over = links_->continue_stop(publications_->is_drained());
  carry_out();
  if (is_over)
    finish_stop();
}

void supervisor_state::on_deadline(stop_stage stage) {
  const auto is_over = links_->on_deadline(stage, publications_->is_drained());
  carry_out();
  if (is_over)
    finish_stop();
}

void supervisor_state::finish_stop() {
  if (!stop_promise_.pending())
    return;
  tell_time();
  auto unsent = publications_->take_unsent();
  carry_out();
  stop_promise_.deliver(stopped{std::move(unsent)});
  connections_->dispatcher(nullptr);
  self_->quit(caf::exit_reason::user_shutdown); // takes open links along
}

void supervisor_state::on_heartbeat() {
  const auto state_of = [this](link_role x) { return links_->link(x).up ? "up" : "down"; };
  log(log_level::info,
      fmt::format("heartbeat {}: consuming link {}, publishing link {}, {} consumers, {} waiting",
                  heartbeats_++, state_of(link_role::consuming), state_of(link_role::publishing),
                  links_->running_consumers(), publications_->waiting()));
  self_->delayed_send(self_, heartbeat_interval_, heartbeat_atom_v);
}

supervisor_status supervisor_state::status() const {
  supervisor_status result;
  links_->tell(result);
  result.outbox = publications_->status();
  return result;
}

// -- handlers -------------------------------------------------------------------------------

namespace {

template <class F, class... Ts>
auto make_handler(supervisor_state& state, F f, void (F::*)(Ts...) const) {
  return guarded(state, [&state, f](Ts... xs) {
    state.tell_time();
    f(std::forward<Ts>(xs)...);
    state.carry_out();
  });
}

/// Wraps a handler that tells a value what has happened: the value gets the time before, and its
/// orders are carried out after.
template <class F>
auto on_event(supervisor_state& state, F f) {
  return make_handler(state, std::move(f), &F::operator());
}

} // namespace

caf::behavior supervisor(caf::stateful_actor<supervisor_state>* self,
                         supervisor_settings settings) {
  auto& state = self->state;
  state.init(std::move(settings));
  auto& links = state.links();
  auto& publications = state.publications();
  self->set_exit_handler(
      guarded(state, [&state](caf::exit_msg& x) { state.on_exit(x.source, x.reason); }));
  self->set_down_handler(
      guarded(state, [&state](caf::down_msg& x) { state.connections().remove_watcher(x.source); }));
  return {
      guarded(state,
              [&state](start_atom, const caf::actor& dispatcher) { state.start(dispatcher); }),
      on_event(state, [&state](connect_atom, link_role role) { state.connect(role); }),
      on_event(state, [&links](close_atom, link_role role) { links.close(role); }),
      on_event(state,
               [&links, &publications](const link_up& x) {
                 links.on_up(x.role, x.broker, x.out);
                 publications.on_up(x.role);
               }),
      on_event(state, [&links](const link_blocked& x) { links.on_blocked(x.role, x.reason); }),
      on_event(state,
               [&links, &publications](const link_unblocked& x) {
                 links.on_unblocked(x.role);
                 publications.on_unblocked();
               }),
      on_event(state, [&links](const link_reply& x) { links.on_reply(x.reply); }),
      guarded(state, [&state](const channel_lost& x) { state.on_channel_lost(x); }),
      on_event(state,
               [&links](link_suspects& x) { links.on_suspects(x.role, std::move(x.requests)); }),
      on_event(state, [&links](const link_learned& x) { links.on_learned(x.role, x.limits); }),
      on_event(state,
               [&publications](const publication_refused& x) {
                 publications.on_refused(x.id, x.reason);
               }),
      on_event(state, [&links](const consumer_gone& x) { links.on_consumer_gone(x.id); }),
      on_event(state, [&links](retry_atom, link_role role) { links.on_retry(role); }),
      on_event(state, [&links](tick_atom, link_role role) { links.on_release(role); }),
      on_event(state, [&links](verify_atom) { links.on_verify(); }),
      on_event(state, [&links](const wanted_consumer& x) { links.want(x); }),
      on_event(state, [&links](unwant_atom, amqp::consumer_id id) { links.unwant(id); }),
      on_event(state, [&links](unwant_atom, amqp::consumer_id id,
                               const amqp::binding& x) { links.unwant(id, x); }),
      guarded(state,
              [&state](publish_atom, amqp::publication& x) { return state.publish(std::move(x)); }),
      guarded(state,
              [&state](publish_atom, failure& reason, const amqp::publication& message)
                  -> caf::result<published> { return state.refuse(std::move(reason), message); }),
      guarded(state, [&state](const confirmations& x) { state.on_confirmations(x); }),
      on_event(state,
               [&links, &publications](const amqp::returned_message& x) {
                 if (x.exchange.empty())
                   links.on_queue_missing(x.routing_key);
                 publications.on_returned(x);
               }),
      on_event(state,
               [&publications](unconfirmed_atom, link_role role) { publications.look(role); }),
      on_event(state,
               [&state, &publications](expire_atom) {
                 publications.expire();
                 state.carry_out();
                 state.continue_stop();
               }),
      on_event(state, [&publications](probe_atom) { publications.probe(); }),
      guarded(state, [&state](flush_atom) { state.flush(); }),
      guarded(state,
              [&state](status_atom) -> caf::result<supervisor_status> { return state.status(); }),
      guarded(state,
              [&state](watch_atom, const caf::actor& x) {
                state.connections().watch(x, state.links().status());
              }),
      guarded(state,
              [&state](stop_atom, std::uint64_t limit) {
                return state.stop(std::chrono::milliseconds{limit});
              }),
      on_event(state, [&state](deadline_atom, stop_stage x) { state.on_deadline(x); }),
      guarded(state, [&state](heartbeat_atom) { state.on_heartbeat(); }),
  };
}

} // namespace actors
