#pragma once

#include <string>
#include <vector>

#include "amqp/transport.hpp"

namespace actors::testing {

/// Passes over every event: a base for listeners that care for a few.
struct silent_listener : amqp::link_listener {
  void up(std::string) override {
  }
  void replied(amqp::reply) override {
  }
  void delivered(std::uint32_t, std::vector<amqp::delivery>) override {
  }
  void confirmed(std::vector<amqp::confirmation>) override {
  }
  void returned(amqp::returned_message) override {
  }
  void blocked(std::string) override {
  }
  void unblocked() override {
  }
  void cancelled(amqp::consumer_id) override {
  }
  void refused(std::uint64_t, failure) override {
  }
  void channel_closed(amqp::closed_channel) override {
  }
  void suspected(std::vector<amqp::request_id>) override {
  }
  void learned(amqp::broker_limits) override {
  }
  void down(failure) override {
  }
};

} // namespace actors::testing
