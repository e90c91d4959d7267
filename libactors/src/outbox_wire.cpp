#include "actors/outbox.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "actors/publication_quarantine.hpp"

// The outbox's way over the wire: what is sent, answered, suspected and held.

namespace actors {

namespace {

/// Of how many routing keys of an exchange it is remembered that no queue takes them.
constexpr std::size_t max_unroutable = 1'000;

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
  unpark(open);
  park_closed(open);
  if (waiting_.empty() || (!wire_.empty() && wire_.front().suspect))
    return result;
  const auto trial = waiting_.front().suspect;
  if (trial && !wire_.empty())
    return result;
  const auto most = trial ? std::min(trial_size(), limits_.window) : limits_.window;
  while (!waiting_.empty() && wire_.size() < most) {
    auto i = waiting_.begin();
    if (i->suspect != trial)
      break;
    if (open && !open(i->message.exchange)) {
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
    seal(i);
    ++home.messages_on_wire;
    home.bytes_on_wire += i->size;
    if (!restoring_ || !must_wait(i))
      put_on_wire(i, now, result);
  }
  return result;
}

// Who is the first of all may be a suspect, whom others do not wait for behind a closed door.
void outbox::park_closed(const gate& open) {
  while (open && !waiting_.empty() && !open(waiting_.front().message.exchange))
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

void outbox::unpark(const gate& open) {
  std::erase_if(parked_lanes_, [&](lane* x) {
    if (open && !open(x->parked.front().message.exchange))
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

void outbox::put_on_wire(place x, time_point now, std::vector<amqp::publication>& out) {
  x->sent = ++last_sent_;
  wire_.splice(wire_.end(), waiting_, x);
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

std::uint64_t outbox::oldest_on_wire() const noexcept {
  return wire_.empty() ? 0 : wire_.front().sent;
}

// -- answers --------------------------------------------------------------------------

outbox::outcome outbox::confirm(std::uint64_t id) {
  auto found = places_.find(id);
  if (found == places_.end())
    return outcome::unknown;
  auto& x = *found->second;
  auto& home = *x.home;
  const auto persistent = x.message.properties.persistent;
  if (x.returned && x.message.mandatory) {
    const auto result = x.in_doubt ? outcome::in_doubt : outcome::unroutable;
    remove_from_wire(found);
    return result;
  }
  if (x.returned && x.probe) {
    hold(found->second);
    return outcome::held;
  }
  if (x.returned && persistent && !restoring_) {
    if (home.unroutable.size() >= max_unroutable)
      home.unroutable.clear();
    home.unroutable.insert(x.message.routing_key);
  } else if (persistent && !x.returned) {
    home.routed = true;
    if (!home.unroutable.empty())
      home.unroutable.erase(x.message.routing_key);
    if (std::exchange(x.probe, false))
      finish_probe(x, true);
  }
  remove_from_wire(found);
  return outcome::published;
}

bool outbox::settle(std::uint64_t id) {
  auto found = places_.find(id);
  if (found == places_.end())
    return false;
  remove_from_wire(found);
  return true;
}

outbox::rejection outbox::reject(std::uint64_t id, time_point again) {
  auto found = places_.find(id);
  if (found == places_.end())
    return rejection::unknown;
  auto x = found->second;
  if (x->rejected || x->suspect) {
    remove_from_wire(found);
    return rejection::final;
  }
  if (std::exchange(x->probe, false))
    finish_probe(*x, false);
  x->rejected = x->in_doubt = true;
  x->returned = false;
  x->again = again;
  places_.erase(found);
  rejected_.splice(rejected_.end(), wire_, x);
  ++held_;
  return rejection::again;
}

void outbox::send_again(time_point now) {
  release(rejected_, std::find_if(rejected_.begin(), rejected_.end(),
                                  [now](const entry& x) { return x.again > now; }));
}

void outbox::remove_from_wire(std::unordered_map<std::uint64_t, place>::iterator found) {
  const auto x = found->second;
  auto& home = *x->home;
  --home.messages;
  --home.messages_on_wire;
  home.bytes -= x->size;
  home.bytes_on_wire -= x->size;
  bytes_ -= x->size;
  deadlines_ -= x->expires();
  if (x->probe)
    finish_probe(*x, false);
  places_.erase(found);
  wire_.erase(x);
  admit_blocked(home);
}

const amqp::publication* outbox::returned(const amqp::returned_message& x) {
  auto matches = [&](const entry& y) { return !y.returned && is_same(y.message, x); };
  auto last = places_.find(last_returned_);
  auto first = last == places_.end() ? wire_.begin() : std::next(last->second);
  auto i = std::find_if(first, wire_.end(), matches);
  if (i == wire_.end() && first != wire_.begin()) {
    i = std::find_if(wire_.begin(), first, matches);
    if (i == first)
      return nullptr;
  }
  if (i == wire_.end())
    return nullptr;
  i->returned = true;
  last_returned_ = i->message.id;
  return &i->message;
}

// -- losses ---------------------------------------------------------------------------

void outbox::rewind() {
  unpark();
  release(rejected_, rejected_.end());
  release_all();
  for (auto i = wire_.end(); i != wire_.begin();) {
    auto& x = *(--i);
    x.home->waiting.push_front(i);
    x.home->messages_on_wire = x.home->bytes_on_wire = 0;
    x.in_doubt = x.in_doubt || !x.returned;
    x.returned = x.probe = false;
  }
  waiting_.splice(waiting_.begin(), wire_);
  places_.clear();
}

std::optional<amqp::publication> outbox::accuse(const failure& words) {
  std::optional<amqp::publication> culprit;
  named_suspect_ = 0;
  if (wire_.size() == 1 && (is_certain(words.code) || wire_.front().accused != 0)) {
    culprit = wire_.front().message;
    remove_from_wire(places_.find(culprit->id));
    acquit_suspects();
  }
  ++accusations_;
  for (auto& x : wire_) {
    x.suspect = true;
    x.accused = accusations_;
    if (named_suspect_ == 0 && speaks_of(words, x.message))
      named_suspect_ = x.message.id;
  }
  rewind();
  return culprit;
}

bool outbox::has_suspects() const noexcept {
  return !waiting_.empty() && waiting_.front().suspect;
}

// Those behind the culprit were not looked at by the broker.
void outbox::acquit_suspects() {
  for (auto& x : waiting_) {
    if (!x.suspect)
      break;
    x.suspect = false;
    x.accused = 0;
  }
}

// -- restoring ------------------------------------------------------------------------

void outbox::restore() {
  restoring_ = limits_.restore_timeout.count() > 0;
}

bool outbox::is_watched(const entry& x) const {
  auto& home = *x.home;
  return x.message.properties.persistent && !x.message.mandatory && home.routed
         && (home.unroutable.empty() || !home.unroutable.contains(x.message.routing_key));
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
  ++held_;
  return true;
}

// The broker gave it back: it is the first of those that are held.
void outbox::hold(place x) {
  auto& key = keys_[watch_key_of(x->message)];
  key.at = watched_key::stage::paused;
  x->returned = x->probe = false;
  places_.erase(x->message.id);
  key.held.splice(key.held.begin(), wire_, x);
  ++held_;
}

void outbox::release(entries& xs, entries::iterator last) {
  unpark();
  for (auto i = last; i != xs.begin();) {
    auto& home = *(--i)->home;
    home.waiting.push_front(i);
    --home.messages_on_wire;
    home.bytes_on_wire -= i->size;
    --held_;
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
    ++home.messages_on_wire;
    home.bytes_on_wire += x->size;
    auto& key = keys_[watch_key_of(x->message)];
    key.at = watched_key::stage::paused;
    key.held.splice(key.held.begin(), waiting_, x);
    ++held_;
  }
}

void outbox::release_expired(time_point now) {
  if (held_ > 0)
    take_back_probes();
  for (auto& [name, key] : keys_)
    if (std::any_of(key.held.begin(), key.held.end(),
                    [now](const entry& x) { return x.deadline <= now; }))
      release(key.held, key.held.end()); // those that stay are held again
}

// Without an answer that says so the next one is sent ahead.
void outbox::finish_probe(const entry& x, bool routed) {
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
  for (auto& x : wire_)
    x.probe = false;
  restoring_ = false;
}

} // namespace actors
