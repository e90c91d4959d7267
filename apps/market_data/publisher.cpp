#include "market_data/publisher.hpp"

#include <cstdio>
#include <utility>

#include "actors/error.hpp"
#include "program/stop_atom.hpp"

namespace market_data {

namespace {

/// The time for publishing is over.
using limit_atom = caf::atom_constant<caf::atom("limit")>;

/// What one turn may publish before other actors get theirs.
constexpr int batch = 100;

/// How long a stopped publisher waits for the answers that are still out.
constexpr std::chrono::milliseconds stop_patience{300};

} // namespace

publisher_state::publisher_state(caf::stateful_actor<publisher_state>* self)
    : self(self), start(self->clock().now()) {
  // nop
}

void publisher_state::advance() {
  using clock = progress_bar::clock;
  for (int i = 0; !ended && outstanding < settings.window; ++i) {
    if (i == batch) {
      self->send(self, caf::tick_atom_v);
      waiting = true;
      return;
    }
    if (!fetch())
      break;
    if (settings.speed > 0) {
      const auto offset = std::chrono::duration<double>(upcoming->at - *feed_start);
      const auto due = start + std::chrono::duration_cast<clock::duration>(offset / settings.speed);
      if (const auto now = self->clock().now(); due > now) {
        self->delayed_send(self, due - now, caf::tick_atom_v);
        waiting = true;
        break;
      }
    }
    publish();
  }
  show_progress(false);
  if (ended && outstanding == 0)
    finish();
}

bool publisher_state::fetch() {
  if (upcoming)
    return true;
  auto next = source->next();
  if (!next)
    report.feed_error = actors::text_of(next.error());
  if (!next || !*next) {
    ended = true;
    return false;
  }
  upcoming = std::move(**next);
  if (!feed_start) {
    feed_start = upcoming->at;
    start = self->clock().now();
  }
  return true;
}

void publisher_state::publish() {
  auto event = std::exchange(upcoming, std::nullopt)->what;
  // The nodes of a map stay where they are.
  auto& stream = report.by_stream[stream_of(event)];
  ++stream.published;
  ++report.all.published;
  ++outstanding;
  std::visit(
      [&](const auto& x) {
        center.publish(self, x).then(
            [this, &stream](const actors::published&) {
              settle(stream, &stream_totals::confirmed);
            },
            [this, &stream](const caf::error& err) {
              if (report.publish_error.empty())
                report.publish_error = actors::text_of(err);
              settle(stream, &stream_totals::failed);
            });
      },
      event);
  if (settings.count > 0 && report.all.published >= settings.count)
    ended = true;
}

void publisher_state::settle(stream_totals& stream, std::uint64_t stream_totals::*outcome) {
  ++(stream.*outcome);
  ++(report.all.*outcome);
  --outstanding;
  // A tick is under way unless the window stopped us.
  if (!waiting || (ended && outstanding == 0))
    advance();
}

void publisher_state::end(std::optional<std::chrono::milliseconds> patience) {
  ended = true;
  if (patience)
    self->delayed_send(self, *patience, caf::timeout_atom_v);
  advance();
}

void publisher_state::finish() {
  if (finished)
    return;
  finished = true;
  report.seconds = std::chrono::duration<double>(self->clock().now() - start).count();
  report.skipped = source->skipped();
  show_progress(true);
  if (promise.pending()) {
    promise.deliver(report);
    self->quit();
  }
}

void publisher_state::show_progress(bool last) {
  if (!bar)
    return;
  const auto now = self->clock().now();
  const auto text = last ? bar->finish(progress(), report.all.published, now)
                         : bar->update(progress(), report.all.published, now);
  if (!text.empty())
    std::fputs(text.c_str(), stderr);
}

std::optional<double> publisher_state::progress() const {
  if (settings.count > 0)
    return static_cast<double>(report.all.published) / static_cast<double>(settings.count);
  return source->progress();
}

caf::behavior publisher(caf::stateful_actor<publisher_state>* self, actors::event_center center,
                        std::unique_ptr<feed> source, publish_settings settings) {
  auto& state = self->state;
  state.center = std::move(center);
  state.source = std::move(source);
  state.settings = settings;
  if (settings.show != publish_settings::progress::none)
    state.bar.emplace(settings.show == publish_settings::progress::bar, state.start);
  if (settings.limit.count() > 0)
    self->delayed_send(self, settings.limit, limit_atom{});
  state.waiting = true;
  self->send(self, caf::tick_atom_v);
  return {
      [self](caf::tick_atom) {
        self->state.waiting = false;
        self->state.advance();
      },
      [self](limit_atom) { self->state.end(std::nullopt); },
      [self](program::stop_atom) { self->state.end(stop_patience); },
      [self](caf::timeout_atom) { self->state.finish(); },
      [self](caf::get_atom) {
        auto& state = self->state;
        state.promise = self->make_response_promise();
        if (state.finished) {
          state.promise.deliver(state.report);
          self->quit();
        }
        return state.promise;
      },
  };
}

} // namespace market_data
