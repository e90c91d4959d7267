#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "amqp/transport.hpp"

namespace actors::simulation {

/// What was said of broken promises.
using complaint = std::function<void(const std::string&)>;

/// What a publisher's process has published and been told, over all its lives: nothing that
/// it knows to be on the broker is published again.
class wire_books {
public:
  explicit wire_books(complaint on_complaint);

  // -- what happens on the wire ---------------------------------------------------

  void published(const amqp::publication& x);
  void returned(const amqp::returned_message& x);
  void confirmed(const amqp::confirmation& x);

  /// What it was told last may be of no use to it any more.
  void link_ended();

  // -- what happens to the process ------------------------------------------------

  /// How much it was told so far.
  std::size_t told() const noexcept {
    return told_before_ + told_.size();
  }

  /// It has read so much of it, in order.
  void has_read(std::size_t told);

  /// It starts again, and its ids begin anew.
  void started();

private:
  /// A message, wherever it is sent by: its place in its stream.
  struct message {
    std::string routing_key;
    std::uint64_t epoch = 0;
    std::uint64_t sequence = 0;

    auto operator<=>(const message&) const = default;
  };

  static message message_of(const std::string& routing_key, const amqp::properties& x);

  complaint complain_;
  /// Published and not answered, by id.
  std::map<std::uint64_t, message> open_;
  /// No queue took these.
  std::set<message> returned_;
  std::deque<message> told_;
  std::size_t told_before_ = 0;
  std::set<message> known_;
};

} // namespace actors::simulation
