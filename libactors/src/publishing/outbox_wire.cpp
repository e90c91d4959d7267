#include "publishing/outbox.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "publishing/publication_quarantine.hpp"

// The outbox's way over the wire: what is sent, answered, suspected and held.

namespace actors {

namespace {

/// Of how many routing keys of an exchange it is remembered that no queue takes them.
constexpr std::size_t max_unroutable = 10'000;

/// How often an exchange waits for a message that is to be sent again.
constexpr auto pause_distance = std::chrono::seconds{10};

/// Tells copies of one message apart.
const std::string* copy_mark(const amqp::properties& x) noexcept {
  for (auto& [name, value] : x.headers)
    if (name == copy_header)
      return std::get_if<std::string>(&value);
  return nullptr;
}

bool is_same(const amqp::publication& x, const amqp::returned_message& y) {
  auto& p = x.properties;
  auto& q = y.properties;
  if (p.position != q.position || p.message_id != q.message_id || x.routing_key != y.routing_key
      || x.exchange != y.exchange)
    return false;
  auto mark = copy_mark(p);
  auto other = copy_mark(q);
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
    if (!i->home->parked.empty() || is_closed(*i, open)) { // behind its others
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

// Who is the first of all may be a suspect, whom others do not wait for behind a closed door.
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
  std::erase_if(parked_lanes_, [&](exchange_queue* x) {
    if (!which(x->parked.front()))
      return false;
    parked_ -= x->parked.size();
    for (auto& y : x->parked)
      y.parked = false;
    waiting_.splice(waiting_.begin(), x->parked);
    return true;
  });
}

// Half of those among whom the culprit is; but first those before the one that the broker's words
// speak of, and then that one.
std::size_t outbox::trial_size() {
  std::size_t suspects = 0;
  const auto accused = waiting_.front().accused;
  for (auto& x : waiting_) {
    if (!x.suspect || x.accused != accused)
      break;
    if (x.message.id == named_suspect_) {
      if (suspects == 0)
        named_suspect_ = 0;
      return std::max<std::size_t>(suspects, 1);
    }
    ++suspects;
  }
  named_suspect_ = 0;
  return std::max<std::size_t>(suspects / 2, 1);
}

void outbox::put_in_flight(place x, time_point now, std::vector<amqp::publication>& out) {
  x->sent = ++last_sent_;
  in_flight_.splice(in_flight_.end(), waiting_, x);
  places_.emplace(x->message.id, x);
  auto& sent = out.emplace_back(x->message);
  sent.mandatory = sent.mandatory || (confirms_ && sent.properties.persistent);
  if (!x->expires())
    return;
  sent.properties.expiration =
      std::max(std::chrono::duration_cast<std::chrono::milliseconds>(x->deadline - now),
               std::chrono::milliseconds{1});
  sent.checked = false; // that is another one
}

std::uint64_t outbox::oldest_in_flight() const noexcept {
  return in_flight_.empty() ? 0 : in_flight_.front().sent;
}

// -- answers --------------------------------------------------------------------------

// RabbitMQ handles what comes by a channel in order.
void outbox::note_answer(const queued_message& x) noexcept {
  ++answers_;
  x.home->answered = true;
  handled_ = std::max(handled_, x.sent);
}

// What is its own fault may come to light when the broker has the message already.
bool outbox::may_be_refused(const queued_message& x, ec words) const noexcept {
  return x.sent > handled_ || words == ec::internal_error;
}

outbox::outcome outbox::confirm(std::uint64_t id) {
  auto found = places_.find(id);
  if (found == places_.end())
    return outcome::unknown;
  auto& x = *found->second;
  auto& home = *x.home;
  note_answer(x);
  home.proven = true;
  if (home.hangs)
    end_hang(x);
  if (x.returned)
    return take_back(found->second);
  if (x.message.properties.persistent) {
    home.routed = true;
    if (!home.unroutable.empty())
      home.unroutable.erase(x.message.routing_key);
  }
  if (std::exchange(x.probe, false))
    finish_probe(x, true);
  remove_from_wire(found);
  return outcome::published;
}

// No queue took it.
outbox::outcome outbox::take_back(place x) {
  if (x->probe) {
    hold(x);
    return outcome::held;
  }
  auto& message = x->message;
  const auto persistent = message.properties.persistent;
  if (!restoring_ && persistent && !message.mandatory)
    forget_route(*x);
  const auto result = !message.mandatory && !persistent ? outcome::published
                      : x->is_in_doubt()                ? outcome::in_doubt
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
  auto& x = *found->second;
  if (x.home->hangs)
    end_hang(x);
  remainder result{x.message, x.is_in_doubt(), {}};
  remove_from_wire(found);
  return result;
}

outbox::rejection outbox::reject(std::uint64_t id, time_point again) {
  auto found = places_.find(id);
  if (found == places_.end())
    return rejection::unknown;
  auto x = found->second;
  note_answer(*x);
  if (x->home->hangs)
    end_hang(*x);
  if (x->rejected || x->suspect) {
    const auto doubt = x->in_doubt || x->in_doubt_as_suspect;
    remove_from_wire(found);
    return doubt ? rejection::in_doubt : rejection::final;
  }
  if (std::exchange(x->probe, false))
    finish_probe(*x, false);
  x->rejected = true;
  x->returned = false;
  x->again = again;
  if (auto& home = *x->home; home.paused_until) {
    x->again = *home.paused_until; // with the others, so that it keeps its place
  } else if (again >= home.next_pause) {
    home.paused_until = again;
    home.next_pause = again + pause_distance;
  }
  places_.erase(found);
  rejected_.splice(rejected_.end(), in_flight_, x);
  count_held(*x);
  return rejection::again;
}

void outbox::send_again(time_point now) {
  entries due;
  for (auto i = rejected_.begin(); i != rejected_.end();) {
    auto x = i++;
    if (x->again > now)
      continue;
    if (x->home->paused_until <= now)
      x->home->paused_until.reset();
    due.splice(due.end(), rejected_, x);
  }
  release(due, due.end());
}

// Those behind them may be in flight.
void outbox::return_rejected() {
  for (auto& x : rejected_) {
    x.home->paused_until.reset();
    x.returned = true; // it has its answer, so that `rewind` has no doubt of it
    count_released(x);
  }
  const auto comes_first = [](const queued_message& x, const queued_message& y) {
    return x.sent < y.sent;
  };
  rejected_.sort(comes_first);
  in_flight_.merge(rejected_, comes_first);
}

void outbox::remove_from_wire(std::unordered_map<std::uint64_t, place>::iterator found) {
  const auto x = found->second;
  auto& home = *x->home;
  --home.messages;
  --home.messages_in_flight;
  home.bytes -= x->size;
  home.bytes_in_flight -= x->size;
  bytes_ -= x->size;
  deadlines_ -= x->expires();
  if (x->probe)
    finish_probe(*x, false);
  places_.erase(found);
  in_flight_.erase(x);
  admit_blocked(home);
}

const amqp::publication* outbox::returned(const amqp::returned_message& x) {
  auto matches = [&](const queued_message& y) { return !y.returned && is_same(y.message, x); };
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
    auto& x = *(--i);
    x.home->waiting.push_front(i);
    x.home->messages_in_flight = x.home->bytes_in_flight = 0;
    x.in_doubt = x.in_doubt || !x.returned;
    x.returned = x.probe = false;
  }
  waiting_.splice(waiting_.begin(), in_flight_);
  places_.clear();
  for (auto& [exchange, x] : lanes_)
    x.answered = false;
}

std::optional<outbox::remainder> outbox::accuse(const failure& words) {
  named_suspect_ = 0;
  if (auto x = culprit_of(words); x != in_flight_.end()) {
    // A fault of the broker's may come to light when it has the message already.
    std::optional<remainder> culprit{
        {x->message, x->in_doubt || x->rejected || words.code == ec::internal_error, {}}};
    // The broker has not come to those behind it, so that `rewind` has no doubt of them.
    for (auto y = std::next(x); y != in_flight_.end(); ++y)
      y->returned = true;
    // Next time others need not wait for it.
    if (!is_certain(words.code))
      x->home->proven = false;
    remove_from_wire(places_.find(x->message.id));
    for (auto& y : in_flight_) {
      y.suspect = false;
      y.accused = 0;
    }
    acquit_suspects();
    rewind();
    return culprit;
  }
  ++accusations_;
  for (auto& x : in_flight_) {
    if (!may_be_refused(x, words.code)) {
      acquit(x);
      continue;
    }
    x.in_doubt_as_suspect = x.in_doubt_as_suspect || !x.returned;
    x.returned = true; // `rewind` has no other doubt of it
    x.suspect = true;
    x.accused = accusations_;
    if (named_suspect_ == 0 && speaks_of(words, x.message))
      named_suspect_ = x.message.id;
  }
  rewind();
  return std::nullopt;
}

// One that was alone; or, so that many exchanges that we may not write to cost no more than one
// loss of the channel each, the first to an exchange that was denied and never took any.
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

// Those behind the culprit were not looked at by the broker.
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
  return x.exchange + '\n' + x.routing_key; // in no name of an exchange
}

// Those that must are held from now on.
bool outbox::must_wait(place x) {
  const auto watched = is_watched(*x);
  if (!watched && (keys_.empty() || !x->message.properties.persistent))
    return false;
  auto i = keys_.find(watch_key_of(x->message));
  if (i == keys_.end() && !watched)
    return false;
  if (i == keys_.end()) {
    i = keys_.emplace(watch_key_of(x->message), watched_key{}).first;
    x->probe = true;
  }
  // One that is not watched does not overtake those of its key either.
  auto& key = i->second;
  if (x->probe || key.at == watched_key::stage::open)
    return false;
  key.held.splice(key.held.end(), waiting_, x);
  count_held(*x);
  if (x->home->holds_too_much())
    give_up_most_held(*x->home);
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

// Its messages are not held again, lest they do nothing but come and go.
void outbox::give_up_most_held(const exchange_queue& x) {
  unpark();
  auto most = keys_.end();
  for (auto i = keys_.begin(); i != keys_.end(); ++i)
    if (auto& held = i->second.held; !held.empty() && held.front().home == &x)
      if (most == keys_.end() || held.size() > most->second.held.size())
        most = i;
  if (most == keys_.end())
    return;
  for (auto* xs : {&in_flight_, &waiting_})
    for (auto& y : *xs)
      if (y.probe && watch_key_of(y.message) == most->first)
        y.probe = false;
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

// The broker gave it back: it is the first of those that are held.
void outbox::hold(place x) {
  auto& key = keys_[watch_key_of(x->message)];
  key.at = watched_key::stage::paused;
  x->returned = x->probe = false;
  places_.erase(x->message.id);
  key.held.splice(key.held.begin(), in_flight_, x);
  count_held(*x);
  if (x->home->holds_too_much())
    give_up_most_held(*x->home);
}

void outbox::release(entries& xs, entries::iterator last) {
  unpark();
  for (auto i = last; i != xs.begin();) {
    auto& home = *(--i)->home;
    home.waiting.push_front(i);
    --home.messages_in_flight;
    home.bytes_in_flight -= i->size;
    count_released(*i);
  }
  waiting_.splice(waiting_.begin(), xs, xs.begin(), last);
}

void outbox::release_all() {
  if (keys_.empty())
    return;
  take_back_probes();
  for (auto& [name, key] : keys_)
    release(key.held, key.held.end());
  keys_.clear();
}

// Those that have not left yet: they come first of all that is held with them.
void outbox::take_back_probes() {
  unpark();
  for (auto i = waiting_.begin(); i != waiting_.end();) {
    auto x = i++;
    if (!std::exchange(x->probe, false))
      continue;
    auto& home = *x->home;
    home.waiting.erase(std::find(home.waiting.begin(), home.waiting.end(), x));
    ++home.messages_in_flight;
    home.bytes_in_flight += x->size;
    auto& key = keys_[watch_key_of(x->message)];
    key.at = watched_key::stage::paused;
    key.held.splice(key.held.begin(), waiting_, x);
    count_held(*x);
  }
}

void outbox::release_expired(time_point now) {
  if (held_ > 0)
    take_back_probes();
  for (auto& [name, key] : keys_)
    if (std::any_of(key.held.begin(), key.held.end(),
                    [now](const queued_message& x) { return x.deadline <= now; }))
      release(key.held, key.held.end()); // those that stay are held again
}

// Without an answer that says so the next one is sent ahead.
void outbox::finish_probe(const queued_message& x, bool routed) {
  auto i = keys_.find(watch_key_of(x.message));
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
