#include <algorithm>

#include <caf/result.hpp>
#include <fmt/core.h>

#include "actors/error.hpp"
#include "actors/logging.hpp"
#include "amqp/wire_rules.hpp"
#include "center/supervisor.hpp"
#include "runtime/repeated_log.hpp"

// A publication's way through the supervisor: into the outbox, to the link, and its answer.

namespace actors {

namespace {

/// How often expired messages are looked for, and held ones are tried again.
constexpr auto expiry_interval = std::chrono::milliseconds{250};
constexpr auto probe_interval = std::chrono::milliseconds{250};

/// After which time a message is sent again that the broker could not take.
constexpr auto rejected_pause = std::chrono::milliseconds{250};

/// How long a message waits for others whose exchanges are not there yet. A thousand of them
/// may need many seconds.
constexpr auto exchanges_limit = std::chrono::milliseconds{250};

/// RabbitMQ does not say which it is.
constexpr std::string_view rejected_text =
    "the broker could not take the message: a queue is full and refuses more (x-overflow "
    "reject-publish), so raise its limit or consume faster, or the broker cannot write, of which "
    "its own log tells";

/// Room for the rest of a message id, of which AMQP carries 255 bytes.
constexpr std::size_t max_id_prefix = 200;

/// Header of a copy: for retries or dead letters, or to the end of its queue.
constexpr std::string_view origin_header = "x-la-exchange";

void set_header(amqp::field_table& xs, std::string_view name, std::string value) {
  auto i = std::find_if(xs.begin(), xs.end(), [name](auto& x) { return x.first == name; });
  if (i == xs.end())
    xs.emplace_back(name, std::move(value));
  else
    i->second = std::move(value);
}

bool is_copy(const amqp::publication& x) {
  return x.exchange.empty()
         && std::any_of(x.properties.headers.begin(), x.properties.headers.end(),
                        [](auto& y) { return y.first == origin_header; });
}

/// Says of which message that is, unless the reason does.
failure about(std::string_view exchange, std::string_view routing_key, failure reason) {
  if (reason && !reason.text.starts_with("publish to "))
    reason.text = fmt::format("publish to {}:{}: {}", amqp::printable(exchange),
                              amqp::printable(routing_key), reason.text);
  return reason;
}

failure about(const amqp::publication& x, failure reason) {
  return about(x.exchange, x.routing_key, std::move(reason));
}

/// Whether a message can never be sent, whoever is there and whatever their rights are.
bool is_for_good(const failure& x) {
  switch (x.code) {
  case ec::invalid_argument:
  case ec::content_too_large:
  case ec::limit_exceeded:
    return true;
  default:
    return size_limit_in(x).has_value();
  }
}

/// How long a message is still worth sending.
std::chrono::milliseconds time_left(outbox::time_point deadline, outbox::time_point now) {
  using std::chrono::milliseconds;
  return std::max(std::chrono::ceil<milliseconds>(deadline - now), milliseconds{1});
}

/// What is said of a message that was refused, and may have been taken before that.
failure in_doubt(const failure& why) {
  return {ec::in_doubt,
          why.text + "; but the message was sent before, and may have been taken then"};
}

failure failure_of(outbox::outcome x) {
  switch (x) {
  case outbox::outcome::unroutable:
    return {ec::no_route, "no queue took the message"};
  case outbox::outcome::in_doubt:
    return in_doubt({ec::no_route, "no queue took the message"});
  default:
    return {};
  }
}

std::string begin_of_ids(std::string_view server_id, std::uint64_t epoch) {
  auto size = std::min(server_id.size(), max_id_prefix);
  while (size > 0 && size < server_id.size() && (server_id[size] & 0xC0) == 0x80)
    --size; // between the characters of UTF-8
  return fmt::format("{}-{:x}-", server_id.substr(0, size), epoch);
}

} // namespace

// -- into the outbox ----------------------------------------------------------------------

void supervisor_state::send_first(std::vector<amqp::publication> unsent) {
  id_prefix_ = begin_of_ids(config_.server_id, epoch_);
  if (!unsent.empty())
    log(log_level::info, fmt::format("sending {} messages of an earlier run", unsent.size()));
  const auto now = self_->clock().now();
  for (auto& x : unsent) {
    publishing_.topology.want(exchange_named(x.exchange));
    stamp(x);
    const auto ttl = x.properties.expiration;
    const auto deadline = ttl.count() > 0 ? std::optional{now + ttl} : std::nullopt;
    const auto id = x.id;
    unsent_.emplace(id, outbox::remainder{std::move(x), false, deadline});
  }
  last_unsent_ = last_publication_;
  counters_.published += last_unsent_;
  send_rest();
}

// What finds no room is not lost: it is in the file, and comes when there is some.
void supervisor_state::send_rest() {
  while (next_unsent_ <= last_unsent_) {
    auto& former = unsent_.at(next_unsent_);
    auto& x = former.message;
    auto& to = way_of(x).messages;
    if (!to.has_room(x))
      break;
    ++next_unsent_;
    auto now = outbox::time_point{};
    if (to.expires(x)) {
      now = self_->clock().now();
      schedule_expiry();
    }
    if (former.deadline)
      x.properties.expiration = time_left(*former.deadline, now);
    answer_dropped(to.push(x, now, outbox::manner::patient));
  }
}

caf::result<published> supervisor_state::publish(amqp::publication x) {
  if (auto reason = refusal(x))
    return refuse(std::move(reason), x);
  x.checked = true; // and what it gets from `stamp` can be said
  x.id = last_publication_ + 1;
  auto how = outbox::manner::usual;
  if (!quarantine_.empty()) {
    auto verdict = quarantine_.judge(x, self_->clock().now());
    if (verdict.refused)
      return refuse(std::move(verdict.refused), x);
    if (verdict.alone)
      how = outbox::manner::alone;
    // It may cost its link, so that nobody else is to be there.
    if (verdict.apart && may_set_aside() && usual_.messages.forget(x.exchange))
      aside_.messages.remember(x.exchange);
  }
  if (!publishing_.topology.knows_exchange(x.exchange)) {
    if (publishing_.topology.exchanges_settled())
      awaiting_since_.reset();
    publishing_.topology.want(exchange_named(x.exchange));
    follow(publishing_);
  }
  push(std::move(x), how);
  return caf::delegated<published>{};
}

caf::error supervisor_state::refuse(failure reason, const amqp::publication& x) {
  ++counters_.rejected;
  reason = about(x, std::move(reason));
  log_unpublished(reason, x.exchange);
  return make_error(std::move(reason));
}

failure supervisor_state::refusal(const amqp::publication& x) const {
  if (stopping_ != stop_stage::none)
    return {ec::shutting_down, "the event center is stopping"};
  if (max_body_ != 0 && x.body && x.body->size() > max_body_)
    return {ec::content_too_large,
            fmt::format("{} bytes, and the broker takes {} at most: publish less at once, or raise "
                        "its max_message_size",
                        x.body->size(), max_body_)};
  return check(x);
}

void supervisor_state::push(amqp::publication x, outbox::manner how) {
  const auto place = stamp(x);
  const auto id = x.id;
  auto promise = self_->make_response_promise();
  if (promise.pending())
    publishers_.emplace(id, waiting_publisher{promise, x.properties.message_id});
  ++counters_.published;
  auto& to = way_of(x).messages;
  auto now = outbox::time_point{};
  if (to.expires(x)) {
    now = self_->clock().now();
    schedule_expiry();
  }
  auto drops = to.push(std::move(x), now, how);
  // What is refused at once was never a part of its stream.
  if (place && drops.size() == 1 && drops[0] == outbox::dropped{id, ec::outbox_full})
    --place->sequence;
  answer_dropped(drops);
  schedule_flush();
}

amqp::stream_position* supervisor_state::stamp(amqp::publication& x) {
  using std::chrono::system_clock;
  auto& p = x.properties;
  amqp::stream_position* place = nullptr;
  x.id = ++last_publication_;
  // A copy for a retry, or a message of an earlier run, keeps its place; that of a message
  // without one must not look like ours.
  if (is_copy(x)) {
    set_header(p.headers, copy_header, id_prefix_ + std::to_string(x.id));
  } else if (!p.position) {
    place = &numbers_.next(x.exchange, x.routing_key);
    p.position = *place;
  }
  if (p.message_id.empty())
    p.message_id = id_prefix_ + std::to_string(x.id);
  if (p.timestamp == 0)
    p.timestamp = static_cast<std::uint64_t>(system_clock::to_time_t(system_clock::now()));
  return place;
}

// -- to the link --------------------------------------------------------------------------

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
  flush_aside();
  if (!publishing_.is_open() || awaits_exchanges())
    return continue_stop();
  flush(usual_);
  // What was refused has left room.
  const auto next = next_unsent_;
  send_rest();
  if (next_unsent_ > next)
    schedule_flush();
  continue_stop();
}

void supervisor_state::flush(outbound& x) {
  auto& by = link_of(x);
  if (!by.is_open())
    return;
  const auto& exchanges = publishing_.topology;
  outbox::gate open;
  const auto has_turns = x.messages.has_turns();
  if (&x == &aside_ || has_turns || !exchanges.exchanges_settled())
    open = [&, since = has_turns ? self_->clock().now()
                                 : outbox::time_point{}](const std::string& exchange) {
      // Who is to go back to the usual link leaves nothing on this one.
      return exchanges.is_settled(exchange) && !x.messages.returns(exchange)
             && (!has_turns || x.messages.has_turn(exchange, since));
    };
  if (x.messages.has_rejected())
    x.messages.send_again(self_->clock().now());
  const auto now = x.messages.has_deadlines() ? self_->clock().now() : outbox::time_point{};
  std::vector<amqp::publication> batch;
  std::vector<outbox::remainder> refused;
  for (auto messages = x.messages.take(now, open); !messages.empty();
       messages = x.messages.take(now, open)) {
    for (auto& message : messages) {
      auto reason = exchanges.exchange_failure(message.exchange);
      if (!reason && !quarantine_.empty())
        reason = quarantine_.refusal(message);
      if (!reason)
        batch.push_back(std::move(message));
      else if (auto y = refuse_on_wire(x, message.id, about(message, std::move(reason))))
        refused.push_back(std::move(*y));
    }
  }
  std::for_each(refused.rbegin(), refused.rend(), [this](const auto& y) { free_place(y); });
  answer_dropped(x.messages.take_dropped());
  watch_confirms(x);
  if (!batch.empty())
    by.out->publish(by.incarnation, std::move(batch));
}

// Messages leave in the order that they were published in, unless it takes long.
bool supervisor_state::awaits_exchanges() {
  if (publishing_.topology.exchanges_settled()) {
    awaiting_since_.reset();
    return false;
  }
  const auto now = self_->clock().now();
  if (!awaiting_since_) {
    awaiting_since_ = now;
    self_->delayed_send(self_, exchanges_limit, flush_atom_v);
  }
  return now - *awaiting_since_ < exchanges_limit;
}

// -- answers ------------------------------------------------------------------------------

void supervisor_state::on_confirmations(const confirmations& xs) {
  for (auto& x : xs.items) {
    if (x.accepted)
      on_confirmed(x.id);
    else
      on_rejected(x.id);
  }
  bring_back();
  if (!unsent_.empty())
    send_rest();
  if (unsent_file_)
    unsent_file_->sync();
  if (usual_.messages.waiting() + aside_.messages.waiting() > 0)
    schedule_flush();
  continue_stop();
}

void supervisor_state::on_confirmed(std::uint64_t id) {
  using outcome = outbox::outcome;
  if (!quarantine_.empty())
    lift_quarantine(id);
  auto* by = &usual_;
  auto what = usual_.messages.confirm(id);
  if (what == outcome::unknown && !aside_.messages.empty()) {
    by = &aside_;
    what = aside_.messages.confirm(id);
  }
  if (what == outcome::unknown)
    return;
  by->rejecting_since.reset();
  by->rejections_limit = outbound::first_rejections_limit;
  usual_.broker_takes = aside_.broker_takes = true;
  if (what == outcome::held) {
    log_repeated(log_level::info, "message held", {},
                 "no queue takes a persistent message: it is tried again while bindings may "
                 "still be made");
    return;
  }
  ++counters_.confirmed;
  finish(id, failure_of(what)); // `on_returned` has logged it
}

void supervisor_state::lift_quarantine(std::uint64_t id) {
  auto* taken = usual_.messages.on_wire(id);
  if (!taken)
    taken = aside_.messages.on_wire(id);
  if (taken)
    quarantine_.lift(*taken);
}

void supervisor_state::on_rejected(std::uint64_t id) {
  auto* by = &usual_;
  auto* message = usual_.messages.on_wire(id);
  if (!message) {
    by = &aside_;
    message = aside_.messages.on_wire(id);
  }
  if (!message)
    return;
  const auto exchange = message->exchange;
  const auto routing_key = message->routing_key;
  const auto what = by->messages.reject(id, self_->clock().now() + rejected_pause);
  doubt_publishing(*by);
  if (what == outbox::rejection::again) {
    self_->delayed_send(self_, rejected_pause, flush_atom_v);
    return;
  }
  ++counters_.rejected;
  const auto reason =
      about(exchange, routing_key, {ec::publish_rejected, std::string{rejected_text}});
  give_up(id, what == outbox::rejection::in_doubt ? in_doubt(reason) : reason, exchange);
}

void supervisor_state::on_refused(const publication_refused& x) {
  auto message = refuse_on_wire(usual_, x.id, x.reason);
  if (!message)
    message = refuse_on_wire(aside_, x.id, x.reason);
  if (message)
    free_place(*message);
  schedule_flush();
}

std::optional<outbox::remainder> supervisor_state::refuse_on_wire(outbound& from, std::uint64_t id,
                                                                  const failure& reason) {
  auto x = from.messages.settle(id);
  if (!x)
    return x;
  ++counters_.rejected;
  give_up(id, x->in_doubt ? in_doubt(reason) : reason, x->message.exchange);
  return x;
}

void supervisor_state::free_place(const outbox::remainder& x) {
  auto& place = x.message.properties.position;
  const auto is_former = x.message.id <= last_unsent_; // it may be sent another time
  if (place && !x.in_doubt && !is_former && !is_copy(x.message))
    numbers_.give_back(x.message.exchange, x.message.routing_key, *place);
}

void supervisor_state::finish(std::uint64_t id, failure reason) {
  if (id <= last_unsent_)
    finish_former(id, reason);
  answer(id, std::move(reason));
}

void supervisor_state::give_up(std::uint64_t id, const failure& reason, std::string_view exchange) {
  if (id <= last_unsent_)
    finish_former(id, reason);
  if (!answer(id, reason))
    log_unpublished(reason, exchange);
}

// Of each exchange a line, whatever else is in the texts, as sizes are.
void supervisor_state::log_unpublished(const failure& reason, std::string_view exchange) {
  log_repeated(log_level::warning, "message not published",
               fmt::format("{} {}", exchange, to_string(reason.code)),
               "message not published: " + reason.text);
}

// A right may be given back, a consumer may come: what could be sent then stays in the file.
void supervisor_state::finish_former(std::uint64_t id, const failure& reason) {
  const auto is_done = !reason || reason.code == ec::expired;
  if (!is_done && !is_for_good(reason))
    return;
  unsent_.erase(id);
  if (unsent_file_ && is_done)
    unsent_file_->settle(id - 1);
  else if (unsent_file_)
    unsent_file_->set_aside(id - 1);
}

void supervisor_state::on_returned(const amqp::returned_message& x) {
  auto* box = &usual_.messages;
  auto message = box->returned(x);
  if (!message && !aside_.messages.empty()) {
    box = &aside_.messages;
    message = box->returned(x);
  }
  if (x.exchange.empty()) {
    consuming_.topology.queue_missing(x.routing_key);
    follow(consuming_);
  }
  if (message && box->tries_again(message->id))
    return;
  ++counters_.returned;
  auto text =
      fmt::format("message to exchange '{}' with routing key '{}' came back: {}",
                  amqp::printable(x.exchange), amqp::printable(x.routing_key), x.reason.text);
  log_repeated(log_level::warning, "message came back", x.exchange + ' ' + x.routing_key, text);
}

bool supervisor_state::answer(std::uint64_t id, failure reason) {
  auto i = publishers_.find(id);
  if (i == publishers_.end())
    return false;
  auto publisher = std::move(i->second);
  publishers_.erase(i);
  if (reason)
    publisher.promise.deliver(make_error(std::move(reason)));
  else
    publisher.promise.deliver(published{std::move(publisher.message_id)});
  return true;
}

void supervisor_state::answer_dropped(const std::vector<outbox::dropped>& xs) {
  for (auto& x : xs) {
    ++counters_.dropped;
    if (x.reason != ec::expired && x.reason != ec::in_doubt) {
      answer_overflow(x);
      continue;
    }
    failure reason{x.reason, x.reason == ec::expired
                                 ? "the message expired before it could be sent: the broker is "
                                   "away or too slow, or its ttl is too short"
                                 : "the message was dropped, but the broker may have taken it "
                                   "before its link was lost"};
    give_up(x.id, about(x.exchange, x.routing_key, std::move(reason)), x.exchange);
  }
}

// By the policy of the exchange. Whoever wants the newest alone has lost nothing.
void supervisor_state::answer_overflow(const outbox::dropped& x) {
  if (!x.replaced)
    log_repeated(log_level::warning, "outbox full", x.exchange,
                 fmt::format("the outbox is full of messages to exchange '{}' (policy {}): some "
                             "are dropped, as one to {}:{}; raise OUTBOX, or publish less",
                             amqp::printable(x.exchange),
                             to_string(config_.outbox.of(x.exchange).overflow),
                             amqp::printable(x.exchange), amqp::printable(x.routing_key)));
  auto i = publishers_.find(x.id);
  if (i == publishers_.end())
    return;
  auto promise = i->second.promise;
  publishers_.erase(i);
  promise.deliver(make_error(
      about(x.exchange, x.routing_key,
            {x.reason, x.replaced ? "a newer message has taken its place"
                                  : "the outbox is full: the broker is away or too slow"})));
}

// -- what the broker refuses --------------------------------------------------------------

// The broker closed the channel, or the connection, because of a publication.
void supervisor_state::blame_publication(outbound& from, const failure& words) {
  const auto now = self_->clock().now();
  if (words.code == ec::not_found) {
    // Our own consumers may have been bound to the exchange, and others.
    consuming_.topology.redeclare_exchanges();
    follow(consuming_);
    publishing_.topology.redeclare_exchanges();
    restore_routes();
  }
  if (auto limit = size_limit_in(words))
    max_body_ = *limit;
  if (!config_.publisher_confirms) {
    quarantine_.add(words, now);
    return from.messages.rewind();
  }
  auto culprit = from.messages.accuse(words);
  // An exchange that is not found is declared again first.
  if (&from == &usual_ && words.code != ec::not_found)
    set_aside();
  if (!culprit)
    return;
  ++counters_.rejected;
  from.broker_takes = false;
  auto& message = culprit->message;
  quarantine_.add(message, words, now);
  auto reason = about(message, words);
  log_repeated(log_level::warning, "publication refused",
               message.exchange + ' ' + std::string{to_string(words.code)},
               "the broker refused a message: " + reason.text);
  finish(message.id, culprit->in_doubt ? in_doubt(reason) : std::move(reason));
  free_place(*culprit);
}

bool supervisor_state::on_publishing_lost(outbound& x, const failure& reason, bool explained) {
  x.rejecting_since.reset();
  const auto took = x.broker_takes;
  const auto accused = !explained && closes_connection(reason.code) && x.messages.unconfirmed() > 0;
  keeps_quarantine_ = keeps_quarantine_ || (accused && &x == &usual_);
  if (accused)
    blame_publication(x, reason);
  else
    x.messages.rewind();
  if (&x == &usual_)
    set_aside_hanging();
  if (&x == &usual_)
    x.messages.restore();
  else
    schedule_flush(); // whoever is proven waits for nobody
  // If message after message is refused, it is the broker.
  return accused && took;
}

void supervisor_state::on_publishing_up(outbound& x) {
  if (&x == &aside_)
    return schedule_flush();
  max_body_ = 0;
  awaiting_since_.reset();
  if (!std::exchange(keeps_quarantine_, false)) // else it is asked the same again
    quarantine_.clear();
  tend_link_apart();
  schedule_flush(); // what is set aside waited for this one as well
  restore_routes();
}

// -- what no queue takes yet --------------------------------------------------------------

void supervisor_state::restore_routes() {
  usual_.messages.restore();
  aside_.messages.restore();
  restore_until_ = self_->clock().now() + config_.outbox.restore_timeout;
  schedule_probe();
}

void supervisor_state::schedule_probe() {
  if (std::exchange(probe_scheduled_, true))
    return;
  self_->delayed_send(self_, probe_interval, probe_atom_v);
}

void supervisor_state::on_probe() {
  probe_scheduled_ = false;
  if (!usual_.messages.restoring() || !publishing_.up)
    return; // the next link begins anew
  const auto goes_on = self_->clock().now() < restore_until_;
  const auto held = usual_.messages.held() + aside_.messages.held();
  if (!goes_on && held > 0)
    log(log_level::warning,
        fmt::format("{} persistent messages have found no queue for {} ms since the link is up: "
                    "they are tried once more, and their publishers are told",
                    held, config_.outbox.restore_timeout.count()));
  for (auto* x : {&usual_.messages, &aside_.messages}) {
    if (goes_on)
      x->probe();
    else
      x->end_restore();
  }
  if (goes_on)
    schedule_probe();
  schedule_flush();
}

// -- what is not worth sending any more ---------------------------------------------------

void supervisor_state::schedule_expiry() {
  if (!std::exchange(expiry_scheduled_, true))
    self_->delayed_send(self_, expiry_interval, expire_atom_v);
}

void supervisor_state::on_expire() {
  expiry_scheduled_ = false;
  for (auto* x : {&usual_.messages, &aside_.messages}) {
    x->expire(self_->clock().now());
    answer_dropped(x->take_dropped());
    if (x->has_deadlines())
      schedule_expiry();
  }
  if (next_unsent_ <= last_unsent_ || aside_.messages.exchanges() > 0)
    schedule_flush();
  continue_stop();
}

// -- end ----------------------------------------------------------------------------------

bool supervisor_state::published_all() const noexcept {
  return usual_.messages.empty() && aside_.messages.empty() && next_unsent_ > last_unsent_;
}

std::vector<amqp::publication> supervisor_state::hand_back_unsent() {
  const auto now = self_->clock().now();
  std::vector<outbox::remainder> rest;
  for (auto* box : {&usual_.messages, &aside_.messages}) {
    box->expire(now);
    answer_dropped(box->take_dropped());
    for (auto& x : box->clear())
      rest.push_back(std::move(x));
  }
  for (auto& x : rest)
    unsent_.erase(x.message.id);
  // What was refused, and may be taken another time.
  for (auto& [id, x] : unsent_)
    rest.push_back(std::move(x));
  unsent_.clear();
  std::sort(rest.begin(), rest.end(), [](auto& x, auto& y) { return x.message.id < y.message.id; });
  std::vector<amqp::publication> unsent;
  for (auto& x : rest) {
    // One whose time is over is still told from one without a limit.
    if (x.deadline)
      x.message.properties.expiration = time_left(*x.deadline, now);
    unsent.push_back(x.message);
  }
  const auto kept = keep_unsent(unsent);
  for (auto& x : rest) {
    failure reason{ec::shutting_down, "the event center stopped before the broker had the message"};
    if (kept)
      reason = {ec::kept_unsent, reason.text + ": the next start sends it"};
    else if (x.in_doubt)
      reason = {ec::in_doubt, "the event center stopped before the broker had said whether it has "
                              "the message"};
    reason = about(x.message, std::move(reason));
    if (!answer(x.message.id, reason))
      log_unpublished(reason, x.message.exchange);
  }
  if (!unsent.empty() && !kept)
    log(log_level::error, fmt::format("stopped with {} messages unsent", unsent.size()));
  return unsent;
}

bool supervisor_state::keep_unsent(const std::vector<amqp::publication>& xs) {
  auto file = std::exchange(unsent_file_, nullptr);
  if (!file)
    return false;
  if (auto err = file->replace(xs, std::chrono::system_clock::now())) {
    log(log_level::error, text_of(err));
    return false;
  }
  if (!xs.empty())
    log(log_level::info,
        fmt::format("the next start sends the {} messages in '{}'", xs.size(), file->path()));
  return true;
}

} // namespace actors
