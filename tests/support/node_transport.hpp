#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/io/broker.hpp>
#include <caf/io/middleman.hpp>
#include <caf/send.hpp>

#include "amqp/link/link.hpp"
#include "amqp/relay/client.hpp"

namespace actors::testing {

/// What a host's link is told, on its way through a mailbox.
struct node_command {
  std::shared_ptr<amqp::command> what;
};

} // namespace actors::testing

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actors::testing::node_command)

namespace actors::testing {

/// A host's end of a connection as a broker of CAF's middleman, so that CAF's fixtures for
/// several nodes can carry it.
inline caf::behavior node_link(caf::io::broker* self, caf::io::connection_handle peer,
                               std::shared_ptr<amqp::relay_client> talk) {
  auto write = [=] {
    auto bytes = std::string{talk->output()};
    talk->consume(bytes.size(), self->clock().now());
    auto& buffer = self->wr_buf(peer);
    buffer.insert(buffer.end(), bytes.begin(), bytes.end());
    self->flush(peer);
    if (talk->is_down())
      self->quit();
  };
  self->configure_read(peer, caf::io::receive_policy::at_most(65'536));
  write();
  return {
      [=](const caf::io::new_data_msg& x) {
        talk->feed({x.buf.data(), x.buf.size()}, self->clock().now());
        write();
      },
      [=](const caf::io::connection_closed_msg&) {
        talk->lost({ec::connection_lost, "the connection ended"});
        self->quit();
      },
      [=](const node_command& x) {
        talk->execute(std::move(*x.what), self->clock().now());
        write();
      },
  };
}

/// A host's link to a relay on another node.
class node_transport : public amqp::transport {
public:
  /// `prepare` lets the next connection of the node succeed, if it is to.
  node_transport(caf::actor_system& system, std::function<bool()> prepare)
      : system_(system), prepare_(std::move(prepare)), out_(std::make_shared<node_sender>()) {
    // nop
  }

  ~node_transport() override {
    if (out_->link)
      caf::anon_send_exit(out_->link, caf::exit_reason::kill);
    out_->link = nullptr;
  }

  void connect(const amqp::endpoint& where, std::shared_ptr<amqp::link_listener> events) override {
    if (!prepare_())
      return events->down({ec::connect_failed, "no such node"});
    auto quiet = where;
    quiet.heartbeat = std::chrono::seconds{0};
    auto talk = std::make_shared<amqp::relay_client>(quiet, events, system_.clock().now());
    auto link = system_.middleman().spawn_client(node_link, where.host, where.port, talk);
    if (!link)
      return events->down({ec::connect_failed, "no connection"});
    out_->link = *link;
  }

  void request(amqp::request_id id, amqp::operation what) override {
    out_->send(amqp::request_command{id, std::move(what)});
  }

  amqp::link_sender_ptr out() override {
    return out_;
  }

  bool has_thread() const noexcept override {
    return false;
  }

  void close() override {
    out_->send(amqp::close_command{});
  }

private:
  struct node_sender : amqp::link_sender {
    void publish(std::uint32_t generation, std::vector<amqp::publication> xs) override {
      send(amqp::publish_command{generation, std::move(xs)});
    }

    void settle(std::uint32_t generation, std::vector<amqp::settlement> xs) override {
      send(amqp::settle_command{generation, std::move(xs)});
    }

    void send(amqp::command x) {
      if (link)
        caf::anon_send(link, node_command{std::make_shared<amqp::command>(std::move(x))});
    }

    caf::actor link;
  };

  caf::actor_system& system_;
  std::function<bool()> prepare_;
  std::shared_ptr<node_sender> out_;
};

} // namespace actors::testing
