#include <memory>
#include <string>

#include <actors/error.hpp>
#include <actors/system_config.hpp>
#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>

#include "bodies.hpp"
#include "center/messages.hpp"
#include "center/settings.hpp"
#include "completion.hpp"
#include "wire/payload.hpp"

namespace with_actors {

namespace {

/// Lets bodies through that were sealed before, so that encoding is not
/// measured.
class unsealed_center : public actors::event_center {
public:
  explicit unsealed_center(const actors::event_center& x) : event_center(x) {
    // nop
  }

  void send_body(actors::amqp::body_ptr body) const {
    actors::amqp::publication x;
    x.exchange = "Tick";
    x.routing_key = "k";
    x.body = std::move(body);
    send(caf::make_message(actors::publish_atom_v, std::move(x)));
  }
};

struct run {
  const bench::work& wanted;
  unsealed_center center;
  actors::amqp::body_ptr body;
  bench::measurement measured;
  std::uint64_t published = 0;
  std::uint64_t received = 0;
  bench::completion done;
};

constexpr std::uint64_t chunk = 250;

void publish_chunk(run& of) {
  if (of.published == of.wanted.count)
    return;
  of.published += chunk;
  for (auto i = 0u; i < chunk; ++i)
    of.center.send_body(of.body);
}

/// Three chunks are under way at a time: the strategy asks for the next one whenever it
/// has received one.
caf::behavior publisher(caf::event_based_actor*, run* of) {
  for (auto i = 0; i < 3; ++i)
    publish_chunk(*of);
  return {[=](actors::flush_atom) { publish_chunk(*of); }};
}

struct strategy_state {
  caf::actor publisher;
};

caf::behavior strategy(caf::stateful_actor<strategy_state>* self, run* of) {
  auto what = actors::subscription::to_events("Tick", "k").on_queue("bench").prefetch(0);
  of->center.subscribe(self, std::move(what))
      .then([=](const actors::subscribed&) { self->state.publisher = self->spawn(publisher, of); },
            [](const caf::error& err) { bench::fail(actors::text_of(err)); });
  return {[=](const actors::event&) {
    of->measured.event(++of->received);
    if (of->received == of->wanted.count)
      of->done.signal();
    else if (of->received % chunk == 0)
      self->send(self->state.publisher, actors::flush_atom_v);
  }};
}

/// Microseconds that it takes to read a body.
double reading_cost(const std::string& body) {
  constexpr auto count = 200'000;
  actors::payload_decoder decoder;
  auto codec = actors::generic_codec();
  auto begin = bench::usage_now(0);
  for (auto i = 0; i < count; ++i) {
    auto parts = decoder.decode(body);
    actors::received_event in;
    in.name = parts->name;
    in.data = parts->data;
    if (!codec.decode(in))
      bench::fail("a body cannot be read");
  }
  return (bench::usage_now(0).cpu - begin.cpu) / count;
}

} // namespace

void in_process(const bench::work& x, const strategy_options& how) {
  auto wanted = x;
  wanted.url = "memory:bench";
  wanted.count -= wanted.count % chunk;
  auto body = std::make_shared<const std::string>(actors::payload_encoder{}.encode("TICK", "1"));
  actors::system_config cfg;
  caf::actor_system system{cfg};
  actors::scoped_event_center center{system, settings_for(wanted, how)};
  run all{wanted, unsealed_center{center}, body, {x.warm_up, wanted.count, 0}, 0, 0, {}};
  system.spawn(strategy, &all);
  all.done.wait();
  auto figures = all.measured.figures();
  figures.emplace_back("without_codec", figures[2].second - reading_cost(*body));
  bench::print_figures(figures);
}

} // namespace with_actors
