#include "publishing/outbox.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "publishing/publication_quarantine.hpp"

// Handles messages in flight: sends, answers, suspects and held messages.

namespace actors {

namespace {

/// How many unroutable routing keys are remembered for each exchange.
constexpr std::size_t max_unroutable = 10'000;

/// The least time between two pauses of an exchange after a rejection.
constexpr auto pause_distance = std::chrono::seconds{10};

/// Tells copies of one message apart.
const std::string* copy_mark(const amqp::properties& x) noexcept {
  for (auto& [name, value] : x.headers)
    if (name == copy_header)
      return std::get_if<std::string>(&value);
  return nullptr;
}

bool is_same(const amqp::publication& sent, const amqp::returned_message& returned) {
  auto& ours = sent.properties;
  auto& theirs = returned.properties;
  if (ours.position != theirs.position || ours.message_id != theirs.message_id
      || sent.routing_key != returned.routing_key || sent.exchange != returned.exchange)
    return false;
  auto mark = copy_mark(ours);
  auto other = copy_mark(theirs);
  return mark == nullptr || (other != nullptr && *mark == *other);
}

} // namespace

// -- sending --------------------------------------------------------------------------

std::vector<amqp::publication> outbox::take(time_point now, const gate& open) {
  std::vector<amqp::publication> result;
  each_alone_ = each_alone_
                && (waiting() > 0
                    || std::any_of(in_flight_.begin(), in_flight_.end(), &outbox::has_no_answer));
  unpark_open(open);
  park_closed(open);
  if (waiting_.empty() || (!in_flight_.empty() && in_flight_.front().suspect))
    return result;
  const auto trial = waiting_.front().suspect;
  if (trial && !in_flight_.empty())
    return result;
  const auto most = trial ? std::min(trial_size(), limits_.window) : limits_.window;
  while (!waiting_.empty() && in_flight_.size() < most) {
    auto i = waiting_.begin();
    if (i->suspect != trial)
      break;
    if (!i->home->parked.empty() || is_closed(*i, open)) { // behind the exchange's others
      park(i);
      continue;
    }
    auto& home = *i->home;
    home.waiting.pop_front();
    if (i->deadline <= now) {
      expired_.push_back(drop_of(*i, ec::expired));
      remove_waiting(i);
      admit_blocked(home);
      continue;
    }
    freeze(i);
    ++home.messages_in_flight;
    home.bytes_in_flight += i->size;
    if (!restoring_ || !must_wait(i))
      put_in_flight(i, now, result);
  }
  return result;
}

// The first message of all may be a suspect: others must not wait for a suspect whose exchange is
// closed.
void outbox::park_closed(const gate& open) {
  while (!waiting_.empty() && is_closed(waiting_.front(), open))
    park(waiting_.begin());
}

void outbox::park(place x) {
  auto& home = *x->home;
  if (home.parked.empty())
    parked_lanes_.push_back(&home);
  home.parked.splice(home.parked.end(), waiting_, x);
  x->parked = true;
  ++parked_;
}

bool outbox::is_closed(const queued_message& x, const gate& open) {
  return x.home->paused_until || (open && !open(x.message.exchange));
}

void outbox::unpark() {
  unpark_if([](const queued_message&) { return true; });
}

void outbox::unpark_open(const gate& open) {
  unpark_if([&open](const queued_message& x) { return !is_closed(x, open); });
}

template <class Which>
void outbox::unpark_if(Which which) {
  std::erase_if(parked_lanes_, [&](exchange_queue* home) {
    if (!which(home->parked.front()))
      return false;
    parked_ -= home->parked.size();
    for (auto& queued : home->parked)
      queued.parked = false;
    waiting_.splice(waiting_.begin(), home->parked);
    return true;
  });
}

// A trial takes half of the suspects of one accusation. If the broker's words fit a suspect, the
// first trial takes all suspects before it, and the next trial takes that suspect alone.
std::size_t outbox::trial_size() {
  std::size_t suspects = 0;
  const auto accused = waiting_.front().accused;
  for (auto& queued : waiting_) {
    if (!queued.suspect || queued.accused != accused)
      break;
    if (queued.message.id == named_suspect_) {
      if (suspects == 0)
        named_suspect_ = 0;
      return std::max<std::size_t>(suspects, 1);
    }
    ++suspects;
  }
  named_suspect_ = 0;
  return std::max<std::size_t>(suspects / 2, 1);
}

void outbox::put_in_flight(place queued, time_point now, std::vector<amqp::publication>& out) {
  queued->sent = ++last_sent_;
  in_flight_.splice(in_flight_.end(), waiting_, queued);
  places_.emplace(queued->message.id, queued);
  auto& sent = out.emplace_back(queued->message);
  sent.mandatory = sent.mandatory || (confirms_ && sent.properties.persistent);
  if (!queued->expires())
    return;
  sent.properties.expiration =
      std::max(std::chrono::duration_cast<std::chrono::milliseconds>(queued->deadline - now),
               std::chrono::milliseconds{1});
  sent.checked = false; // its properties have changed
}

std::uint64_t outbox::oldest_in_flight() const noexcept {
  return in_flight_.empty() ? 0 : in_flight_.front().sent;
}

// -- answers --------------------------------------------------------------------------

// RabbitMQ handles the messages of a channel in order.
void outbox::note_answer(const queued_message& x) noexcept {
  ++answers_;
  x.home->answered = true;
  handled_ = std::max(handled_, x.sent);
}

// An internal error may come to light when the broker already has the message.
bool outbox::may_be_refused(const queued_message& x, ec words) const noexcept {
  return x.sent > handled_ || words == ec::internal_error;
}

outbox::outcome outbox::confirm(std::uint64_t id) {
  auto found = places_.find(id);
  if (found == places_.end())
    return outcome::unknown;
  auto& queued = *found->second;
  auto& home = *queued.home;
  note_answer(queued);
  home.proven = true;
  if (home.hangs)
    end_hang(queued);
  if (queued.returned)
    return take_back(found->second);
  if (queued.message.properties.persistent) {
    home.routed = true;
    if (!home.unroutable.empty())
      home.unroutable.erase(queued.message.routing_key);
  }
  if (std::exchange(queued.probe, false))
    finish_probe(queued, true);
  remove_from_wire(found);
  return outcome::published;
}

// Handles a message that no queue took.
outbox::outcome outbox::take_back(place returned) {
  if (returned->probe) {
    hold(returned);
    return outcome::held;
  }
  auto& message = returned->message;
  const auto persistent = message.properties.persistent;
  if (!restoring_ && persistent && !message.mandatory)
    forget_route(*returned);
  const auto result = !message.mandatory && !persistent ? outcome::published
                      : returned->is_in_doubt()         ? outcome::in_doubt
                                                        : outcome::unroutable;
  remove_from_wire(places_.find(message.id));
  return result;
}

const amqp::publication* outbox::in_flight(std::uint64_t id) const {
  auto found = places_.find(id);
  return found == places_.end() ? nullptr : &found->second->message;
}

bool outbox::tries_again(std::uint64_t id) const {
  auto found = places_.find(id);
  return found != places_.end() && found->second->probe;
}

std::optional<outbox::remainder> outbox::settle(std::uint64_t id) {
  auto found = places_.find(id);
  if (found == places_.end())
    return std::nullopt;
  auto& queued = *found->second;
  if (queued.home->hangs)
    end_hang(queued);
  remainder result{queued.message, queued.is_in_doubt(), {}};
  remove_from_wire(found);
  return result;
}

outbox::rejection outbox::reject(std::uint64_t id, time_point again) {
  auto found = places_.find(id);
  if (found == places_.end())
    return rejection::unknown;
  auto queued = found->second;
  note_answer(*queued);
  if (queued->home->hangs)
    end_hang(*queued);
  if (queued->rejected || queued->suspect) {
    const auto doubt = queued->in_doubt || queued->in_doubt_as_suspect;
    remove_from_wire(found);
    return doubt ? rejection::in_doubt : rejection::final;
  }
  if (std::exchange(queued->probe, false))
    finish_probe(*queued, false);
  queued->rejected = true;
  queued->returned = false;
  queued->again = again;
  if (auto& home = *queued->home; home.paused_until) {
    queued->again = *home.paused_until; // together with the others, to keep the order
  } else if (again >= home.next_pause) {
    home.paused_until = again;
    home.next_pause = again + pause_distance;
  }
  places_.erase(found);
  rejected_.splice(rejected_.end(), in_flight_, queued);
  count_held(*queued);
  return rejection::again;
}

void outbox::send_again(time_point now) {
  entries due;
  for (auto i = rejected_.begin(); i != rejected_.end();) {
    auto queued = i++;
    if (queued->again > now)
      continue;
    if (queued->home->paused_until <= now)
      queued->home->paused_until.reset();
    due.splice(due.end(), rejected_, queued);
  }
  release(due, due.end());
}

// Merging keeps the order, because messages behind the rejected ones may be in flight.
void outbox::return_rejected() {
  for (auto& x : rejected_) {
    x.home->paused_until.reset();
    x.returned = true; // the message has its answer, so `rewind` must not put it in doubt
    count_released(x);
  }
  const auto comes_first = [](const queued_message& x, const queued_message& y) {
    return x.sent < y.sent;
  };
  rejected_.sort(comes_first);
  in_flight_.merge(rejected_, comes_first);
}

void outbox::remove_from_wire(std::unordered_map<std::uint64_t, place>::iterator found) {
  const auto queued = found->second;
  auto& home = *queued->home;
  --home.messages;
  --home.messages_in_flight;
  home.bytes -= queued->size;
  home.bytes_in_flight -= queued->size;
  bytes_ -= queued->size;
  deadlines_ -= queued->expires();
  if (queued->probe)
    finish_probe(*queued, false);
  places_.erase(found);
  in_flight_.erase(queued);
  admit_blocked(home);
}

const amqp::publication* outbox::returned(const amqp::returned_message& answer) {
  auto matches = [&](const queued_message& candidate) {
    return !candidate.returned && is_same(candidate.message, answer);
  };
  auto last = places_.find(last_returned_);
  auto first = last == places_.end() ? in_flight_.begin() : std::next(last->second);
  auto i = std::find_if(first, in_flight_.end(), matches);
  if (i == in_flight_.end() && first != in_flight_.begin()) {
    i = std::find_if(in_flight_.begin(), first, matches);
    if (i == first)
      return nullptr;
  }
  if (i == in_flight_.end())
    return nullptr;
  i->returned = true;
  last_returned_ = i->message.id;
  return &i->message;
}

// -- losses ---------------------------------------------------------------------------

void outbox::rewind() {
  unpark();
  return_rejected();
  release_all();
  for (auto i = in_flight_.end(); i != in_flight_.begin();) {
    auto& queued = *(--i);
    queued.home->waiting.push_front(i);
    queued.home->messages_in_flight = queued.home->bytes_in_flight = 0;
    queued.in_doubt = queued.in_doubt || !queued.returned;
    queued.returned = queued.probe = false;
  }
  waiting_.splice(waiting_.begin(), in_flight_);
  places_.clear();
  for (auto& [exchange, home] : lanes_)
    home.answered = false;
}

std::optional<outbox::remainder> outbox::accuse(const failure& words) {
  named_suspect_ = 0;
  if (auto found = culprit_of(words); found != in_flight_.end()) {
    // An internal error may come to light when the broker already has the message.
    std::optional<remainder> culprit{
        {found->message,
         found->in_doubt || found->rejected || words.code == ec::internal_error,
         {}}};
    // The broker has not looked at the messages behind the culprit, so `rewind` must not put them
    // in doubt.
    for (auto other = std::next(found); other != in_flight_.end(); ++other)
      other->returned = true;
    // An unproven exchange moves to the other outbox next time, so that others need not wait.
    if (!is_certain(words.code))
      found->home->proven = false;
    remove_from_wire(places_.find(found->message.id));
    for (auto& other : in_flight_) {
      other.suspect = false;
      other.accused = 0;
    }
    acquit_suspects();
    rewind();
    return culprit;
  }
  ++accusations_;
  for (auto& queued : in_flight_) {
    if (!may_be_refused(queued, words.code)) {
      acquit(queued);
      continue;
    }
    queued.in_doubt_as_suspect = queued.in_doubt_as_suspect || !queued.returned;
    queued.returned = true; // `rewind` must add no other doubt
    queued.suspect = true;
    queued.accused = accusations_;
    if (named_suspect_ == 0 && speaks_of(words, queued.message))
      named_suspect_ = queued.message.id;
  }
  rewind();
  return std::nullopt;
}

// The culprit is a message that was alone, or the first message to an exchange that the broker
// denied and that never took any. The second rule makes each exchange that we may not write to
// cost only one loss of the channel.
outbox::place outbox::culprit_of(const failure& words) {
  const auto refusable = [&](const queued_message& x) { return may_be_refused(x, words.code); };
  const auto first = std::find_if(in_flight_.begin(), in_flight_.end(), refusable);
  if (first == in_flight_.end())
    return first;
  if (std::none_of(std::next(first), in_flight_.end(), refusable)
      && (is_certain(words.code) || first->accused != 0))
    return first;
  auto found = std::find_if(first, in_flight_.end(), [&](const queued_message& x) {
    return deny_exchange(words, x.message);
  });
  return found == in_flight_.end() || found->home->proven ? in_flight_.end() : found;
}

bool outbox::has_suspects() const noexcept {
  return !waiting_.empty() && waiting_.front().suspect;
}

// The broker did not look at the messages behind the culprit.
void outbox::acquit_suspects() {
  for (auto& x : waiting_) {
    if (!x.suspect && !x.rejected)
      break;
    x.suspect = x.in_doubt_as_suspect = false;
    x.accused = 0;
  }
}

// -- restoring ------------------------------------------------------------------------

void outbox::restore() {
  if (limits_.restore_timeout.count() == 0)
    return;
  restoring_ = true;
  for (auto& [exchange, home] : lanes_)
    home.was_routed = home.routed;
}

bool outbox::is_watched(const queued_message& x) const {
  if (!x.message.properties.persistent || (x.message.mandatory && x.how != manner::patient))
    return false;
  auto& unroutable = x.home->unroutable;
  return unroutable.empty() || !unroutable.contains(x.message.routing_key);
}

std::string outbox::watch_key_of(const amqp::publication& x) {
  return x.exchange + '\n' + x.routing_key; // no exchange's name contains a line break
}

bool outbox::must_wait(place queued) {
  const auto watched = is_watched(*queued);
  if (!watched && (keys_.empty() || !queued->message.properties.persistent))
    return false;
  auto i = keys_.find(watch_key_of(queued->message));
  if (i == keys_.end() && !watched)
    return false;
  if (i == keys_.end()) {
    i = keys_.emplace(watch_key_of(queued->message), watched_key{}).first;
    queued->probe = true;
  }
  // A message that is not watched must not overtake others of its routing key either.
  auto& key = i->second;
  if (queued->probe || key.at == watched_key::stage::open)
    return false;
  key.held.splice(key.held.end(), waiting_, queued);
  count_held(*queued);
  if (queued->home->holds_too_much())
    give_up_most_held(*queued->home);
  return true;
}

void outbox::count_held(const queued_message& x) noexcept {
  ++held_;
  ++x.home->held;
  x.home->held_bytes += x.size;
}

void outbox::count_released(const queued_message& x) noexcept {
  --held_;
  --x.home->held;
  x.home->held_bytes -= x.size;
}

// The routing key counts as unroutable from now on: otherwise its messages would be held again at
// once.
void outbox::give_up_most_held(const exchange_queue& home) {
  unpark();
  auto most = keys_.end();
  for (auto i = keys_.begin(); i != keys_.end(); ++i)
    if (auto& held = i->second.held; !held.empty() && held.front().home == &home)
      if (most == keys_.end() || held.size() > most->second.held.size())
        most = i;
  if (most == keys_.end())
    return;
  for (auto* messages : {&in_flight_, &waiting_})
    for (auto& queued : *messages)
      if (queued.probe && watch_key_of(queued.message) == most->first)
        queued.probe = false;
  auto& held = most->second.held;
  forget_route(held.front());
  release(held, held.end());
  keys_.erase(most);
}

void outbox::forget_route(const queued_message& x) {
  auto& unroutable = x.home->unroutable;
  if (unroutable.size() >= max_unroutable)
    unroutable.clear();
  unroutable.insert(x.message.routing_key);
}

// The returned probe goes to the front of the held messages.
void outbox::hold(place queued) {
  auto& key = keys_[watch_key_of(queued->message)];
  key.at = watched_key::stage::paused;
  queued->returned = queued->probe = false;
  places_.erase(queued->message.id);
  key.held.splice(key.held.begin(), in_flight_, queued);
  count_held(*queued);
  if (queued->home->holds_too_much())
    give_up_most_held(*queued->home);
}

void outbox::release(entries& held, entries::iterator last) {
  unpark();
  for (auto i = last; i != held.begin();) {
    auto& home = *(--i)->home;
    home.waiting.push_front(i);
    --home.messages_in_flight;
    home.bytes_in_flight -= i->size;
    count_released(*i);
  }
  waiting_.splice(waiting_.begin(), held, held.begin(), last);
}

void outbox::release_all() {
  if (keys_.empty())
    return;
  take_back_probes();
  for (auto& [name, key] : keys_)
    release(key.held, key.held.end());
  keys_.clear();
}

// Holds the probes that have not left yet, each ahead of the other held messages of its key.
void outbox::take_back_probes() {
  unpark();
  for (auto i = waiting_.begin(); i != waiting_.end();) {
    auto queued = i++;
    if (!std::exchange(queued->probe, false))
      continue;
    auto& home = *queued->home;
    home.waiting.erase(std::find(home.waiting.begin(), home.waiting.end(), queued));
    ++home.messages_in_flight;
    home.bytes_in_flight += queued->size;
    auto& key = keys_[watch_key_of(queued->message)];
    key.at = watched_key::stage::paused;
    key.held.splice(key.held.begin(), waiting_, queued);
    count_held(*queued);
  }
}

void outbox::release_expired(time_point now) {
  if (held_ > 0)
    take_back_probes();
  for (auto& [name, key] : keys_)
    if (std::any_of(key.held.begin(), key.held.end(),
                    [now](const queued_message& x) { return x.deadline <= now; }))
      release(key.held, key.held.end()); // messages that have not expired are held again later
}

// If no queue took the probe, the key is forgotten and the next message becomes the probe.
void outbox::finish_probe(const queued_message& probe, bool routed) {
  auto i = keys_.find(watch_key_of(probe.message));
  if (i == keys_.end())
    return;
  release(i->second.held, i->second.held.end());
  if (routed)
    i->second.at = watched_key::stage::open;
  else
    keys_.erase(i);
}

void outbox::probe() {
  for (auto& [name, key] : keys_)
    if (key.at == watched_key::stage::paused && !key.held.empty()) {
      key.held.front().probe = true;
      key.at = watched_key::stage::probing;
      release(key.held, std::next(key.held.begin()));
    }
}

void outbox::end_restore() {
  release_all();
  for (auto& x : in_flight_)
    x.probe = false;
  restoring_ = false;
}

} // namespace actors
