#include "center/dispatcher.hpp"

#include <utility>

#include <caf/exit_reason.hpp>
#include <fmt/core.h>

#include "actors/error.hpp"
#include "actors/logging.hpp"
#include "center/guarded.hpp"
#include "runtime/batched_wake_up.hpp"
#include "runtime/repeated_log.hpp"

namespace actors {

dispatcher_state::dispatcher_state(caf::event_based_actor* self)
    : self_(self), work_(*this), strategies_(self) {
  // nop
}

void dispatcher_state::init(const dispatcher_settings& settings, caf::actor supervisor) {
  supervisor_ = std::move(supervisor);
  self_->monitor(supervisor_);
  work_ = dispatching{*this, settings};
}

// -- what comes in --------------------------------------------------------------------------

caf::result<subscribed> dispatcher_state::subscribe(subscription_id id, subscription spec,
                                                    caf::actor subscriber) {
  if (auto refused = work_.refusal(spec, static_cast<bool>(subscriber)))
    return refused;
  work_.subscribe(std::move(spec), strategies_.number_of(subscriber), id,
                  [&](event_handler& handler) {
                    handler.counters.subscriber = subscriber.id();
                    promises_[handler.id()] = self_->make_response_promise();
                  });
  return caf::delegated<subscribed>{};
}

caf::result<void> dispatcher_state::unsubscribe(subscription_id id) {
  if (auto err = work_.unsubscribe(id))
    return err;
  return caf::unit;
}

void dispatcher_state::on_deliveries(delivery_batch& batch) {
  batched_wake_up later{*self_};
  work_.on_deliveries(batch.out, batch.generation, batch.items);
}

void dispatcher_state::on_unasked_error(const caf::error& reason) {
  if (const auto who = strategies_.find(caf::actor_cast<caf::actor_addr>(self_->current_sender())))
    work_.on_unasked_error(*who, reason);
}

// Without a supervisor no delivery comes any more.
void dispatcher_state::on_down(const caf::actor_addr& who, const caf::error& reason) {
  if (const auto gone = strategies_.find(who)) {
    work_.on_strategy_down(*gone, reason);
    strategies_.remove(who);
  } else if (who == supervisor_.address() && reason != caf::exit_reason::user_shutdown) {
    work_.tell_all_lost({ec::connection_lost, "the supervisor has ended: " + text_of(reason)});
  }
}

// The event center ends the dispatcher with `stop_atom`; an exit message is a fault that strategies
// must hear of.
void dispatcher_state::on_exit(const caf::error& reason) {
  work_.tell_all_lost({ec::connection_lost, "the dispatcher has ended: " + text_of(reason)});
  self_->quit(reason);
}

// The exception is a fault of this library. The links are renewed, so that the broker delivers
// unanswered messages again.
void dispatcher_state::on_exception(const std::exception_ptr& thrown) {
  const failure reason{ec::handler_failed,
                       "the dispatcher failed with a message: " + text_of(thrown)};
  log_repeated(log_level::error, "dispatcher failed", reason.text,
               reason.text + "; its links are renewed, all subscriptions stay");
  work_.on_exception(reason);
  for (auto role : {link_role::consuming, link_role::quarantine})
    self_->send(supervisor_, close_atom_v, role);
}

// -- looking, ending ------------------------------------------------------------------------

caf::result<center_status> dispatcher_state::status() {
  auto promise = self_->make_response_promise<center_status>();
  self_->request(supervisor_, caf::infinite, status_atom_v)
      .then(
          [promise, mine = work_.status()](supervisor_status& theirs) mutable {
            promise.deliver(center_status{std::move(theirs), std::move(mine)});
          },
          [promise](caf::error& err) mutable { promise.deliver(std::move(err)); });
  return promise;
}

caf::result<drained> dispatcher_state::drain(std::chrono::milliseconds limit) {
  drain_promise_ = self_->make_response_promise();
  self_->delayed_send(self_, limit, drain_atom_v);
  work_.drain();
  return caf::delegated<drained>{};
}

void dispatcher_state::end_drain() {
  if (drain_promise_.pending())
    drain_promise_.deliver(drained{});
}

void dispatcher_state::on_drain_deadline() {
  if (!drain_promise_.pending())
    return;
  const drained result{work_.unhandled()};
  if (result.unhandled > 0)
    log(log_level::warning,
        fmt::format("stopped with {} events that strategies had not answered", result.unhandled));
  drain_promise_.deliver(result);
}

void dispatcher_state::stop() {
  for (auto& [id, promise] : promises_)
    promise.deliver(make_error(ec::shutting_down, "the event center is stopping"));
  self_->quit(caf::exit_reason::user_shutdown);
}

// -- the door -------------------------------------------------------------------------------

std::chrono::steady_clock::time_point dispatcher_state::now() const {
  return self_->clock().now();
}

// In tests the actors' clock is not the system's: wall time passes with the actors' clock.
std::chrono::system_clock::time_point dispatcher_state::wall_time() const {
  return std::chrono::system_clock::now()
         + std::chrono::duration_cast<std::chrono::system_clock::duration>(
             now() - std::chrono::steady_clock::now());
}

void dispatcher_state::send(subscriber_id to, caf::message message) {
  self_->send(strategies_.at(to), std::move(message));
}

void dispatcher_state::ask(subscriber_id to, const caf::message& message, question about) {
  self_->request(strategies_.at(to), caf::infinite, message)
      .then(guarded(*this, [this, about] { work_.on_answer(about, {}); }),
            guarded(*this, [this, about](const caf::error& err) { work_.on_answer(about, err); }));
}

void dispatcher_state::ask(subscriber_id to, caf::message message, subscription_id id,
                           std::uint64_t mark) {
  self_->request(strategies_.at(to), caf::infinite, std::move(message))
      .then(guarded(*this, [this, id, mark] { work_.on_mark(id, mark, {}); }),
            guarded(*this,
                    [this, id, mark](const caf::error& err) { work_.on_mark(id, mark, err); }));
}

void dispatcher_state::grant(subscription_id id, const subscribed& answer) {
  if (auto entry = promises_.extract(id))
    entry.mapped().deliver(answer);
}

void dispatcher_state::refuse(subscription_id id, const caf::error& why) {
  if (auto entry = promises_.extract(id))
    entry.mapped().deliver(why);
}

void dispatcher_state::forget(subscriber_id who) {
  strategies_.forget(who);
}

void dispatcher_state::want(wanted_consumer consumer) {
  self_->send(supervisor_, std::move(consumer));
}

void dispatcher_state::unwant(amqp::consumer_id id) {
  self_->send(supervisor_, unwant_atom_v, id);
}

void dispatcher_state::unwant(amqp::consumer_id id, amqp::binding binding) {
  self_->send(supervisor_, unwant_atom_v, id, std::move(binding));
}

void dispatcher_state::publish(amqp::publication copy, delivery_key of) {
  self_->request(supervisor_, caf::infinite, publish_atom_v, std::move(copy))
      .then(guarded(*this, [this, of](const published&) { work_.on_moved(of, {}); }),
            guarded(*this, [this, of](const caf::error& err) { work_.on_moved(of, err); }));
}

void dispatcher_state::pause(delivery_key key, std::chrono::milliseconds time) {
  self_->delayed_send(self_, time, requeue_atom_v, key.generation, key.tag);
}

void dispatcher_state::tick_after(std::chrono::milliseconds time) {
  self_->delayed_send(self_, time, tick_atom_v);
}

// The flush is a message behind those that wait already, so that one flush serves them all.
void dispatcher_state::flush_soon() {
  self_->send(self_, flush_atom_v);
}

// -- the actor ------------------------------------------------------------------------------

caf::behavior dispatcher(caf::stateful_actor<dispatcher_state>* self,
                         const dispatcher_settings& settings, caf::actor supervisor) {
  auto& state = self->state;
  state.init(settings, std::move(supervisor));
  self->set_down_handler(
      guarded(state, [&state](caf::down_msg& x) { state.on_down(x.source, x.reason); }));
  self->set_exit_handler([&state](caf::exit_msg& x) { state.on_exit(x.reason); });
  live_on(self, [&state](const caf::error& x) { state.on_unasked_error(x); });
  auto& work = state.work();
  return {
      guarded(state, [&state](delivery_batch& x) { state.on_deliveries(x); }),
      guarded(state, [&work](flush_atom) { work.on_flush(); }),
      guarded(state,
              [&work](requeue_atom, std::uint64_t generation, std::uint64_t tag) {
                work.on_pause_over({generation, tag});
              }),
      guarded(
          state,
          [&state](subscribe_atom, subscription_id id, subscription& spec, caf::actor& subscriber) {
            return state.subscribe(id, std::move(spec), std::move(subscriber));
          }),
      guarded(state,
              [&state](unsubscribe_atom, subscription_id id) { return state.unsubscribe(id); }),
      guarded(state, [&work](const consumer_state& x) { work.on_consumer_state(x); }),
      guarded(state,
              [&work](const consumers_lost& x) { work.on_consumers_lost(x.consumers, x.reason); }),
      guarded(state, [&work](tick_atom) { work.on_tick(); }),
      guarded(state, [&state](status_atom) { return state.status(); }),
      guarded(state,
              [&state](drain_atom, std::uint64_t limit) {
                return state.drain(std::chrono::milliseconds{limit});
              }),
      guarded(state, [&state](drain_atom) { state.on_drain_deadline(); }),
      guarded(state, [&state](stop_atom) { state.stop(); }),
  };
}

} // namespace actors
