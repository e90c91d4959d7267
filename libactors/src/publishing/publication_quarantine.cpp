#include "publishing/publication_quarantine.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <string_view>

namespace actors {

namespace {

/// RabbitMQ's name for the default exchange.
constexpr std::string_view default_exchange = "amq.default";

/// How many messages in a row must be refused before their kind is, if the broker's words name no
/// kind: the fault may lie in one message's headers, or be a temporary one of the broker.
constexpr std::uint32_t chance = 3;

bool contains(std::string_view text, std::string_view mark, std::string_view name) {
  for (auto at = text.find(mark); at != std::string_view::npos; at = text.find(mark, at + 1)) {
    auto rest = text.substr(at + mark.size());
    if (rest.starts_with(name) && rest.substr(name.size()).starts_with('\''))
      return true;
  }
  return false;
}

bool names_exchange(const failure& words, const amqp::publication& x) {
  return contains(words.text, "exchange '",
                  x.exchange.empty() ? default_exchange : std::string_view{x.exchange});
}

/// "access to topic 'k' in exchange 'e' in vhost '/' refused for user 'u'".
bool is_about_topic(const failure& words) {
  return words.text.find("topic '") != std::string::npos;
}

/// Returns the number behind a mark, if there is one.
std::optional<std::uint64_t> number_after(std::string_view text, std::string_view mark) {
  auto at = text.find(mark);
  if (at == std::string_view::npos)
    return std::nullopt;
  text.remove_prefix(at + mark.size());
  std::uint64_t result = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), result);
  return code == std::errc{} ? std::optional{result} : std::nullopt;
}

std::string_view quoted_after(std::string_view text, std::string_view mark) {
  auto at = text.find(mark);
  if (at == std::string_view::npos)
    return {};
  text.remove_prefix(at + mark.size());
  return text.substr(0, text.find('\''));
}

} // namespace

// RabbitMQ writes "message size 24000000 is larger than configured max size 16777216"; older
// versions omit "is" and "configured".
bool speaks_of(const failure& words, const amqp::publication& x) {
  if (auto size = number_after(words.text, "message size "))
    return x.body && x.body->size() == *size;
  if (!names_exchange(words, x))
    return false;
  return !is_about_topic(words) || contains(words.text, "topic '", x.routing_key);
}

bool deny_exchange(const failure& words, const amqp::publication& x) {
  return words.code == ec::access_refused && names_exchange(words, x) && !is_about_topic(words);
}

bool closes_connection(ec code) noexcept {
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

bool is_certain(ec code) noexcept {
  return code == ec::access_refused || code == ec::precondition_failed;
}

std::optional<std::uint64_t> size_limit_in(const failure& words) {
  if (words.code != ec::precondition_failed)
    return std::nullopt;
  return number_after(words.text, "max size ");
}

void publication_quarantine::add(const amqp::publication& culprit, const failure& words,
                                 time_point now) {
  const auto harmful = closes_connection(words.code);
  const auto is_named = (words.code == ec::access_refused || words.code == ec::not_found)
                        && speaks_of(words, culprit) && names_exchange(words, culprit);
  if (!harmful && !is_named)
    return;
  if (size_ >= max_kinds && !find(culprit))
    erase_oldest();
  auto& kinds = exchanges_[culprit.exchange];
  const auto is_narrow = harmful || is_about_topic(words);
  const auto is_new = is_narrow ? !kinds.by_routing_key.contains(culprit.routing_key) : !kinds.all;
  if (is_new && !is_narrow)
    kinds.all = kind{};
  auto& refused = is_narrow ? kinds.by_routing_key[culprit.routing_key] : *kinds.all;
  size_ += is_new ? 1 : 0;
  trials_.erase(refused.trial);
  refused.words =
      harmful
          ? failure{words.code, "not sent, as the broker has refused others like it: " + words.text}
          : words;
  ++refused.times;
  refused.needed = harmful ? chance : 1;
  kinds.harmful = kinds.harmful || refused.is_harmful();
  refused.until = now + duration_;
  refused.trial = 0;
}

void publication_quarantine::add(const failure& words, time_point now) {
  if (closes_connection(words.code))
    return; // such words name no kind
  amqp::publication named;
  named.exchange = quoted_after(words.text, "exchange '");
  named.routing_key = quoted_after(words.text, "topic '");
  if (named.exchange == default_exchange)
    named.exchange.clear();
  add(named, words, now);
}

// The lookup builds no string, because it runs for each message while any kind is refused.
publication_quarantine::kind* publication_quarantine::find(const amqp::publication& x) {
  auto of = exchanges_.find(x.exchange);
  if (of == exchanges_.end())
    return nullptr;
  if (of->second.all)
    return &*of->second.all;
  auto i = of->second.by_routing_key.find(x.routing_key);
  return i == of->second.by_routing_key.end() ? nullptr : &i->second;
}

const publication_quarantine::kind* publication_quarantine::find(const amqp::publication& x) const {
  return const_cast<publication_quarantine*>(this)->find(x);
}

publication_quarantine::verdict publication_quarantine::judge(const amqp::publication& x,
                                                              time_point now) {
  if (now >= next_look_)
    forget_idle(now);
  auto* found = find(x);
  if (!found)
    return {};
  const auto is_suspected = !found->is_refused();
  if (now < found->until && !is_suspected)
    return {found->words};
  if (is_suspected && found->trial != 0 && now < found->until)
    return {}; // the trial is ahead of this message
  // The message becomes the trial; a former trial without an answer by now is lost.
  trials_.erase(found->trial);
  found->until = now + duration_;
  found->trial = x.id;
  trials_.insert(x.id);
  const auto& of = exchanges_.at(x.exchange);
  return {{}, true, of.all || found->needed > 1};
}

failure publication_quarantine::refusal(const amqp::publication& x) const {
  auto* found = find(x);
  return !found || found->trial == x.id || !found->is_refused() ? failure{} : found->words;
}

void publication_quarantine::lift(const amqp::publication& x) {
  if (trials_.contains(x.id))
    return erase_if([&x](const kind& y) { return y.trial == x.id; });
  if (const auto* suspected = find(x); suspected && !suspected->is_refused())
    erase_if([suspected](const kind& y) { return &y == suspected; });
}

bool publication_quarantine::keeps_apart(const std::string& exchange) const {
  const auto i = exchanges_.find(exchange);
  return i != exchanges_.end() && i->second.harmful;
}

bool publication_quarantine::keeps_any_apart() const {
  return std::any_of(exchanges_.begin(), exchanges_.end(),
                     [](const auto& x) { return x.second.harmful; });
}

template <class Which>
void publication_quarantine::erase_if(Which which) {
  const auto forget = [&](const kind& x) {
    const auto result = which(x);
    if (result) {
      --size_;
      trials_.erase(x.trial);
    }
    return result;
  };
  for (auto i = exchanges_.begin(); i != exchanges_.end();) {
    auto& [all, by_routing_key, harmful] = i->second;
    if (all && forget(*all))
      all.reset();
    std::erase_if(by_routing_key, [&](auto& x) { return forget(x.second); });
    harmful = harmful && std::any_of(by_routing_key.begin(), by_routing_key.end(), [](auto& x) {
                return x.second.is_harmful();
              });
    i = !all && by_routing_key.empty() ? exchanges_.erase(i) : std::next(i);
  }
}

void publication_quarantine::erase_oldest() {
  auto oldest = time_point::max();
  for (auto& [exchange, of] : exchanges_) {
    if (of.all)
      oldest = std::min(oldest, of.all->until);
    for (auto& [key, x] : of.by_routing_key)
      oldest = std::min(oldest, x.until);
  }
  auto found = false;
  erase_if([&](const kind& x) { return !found && (found = x.until == oldest); });
}

void publication_quarantine::forget_idle(time_point now) {
  next_look_ = now + idle_limit / 10;
  erase_if([now](const kind& x) { return x.until + idle_limit <= now; });
}

} // namespace actors
