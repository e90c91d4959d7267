#include <fmt/core.h>

#include "amqp/wire_rules.hpp"
#include "publishing/publication_failures.hpp"
#include "publishing/publication_tracker.hpp"

// Handles the broker's answers to publications, and the answers to their publishers.

namespace actors {

namespace {

/// The time after which a rejected message is sent again.
constexpr auto rejected_pause = std::chrono::milliseconds{250};

} // namespace

// -- answers ------------------------------------------------------------------------------

void publication_tracker::on_answers(const std::vector<amqp::confirmation>& answers) {
  for (auto& answer : answers) {
    if (answer.accepted)
      on_confirmed(answer.id);
    else
      on_rejected(answer.id);
  }
  bring_back();
  if (former_.any_left())
    send_rest();
  former_.sync();
  if (waiting() > 0)
    schedule_flush();
}

void publication_tracker::on_confirmed(std::uint64_t id) {
  using outcome = outbox::outcome;
  if (!quarantine_.empty())
    lift_quarantine(id);
  auto* by = &usual_;
  auto result = usual_.messages.confirm(id);
  if (result == outcome::unknown && !aside_.messages.empty()) {
    by = &aside_;
    result = aside_.messages.confirm(id);
  }
  if (result == outcome::unknown)
    return;
  by->rejections.taken();
  usual_.broker_takes = aside_.broker_takes = true;
  if (result == outcome::held) {
    news.emplace_back(log_line::repeated(
        log_level::info, "message held", {},
        "no queue takes a persistent message: it is tried again while bindings may "
        "still be made"));
    return;
  }
  ++counters_.confirmed;
  finish(id, result == outcome::published ? failure{} : take_returned(id, result));
}

// `on_returned` has logged the reason.
failure publication_tracker::take_returned(std::uint64_t id, outbox::outcome result) {
  auto found = returned_.extract(id);
  auto reason = found ? std::move(found.mapped()) : no_route({}, {});
  return result == outbox::outcome::in_doubt ? in_doubt(reason) : reason;
}

void publication_tracker::lift_quarantine(std::uint64_t id) {
  auto* taken = usual_.messages.in_flight(id);
  if (!taken)
    taken = aside_.messages.in_flight(id);
  if (taken)
    quarantine_.lift(*taken);
}

void publication_tracker::on_rejected(std::uint64_t id) {
  auto* by = &usual_;
  auto* message = usual_.messages.in_flight(id);
  if (!message) {
    by = &aside_;
    message = aside_.messages.in_flight(id);
  }
  if (!message)
    return;
  const auto exchange = message->exchange;
  const auto routing_key = message->routing_key;
  const auto result = by->messages.reject(id, now_ + rejected_pause);
  doubt(*by);
  if (result == outbox::rejection::again)
    return schedule_flush(rejected_pause);
  ++counters_.rejected;
  const auto reason = about(exchange, routing_key, rejected());
  give_up(id, result == outbox::rejection::in_doubt ? in_doubt(reason) : reason, exchange);
}

void publication_tracker::doubt(outbound& by) {
  const auto silence = by.rejections.rejected(now_);
  if (!silence)
    return;
  news.emplace_back(log_line::once(
      log_level::warning,
      fmt::format("{} link: the broker has rejected all messages for {} ms: trying another link",
                  to_string(by.by), silence->count())));
  orders.emplace_back(link_set::close_link{by.by});
}

void publication_tracker::on_refused(std::uint64_t id, const failure& reason) {
  auto message = refuse_in_flight(usual_, id, reason);
  if (!message)
    message = refuse_in_flight(aside_, id, reason);
  if (message)
    free_place(*message);
  schedule_flush();
}

std::optional<outbox::remainder>
publication_tracker::refuse_in_flight(outbound& from, std::uint64_t id, const failure& reason) {
  auto message = from.messages.settle(id);
  if (!message)
    return message;
  ++counters_.rejected;
  give_up(id, message->in_doubt ? in_doubt(reason) : reason, message->message.exchange);
  return message;
}

// A message of a former run keeps its place, because a later run may send it.
void publication_tracker::free_place(const outbox::remainder& x) {
  if (!x.in_doubt && !former_.contains(x.message.id))
    stamp_.give_back(x.message);
}

void publication_tracker::on_returned(const amqp::returned_message& answer) {
  auto* box = &usual_.messages;
  auto message = box->returned(answer);
  if (!message && !aside_.messages.empty()) {
    box = &aside_.messages;
    message = box->returned(answer);
  }
  if (message && box->tries_again(message->id))
    return;
  ++counters_.returned;
  auto reason = no_route(answer.exchange, answer.routing_key);
  news.emplace_back(log_line::repeated(log_level::warning, "message came back", answer.exchange,
                                       "message came back: " + reason.text));
  if (message)
    returned_.insert_or_assign(message->id, std::move(reason));
}

void publication_tracker::finish(std::uint64_t id, failure reason) {
  forget(id, reason);
  news.emplace_back(answer{id, std::move(reason)});
}

void publication_tracker::give_up(std::uint64_t id, failure reason, std::string_view exchange) {
  forget(id, reason);
  news.emplace_back(answer{id, std::move(reason), true, std::string{exchange}});
}

void publication_tracker::forget(std::uint64_t id, const failure& reason) {
  former_.finish(id, reason);
  if (!returned_.empty())
    returned_.erase(id);
}

log_line publication_tracker::unpublished(const failure& reason, std::string_view exchange) {
  return log_line::repeated(log_level::warning, "message not published",
                            fmt::format("{} {}", exchange, to_string(reason.code)),
                            "message not published: " + reason.text);
}

void publication_tracker::answer_dropped(std::vector<outbox::dropped> drops) {
  for (auto& drop : drops) {
    ++counters_.dropped;
    if (drop.reason == ec::expired || drop.reason == ec::in_doubt)
      give_up(drop.id, failure_of(drop), drop.exchange);
    else
      answer_overflow(std::move(drop));
  }
}

// A replaced message is not logged: a publisher with `latest_per_key` has lost nothing.
void publication_tracker::answer_overflow(outbox::dropped drop) {
  if (!drop.replaced)
    news.emplace_back(log_line::repeated(
        log_level::warning, "outbox full", drop.exchange,
        fmt::format("the outbox is full of messages to exchange '{}' (policy {}): some "
                    "are dropped, as one to {}:{}; raise OUTBOX, or publish less",
                    amqp::printable(drop.exchange),
                    to_string(settings_.outbox.of(drop.exchange).overflow),
                    amqp::printable(drop.exchange), amqp::printable(drop.routing_key))));
  news.emplace_back(std::move(drop));
}

// -- what the broker refuses --------------------------------------------------------------

void publication_tracker::blame(link_role by, const failure& words) {
  blame(sent_by(by), words);
  schedule_flush();
}

void publication_tracker::blame(outbound& from, const failure& words) {
  if (words.code == ec::not_found) {
    // Consumers, ours and others, may have been bound to the exchange.
    orders.emplace_back(redeclare_exchanges{});
    restore_routes();
  }
  if (auto limit = size_limit_in(words))
    max_body_ = *limit;
  if (!settings_.confirms) {
    quarantine_.add(words, now_);
    return from.messages.rewind();
  }
  auto culprit = from.messages.accuse(words);
  // A missing exchange is declared again first.
  if (&from == &usual_ && words.code != ec::not_found)
    set_aside();
  if (culprit)
    convict(from, *culprit, words);
}

void publication_tracker::convict(outbound& from, const outbox::remainder& culprit,
                                  const failure& words) {
  ++counters_.rejected;
  from.broker_takes = false;
  auto& message = culprit.message;
  quarantine_.add(message, words, now_);
  auto reason = about(message, words);
  news.emplace_back(log_line::repeated(log_level::warning, "publication refused",
                                       message.exchange + ' ' + std::string{to_string(words.code)},
                                       "the broker refused a message: " + reason.text));
  finish(message.id, culprit.in_doubt ? in_doubt(reason) : std::move(reason));
  free_place(culprit);
}

// -- what happens to links ----------------------------------------------------------------

void publication_tracker::on_up(link_role role) {
  if (role == link_role::consuming)
    return;
  schedule_flush(); // messages set aside wait for both links
  if (role == link_role::quarantine)
    return;
  max_body_ = 0;
  awaiting_since_.reset();
  if (!std::exchange(keeps_quarantine_, false)) // else the broker would be asked the same again
    quarantine_.clear();
  apart_changed_ = true;
  restore_routes();
}

bool publication_tracker::on_down(const link_set::link_end& end) {
  const auto is_explained = end.is_explained || links_.link(end.role).has_learned;
  const auto at_once =
      end.role != link_role::consuming && on_lost(sent_by(end.role), end.reason, is_explained);
  if (link_of(usual_).up && (!aside_.messages.empty() || usual_.answers.is_silent())
      && links_.lacks_apart(end))
    give_up_apart(end.reason);
  return at_once;
}

// An explained loss makes no message a suspect.
bool publication_tracker::on_lost(outbound& from, const failure& reason, bool is_explained) {
  from.rejections.link_lost();
  const auto took = from.broker_takes;
  const auto accused =
      !is_explained && closes_connection(reason.code) && from.messages.unconfirmed() > 0;
  keeps_quarantine_ = keeps_quarantine_ || (accused && &from == &usual_);
  if (accused)
    blame(from, reason);
  else
    from.messages.rewind();
  if (&from == &usual_) {
    set_aside_hanging();
    from.messages.restore();
  } else {
    schedule_flush(); // proven exchanges need not wait for the next link apart
  }
  // If the broker refuses message after message, haste does not help: the fault is the broker's.
  return accused && took;
}

} // namespace actors
