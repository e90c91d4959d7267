#include <algorithm>

#include <caf/result.hpp>
#include <fmt/core.h>

#include "actors/error.hpp"
#include "actors/logging.hpp"
#include "actors/supervisor.hpp"

// A publication's way through the supervisor: into the outbox, to the link, and its answer.

namespace actors {

namespace {

/// How long the broker may reject all messages until another link is tried is twice
/// as long each time that this was of no help, up to this.
constexpr auto last_rejections_limit = std::chrono::milliseconds{60'000};

/// RabbitMQ names the exchange when it refuses a publication, e.g. "access to
/// exchange 'Trade' in vhost '/' refused". Empty: it does not.
std::string_view exchange_in(std::string_view text) {
  constexpr std::string_view mark = "exchange '";
  auto first = text.find(mark);
  if (first == std::string_view::npos)
    return {};
  text.remove_prefix(first + mark.size());
  auto last = text.find('\'');
  return last == std::string_view::npos ? std::string_view{} : text.substr(0, last);
}

} // namespace

void supervisor_state::send_first(std::vector<amqp::publication> unsent) {
  if (!unsent.empty())
    log(log_level::info, fmt::format("sending {} messages of an earlier run", unsent.size()));
  for (auto& x : unsent) {
    publishing_.topology.want(exchange_named(x.exchange));
    stamp(x);
    ++counters_.published;
    answer_dropped(outbox_.push(std::move(x)));
  }
}

caf::result<published> supervisor_state::publish(amqp::publication x) {
  if (auto err = refusal(x)) {
    ++counters_.rejected;
    log(log_level::warning, fmt::format("message not published: {}", text_of(err)));
    return err;
  }
  if (!publishing_.topology.knows_exchange(x.exchange)) {
    publishing_.topology.want(exchange_named(x.exchange));
    follow(publishing_);
  }
  stamp(x);
  auto promise = self_->make_response_promise();
  if (promise.pending())
    publishers_.emplace(x.id, waiting_publisher{promise, x.properties.message_id});
  ++counters_.published;
  answer_dropped(outbox_.push(std::move(x)));
  schedule_flush();
  return caf::delegated<published>{};
}

caf::error supervisor_state::refusal(const amqp::publication& x) const {
  if (stopping_ != stop_stage::none)
    return make_error(ec::shutting_down, "the event center is stopping");
  for (auto* name : {&x.exchange, &x.routing_key})
    if (name->size() > 255)
      return make_error(ec::invalid_argument,
                        fmt::format("'{}': an exchange's name and a routing key have at most 255 "
                                    "bytes",
                                    *name));
  return {};
}

void supervisor_state::stamp(amqp::publication& x) {
  using std::chrono::system_clock;
  x.id = ++last_publication_;
  // A copy for a retry, or a message of an earlier run, keeps its place.
  if (!x.properties.position)
    x.properties.position = amqp::stream_position{epoch_, ++sequences_[x.exchange][x.routing_key]};
  if (x.properties.message_id.empty())
    x.properties.message_id = fmt::format("{}-{:x}-{}", config_.server_id, epoch_, x.id);
  if (x.properties.timestamp == 0)
    x.properties.timestamp =
        static_cast<std::uint64_t>(system_clock::to_time_t(system_clock::now()));
}

// One message to ourselves behind those that wait already: many publications
// become one batch.
void supervisor_state::schedule_flush() {
  if (flush_scheduled_)
    return;
  flush_scheduled_ = true;
  self_->send(self_, flush_atom_v);
}

void supervisor_state::flush() {
  flush_scheduled_ = false;
  auto& x = publishing_;
  if (!x.up || !x.blocked.empty() || !x.topology.exchanges_settled())
    return;
  if (unlogged_drops_ > 0)
    log(log_level::warning, fmt::format("outbox: {} messages were dropped", unlogged_drops_));
  unlogged_drops_ = 0;
  std::vector<amqp::publication> batch;
  for (auto messages = outbox_.take(); !messages.empty(); messages = outbox_.take()) {
    for (auto& message : messages) {
      if (auto reason = x.topology.exchange_failure(message.exchange)) {
        outbox_.settle(message.id);
        ++counters_.rejected;
        answer(message.id, std::move(reason));
      } else {
        batch.push_back(std::move(message));
      }
    }
  }
  watch_confirms();
  if (!batch.empty())
    x.out->publish(x.incarnation, std::move(batch));
  continue_stop();
}

void supervisor_state::on_confirmations(const confirmations& xs) {
  for (auto& x : xs.items) {
    if (!outbox_.settle(x.id))
      continue;
    if (x.accepted) {
      ++counters_.confirmed;
      rejecting_since_.reset();
      rejections_limit_ = first_rejections_limit;
      answer(x.id, {});
    } else {
      ++counters_.rejected;
      doubt_publishing();
      answer(x.id, {ec::publish_rejected, "the broker could not take the message"});
    }
  }
  if (outbox_.waiting() > 0)
    schedule_flush();
  continue_stop();
}

// RabbitMQ can reject all that comes by one channel for good: such as was first used while
// a quorum queue had lost its leader. By another one it takes them.
void supervisor_state::doubt_publishing() {
  const auto now = self_->clock().now();
  if (!rejecting_since_)
    rejecting_since_ = now;
  if (now - *rejecting_since_ < rejections_limit_)
    return;
  log(log_level::warning, fmt::format("publishing link: the broker has rejected all messages for "
                                      "{} ms: trying another link",
                                      rejections_limit_.count()));
  rejecting_since_.reset();
  rejections_limit_ = std::min(2 * rejections_limit_, last_rejections_limit);
  close(publishing_);
}

// The broker can forget an answer for good: RabbitMQ does, if a quorum queue is deleted
// while messages are on their way to it.
void supervisor_state::watch_confirms() {
  if (watching_confirms_ || outbox_.unconfirmed() == 0
      || config_.outbox.confirm_timeout.count() == 0)
    return;
  watching_confirms_ = true;
  self_->delayed_send(self_, config_.outbox.confirm_timeout, unconfirmed_atom_v);
}

// The same message is the oldest at two looks: it has waited at least that long.
void supervisor_state::on_unconfirmed() {
  watching_confirms_ = false;
  auto oldest = outbox_.oldest_on_wire();
  const auto last = std::exchange(oldest_unconfirmed_, oldest ? oldest->id : 0);
  if (oldest && oldest->id == last && publishing_.blocked.empty()) {
    log(log_level::warning, fmt::format("publishing link: no answer to a message for {} ms: trying "
                                        "another link",
                                        config_.outbox.confirm_timeout.count()));
    oldest_unconfirmed_ = 0;
    close(publishing_);
  }
  watch_confirms();
}

void supervisor_state::on_returned(const amqp::returned_message& x) {
  ++counters_.returned;
  log(log_level::warning, fmt::format("message to '{}' with routing key '{}' came back: {}",
                                      x.exchange, x.routing_key, x.reason.text));
  if (x.exchange.empty()) {
    consuming_.topology.queue_missing(x.routing_key);
    follow(consuming_);
  }
  if (auto message = outbox_.on_wire(x.properties.message_id))
    if (auto i = publishers_.find(message->id); i != publishers_.end())
      i->second.returned = true;
}

void supervisor_state::answer(std::uint64_t id, failure reason) {
  auto i = publishers_.find(id);
  if (i == publishers_.end()) {
    if (reason)
      log(log_level::warning, fmt::format("message not published: {}", reason.text));
    return;
  }
  auto publisher = std::move(i->second);
  publishers_.erase(i);
  if (reason)
    publisher.promise.deliver(make_error(std::move(reason)));
  else if (publisher.returned)
    publisher.promise.deliver(make_error(ec::no_route, "no queue took the message"));
  else
    publisher.promise.deliver(published{std::move(publisher.message_id)});
}

void supervisor_state::answer_dropped(const std::vector<outbox::dropped>& xs) {
  for (auto& x : xs) {
    if (counters_.dropped++ == 0 || unlogged_drops_ == 0)
      log(log_level::warning,
          fmt::format("outbox full ({} messages, {} bytes; policy {}): dropping messages",
                      outbox_.waiting() + outbox_.unconfirmed(), outbox_.bytes(),
                      to_string(config_.outbox.each.overflow)));
    ++unlogged_drops_;
    if (auto i = publishers_.find(x.id); i != publishers_.end()) {
      auto promise = i->second.promise;
      publishers_.erase(i);
      promise.deliver(make_error(x.reason, "the outbox is full: the broker is away or too slow"));
    }
  }
}

// The broker closed the publishing channel. Publications are pipelined, so it
// does not say which one it was about: its exchange is named in the reason.
void supervisor_state::refuse_publishing(const failure& reason) {
  auto& x = publishing_.topology;
  if (reason.code == ec::not_found) {
    // Our own consumers may have been bound to it.
    consuming_.topology.redeclare_exchanges();
    follow(consuming_);
    return x.redeclare_exchanges();
  }
  if (auto name = exchange_in(reason.text); x.knows_exchange(name))
    return x.refuse_exchange(name, reason);
  if (auto oldest = outbox_.oldest_on_wire()) {
    const auto id = oldest->id;
    outbox_.settle(id);
    ++counters_.rejected;
    answer(id, reason);
  }
}

} // namespace actors
