#include "center/connection.hpp"

#include <chrono>

#include <caf/send.hpp>

#include "actors/error.hpp"
#include "center/guarded.hpp"
#include "runtime/link_run_queue.hpp"
#include "runtime/run_on_links.hpp"

namespace actors {

namespace {

/// A link's thread runs the actors that its events wake for this time, then the scheduler does. The
/// publishing link has little else to do: publishers that an answer wakes have their next messages
/// ready there, to be written together.
std::chrono::microseconds time_for_actors(link_role role) noexcept {
  return role == link_role::consuming ? link_run_queue::wake_up : std::chrono::milliseconds{1};
}

/// Turns a link's events into messages. Called from the link's thread.
class actor_listener : public amqp::link_listener {
public:
  actor_listener(link_role role, amqp::link_sender_ptr out, caf::actor self, caf::actor owner,
                 caf::actor dispatcher)
      : role_(role),
        out_(std::move(out)),
        self_(std::move(self)),
        owner_(std::move(owner)),
        dispatcher_(std::move(dispatcher)) {
    // nop
  }

  void up(std::string broker) override {
    caf::anon_send(owner_, link_up{role_, std::move(broker), out_});
  }

  void replied(amqp::reply x) override {
    caf::anon_send(owner_, link_reply{role_, std::move(x)});
  }

  void delivered(std::uint32_t generation, std::vector<amqp::delivery> deliveries) override {
    send(dispatcher_, caf::make_message(delivery_batch{out_, generation, std::move(deliveries)}));
  }

  void confirmed(std::vector<amqp::confirmation> answers) override {
    send(owner_, caf::make_message(confirmations{std::move(answers)}));
  }

  void returned(amqp::returned_message x) override {
    caf::anon_send(owner_, std::move(x));
  }

  void blocked(std::string reason) override {
    caf::anon_send(owner_, link_blocked{role_, std::move(reason)});
  }

  void unblocked() override {
    caf::anon_send(owner_, link_unblocked{role_});
  }

  void cancelled(amqp::consumer_id x) override {
    caf::anon_send(owner_, consumer_gone{x});
  }

  void refused(std::uint64_t publication, failure reason) override {
    caf::anon_send(owner_, publication_refused{publication, std::move(reason)});
  }

  void channel_closed(amqp::closed_channel x) override {
    caf::anon_send(owner_, channel_lost{role_, std::move(x)});
  }

  void suspected(std::vector<amqp::request_id> xs) override {
    caf::anon_send(owner_, link_suspects{role_, std::move(xs)});
  }

  void learned(amqp::broker_limits x) override {
    caf::anon_send(owner_, link_learned{role_, x});
  }

  void down(failure reason) override {
    caf::anon_send(self_, link_down{std::move(reason)});
  }

protected:
  /// Sends the messages that come at a high rate.
  virtual void send(const caf::actor& to, caf::message message) {
    caf::anon_send(to, std::move(message));
  }

private:
  link_role role_;
  amqp::link_sender_ptr out_;
  caf::actor self_;
  caf::actor owner_;
  caf::actor dispatcher_;
};

/// The listener of a link with its own thread, which has the time to run actors.
class running_listener : public actor_listener {
public:
  running_listener(caf::actor_system& system, link_role role, amqp::link_sender_ptr out,
                   caf::actor self, caf::actor owner, caf::actor dispatcher)
      : actor_listener(role, std::move(out), std::move(self), std::move(owner),
                       std::move(dispatcher)),
        woken_(system, time_for_actors(role)) {
    // nop
  }

  run_queue* runnable_actors() noexcept override {
    return &woken_;
  }

protected:
  void send(const caf::actor& to, caf::message message) override {
    woken_.give(to, std::move(message));
  }

private:
  link_run_queue woken_;
};

} // namespace

caf::behavior connection(caf::stateful_actor<connection_state>* self, link_role role,
                         const amqp::endpoint& where, amqp::transport_ptr transport,
                         const caf::actor& owner, const caf::actor& dispatcher) {
  self->state.transport = std::move(transport);
  auto& link = *self->state.transport;
  live_on(self, [](const caf::error&) {}); // a connection ends by `link_down` alone
  auto me = caf::actor_cast<caf::actor>(self);
  if (link.has_thread() && runs_on_links(self->system()))
    link.connect(where, std::make_shared<running_listener>(self->system(), role, link.out(), me,
                                                           owner, dispatcher));
  else
    link.connect(where, std::make_shared<actor_listener>(role, link.out(), me, owner, dispatcher));
  return {
      [=](link_request& x) { self->state.transport->request(x.id, std::move(x.op)); },
      [=](close_atom) { self->state.transport->close(); },
      [=](link_down& x) { self->quit(x.reason ? make_error(std::move(x.reason)) : caf::error{}); },
  };
}

connection_starter connections_over(transport_factory make_transport) {
  return [make = std::move(make_transport)](caf::actor_system& system, link_role role,
                                            const amqp::endpoint& where, const caf::actor& owner,
                                            const caf::actor& dispatcher) {
    return system.spawn(connection, role, where, make(where), owner, dispatcher);
  };
}

} // namespace actors
