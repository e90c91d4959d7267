#include "publishing/publication_tracker.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "actors/error.hpp"
#include "amqp/wire_rules.hpp"
#include "publishing/publication_failures.hpp"

// Handles the way into the outbox and to the link, and the timers.

namespace actors {

namespace {

/// The intervals at which expired messages are dropped and held ones are tried again.
constexpr auto expiry_interval = std::chrono::milliseconds{250};
constexpr auto probe_interval = std::chrono::milliseconds{250};

/// How long a message waits for older ones whose exchanges are still being declared: a thousand
/// exchanges may need many seconds.
constexpr auto exchanges_limit = std::chrono::milliseconds{250};

} // namespace

publication_tracker::publication_tracker(settings options, const link_set& links)
    : settings_(std::move(options)),
      links_(links),
      stamp_(settings_.epoch),
      former_(settings_.unsent_file),
      usual_(make_outbound(link_role::publishing)),
      aside_(make_outbound(link_role::quarantine)),
      quarantine_(settings_.pause) {
  // nop
}

publication_tracker::outbound publication_tracker::make_outbound(link_role by) const {
  return {by, outbox{settings_.outbox, settings_.confirms}, rejection_watch{},
          answer_watch{settings_.outbox.confirm_timeout}};
}

// -- into the outbox ----------------------------------------------------------------------

void publication_tracker::send_first(std::vector<amqp::publication> messages) {
  if (!messages.empty())
    news.emplace_back(log_line::once(
        log_level::info, fmt::format("sending {} messages of an earlier run", messages.size())));
  for (auto& message : messages) {
    stamp_.mark(message);
    former_.add(std::move(message), now_);
  }
  counters_.published += former_.size();
  send_rest();
}

// Messages without room are not lost: they stay in the file and come when there is room.
bool publication_tracker::send_rest() {
  auto found_room = false;
  while (former_.any_waiting()) {
    auto& message = former_.next();
    auto& to = way_of(message).messages;
    if (!to.has_room(message))
      break;
    found_room = true;
    answer_dropped(put(to, amqp::publication{former_.take_next(now_)}, outbox::manner::patient));
  }
  return found_room;
}

std::vector<outbox::dropped> publication_tracker::put(outbox& to, amqp::publication&& x,
                                                      outbox::manner how) {
  if (!to.expires(x))
    return to.push(std::move(x), {}, how);
  schedule_expiry();
  return to.push(std::move(x), now_, how);
}

bool publication_tracker::heeds_time() const {
  const auto& x = usual_.messages;
  return !links_.exchanges().exchanges_settled() || !quarantine_.empty() || former_.any_waiting()
         || !aside_.messages.empty() || x.has_turns() || x.has_rejected() || x.has_deadlines();
}

bool publication_tracker::heeds_time(const amqp::publication& x) const {
  return !quarantine_.empty() || !aside_.messages.empty() || usual_.messages.expires(x);
}

bool publication_tracker::heeds_time(const std::vector<amqp::confirmation>& answers) const {
  return heeds_time()
         || std::any_of(answers.begin(), answers.end(), [](auto& x) { return !x.accepted; });
}

publication_tracker::admission publication_tracker::judge(amqp::publication& message) {
  admission result{refusal(message)};
  if (result.refused)
    return result;
  message.checked = true; // the marks that `stamp` adds are always valid
  message.id = stamp_.last() + 1;
  if (!quarantine_.empty()) {
    auto verdict = quarantine_.judge(message, now_);
    result.refused = std::move(verdict.refused);
    if (result.refused)
      return result;
    if (verdict.alone)
      result.how = outbox::manner::alone;
    // The message may cost its link, which others must not share.
    if (verdict.apart && may_set_aside() && usual_.messages.forget(message.exchange))
      aside_.messages.remember(message.exchange);
  }
  const auto& exchanges = links_.exchanges();
  result.is_exchange_new = !exchanges.knows_exchange(message.exchange);
  if (result.is_exchange_new && exchanges.exchanges_settled())
    awaiting_since_.reset();
  return result;
}

failure publication_tracker::refusal(const amqp::publication& x) const {
  if (links_.stopping().has_begun())
    return {ec::shutting_down, "the event center is stopping"};
  if (max_body_ != 0 && x.body && x.body->size() > max_body_)
    return {ec::content_too_large,
            fmt::format("{} bytes, and the broker takes {} at most: publish less at once, or raise "
                        "its max_message_size",
                        x.body->size(), max_body_)};
  return check(x);
}

failure publication_tracker::refuse(failure reason, const amqp::publication& x) {
  ++counters_.rejected;
  reason = about(x, std::move(reason));
  news.emplace_back(unpublished(reason, x.exchange));
  return reason;
}

void publication_tracker::stamp(amqp::publication& x, admission& how) {
  how.place = stamp_.mark(x);
}

void publication_tracker::push(amqp::publication&& message, const admission& how) {
  const auto id = message.id;
  ++counters_.published;
  auto& to = way_of(message).messages;
  auto drops = put(to, std::move(message), how.how);
  // A message that is refused at once must leave no gap in its stream.
  if (how.place && drops.size() == 1 && drops[0] == outbox::dropped{id, ec::outbox_full})
    --how.place->sequence;
  answer_dropped(std::move(drops));
  schedule_flush();
}

// -- to the link --------------------------------------------------------------------------

void publication_tracker::schedule(wake::reason why, std::chrono::milliseconds after,
                                   link_role role) {
  orders.emplace_back(wake{why, after, role});
}

// The order goes through the mailbox, so that publications already there join the batch.
void publication_tracker::schedule_flush() {
  if (!std::exchange(flush_scheduled_, true))
    schedule_flush(std::chrono::milliseconds{0});
}

void publication_tracker::schedule_flush(std::chrono::milliseconds after) {
  schedule(wake::reason::flush, after, usual_.by);
}

void publication_tracker::flush() {
  flush_scheduled_ = false;
  flush_aside();
  if (!link_of(usual_).is_open() || awaits_exchanges())
    return;
  flush(usual_);
  // Refused messages have left room.
  if (send_rest())
    schedule_flush();
}

void publication_tracker::flush_aside() {
  bring_back();
  if (aside_.messages.empty())
    return;
  apart_changed_ = true;
  // Only the publishing link declares exchanges.
  if (link_of(usual_).up) {
    flush(aside_);
    bring_back(); // messages may have been refused here, or wait to be sent again
  }
}

void publication_tracker::flush(outbound& from) {
  if (!link_of(from).is_open())
    return;
  if (from.messages.has_rejected())
    from.messages.send_again(now_);
  auto messages = take_batch(from);
  answer_dropped(from.messages.take_dropped());
  watch_answers(from);
  if (!messages.empty())
    orders.emplace_back(batch{from.by, std::move(messages)});
}

outbox::gate publication_tracker::gate_of(const outbound& x) const {
  const auto& exchanges = links_.exchanges();
  const auto has_turns = x.messages.has_turns();
  if (&x != &aside_ && !has_turns && exchanges.exchanges_settled())
    return nullptr;
  return [&exchanges, &box = x.messages, has_turns, now = now_](const std::string& exchange) {
    // An exchange that is about to return to the usual link must have nothing in flight here.
    return exchanges.is_settled(exchange) && !box.returns(exchange)
           && (!has_turns || box.has_turn(exchange, now));
  };
}

std::vector<amqp::publication> publication_tracker::take_batch(outbound& from) {
  const auto& exchanges = links_.exchanges();
  const auto open = gate_of(from);
  const auto now = from.messages.has_deadlines() ? now_ : time_point{};
  std::vector<amqp::publication> result;
  std::vector<outbox::remainder> refused;
  for (auto messages = from.messages.take(now, open); !messages.empty();
       messages = from.messages.take(now, open)) {
    for (auto& message : messages) {
      auto reason = exchanges.exchange_failure(message.exchange);
      if (!reason && !quarantine_.empty())
        reason = quarantine_.refusal(message);
      if (!reason)
        result.push_back(std::move(message));
      else if (auto removed = refuse_in_flight(from, message.id, about(message, std::move(reason))))
        refused.push_back(std::move(*removed));
    }
  }
  std::for_each(refused.rbegin(), refused.rend(),
                [this](const auto& removed) { free_place(removed); });
  return result;
}

// Messages leave in the order of publication, unless the exchanges take long.
bool publication_tracker::awaits_exchanges() {
  if (links_.exchanges().exchanges_settled()) {
    awaiting_since_.reset();
    return false;
  }
  if (!awaiting_since_) {
    awaiting_since_ = now_;
    schedule_flush(exchanges_limit);
  }
  return now_ - *awaiting_since_ < exchanges_limit;
}

void publication_tracker::on_unblocked() {
  schedule_flush();
}

void publication_tracker::on_exchanges_changed() {
  if (waiting() > 0)
    schedule_flush();
}

// -- held messages ------------------------------------------------------------------------

void publication_tracker::restore_routes() {
  usual_.messages.restore();
  aside_.messages.restore();
  restore_until_ = now_ + settings_.outbox.restore_timeout;
  schedule_probe();
}

void publication_tracker::schedule_probe() {
  if (!std::exchange(probe_scheduled_, true))
    schedule(wake::reason::probe, probe_interval, usual_.by);
}

void publication_tracker::probe() {
  probe_scheduled_ = false;
  if (!usual_.messages.restoring() || !link_of(usual_).up)
    return; // the next link starts a new probe
  const auto goes_on = now_ < restore_until_;
  const auto held = usual_.messages.held() + aside_.messages.held();
  if (!goes_on && held > 0)
    news.emplace_back(log_line::once(
        log_level::warning,
        fmt::format("{} persistent messages have found no queue for {} ms since the link is up: "
                    "they are tried once more, and their publishers are told",
                    held, settings_.outbox.restore_timeout.count())));
  for (auto* box : {&usual_.messages, &aside_.messages}) {
    if (goes_on)
      box->probe();
    else
      box->end_restore();
  }
  if (goes_on)
    schedule_probe();
  schedule_flush();
}

// -- expired messages ---------------------------------------------------------------------

void publication_tracker::schedule_expiry() {
  if (!std::exchange(expiry_scheduled_, true))
    schedule(wake::reason::expire, expiry_interval, usual_.by);
}

void publication_tracker::expire() {
  expiry_scheduled_ = false;
  for (auto* box : {&usual_.messages, &aside_.messages}) {
    box->expire(now_);
    answer_dropped(box->take_dropped());
    if (box->has_deadlines())
      schedule_expiry();
  }
  if (former_.any_waiting() || aside_.messages.exchanges() > 0)
    schedule_flush();
}

// -- the end ------------------------------------------------------------------------------

bool publication_tracker::is_drained() const noexcept {
  return usual_.messages.empty() && aside_.messages.empty() && !former_.any_waiting();
}

std::vector<amqp::publication> publication_tracker::take_unsent() {
  std::vector<outbox::remainder> rest;
  for (auto* box : {&usual_.messages, &aside_.messages}) {
    box->expire(now_);
    answer_dropped(box->take_dropped());
    for (auto& left : box->clear())
      rest.push_back(std::move(left));
  }
  rest = former_.join(std::move(rest));
  std::vector<amqp::publication> unsent;
  for (auto& left : rest) {
    // `time_left` is never 0, which would mean no limit.
    if (left.deadline)
      left.message.properties.expiration = time_left(*left.deadline, now_);
    unsent.push_back(left.message);
  }
  const auto keeping = former_.keep(unsent);
  log_kept(keeping, unsent.size());
  for (auto& left : rest)
    news.emplace_back(answer{left.message.id,
                             about(left.message, stopped_before(left.in_doubt, keeping.kept)), true,
                             left.message.exchange});
  if (!unsent.empty() && !keeping.kept)
    news.emplace_back(log_line::once(
        log_level::error, fmt::format("stopped with {} messages unsent", unsent.size())));
  return unsent;
}

void publication_tracker::log_kept(const former_messages::keeping& x, std::size_t count) {
  if (x.error)
    news.emplace_back(log_line::once(log_level::error, text_of(x.error)));
  else if (x.kept && count > 0)
    news.emplace_back(
        log_line::once(log_level::info,
                       fmt::format("the next start sends the {} messages in '{}'", count, x.path)));
}

// -- inspection ---------------------------------------------------------------------------

outbox_status publication_tracker::status() const {
  auto result = counters_;
  result.waiting = former_.waiting();
  for (auto* box : {&usual_.messages, &aside_.messages}) {
    result.waiting += box->waiting() + box->held();
    result.blocked += box->blocked();
    result.unconfirmed += box->unconfirmed();
    result.bytes += box->bytes();
  }
  return result;
}

} // namespace actors
