#include "simulation/wire_books.hpp"

#include <utility>

namespace actors::simulation {

wire_books::wire_books(complaint on_complaint) : complain_(std::move(on_complaint)) {
  // nop
}

wire_books::message wire_books::message_of(const std::string& routing_key,
                                           const amqp::properties& x) {
  return x.position ? message{routing_key, x.position->epoch, x.position->sequence} : message{};
}

void wire_books::published(const amqp::publication& x) {
  auto what = message_of(x.routing_key, x.properties);
  if (known_.contains(what))
    complain_("again: " + what.routing_key + ' ' + std::to_string(what.sequence)
              + " was published again, though it was known to be on the broker");
  open_[x.id] = std::move(what);
}

void wire_books::returned(const amqp::returned_message& x) {
  returned_.insert(message_of(x.routing_key, x.properties));
}

// One that was returned may have to be sent again, until a queue takes it.
void wire_books::confirmed(const amqp::confirmation& x) {
  auto found = open_.extract(x.id);
  if (!found || !x.accepted)
    return;
  auto& what = found.mapped();
  if (returned_.erase(what) == 0 && what.epoch != 0)
    told_.push_back(std::move(what));
}

void wire_books::link_ended() {
  told_before_ += told_.size();
  told_.clear();
}

void wire_books::has_read(std::size_t told) {
  for (; told_before_ < told && !told_.empty(); ++told_before_) {
    known_.insert(std::move(told_.front()));
    told_.pop_front();
  }
}

void wire_books::started() {
  open_.clear();
  link_ended();
}

} // namespace actors::simulation
