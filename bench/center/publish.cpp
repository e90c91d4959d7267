#include <variant>

#include <actors/error.hpp>
#include <actors/system_config.hpp>
#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>

#include "bodies.hpp"
#include "center/messages.hpp"
#include "center/settings.hpp"
#include "completion.hpp"

namespace with_actors {

namespace {

/// A run of a publisher, and where it stands.
struct run {
  actors::event_center center;
  const bench::bodies& what;
  const bench::work& wanted;
  bench::measurement measured;
  std::uint64_t published = 0;
  std::uint64_t answered = 0;
  bench::completion done;

  const market_data::market_event& next() {
    return what.events[++published % what.events.size()];
  }
};

void refused(const caf::error& err) {
  bench::fail(actors::text_of(err));
}

/// Publishes the next events, and asks for the answer to the last of them.
void publish_chunk(caf::event_based_actor* self, run* of) {
  constexpr std::uint64_t chunk = 250;
  auto& x = *of;
  auto last = std::min(x.published + chunk, x.wanted.count);
  if (x.published == last)
    return;
  while (x.published + 1 < last)
    std::visit([&](auto& event) { x.center.publish(event); }, x.next());
  std::visit(
      [&](auto& event) {
        x.center.publish(self, event)
            .then(
                [=](const actors::published&) {
                  // Of whole chunks, so that the count ends with the last.
                  for (; of->answered < last; ++of->answered)
                    of->measured.event(of->answered + 1);
                  if (of->answered == of->wanted.count)
                    of->done.signal();
                  publish_chunk(self, of);
                },
                refused);
      },
      x.next());
}

/// Three chunks are under way at a time.
caf::behavior chunk_publisher(caf::event_based_actor* self, run* of) {
  for (auto i = 0; i < 3; ++i)
    publish_chunk(self, of);
  return {[](actors::stop_atom) {}};
}

/// Publishes one more event; its answer makes room for the next.
void publish_one(caf::event_based_actor* self, run* of) {
  if (of->published == of->wanted.count)
    return;
  std::visit(
      [&](auto& event) {
        of->center.publish(self, event)
            .then(
                [=](const actors::published&) {
                  of->measured.event(++of->answered);
                  if (of->answered == of->wanted.count)
                    of->done.signal();
                  publish_one(self, of);
                },
                refused);
      },
      of->next());
}

caf::behavior window_publisher(caf::event_based_actor* self, run* of) {
  for (std::size_t i = 0; i < of->wanted.window; ++i)
    publish_one(self, of);
  return {[](actors::stop_atom) {}};
}

template <class Publisher>
void run_with(const bench::work& x, const strategy_options& how, Publisher publisher) {
  auto what = bench::make_bodies(x.kind);
  actors::system_config cfg;
  caf::actor_system system{cfg};
  actors::scoped_event_center center{system, settings_for(x, how)};
  run all{center, what, x, {x.warm_up, x.count, x.broker}, 0, 0, {}};
  system.spawn(publisher, &all);
  all.done.wait();
  all.measured.print();
}

} // namespace

void publish(const bench::work& x, const strategy_options& how) {
  run_with(x, how, chunk_publisher);
}

void confirms(const bench::work& x, const strategy_options& how) {
  run_with(x, how, window_publisher);
}

} // namespace with_actors
