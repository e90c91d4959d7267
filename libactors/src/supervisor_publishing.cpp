#include <algorithm>

#include <caf/result.hpp>
#include <fmt/core.h>

#include "actors/amqp/wire_rules.hpp"
#include "actors/error.hpp"
#include "actors/logging.hpp"
#include "actors/supervisor.hpp"

// A publication's way through the supervisor: into the outbox, to the link, and its answer.

namespace actors {

namespace {

/// How long the broker may reject all messages until another link is tried is twice
/// as long each time that this was of no help, up to this.
constexpr auto last_rejections_limit = std::chrono::milliseconds{60'000};

/// How often expired messages are looked for, and held ones are tried again.
constexpr auto expiry_interval = std::chrono::milliseconds{250};
constexpr auto probe_interval = std::chrono::milliseconds{250};

/// After which time a message is sent again that the broker could not take.
constexpr auto rejected_pause = std::chrono::milliseconds{250};

/// How long a message waits for others whose exchanges are not there yet. A thousand of them
/// may need many seconds.
constexpr auto exchanges_limit = std::chrono::milliseconds{250};

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

/// Whether a connection is closed like this because of what we said on it.
bool accuses(ec code) noexcept {
  switch (code) {
  case ec::frame_error:
  case ec::syntax_error:
  case ec::command_invalid:
  case ec::channel_error:
  case ec::unexpected_frame:
  case ec::resource_error:
  case ec::not_allowed:
  case ec::not_implemented:
  case ec::internal_error:
    return true;
  default:
    return false;
  }
}

std::string about(const amqp::publication& x) {
  return fmt::format("exchange '{}' with routing key '{}'", amqp::printable(x.exchange),
                     amqp::printable(x.routing_key));
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
    if (!outbox_.has_room(x))
      break;
    ++next_unsent_;
    const auto now = outbox_.expires(x) ? self_->clock().now() : outbox::time_point{};
    if (former.deadline)
      x.properties.expiration = time_left(*former.deadline, now);
    answer_dropped(outbox_.push(x, now, outbox::manner::patient));
  }
  if (outbox_.has_deadlines())
    schedule_expiry();
}

caf::result<published> supervisor_state::publish(amqp::publication x) {
  if (auto reason = refusal(x))
    return refuse(std::move(reason));
  x.checked = true; // and what it gets from `stamp` can be said
  x.id = last_publication_ + 1;
  auto how = outbox::manner::usual;
  if (!quarantine_.empty()) {
    auto verdict = quarantine_.judge(x, self_->clock().now());
    if (verdict.refused)
      return refuse(std::move(verdict.refused));
    if (verdict.alone)
      how = outbox::manner::alone;
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

caf::error supervisor_state::refuse(failure reason) {
  ++counters_.rejected;
  log_repeated(log_level::warning, "message not published", reason.text,
               "message not published: " + reason.text);
  return make_error(std::move(reason));
}

failure supervisor_state::refusal(const amqp::publication& x) const {
  if (stopping_ != stop_stage::none)
    return {ec::shutting_down, "the event center is stopping"};
  if (max_body_ != 0 && x.body && x.body->size() > max_body_)
    return {ec::content_too_large,
            fmt::format("publish to {}: {} bytes, and the broker takes {} at most", about(x),
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
  auto now = outbox::time_point{};
  if (outbox_.expires(x)) {
    now = self_->clock().now();
    schedule_expiry();
  }
  auto drops = outbox_.push(std::move(x), now, how);
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
  auto& x = publishing_;
  if (!x.up || !x.blocked.empty() || awaits_exchanges())
    return;
  outbox::gate open;
  if (!x.topology.exchanges_settled())
    open = [&x](const std::string& exchange) { return x.topology.is_settled(exchange); };
  if (unlogged_drops_ > 0)
    log_repeated(log_level::warning, "messages dropped", "outbox",
                 fmt::format("outbox: {} messages were dropped", unlogged_drops_));
  unlogged_drops_ = 0;
  if (outbox_.has_rejected())
    outbox_.send_again(self_->clock().now());
  const auto now = outbox_.has_deadlines() ? self_->clock().now() : outbox::time_point{};
  std::vector<amqp::publication> batch;
  std::vector<outbox::remainder> refused;
  for (auto messages = outbox_.take(now, open); !messages.empty();
       messages = outbox_.take(now, open)) {
    for (auto& message : messages) {
      auto reason = x.topology.exchange_failure(message.exchange);
      if (!reason && !quarantine_.empty())
        reason = quarantine_.refusal(message);
      if (!reason)
        batch.push_back(std::move(message));
      else if (auto y = refuse_on_wire(message.id, std::move(reason)))
        refused.push_back(std::move(*y));
    }
  }
  std::for_each(refused.rbegin(), refused.rend(), [this](const auto& y) { free_place(y); });
  answer_dropped(outbox_.take_dropped());
  watch_confirms();
  if (!batch.empty())
    x.out->publish(x.incarnation, std::move(batch));
  // What was refused has left room.
  const auto next = next_unsent_;
  send_rest();
  if (next_unsent_ > next)
    schedule_flush();
  continue_stop();
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
  using outcome = outbox::outcome;
  for (auto& x : xs.items) {
    if (!x.accepted) {
      on_rejected(x.id);
      continue;
    }
    const auto what = outbox_.confirm(x.id);
    if (what == outcome::unknown)
      continue;
    rejecting_since_.reset();
    rejections_limit_ = first_rejections_limit;
    broker_takes_ = true;
    if (!quarantine_.empty())
      quarantine_.lift(x.id);
    if (what == outcome::held) {
      log_repeated(log_level::info, "message held", {},
                   "no queue takes a persistent message: it is tried again while bindings may "
                   "still be made");
      continue;
    }
    ++counters_.confirmed;
    finish(x.id, failure_of(what));
  }
  if (!unsent_.empty())
    send_rest();
  if (unsent_file_)
    unsent_file_->sync();
  if (outbox_.waiting() > 0)
    schedule_flush();
  continue_stop();
}

void supervisor_state::on_rejected(std::uint64_t id) {
  const auto what = outbox_.reject(id, self_->clock().now() + rejected_pause);
  if (what == outbox::rejection::unknown)
    return;
  doubt_publishing();
  if (what == outbox::rejection::again) {
    self_->delayed_send(self_, rejected_pause, flush_atom_v);
    return;
  }
  ++counters_.rejected;
  failure reason{ec::publish_rejected, "the broker could not take the message"};
  finish(id, what == outbox::rejection::in_doubt ? in_doubt(reason) : std::move(reason));
}

void supervisor_state::on_refused(const publication_refused& x) {
  if (auto message = refuse_on_wire(x.id, x.reason))
    free_place(*message);
  schedule_flush();
}

std::optional<outbox::remainder> supervisor_state::refuse_on_wire(std::uint64_t id,
                                                                  failure reason) {
  auto x = outbox_.settle(id);
  if (!x)
    return x;
  ++counters_.rejected;
  finish(id, x->in_doubt ? in_doubt(reason) : std::move(reason));
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
  const auto oldest = outbox_.oldest_on_wire();
  const auto last = std::exchange(oldest_unconfirmed_, oldest);
  if (oldest != 0 && oldest == last && publishing_.blocked.empty()) {
    log(log_level::warning, fmt::format("publishing link: no answer to a message for {} ms: trying "
                                        "another link",
                                        config_.outbox.confirm_timeout.count()));
    oldest_unconfirmed_ = 0;
    close(publishing_);
  }
  watch_confirms();
}

void supervisor_state::on_returned(const amqp::returned_message& x) {
  auto message = outbox_.returned(x);
  if (x.exchange.empty()) {
    consuming_.topology.queue_missing(x.routing_key);
    follow(consuming_);
  }
  if (message && outbox_.tries_again(message->id))
    return;
  ++counters_.returned;
  auto text =
      fmt::format("message to exchange '{}' with routing key '{}' came back: {}",
                  amqp::printable(x.exchange), amqp::printable(x.routing_key), x.reason.text);
  log_repeated(log_level::warning, "message came back", x.exchange + ' ' + x.routing_key, text);
}

void supervisor_state::answer(std::uint64_t id, failure reason) {
  auto i = publishers_.find(id);
  if (i == publishers_.end()) {
    if (reason)
      log_repeated(log_level::warning, "message not published", to_string(reason.code),
                   "message not published: " + reason.text);
    return;
  }
  auto publisher = std::move(i->second);
  publishers_.erase(i);
  if (reason)
    publisher.promise.deliver(make_error(std::move(reason)));
  else
    publisher.promise.deliver(published{std::move(publisher.message_id)});
}

void supervisor_state::answer_dropped(const std::vector<outbox::dropped>& xs) {
  for (auto& x : xs) {
    ++counters_.dropped;
    if (x.reason == ec::expired) {
      finish(x.id, {x.reason, "the message expired before it could be sent"});
      continue;
    }
    if (x.reason == ec::in_doubt) {
      finish(x.id, {x.reason, "the message was dropped, but the broker may have taken it before "
                              "its link was lost"});
      continue;
    }
    if (unlogged_drops_++ == 0)
      log_repeated(log_level::warning, "outbox full", {},
                   fmt::format("outbox full ({} messages, {} bytes; policy {}): dropping messages",
                               outbox_.waiting() + outbox_.unconfirmed(), outbox_.bytes(),
                               to_string(config_.outbox.each.overflow)));
    if (auto i = publishers_.find(x.id); i != publishers_.end()) {
      auto promise = i->second.promise;
      publishers_.erase(i);
      promise.deliver(make_error(x.reason, "the outbox is full: the broker is away or too slow"));
    }
  }
}

// -- what the broker refuses --------------------------------------------------------------

// The broker closed the channel, or the connection, because of a publication.
void supervisor_state::blame_publication(const failure& words) {
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
    return outbox_.rewind();
  }
  auto culprit = outbox_.accuse(words);
  if (!culprit)
    return;
  ++counters_.rejected;
  broker_takes_ = false;
  auto& message = culprit->message;
  quarantine_.add(message, words, now);
  failure reason{words.code, fmt::format("publish to {}: {}", about(message), words.text)};
  log_repeated(log_level::warning, "publication refused",
               message.exchange + ' ' + std::string{to_string(words.code)},
               "the broker refused a message: " + reason.text);
  finish(message.id, culprit->in_doubt ? in_doubt(reason) : std::move(reason));
  free_place(*culprit);
}

bool supervisor_state::on_publishing_lost(const failure& reason, bool explained) {
  rejecting_since_.reset();
  const auto took = broker_takes_;
  const auto accused = !explained && accuses(reason.code) && outbox_.unconfirmed() > 0;
  if (accused)
    blame_publication(reason);
  else
    outbox_.rewind();
  outbox_.restore();
  // If message after message is refused, it is the broker.
  return accused && took;
}

void supervisor_state::on_publishing_up() {
  max_body_ = 0;
  awaiting_since_.reset();
  quarantine_.clear();
  restore_routes();
}

// -- what no queue takes yet --------------------------------------------------------------

void supervisor_state::restore_routes() {
  outbox_.restore();
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
  if (!outbox_.restoring() || !publishing_.up)
    return; // the next link begins anew
  if (self_->clock().now() < restore_until_) {
    outbox_.probe();
    schedule_probe();
  } else {
    if (outbox_.held() > 0)
      log(log_level::warning,
          fmt::format("{} persistent messages have found no queue for {} ms since the link is up: "
                      "they are tried once more, and their publishers are told",
                      outbox_.held(), config_.outbox.restore_timeout.count()));
    outbox_.end_restore();
  }
  schedule_flush();
}

// -- what is not worth sending any more ---------------------------------------------------

void supervisor_state::schedule_expiry() {
  if (!std::exchange(expiry_scheduled_, true))
    self_->delayed_send(self_, expiry_interval, expire_atom_v);
}

void supervisor_state::on_expire() {
  expiry_scheduled_ = false;
  outbox_.expire(self_->clock().now());
  answer_dropped(outbox_.take_dropped());
  if (outbox_.has_deadlines())
    schedule_expiry();
  if (next_unsent_ <= last_unsent_)
    schedule_flush();
  continue_stop();
}

// -- end ----------------------------------------------------------------------------------

bool supervisor_state::published_all() const noexcept {
  return outbox_.empty() && next_unsent_ > last_unsent_;
}

std::vector<amqp::publication> supervisor_state::hand_back_unsent() {
  const auto now = self_->clock().now();
  outbox_.expire(now);
  answer_dropped(outbox_.take_dropped());
  auto rest = outbox_.clear();
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
  for (auto& x : rest)
    if (kept)
      answer(x.message.id, {ec::kept_unsent, "the event center stopped before the broker had the "
                                             "message: the next start sends it"});
    else if (x.in_doubt)
      answer(x.message.id, {ec::in_doubt, "the event center stopped before the broker had said "
                                          "whether it has the message"});
    else
      answer(x.message.id,
             {ec::shutting_down, "the event center stopped before the broker had the message"});
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
