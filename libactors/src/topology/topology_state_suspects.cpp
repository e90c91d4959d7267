#include <algorithm>
#include <utility>

#include "amqp/overloaded.hpp"
#include "amqp/wire_rules.hpp"
#include "topology/topology_state.hpp"

// This file decides on suspicion: a suspect of a connection's end is asked for alone, a culprit by
// a link apart.

namespace actors {

namespace {

using amqp::overloaded;

} // namespace

// -- names of entities ------------------------------------------------------------------

// The entity of a request that only checks a consumer is the consumer.
std::optional<topology_state::subject> topology_state::entity_of(const subject& target) {
  if (std::holds_alternative<about_cancel>(target))
    return std::nullopt;
  if (auto* check = std::get_if<about_verify>(&target))
    return about_consumer{check->id};
  return target;
}

amqp::consumer_id topology_state::consumer_of(const subject& target) {
  return std::visit(overloaded{[](const about_exchange&) { return amqp::consumer_id{0}; },
                               [](const auto& other) { return other.id; }},
                    target);
}

// A consumer is tried with all that it needs.
bool topology_state::belongs(const subject& part, const subject& to) {
  if (auto* consumer = std::get_if<about_consumer>(&to))
    return consumer_of(part) == consumer->id;
  return part == to;
}

topology_state::binding_entry* topology_state::find_binding(consumer_entry& consumer,
                                                            const amqp::binding& spec) {
  auto i = std::find_if(consumer.bindings.begin(), consumer.bindings.end(),
                        [&](auto& binding) { return binding.spec == spec; });
  return i == consumer.bindings.end() ? nullptr : &*i;
}

topology_state::entity<amqp::queue>* topology_state::find_companion(consumer_entry& consumer,
                                                                    std::string_view name) {
  auto i = std::find_if(consumer.companion_queues.begin(), consumer.companion_queues.end(),
                        [&](auto& queue) { return queue.spec.name == name; });
  return i == consumer.companion_queues.end() ? nullptr : &*i;
}

// Calls `f` with the entry that a subject names, if it is there.
template <class F>
void topology_state::with(const subject& target, F f) {
  auto visitor = overloaded{
      [&](const about_exchange& about) {
        if (auto* entry = find_exchange(about.name))
          f(*entry);
      },
      [&](const about_binding& about) {
        auto* of = find_consumer(about.id);
        if (auto* entry = of ? find_binding(*of, about.spec) : nullptr)
          f(*of, *entry);
      },
      [&](const about_companion& about) {
        auto* of = find_consumer(about.id);
        if (auto* entry = of ? find_companion(*of, about.name) : nullptr)
          f(*of, *entry);
      },
      [&](const auto& about) {
        if (auto* entry = find_consumer(about.id))
          f(*entry);
      },
  };
  std::visit(visitor, target);
}

topology_state::standing* topology_state::trust_of(const subject& target) {
  standing* result = nullptr;
  with(target, overloaded{[&](auto& entry) { result = &entry.trust; },
                          [&](consumer_entry&, auto& entry) { result = &entry.trust; }});
  return result;
}

const topology_state::standing* topology_state::trust_of(const subject& target) const {
  return const_cast<topology_state*>(this)->trust_of(target);
}

convictions::thing topology_state::thing_of(const subject& target) const {
  convictions::thing result;
  const_cast<topology_state*>(this)->with(
      target, overloaded{[&](exchange_entry& entry) { result = entry.spec; },
                         [&](consumer_entry& entry) {
                           auto asked = entry.consumer;
                           asked.id = 0;
                           asked.group = 0;
                           result = consumer_with_queue{entry.queue, std::move(asked)};
                         },
                         [&](consumer_entry&, auto& entry) { result = entry.spec; }});
  return result;
}

std::string topology_state::text_of(const subject& target) const {
  std::string result;
  const_cast<topology_state*>(this)->with(
      target,
      overloaded{
          [&](exchange_entry& entry) { result = "exchange " + amqp::quoted(entry.spec.name); },
          [&](consumer_entry& entry) { result = "queue " + amqp::quoted(entry.queue.name); },
          [&](consumer_entry& of, binding_entry& entry) {
            result = "queue " + amqp::quoted(of.queue.name) + ", exchange "
                     + amqp::quoted(entry.spec.exchange) + ", routing key "
                     + amqp::quoted(entry.spec.routing_key);
          },
          [&](consumer_entry&, entity<amqp::queue>& entry) {
            result = "queue " + amqp::quoted(entry.spec.name);
          }});
  return result;
}

// -- by which link, and when --------------------------------------------------------------

topology_state::way topology_state::way_of(const subject& target) const {
  if (culprits_.empty())
    return way::usual;
  auto is_culprit = [this](const subject& other) {
    auto* trust = trust_of(other);
    return trust && *trust == standing::culprit;
  };
  return is_culprit(target) || is_culprit(about_consumer{consumer_of(target)}) ? way::apart
                                                                               : way::usual;
}

bool topology_state::may_ask(standing trust, const subject& target) const {
  auto& by = link(way_of(target));
  if (!by.up)
    return false;
  return trust == standing::trusted || (by.now && by.now->of == target);
}

// Whether a subject that is to be asked for alone has not been asked for yet.
bool topology_state::is_due(const subject& target) const {
  auto result = false;
  const_cast<topology_state*>(this)->with(
      target,
      overloaded{
          [&](consumer_entry& entry) {
            result = entry.stage == consumer_stage::binding
                     || ((entry.stage == consumer_stage::waiting
                          || (entry.stage == consumer_stage::refused
                              && entry.trust == standing::culprit))
                         && !awaits_exchange(entry));
          },
          [&](exchange_entry& entry) {
            result = entry.stage == entity_stage::wanted
                     || (entry.stage == entity_stage::refused && entry.trust == standing::culprit);
          },
          [&](consumer_entry& of, binding_entry& entry) {
            result =
                has_queue(of)
                && (entry.stage == binding_stage::wanted
                    || (entry.stage == binding_stage::refused && entry.trust == standing::culprit));
          },
          [&](consumer_entry&, entity<amqp::queue>& entry) {
            result = entry.stage == entity_stage::wanted
                     || (entry.stage == entity_stage::refused && entry.trust == standing::culprit);
          }});
  return result;
}

topology_state::progress topology_state::progress_of(const subject& target) const {
  auto result = progress::failed;
  const auto judge = [&result](bool worked, bool failed) {
    result = worked ? progress::worked : failed ? progress::failed : progress::open;
  };
  const_cast<topology_state*>(this)->with(
      target,
      overloaded{[&](consumer_entry& entry) {
                   judge(entry.stage == consumer_stage::running,
                         entry.stage == consumer_stage::refused);
                 },
                 [&](exchange_entry& entry) {
                   judge(entry.stage == entity_stage::ready, entry.stage == entity_stage::refused);
                 },
                 [&](consumer_entry&, binding_entry& entry) {
                   judge(entry.stands(), entry.stage == binding_stage::refused);
                 },
                 [&](consumer_entry&, entity<amqp::queue>& entry) {
                   judge(entry.stage == entity_stage::ready, entry.stage == entity_stage::refused);
                 }});
  return result;
}

// -- trials -------------------------------------------------------------------------------

void topology_state::end_trials() {
  for (auto by : {way::usual, way::apart}) {
    auto& current = link(by).now;
    if (!current)
      continue;
    if (link(by).under_way == 0) {
      const auto of = std::move(current->of);
      current.reset();
      end_trial(by, of);
    } else if (now_ - current->since >= trial_limit) {
      current->released = true;
    } else {
      continue;
    }
    release_held();
  }
}

void topology_state::end_trial(way by, const subject& target) {
  auto* trust = trust_of(target);
  if (!trust)
    return;
  const auto now = progress_of(target);
  if (by == way::apart && now == progress::worked)
    convictions_.worked(thing_of(target));
  else if (by == way::usual && now != progress::open)
    *trust = standing::trusted;
}

void topology_state::release_held() {
  auto held = std::exchange(held_, {});
  for (auto& queued : held) {
    auto& tried = link(queued.by).now;
    if (tried && !tried->released) {
      held_.push_back(std::move(queued));
    } else {
      link(queued.by).under_way += asked_.contains(queued.id) ? 1 : 0;
      requests_.push_back(std::move(queued));
    }
  }
}

void topology_state::begin_trials() {
  keep(suspected_, standing::suspected);
  keep(culprits_, standing::culprit);
  for (auto by : {way::usual, way::apart}) {
    const auto& subjects = by == way::usual ? suspected_ : culprits_;
    // If the first subject cannot be tried now, a later one may.
    for (std::size_t i = 0; i < subjects.size() && !link(by).now; ++i)
      begin_trial(by, subjects[i]);
  }
}

void topology_state::begin_trial(way by, const subject& target) {
  auto& to = link(by);
  if (!to.up || to.under_way > 0 || !is_due(target))
    return;
  if (by == way::apart) {
    const auto thing = thing_of(target);
    if (!convictions_.due(thing, now_))
      return;
    convictions_.tried(thing, now_);
  }
  to.now = trial{target, now_};
  with(target,
       overloaded{[&](exchange_entry& entry) { declare(entry); },
                  [&](consumer_entry& entry) {
                    if (entry.stage == consumer_stage::refused)
                      reset(entry);
                    if (entry.stage == consumer_stage::waiting)
                      advance(entry);
                    else
                      continue_binding(entry);
                  },
                  [&](consumer_entry& of, binding_entry& entry) {
                    entry.stage = binding_stage::wanted;
                    bind(of, entry);
                  },
                  [&](consumer_entry& of, entity<amqp::queue>& entry) { declare(of, entry); }});
  if (to.under_way == 0)
    to.now.reset();
}

// Forgets subjects that are gone, or have another standing now.
void topology_state::keep(std::vector<subject>& subjects, standing as) const {
  std::erase_if(subjects, [&](const subject& target) {
    auto* trust = trust_of(target);
    return !trust || *trust != as;
  });
}

// -- suspicion ------------------------------------------------------------------------------

void topology_state::suspect(const std::vector<amqp::request_id>& requests, way by) {
  auto& suspects = link(by).suspects;
  for (auto id : requests) {
    auto i = asked_.find(id);
    auto target = i == asked_.end() ? std::nullopt : entity_of(i->second.about);
    if (target && std::find(suspects.begin(), suspects.end(), *target) == suspects.end())
      suspects.push_back(std::move(*target));
  }
}

// An operator who closes connections does not object to the requests.
bool topology_state::judge_end(way by, const failure& reason) {
  auto& of = link(by);
  auto blamed = std::exchange(of.suspects, {});
  if (!reason || reason.code == ec::connection_forced)
    return false;
  if (by == way::apart) {
    // Another topology state may have asked on that link as well, and the network may have failed.
    const auto is_mine = of.now && trust_of(of.now->of)
                         && std::any_of(blamed.begin(), blamed.end(), [&of](const subject& target) {
                              return belongs(target, of.now->of);
                            });
    if (is_mine)
      convict(of.now->of, reason);
    return is_mine;
  }
  std::erase_if(blamed, [this](const subject& target) {
    auto* trust = trust_of(target);
    return !trust || way_of(*trust) != way::usual;
  });
  if (blamed.size() == 1 && *trust_of(blamed[0]) == standing::suspected) {
    convict(blamed[0], reason);
    return true;
  }
  for (auto& target : blamed) {
    auto& trust = *trust_of(target);
    if (trust == standing::suspected)
      continue;
    say(true, text_of(target) + " is asked for alone next time, as it may be why: " + reason.text);
    trust = standing::suspected;
    suspected_.push_back(std::move(target));
  }
  return !blamed.empty();
}

void topology_state::convict(const subject& target, failure reason) {
  const auto name = text_of(target);
  if (!reason.text.starts_with(name))
    reason.text = name + ": " + reason.text;
  say(true, name + " is asked for by a link apart from now on, as it harms others");
  convictions_.add(thing_of(target), reason, now_);
  auto& trust = *trust_of(target);
  if (std::exchange(trust, standing::culprit) != standing::culprit)
    culprits_.push_back(target);
  link(way::usual).groups.forget(consumer_of(target));
  refuse(target, std::move(reason));
}

void topology_state::refuse(const subject& target, failure reason) {
  with(target, overloaded{[&](exchange_entry& entry) {
                            entry.reason = std::move(reason);
                            decide(entry, entity_stage::refused);
                          },
                          [&](consumer_entry& entry) { refuse(entry, std::move(reason)); },
                          [&](consumer_entry& of, binding_entry& entry) {
                            refuse(of, entry, std::move(reason));
                          },
                          [&](consumer_entry&, entity<amqp::queue>& entry) {
                            entry.stage = entity_stage::refused;
                            entry.reason = std::move(reason);
                          }});
}

// The same request may have ended a connection for another strategy.
void topology_state::remember(const subject& target) {
  if (convictions_.empty())
    return;
  const auto thing = thing_of(target);
  const auto* known = convictions_.find(thing);
  auto& trust = *trust_of(target);
  if (!known || trust == standing::culprit)
    return;
  trust = standing::culprit;
  culprits_.push_back(target);
  if (!convictions_.due(thing, now_))
    refuse(target, known->reason);
}

void topology_state::remember(consumer_entry& consumer, const binding_entry& about, bool is_new) {
  if (convictions_.empty())
    return;
  const auto id = consumer.consumer.id;
  if (is_new)
    for (auto& queue : consumer.companion_queues)
      remember(about_companion{id, queue.spec.name});
  const amqp::binding spec = about.spec;
  if (is_new)
    remember(about_consumer{id});
  remember(about_binding{id, spec});
}

void topology_state::pardon() {
  convictions_.clear();
  for (auto& culprit : culprits_)
    if (auto* trust = trust_of(culprit); trust && !is_in_use(culprit))
      *trust = standing::trusted;
  keep(culprits_, standing::culprit);
}

// -- the link apart ---------------------------------------------------------------------------

// Requests in progress on the link apart are refused as before.
void topology_state::reset_apart() {
  for (auto& culprit : culprits_)
    with(culprit, overloaded{[](exchange_entry& entry) {
                               if (entry.stage != entity_stage::ready)
                                 entry.stage = entity_stage::refused;
                             },
                             [](consumer_entry&) {},
                             [](consumer_entry&, binding_entry& entry) {
                               if (entry.stage != binding_stage::bound)
                                 entry.stage = binding_stage::refused;
                             },
                             [](consumer_entry&, entity<amqp::queue>& entry) {
                               if (entry.stage != entity_stage::ready)
                                 entry.stage = entity_stage::refused;
                             }});
}

// Whether a culprit runs, or is about to run.
bool topology_state::is_in_use(const subject& target) const {
  if (link(way::apart).now && link(way::apart).now->of == target)
    return true;
  auto* about = std::get_if<about_consumer>(&target);
  auto* consumer = about ? find_consumer(about->id) : nullptr;
  return consumer && consumer->stage != consumer_stage::refused
         && consumer->stage != consumer_stage::waiting;
}

bool topology_state::needs_link_apart() const {
  if (link(way::apart).under_way > 0)
    return true;
  return std::any_of(culprits_.begin(), culprits_.end(), [this](const subject& culprit) {
    auto* trust = trust_of(culprit);
    return trust && *trust == standing::culprit
           && (is_in_use(culprit)
               || (is_due(culprit) && convictions_.due(thing_of(culprit), now_)));
  });
}

std::vector<std::string> topology_state::set_apart() const {
  std::vector<std::string> result;
  for (auto& culprit : culprits_)
    if (auto* trust = trust_of(culprit); trust && *trust == standing::culprit) {
      const auto* known = convictions_.find(thing_of(culprit));
      result.push_back(known ? known->reason.text : text_of(culprit));
    }
  return result;
}

} // namespace actors
