#include "actors/ledger.hpp"

#include <algorithm>
#include <utility>

namespace actors {

namespace {

bool is_predeclared(std::string_view exchange) noexcept {
  return exchange.empty() || exchange.starts_with("amq.");
}

bool is_stream(const amqp::queue& x) noexcept {
  return std::find(x.arguments.begin(), x.arguments.end(),
                   std::pair<std::string, amqp::field_value>{"x-queue-type", std::string{"stream"}})
         != x.arguments.end();
}

} // namespace

// -- what is wanted ---------------------------------------------------------------

void ledger::want(amqp::exchange what) {
  if (find_exchange(what.name))
    return;
  auto& x = exchanges_.emplace_back();
  x.what = std::move(what);
  if (up_)
    declare(x);
}

void ledger::want(wanted_consumer what) {
  want(amqp::exchange{.name = what.binding.exchange});
  auto& x = consumers_[what.consumer.id];
  if (x.bindings.empty()) {
    x.consumer = what.consumer;
    x.queue = what.queue;
    for (auto& queue : what.beside)
      x.beside.push_back({std::move(queue)});
  }
  // Where to go on reading a stream changes with what was read.
  x.consumer.arguments = std::move(what.consumer.arguments);
  auto known = std::find_if(x.bindings.begin(), x.bindings.end(),
                            [&](const binding_entry& y) { return y.what == what.binding; });
  if (known == x.bindings.end())
    known = x.bindings.insert(x.bindings.end(), {std::move(what.binding)});
  else if (x.stage == consumer_stage::running && known->stage == binding_stage::bound)
    return tell(x, *known);
  else if (known->stage == binding_stage::refused)
    known->stage = binding_stage::wanted;
  if (x.stage == consumer_stage::refused)
    reset(x);
  if (x.stage == consumer_stage::waiting)
    advance(x);
  else
    bind(x);
}

void ledger::unwant(amqp::consumer_id id, const amqp::binding& what) {
  auto x = find_consumer(id);
  if (!x)
    return;
  auto i = std::find_if(x->bindings.begin(), x->bindings.end(),
                        [&](const binding_entry& y) { return y.what == what; });
  if (i == x->bindings.end())
    return;
  if (x->bindings.size() == 1)
    return unwant(id);
  if (i->stage == binding_stage::asked || i->stage == binding_stage::bound) {
    auto gone = what;
    gone.queue = x->queue_name;
    ask(amqp::unbind_queue{std::move(gone)});
  }
  x->bindings.erase(i);
  continue_binding(*x);
}

void ledger::unwant(amqp::consumer_id id) {
  auto x = find_consumer(id);
  if (!x)
    return;
  switch (x->stage) {
  case consumer_stage::running:
    ask(amqp::cancel_consumer{id}, cancel_request{id, x->queue_name});
    consumers_.erase(id);
    break;
  case consumer_stage::waiting:
  case consumer_stage::refused:
    tell_retired(id, x->queue.name);
    consumers_.erase(id);
    break;
  default:
    // A queue deletes itself only after it had a consumer: finish the chain,
    // then cancel.
    x->unwanted = true;
    continue_binding(*x);
  }
}

// -- what happens -------------------------------------------------------------------

void ledger::up() {
  up_ = true;
  for (auto& x : exchanges_)
    declare(x);
  advance_waiting();
}

void ledger::down() {
  up_ = false;
  undecided_ = 0;
  for (auto& [id, about] : asked_)
    if (auto x = std::get_if<cancel_request>(&about))
      tell_retired(x->id, x->queue);
  asked_.clear();
  requests_.clear();
  for (auto& x : exchanges_) {
    x.stage = entity_stage::wanted;
    x.reason = {};
  }
  std::erase_if(consumers_, [this](const auto& kvp) {
    if (kvp.second.unwanted)
      tell_retired(kvp.first, kvp.second.queue.name);
    return kvp.second.unwanted;
  });
  for (auto& [id, x] : consumers_)
    reset(x);
}

void ledger::replied(const amqp::reply& x) {
  auto i = asked_.find(x.id);
  if (i == asked_.end())
    return;
  auto about = std::move(i->second);
  asked_.erase(i);
  std::visit([&](const auto& y) { on_reply(y, x); }, about);
}

void ledger::cancelled(amqp::consumer_id id) {
  auto x = find_consumer(id);
  if (!x || x->stage != consumer_stage::running)
    return;
  say(true,
      "queue " + quoted(x->queue_name) + ": the broker cancelled our consumer (queue deleted?)");
  news_.push_back({id,
                   x->queue_name,
                   std::nullopt,
                   {ec::consumer_cancelled, "queue " + quoted(x->queue_name) + " is gone"}});
  reset(*x);
  advance(*x);
}

void ledger::consumers_lost() {
  for (auto& [id, x] : consumers_)
    if (x.stage == consumer_stage::running)
      reset(x);
  advance_waiting();
}

void ledger::refuse_exchange(std::string_view name, failure reason) {
  auto x = find_exchange(name);
  if (!x || x->stage != entity_stage::ready)
    return;
  say(true, "exchange " + quoted(name) + " refused: " + reason.text);
  x->stage = entity_stage::refused;
  x->reason = std::move(reason);
}

void ledger::retry() {
  if (!up_)
    return;
  for (auto& x : exchanges_)
    if (x.stage == entity_stage::refused)
      declare(x);
  for (auto& [id, x] : consumers_) {
    for (auto& y : x.beside)
      if (y.stage == entity_stage::refused)
        declare(id, y);
    if (x.stage == consumer_stage::refused)
      reset(x);
    x.restarts = 0;
    for (auto& y : x.bindings)
      if (y.stage == binding_stage::refused)
        y.stage = binding_stage::wanted;
    bind(x);
  }
  advance_waiting();
}

void ledger::redeclare_exchanges() {
  if (!up_)
    return;
  for (auto& [id, x] : consumers_)
    for (auto& y : x.bindings)
      if (y.stage == binding_stage::bound)
        y.stage = binding_stage::wanted; // until its exchange is there
  for (auto& x : exchanges_)
    if (x.stage == entity_stage::ready)
      declare(x);
}

void ledger::queue_missing(std::string_view name) {
  if (!up_)
    return;
  for (auto& [id, x] : consumers_)
    for (auto& y : x.beside)
      if (y.what.name == name
          && (y.stage == entity_stage::ready || y.stage == entity_stage::checking))
        declare(id, y);
}

void ledger::verify() {
  if (!up_)
    return;
  for (auto& [id, x] : consumers_) {
    if (x.stage != consumer_stage::running)
      continue;
    for (auto& y : x.bindings)
      if (y.stage == binding_stage::bound)
        y.stage = binding_stage::wanted;
    bind(x);
    for (auto& y : x.beside) {
      if (y.stage != entity_stage::ready)
        continue;
      y.stage = entity_stage::checking;
      ask(amqp::declare_queue{y.what, true}, beside_request{id, y.what.name});
    }
    auto queue = x.queue;
    queue.name = x.queue_name;
    ask(amqp::declare_queue{std::move(queue), true}, verify_request{id});
  }
}

bool ledger::suspects() const noexcept {
  return std::any_of(consumers_.begin(), consumers_.end(),
                     [](auto& x) { return x.second.missing; });
}

void ledger::on_reply(const verify_request& about, const amqp::reply& reply) {
  auto x = find_consumer(about.id);
  if (!x || x->stage != consumer_stage::running)
    return;
  // Who reads a stream is not counted.
  const auto gone = reply.error ? reply.error.code == ec::not_found
                                : reply.consumers == 0 && !is_stream(x->queue);
  if (!std::exchange(x->missing, gone) || !gone)
    return;
  const auto text = "queue " + quoted(x->queue_name)
                    + ": the broker has lost our consumer without a word, it is started again";
  say(true, text);
  news_.push_back({about.id, x->queue_name, std::nullopt, {ec::consumer_wedged, text}});
  ask(amqp::cancel_consumer{about.id});
  reset(*x);
  advance(*x);
}

// -- exchanges ----------------------------------------------------------------------

void ledger::declare(exchange_entry& x) {
  x.reason = {};
  if (x.what.name.empty()) {
    x.stage = entity_stage::ready;
    return;
  }
  ++undecided_;
  const auto passive = is_predeclared(x.what.name);
  x.stage = passive ? entity_stage::checking : entity_stage::declaring;
  ask(amqp::declare_exchange{x.what, passive}, exchange_request{x.what.name});
}

void ledger::on_reply(const exchange_request& about, const amqp::reply& reply) {
  auto x = find_exchange(about.name);
  if (!x || (x->stage != entity_stage::declaring && x->stage != entity_stage::checking))
    return;
  const auto stage = judge(x->stage, x->reason, "exchange " + quoted(about.name), reply);
  if (stage != entity_stage::checking)
    return decide(*x, stage);
  x->stage = stage;
  ask(amqp::declare_exchange{x->what, true}, about);
}

// What a reply to a declaration means. An entity that cannot be declared our way
// may be there another way.
ledger::entity_stage ledger::judge(entity_stage stage, failure& reason, const std::string& name,
                                   const amqp::reply& reply) {
  if (!reply.error) {
    if (stage == entity_stage::checking && reason)
      say(true, name + " exists with other settings, used as it is: " + reason.text);
    reason = {};
    return entity_stage::ready;
  }
  if (stage == entity_stage::declaring && may_exist(reply.error.code)) {
    reason = reply.error;
    return entity_stage::checking;
  }
  if (!reason)
    reason = reply.error;
  say(true, name + " refused: " + reason.text);
  return entity_stage::refused;
}

void ledger::decide(exchange_entry& x, entity_stage stage) {
  x.stage = stage;
  --undecided_;
  for (auto& [id, y] : consumers_)
    bind(y);
  advance_waiting();
}

// -- what follows -----------------------------------------------------------------------

std::vector<ledger::request> ledger::take_requests() {
  return std::exchange(requests_, {});
}

std::vector<consumer_state> ledger::take_news() {
  return std::exchange(news_, {});
}

std::vector<ledger::note> ledger::take_notes() {
  return std::exchange(notes_, {});
}

std::string ledger::quoted(std::string_view name) {
  std::string result{"'"};
  result += name;
  result += '\'';
  return result;
}

bool ledger::may_exist(ec code) noexcept {
  return code == ec::precondition_failed || code == ec::access_refused;
}

amqp::request_id ledger::ask(amqp::operation what, subject about) {
  asked_.emplace(++last_request_, std::move(about));
  requests_.push_back({last_request_, std::move(what)});
  return last_request_;
}

void ledger::ask(amqp::operation what) {
  if (up_)
    requests_.push_back({++last_request_, std::move(what)});
}

void ledger::tell(const consumer_entry& x, const binding_entry& about, failure error) {
  news_.push_back({x.consumer.id, x.queue_name, about.what, std::move(error)});
}

void ledger::say(bool warning, std::string text) {
  notes_.push_back({warning, std::move(text)});
}

// -- inspection ---------------------------------------------------------------------------

bool ledger::knows_exchange(std::string_view name) const {
  return find_exchange(name) != nullptr;
}

failure ledger::exchange_failure(std::string_view name) const {
  auto x = find_exchange(name);
  return x && x->stage == entity_stage::refused ? x->reason : failure{};
}

std::vector<std::string> ledger::refused() const {
  std::vector<std::string> result;
  for (auto& x : exchanges_)
    if (x.stage == entity_stage::refused)
      result.push_back("exchange " + quoted(x.what.name) + ": " + x.reason.text);
  for (auto& [id, x] : consumers_) {
    for (auto& y : x.beside)
      if (y.stage == entity_stage::refused)
        result.push_back("queue " + quoted(y.what.name) + ": " + y.reason.text);
    if (x.stage == consumer_stage::refused)
      result.push_back("queue " + quoted(x.queue.name) + ": " + x.reason.text);
    else
      for (auto& y : x.bindings)
        if (y.stage == binding_stage::refused)
          result.push_back("queue " + quoted(x.queue_name) + ", exchange " + quoted(y.what.exchange)
                           + ", routing key " + quoted(y.what.routing_key) + ": " + y.reason.text);
  }
  return result;
}

std::size_t ledger::running() const noexcept {
  return static_cast<std::size_t>(
      std::count_if(consumers_.begin(), consumers_.end(),
                    [](const auto& kvp) { return kvp.second.stage == consumer_stage::running; }));
}

ledger::exchange_entry* ledger::find_exchange(std::string_view name) {
  auto i = std::find_if(exchanges_.begin(), exchanges_.end(),
                        [name](const exchange_entry& x) { return x.what.name == name; });
  return i == exchanges_.end() ? nullptr : &*i;
}

const ledger::exchange_entry* ledger::find_exchange(std::string_view name) const {
  return const_cast<ledger*>(this)->find_exchange(name);
}

ledger::consumer_entry* ledger::find_consumer(amqp::consumer_id id) {
  auto i = consumers_.find(id);
  return i == consumers_.end() ? nullptr : &i->second;
}

} // namespace actors
