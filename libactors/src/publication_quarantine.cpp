#include "actors/publication_quarantine.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>

namespace actors {

namespace {

/// RabbitMQ's name for the default exchange.
constexpr std::string_view default_exchange = "amq.default";

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

/// The number behind a mark, if there is one.
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

std::string key_of(const amqp::publication& x, bool with_routing_key) {
  std::string result = x.exchange;
  if (with_routing_key) {
    result += '\n'; // in no name of an exchange
    result += x.routing_key;
  }
  return result;
}

} // namespace

// "message size 24000000 is larger than configured max size 16777216", which older ones
// say without "is" and "configured".
bool speaks_of(const failure& words, const amqp::publication& x) {
  if (auto size = number_after(words.text, "message size "))
    return x.body && x.body->size() == *size;
  if (!names_exchange(words, x))
    return false;
  return !is_about_topic(words) || contains(words.text, "topic '", x.routing_key);
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
  if (words.code != ec::access_refused && words.code != ec::not_found)
    return;
  if (!speaks_of(words, culprit) || !names_exchange(words, culprit))
    return;
  if (kinds_.size() >= max_kinds)
    kinds_.erase(std::min_element(kinds_.begin(), kinds_.end(), [](auto& x, auto& y) {
      return x.second.until < y.second.until;
    }));
  kinds_[key_of(culprit, is_about_topic(words))] = {words, now + duration_, 0};
}

void publication_quarantine::add(const failure& words, time_point now) {
  amqp::publication x;
  x.exchange = quoted_after(words.text, "exchange '");
  x.routing_key = quoted_after(words.text, "topic '");
  if (x.exchange == default_exchange)
    x.exchange.clear();
  add(x, words, now);
}

publication_quarantine::kinds::const_iterator
publication_quarantine::find(const amqp::publication& x) const {
  auto i = kinds_.find(key_of(x, false));
  return i == kinds_.end() ? kinds_.find(key_of(x, true)) : i;
}

publication_quarantine::verdict publication_quarantine::judge(const amqp::publication& x,
                                                              time_point now) {
  auto found = find(x);
  if (found == kinds_.end())
    return {};
  auto& kind = kinds_.find(found->first)->second;
  if (now < kind.until)
    return {kind.words, false};
  // As long as it takes: the others are refused until it was answered, or is lost.
  kind.until = now + duration_;
  kind.trial = x.id;
  return {{}, true};
}

failure publication_quarantine::refusal(const amqp::publication& x) const {
  auto found = find(x);
  return found == kinds_.end() || found->second.trial == x.id ? failure{} : found->second.words;
}

void publication_quarantine::lift(std::uint64_t id) {
  std::erase_if(kinds_, [id](auto& x) { return x.second.trial == id; });
}

} // namespace actors
