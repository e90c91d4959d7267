#include "actors/connection.hpp"

#include <caf/send.hpp>

#include "actors/error.hpp"

namespace actors {

namespace {

/// Turns a link's events into messages. Called from the link's thread.
class actor_sink : public amqp::sink {
public:
  actor_sink(link_role role, caf::actor self, caf::actor owner, caf::actor dispatcher)
      : role_(role),
        self_(std::move(self)),
        owner_(std::move(owner)),
        dispatcher_(std::move(dispatcher)) {
    // nop
  }

  void up(std::string broker) override {
    caf::anon_send(owner_, link_up{role_, std::move(broker)});
  }

  void replied(amqp::reply x) override {
    caf::anon_send(owner_, link_reply{role_, std::move(x)});
  }

  void delivered(std::uint32_t incarnation, std::vector<amqp::delivery> xs) override {
    caf::anon_send(dispatcher_, delivery_batch{self_, incarnation, std::move(xs)});
  }

  void confirmed(std::vector<amqp::confirmation> xs) override {
    caf::anon_send(owner_, confirmations{std::move(xs)});
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

  void channel_closed(amqp::channel which, failure reason) override {
    caf::anon_send(owner_, channel_lost{role_, which, std::move(reason)});
  }

  void down(failure reason) override {
    caf::anon_send(self_, link_down{std::move(reason)});
  }

private:
  link_role role_;
  caf::actor self_;
  caf::actor owner_;
  caf::actor dispatcher_;
};

} // namespace

caf::behavior connection(caf::stateful_actor<connection_state>* self, link_role role,
                         const amqp::endpoint& where, amqp::transport_ptr transport,
                         caf::actor owner, caf::actor dispatcher) {
  self->state.transport = std::move(transport);
  self->state.transport->connect(
      where, std::make_shared<actor_sink>(role, caf::actor_cast<caf::actor>(self), std::move(owner),
                                          std::move(dispatcher)));
  return {
      [=](link_request& x) { self->state.transport->request(x.id, std::move(x.what)); },
      [=](publish_batch& x) { self->state.transport->publish(x.incarnation, std::move(x.items)); },
      [=](settle_batch& x) { self->state.transport->settle(x.incarnation, std::move(x.items)); },
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
