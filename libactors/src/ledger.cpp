#include "actors/ledger.hpp"

#include <algorithm>
#include <utility>

namespace actors {

namespace {

/// How often a consumer whose queue or exchange vanished under it is started
/// anew before it counts as refused.
constexpr std::uint32_t max_restarts = 3;

std::string quoted(std::string_view x) {
  std::string result{"'"};
  result += x;
  result += '\'';
  return result;
}

/// Whether an entity that cannot be declared our way may exist another way:
/// declared differently by somebody else, or by somebody with the right to.
bool may_exist(ec code) noexcept {
  return code == ec::precondition_failed || code == ec::access_refused;
}

bool is_predeclared(std::string_view exchange) noexcept {
  return exchange.empty() || exchange.starts_with("amq.");
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
  const auto gone = reply.error ? reply.error.code == ec::not_found : reply.consumers == 0;
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

// -- consumers ----------------------------------------------------------------------

void ledger::advance_waiting() {
  for (auto& [id, x] : consumers_)
    if (x.stage == consumer_stage::waiting)
      advance(x);
}

void ledger::advance(consumer_entry& x) {
  if (!up_ || awaits_exchange(x))
    return;
  auto usable = false;
  for (auto& y : x.bindings) {
    if (auto reason = exchange_failure(y.what.exchange))
      refuse(x, y, std::move(reason));
    else
      usable = true;
  }
  if (usable)
    declare(x);
  else
    refuse(x, x.bindings.front().reason);
}

bool ledger::awaits_exchange(const consumer_entry& x) const {
  return std::any_of(x.bindings.begin(), x.bindings.end(), [&](const binding_entry& y) {
    auto exchange = find_exchange(y.what.exchange);
    return exchange && exchange->stage != entity_stage::ready
           && exchange->stage != entity_stage::refused;
  });
}

void ledger::declare(consumer_entry& x) {
  declare_beside(x);
  x.stage = consumer_stage::declaring;
  ask(amqp::declare_queue{x.queue}, consumer_request{x.consumer.id});
}

// Ahead of the consumer's own queue, so that they are there when it needs them.
void ledger::declare_beside(consumer_entry& x) {
  for (auto& y : x.beside)
    declare(x.consumer.id, y);
}

void ledger::declare(amqp::consumer_id id, entity<amqp::queue>& x) {
  x.reason = {};
  x.stage = entity_stage::declaring;
  ask(amqp::declare_queue{x.what}, beside_request{id, x.what.name});
}

// A missing one stops nobody: what cannot be sent there goes back to its queue.
void ledger::on_reply(const beside_request& about, const amqp::reply& reply) {
  auto x = find_consumer(about.id);
  if (!x)
    return;
  for (auto& y : x->beside) {
    if (y.what.name != about.name)
      continue;
    if (y.stage == entity_stage::checking && !y.reason && reply.error.code == ec::not_found) {
      declare(about.id, y); // it was there before
      continue;
    }
    y.stage = judge(y.stage, y.reason, "queue " + quoted(about.name), reply);
    if (y.stage == entity_stage::checking)
      ask(amqp::declare_queue{y.what, true}, about);
  }
}

void ledger::on_reply(const consumer_request& about, const amqp::reply& reply) {
  auto x = find_consumer(about.id);
  if (!x)
    return;
  if (x->stage == consumer_stage::declaring || x->stage == consumer_stage::checking)
    on_declared(*x, reply);
  else if (x->stage == consumer_stage::starting)
    on_started(*x, reply);
}

void ledger::on_declared(consumer_entry& x, const amqp::reply& reply) {
  if (!reply.error) {
    if (x.stage == consumer_stage::checking)
      say(true, "queue " + quoted(x.queue.name)
                    + " exists with other settings, used as it is: " + x.reason.text);
    x.reason = {};
    x.queue_name = reply.queue;
    x.stage = consumer_stage::binding;
    bind(x);
    return;
  }
  if (x.stage == consumer_stage::declaring && may_exist(reply.error.code)
      && !x.queue.name.empty()) {
    x.stage = consumer_stage::checking;
    x.reason = reply.error;
    ask(amqp::declare_queue{x.queue, true}, consumer_request{x.consumer.id});
    return;
  }
  refuse(x, x.reason ? x.reason : reply.error);
}

// Asks for what is not bound yet, unless it must wait for its queue or exchange.
void ledger::bind(consumer_entry& x) {
  if (x.unwanted || !has_queue(x))
    return continue_binding(x);
  for (auto& y : x.bindings) {
    if (y.stage != binding_stage::wanted)
      continue;
    auto& exchange = *find_exchange(y.what.exchange);
    if (exchange.stage == entity_stage::refused) {
      refuse(x, y, exchange.reason);
    } else if (exchange.stage == entity_stage::ready) {
      auto what = y.what;
      what.queue = x.queue_name;
      y.stage = binding_stage::asked;
      y.request = ask(amqp::bind_queue{std::move(what)}, binding_request{x.consumer.id});
    }
  }
  continue_binding(x);
}

bool ledger::has_queue(const consumer_entry& x) noexcept {
  return x.stage == consumer_stage::binding || x.stage == consumer_stage::starting
         || x.stage == consumer_stage::running;
}

void ledger::on_reply(const binding_request& about, const amqp::reply& reply) {
  auto x = find_consumer(about.id);
  if (!x)
    return;
  auto i = std::find_if(x->bindings.begin(), x->bindings.end(), [&](const binding_entry& y) {
    return y.stage == binding_stage::asked && y.request == reply.id;
  });
  if (i == x->bindings.end())
    return;
  if (!reply.error) {
    i->stage = binding_stage::bound;
    if (x->stage == consumer_stage::running)
      tell(*x, *i);
  } else if (reply.error.code == ec::not_found && may_restart(*x)) {
    return join_again(*x, *i, reply.error);
  } else {
    say(true, reply.error.text);
    refuse(*x, *i, reply.error);
  }
  continue_binding(*x);
}

// Something it joins is gone, though it was there a moment ago.
void ledger::join_again(consumer_entry& x, binding_entry& about, const failure& reason) {
  auto& exchange = *find_exchange(about.what.exchange);
  if (exchange.stage == entity_stage::ready)
    declare(exchange);
  if (x.stage == consumer_stage::binding) {
    restart(x, reason);
    return advance(x);
  }
  // Its start has been asked for and must not be asked for twice.
  ++x.restarts;
  about.stage = binding_stage::wanted;
  bind(x);
}

void ledger::continue_binding(consumer_entry& x) {
  if (x.stage != consumer_stage::binding)
    return;
  if (x.unwanted)
    return start(x);
  auto in_stage = [&](binding_stage stage) {
    return std::any_of(x.bindings.begin(), x.bindings.end(),
                       [stage](const binding_entry& y) { return y.stage == stage; });
  };
  if (in_stage(binding_stage::asked) || in_stage(binding_stage::wanted))
    return;
  if (in_stage(binding_stage::bound))
    start(x);
  else
    refuse(x, x.bindings.front().reason);
}

void ledger::start(consumer_entry& x) {
  x.stage = consumer_stage::starting;
  auto consumer = x.consumer;
  consumer.queue = x.queue_name;
  ask(amqp::start_consumer{std::move(consumer)}, consumer_request{x.consumer.id});
}

void ledger::on_started(consumer_entry& x, const amqp::reply& reply) {
  if (reply.error) {
    if (reply.error.code != ec::not_found || !may_restart(x))
      return refuse(x, reply.error);
    restart(x, reply.error);
    return advance(x);
  }
  x.stage = consumer_stage::running;
  x.restarts = 0;
  if (x.unwanted)
    return unwant(x.consumer.id);
  for (auto& y : x.bindings)
    if (y.stage == binding_stage::bound)
      tell(x, y);
}

void ledger::refuse(consumer_entry& x, failure reason) {
  if (x.unwanted) {
    tell_retired(x.consumer.id, x.queue.name);
    consumers_.erase(x.consumer.id);
    return;
  }
  say(true, "queue " + quoted(x.queue.name) + " refused: " + reason.text);
  x.stage = consumer_stage::refused;
  x.reason = reason;
  news_.push_back({x.consumer.id, x.queue.name, std::nullopt, std::move(reason)});
}

// The broker may refuse to cancel what it has ended already: gone is gone.
void ledger::on_reply(const cancel_request& about, const amqp::reply&) {
  tell_retired(about.id, about.queue);
}

void ledger::tell_retired(amqp::consumer_id id, const std::string& queue) {
  news_.push_back({id,
                   queue,
                   std::nullopt,
                   {ec::consumer_cancelled, "queue " + quoted(queue) + ": consumer cancelled"}});
}

void ledger::refuse(consumer_entry& x, binding_entry& about, failure reason) {
  about.stage = binding_stage::refused;
  about.reason = reason;
  tell(x, about, std::move(reason));
}

void ledger::reset(consumer_entry& x) {
  x.restarts = 0;
  x.missing = false;
  x.stage = consumer_stage::waiting;
  x.reason = {};
  for (auto& y : x.bindings)
    y.stage = binding_stage::wanted;
}

bool ledger::may_restart(const consumer_entry& x) noexcept {
  return !x.unwanted && x.restarts < max_restarts;
}

void ledger::restart(consumer_entry& x, const failure& reason) {
  say(true, "queue " + quoted(x.queue_name) + " is declared again: " + reason.text);
  const auto restarts = x.restarts + 1;
  reset(x);
  x.restarts = restarts;
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
