#include <algorithm>
#include <utility>

#include "amqp/overloaded.hpp"
#include "amqp/wire_rules.hpp"
#include "topology/topology_state.hpp"

// Whom the end of a connection is laid to: who is asked for alone, and who apart.

namespace actors {

namespace {

using amqp::overloaded;

} // namespace

// -- names of entities ------------------------------------------------------------------

// Of a request that only looks at a consumer, the consumer.
std::optional<topology_state::subject> topology_state::entity_of(const subject& x) {
  if (std::holds_alternative<about_cancel>(x))
    return std::nullopt;
  if (auto* y = std::get_if<about_verify>(&x))
    return about_consumer{y->id};
  return x;
}

amqp::consumer_id topology_state::consumer_of(const subject& x) {
  return std::visit(overloaded{[](const about_exchange&) { return amqp::consumer_id{0}; },
                               [](const auto& y) { return y.id; }},
                    x);
}

// A consumer is tried with all that it needs.
bool topology_state::belongs(const subject& x, const subject& to) {
  if (auto* y = std::get_if<about_consumer>(&to))
    return consumer_of(x) == y->id;
  return x == to;
}

topology_state::binding_entry* topology_state::find_binding(consumer_entry& x,
                                                            const amqp::binding& what) {
  auto i =
      std::find_if(x.bindings.begin(), x.bindings.end(), [&](auto& y) { return y.spec == what; });
  return i == x.bindings.end() ? nullptr : &*i;
}

topology_state::entity<amqp::queue>* topology_state::find_beside(consumer_entry& x,
                                                                 std::string_view name) {
  auto i = std::find_if(x.companion_queues.begin(), x.companion_queues.end(),
                        [&](auto& y) { return y.spec.name == name; });
  return i == x.companion_queues.end() ? nullptr : &*i;
}

// Calls `f` with what a subject names, if it is there.
template <class F>
void topology_state::with(const subject& x, F f) {
  auto visitor = overloaded{
      [&](const about_exchange& y) {
        if (auto* entry = find_exchange(y.name))
          f(*entry);
      },
      [&](const about_binding& y) {
        auto* of = find_consumer(y.id);
        if (auto* entry = of ? find_binding(*of, y.spec) : nullptr)
          f(*of, *entry);
      },
      [&](const about_beside& y) {
        auto* of = find_consumer(y.id);
        if (auto* entry = of ? find_beside(*of, y.name) : nullptr)
          f(*of, *entry);
      },
      [&](const auto& y) {
        if (auto* entry = find_consumer(y.id))
          f(*entry);
      },
  };
  std::visit(visitor, x);
}

topology_state::standing* topology_state::trust_of(const subject& x) {
  standing* result = nullptr;
  with(x, overloaded{[&](auto& y) { result = &y.trust; },
                     [&](consumer_entry&, auto& y) { result = &y.trust; }});
  return result;
}

const topology_state::standing* topology_state::trust_of(const subject& x) const {
  return const_cast<topology_state*>(this)->trust_of(x);
}

convictions::thing topology_state::thing_of(const subject& x) const {
  convictions::thing result;
  const_cast<topology_state*>(this)->with(
      x, overloaded{[&](exchange_entry& y) { result = y.spec; },
                    [&](consumer_entry& y) {
                      auto asked = y.consumer;
                      asked.id = 0;
                      asked.group = 0;
                      result = consumer_with_queue{y.queue, std::move(asked)};
                    },
                    [&](consumer_entry&, auto& y) { result = y.spec; }});
  return result;
}

std::string topology_state::text_of(const subject& x) const {
  std::string result;
  const_cast<topology_state*>(this)->with(
      x, overloaded{[&](exchange_entry& y) { result = "exchange " + amqp::quoted(y.spec.name); },
                    [&](consumer_entry& y) { result = "queue " + amqp::quoted(y.queue.name); },
                    [&](consumer_entry& of, binding_entry& y) {
                      result = "queue " + amqp::quoted(of.queue.name) + ", exchange "
                               + amqp::quoted(y.spec.exchange) + ", routing key "
                               + amqp::quoted(y.spec.routing_key);
                    },
                    [&](consumer_entry&, entity<amqp::queue>& y) {
                      result = "queue " + amqp::quoted(y.spec.name);
                    }});
  return result;
}

// -- by which link, and when --------------------------------------------------------------

topology_state::way topology_state::way_of(const subject& x) const {
  if (culprits_.empty())
    return way::usual;
  auto is_culprit = [this](const subject& y) {
    auto* trust = trust_of(y);
    return trust && *trust == standing::culprit;
  };
  return is_culprit(x) || is_culprit(about_consumer{consumer_of(x)}) ? way::apart : way::usual;
}

bool topology_state::may_ask(standing trust, const subject& x) const {
  auto& by = link(way_of(x));
  if (!by.up)
    return false;
  return trust == standing::trusted || (by.now && by.now->of == x);
}

// Whether nothing has been asked for yet of what is to be asked for alone.
bool topology_state::is_due(const subject& x) const {
  auto result = false;
  const_cast<topology_state*>(this)->with(
      x,
      overloaded{[&](consumer_entry& y) {
                   result =
                       y.stage == consumer_stage::binding
                       || ((y.stage == consumer_stage::waiting
                            || (y.stage == consumer_stage::refused && y.trust == standing::culprit))
                           && !awaits_exchange(y));
                 },
                 [&](exchange_entry& y) {
                   result = y.stage == entity_stage::wanted
                            || (y.stage == entity_stage::refused && y.trust == standing::culprit);
                 },
                 [&](consumer_entry& of, binding_entry& y) {
                   result =
                       has_queue(of)
                       && (y.stage == binding_stage::wanted
                           || (y.stage == binding_stage::refused && y.trust == standing::culprit));
                 },
                 [&](consumer_entry&, entity<amqp::queue>& y) {
                   result = y.stage == entity_stage::wanted
                            || (y.stage == entity_stage::refused && y.trust == standing::culprit);
                 }});
  return result;
}

topology_state::progress topology_state::progress_of(const subject& x) const {
  auto result = progress::failed;
  const auto judge = [&result](bool worked, bool failed) {
    result = worked ? progress::worked : failed ? progress::failed : progress::open;
  };
  const_cast<topology_state*>(this)->with(
      x, overloaded{[&](consumer_entry& y) {
                      judge(y.stage == consumer_stage::running, y.stage == consumer_stage::refused);
                    },
                    [&](exchange_entry& y) {
                      judge(y.stage == entity_stage::ready, y.stage == entity_stage::refused);
                    },
                    [&](consumer_entry&, binding_entry& y) {
                      judge(y.stands(), y.stage == binding_stage::refused);
                    },
                    [&](consumer_entry&, entity<amqp::queue>& y) {
                      judge(y.stage == entity_stage::ready, y.stage == entity_stage::refused);
                    }});
  return result;
}

// -- trials -------------------------------------------------------------------------------

void topology_state::end_trials() {
  for (auto by : {way::usual, way::apart}) {
    auto& x = link(by).now;
    if (!x)
      continue;
    if (link(by).under_way == 0) {
      const auto of = std::move(x->of);
      x.reset();
      end_trial(by, of);
    } else if (now_ - x->since >= trial_limit) {
      x->released = true;
    } else {
      continue;
    }
    release_held();
  }
}

void topology_state::end_trial(way by, const subject& x) {
  auto* trust = trust_of(x);
  if (!trust)
    return;
  const auto now = progress_of(x);
  if (by == way::apart && now == progress::worked)
    convictions_.worked(thing_of(x));
  else if (by == way::usual && now != progress::open)
    *trust = standing::trusted;
}

void topology_state::release_held() {
  auto held = std::exchange(held_, {});
  for (auto& x : held) {
    auto& tried = link(x.by).now;
    if (tried && !tried->released) {
      held_.push_back(std::move(x));
    } else {
      link(x.by).under_way += asked_.contains(x.id) ? 1 : 0;
      requests_.push_back(std::move(x));
    }
  }
}

void topology_state::begin_trials() {
  keep(suspected_, standing::suspected);
  keep(culprits_, standing::culprit);
  for (auto by : {way::usual, way::apart}) {
    const auto& xs = by == way::usual ? suspected_ : culprits_;
    // One that comes to nothing may come to something behind the others.
    for (std::size_t i = 0; i < xs.size() && !link(by).now; ++i)
      begin_trial(by, xs[i]);
  }
}

void topology_state::begin_trial(way by, const subject& x) {
  auto& to = link(by);
  if (!to.up || to.under_way > 0 || !is_due(x))
    return;
  if (by == way::apart) {
    const auto thing = thing_of(x);
    if (!convictions_.due(thing, now_))
      return;
    convictions_.tried(thing, now_);
  }
  to.now = trial{x, now_};
  with(x, overloaded{[&](exchange_entry& y) { declare(y); },
                     [&](consumer_entry& y) {
                       if (y.stage == consumer_stage::refused)
                         reset(y);
                       if (y.stage == consumer_stage::waiting)
                         advance(y);
                       else
                         continue_binding(y);
                     },
                     [&](consumer_entry& of, binding_entry& y) {
                       y.stage = binding_stage::wanted;
                       bind(of, y);
                     },
                     [&](consumer_entry& of, entity<amqp::queue>& y) { declare(of, y); }});
  if (to.under_way == 0)
    to.now.reset();
}

// Forgets who is gone, or has another standing now.
void topology_state::keep(std::vector<subject>& xs, standing as) const {
  std::erase_if(xs, [&](const subject& x) {
    auto* trust = trust_of(x);
    return !trust || *trust != as;
  });
}

// -- suspicion ------------------------------------------------------------------------------

void topology_state::suspect(const std::vector<amqp::request_id>& xs, way by) {
  auto& suspects = link(by).suspects;
  for (auto id : xs) {
    auto i = asked_.find(id);
    auto x = i == asked_.end() ? std::nullopt : entity_of(i->second.about);
    if (x && std::find(suspects.begin(), suspects.end(), *x) == suspects.end())
      suspects.push_back(std::move(*x));
  }
}

// An operator who closes connections has nothing against what was asked for.
bool topology_state::judge_end(way by, const failure& reason) {
  auto& of = link(by);
  auto xs = std::exchange(of.suspects, {});
  if (!reason || reason.code == ec::connection_forced)
    return false;
  if (by == way::apart) {
    // Another topology state may have asked there as well, and the network may have failed.
    const auto is_mine = of.now && trust_of(of.now->of)
                         && std::any_of(xs.begin(), xs.end(),
                                        [&of](const subject& x) { return belongs(x, of.now->of); });
    if (is_mine)
      convict(of.now->of, reason);
    return is_mine;
  }
  std::erase_if(xs, [this](const subject& x) {
    auto* trust = trust_of(x);
    return !trust || way_of(*trust) != way::usual;
  });
  if (xs.size() == 1 && *trust_of(xs[0]) == standing::suspected) {
    convict(xs[0], reason);
    return true;
  }
  for (auto& x : xs) {
    auto& trust = *trust_of(x);
    if (trust == standing::suspected)
      continue;
    say(true, text_of(x) + " is asked for alone next time, as it may be why: " + reason.text);
    trust = standing::suspected;
    suspected_.push_back(std::move(x));
  }
  return !xs.empty();
}

void topology_state::convict(const subject& x, failure reason) {
  const auto name = text_of(x);
  if (!reason.text.starts_with(name))
    reason.text = name + ": " + reason.text;
  say(true, name + " is asked for by a link apart from now on, as it harms others");
  convictions_.add(thing_of(x), reason, now_);
  auto& trust = *trust_of(x);
  if (std::exchange(trust, standing::culprit) != standing::culprit)
    culprits_.push_back(x);
  link(way::usual).groups.forget(consumer_of(x));
  refuse(x, std::move(reason));
}

void topology_state::refuse(const subject& x, failure reason) {
  with(x,
       overloaded{[&](exchange_entry& y) {
                    y.reason = std::move(reason);
                    decide(y, entity_stage::refused);
                  },
                  [&](consumer_entry& y) { refuse(y, std::move(reason)); },
                  [&](consumer_entry& of, binding_entry& y) { refuse(of, y, std::move(reason)); },
                  [&](consumer_entry&, entity<amqp::queue>& y) {
                    y.stage = entity_stage::refused;
                    y.reason = std::move(reason);
                  }});
}

// The same may have ended a connection for somebody else.
void topology_state::remember(const subject& x) {
  if (convictions_.empty())
    return;
  const auto thing = thing_of(x);
  const auto* known = convictions_.find(thing);
  auto& trust = *trust_of(x);
  if (!known || trust == standing::culprit)
    return;
  trust = standing::culprit;
  culprits_.push_back(x);
  if (!convictions_.due(thing, now_))
    refuse(x, known->reason);
}

void topology_state::remember(consumer_entry& x, const binding_entry& about, bool is_new) {
  if (convictions_.empty())
    return;
  const auto id = x.consumer.id;
  if (is_new)
    for (auto& y : x.companion_queues)
      remember(about_beside{id, y.spec.name});
  const amqp::binding what = about.spec;
  if (is_new)
    remember(about_consumer{id});
  remember(about_binding{id, what});
}

void topology_state::pardon() {
  convictions_.clear();
  for (auto& x : culprits_)
    if (auto* trust = trust_of(x); trust && !is_in_use(x))
      *trust = standing::trusted;
  keep(culprits_, standing::culprit);
}

// -- the link apart ---------------------------------------------------------------------------

// What was being asked for there is refused as before.
void topology_state::reset_apart() {
  for (auto& x : culprits_)
    with(x, overloaded{[](exchange_entry& y) {
                         if (y.stage != entity_stage::ready)
                           y.stage = entity_stage::refused;
                       },
                       [](consumer_entry&) {},
                       [](consumer_entry&, binding_entry& y) {
                         if (y.stage != binding_stage::bound)
                           y.stage = binding_stage::refused;
                       },
                       [](consumer_entry&, entity<amqp::queue>& y) {
                         if (y.stage != entity_stage::ready)
                           y.stage = entity_stage::refused;
                       }});
}

// Whether a culprit runs, or is on its way there.
bool topology_state::is_in_use(const subject& x) const {
  if (link(way::apart).now && link(way::apart).now->of == x)
    return true;
  auto* y = std::get_if<about_consumer>(&x);
  auto* consumer = y ? find_consumer(y->id) : nullptr;
  return consumer && consumer->stage != consumer_stage::refused
         && consumer->stage != consumer_stage::waiting;
}

bool topology_state::needs_link_apart() const {
  if (link(way::apart).under_way > 0)
    return true;
  return std::any_of(culprits_.begin(), culprits_.end(), [this](const subject& x) {
    auto* trust = trust_of(x);
    return trust && *trust == standing::culprit
           && (is_in_use(x) || (is_due(x) && convictions_.due(thing_of(x), now_)));
  });
}

std::vector<std::string> topology_state::set_apart() const {
  std::vector<std::string> result;
  for (auto& x : culprits_)
    if (auto* trust = trust_of(x); trust && *trust == standing::culprit) {
      const auto* known = convictions_.find(thing_of(x));
      result.push_back(known ? known->reason.text : text_of(x));
    }
  return result;
}

} // namespace actors
