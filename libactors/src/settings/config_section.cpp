#include "settings/config_section.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <utility>

#include "actors/json.hpp"
#include "settings/spelling.hpp"
#include "wire/json_error.hpp"

namespace actors {

namespace {

const boost::json::object no_keys;

/// The limit is needed because a device that is named by mistake may have no end.
constexpr std::size_t max_secret_size = 64 * 1024;

/// Describes a value that may hold a secret by its kind alone.
std::string kind_of(const boost::json::value& x) {
  switch (x.kind()) {
  case boost::json::kind::null:
    return "null";
  case boost::json::kind::bool_:
    return "a boolean";
  case boost::json::kind::string:
    return "a string";
  case boost::json::kind::array:
    return "an array";
  case boost::json::kind::object:
    return "an object";
  default:
    return "a number";
  }
}

std::string place_in(std::string_view key, std::size_t index) {
  return std::string{key} + '[' + std::to_string(index) + ']';
}

std::string text_or_kind(const boost::json::value& x) {
  if (x.is_structured())
    return kind_of(x);
  if (auto text = x.if_string())
    return shown(repeatable(*text));
  std::string result;
  append_json(result, x);
  return result;
}

std::optional<std::int64_t> to_integer(const boost::json::value& x) {
  std::int64_t result = 0;
  if (auto text = x.if_string()) {
    auto end = text->data() + text->size();
    auto [last, error] = std::from_chars(text->data(), end, result);
    return last == end && error == std::errc{} ? std::optional{result} : std::nullopt;
  }
  boost::json::error_code code;
  result = x.to_number<std::int64_t>(code); // fails for a double with a fraction
  return code ? std::nullopt : std::optional{result};
}

std::string to_upper(std::string_view text) {
  std::string result{text};
  for (auto& c : result)
    if (c >= 'a' && c <= 'z')
      c = static_cast<char>(c - 'a' + 'A');
  return result;
}

// The names are Python's, with its two aliases.
constexpr std::array<std::pair<std::string_view, log_level>, 8> log_levels{{
    {"DEBUG", log_level::debug},
    {"INFO", log_level::info},
    {"WARNING", log_level::warning},
    {"WARN", log_level::warning},
    {"ERROR", log_level::error},
    {"CRITICAL", log_level::critical},
    {"FATAL", log_level::critical},
    {"OFF", log_level::off},
}};

} // namespace

std::string repeatable(std::string_view text) {
  const auto at = text.find('@');
  if (at == text.npos || text.find(':') > at)
    return std::string{text};
  const auto scheme = text.substr(0, at).find("://");
  return std::string{scheme == text.npos ? "" : text.substr(0, scheme + 3)} + "...";
}

config_section::config_section(const boost::json::object& in, std::string path,
                               std::string& problem)
    : in_(in), path_(std::move(path)), problem_(problem) {
  // nop
}

bool config_section::has(std::string_view key) {
  return find(key) != nullptr;
}

std::vector<std::string> config_section::keys() {
  std::vector<std::string> result;
  for (auto& [key, value] : in_) {
    known_.emplace_back(key);
    if (!value.is_null())
      result.emplace_back(key);
  }
  return result;
}

std::vector<std::pair<std::string_view, std::string_view>> config_section::unknown_keys() const {
  std::vector<std::pair<std::string_view, std::string_view>> result;
  for (auto& [key, value] : in_) {
    std::string_view name{key};
    if (std::ranges::find(known_, name) == known_.end())
      result.emplace_back(name, nearest(name, known_));
  }
  return result;
}

void config_section::refuse_unknown_keys() {
  for (auto& [key, meant] : unknown_keys()) {
    auto why = "is no key of " + path_.substr(0, path_.size() - 1);
    if (meant.empty())
      why += ", config/actors.json has them all.";
    else
      why += ", did you mean \"" + repeatable(meant) + "\"?";
    refuse(repeatable(key).substr(0, 64),
           why + " (An app's own keys stand outside of the sections.)");
  }
}

void config_section::ignore(std::string_view key) {
  known_.emplace_back(key);
}

config_section config_section::inner(std::string_view key) {
  auto path = path_ + repeatable(key) + '.';
  auto value = find(key);
  if (value && !value->is_object())
    mismatch(key, kind_of(*value), "an object");
  return {value && value->is_object() ? value->get_object() : no_keys, std::move(path), problem_};
}

template <class F>
void config_section::take(std::string_view key, std::string_view expected, F read_from) {
  const auto* value = find(key);
  if (value && !read_from(*value))
    mismatch(key, text_or_kind(*value), expected);
}

/// Reads one of several named values.
template <class T>
void config_section::take_named(std::string_view key, std::string_view expected, T& out,
                                std::initializer_list<T> values) {
  take(key, expected, [&](const boost::json::value& x) {
    const auto* text = x.if_string();
    const auto* found =
        text ? std::ranges::find_if(values, [&](T y) { return *text == to_string(y); })
             : values.end();
    if (found == values.end())
      return false;
    out = *found;
    return true;
  });
}

void config_section::read(std::string_view key, bool& out) {
  take(key, "true or false", [&](const boost::json::value& x) {
    const auto* value = x.if_bool();
    out = value ? *value : out;
    return value != nullptr;
  });
}

void config_section::read(std::string_view key, std::string& out) {
  take(key, "a string", [&](const boost::json::value& x) {
    const auto* value = x.if_string();
    if (value)
      out = *value;
    return value != nullptr;
  });
}

void config_section::read(std::string_view key, std::string& out, not_empty_t) {
  read(key, out);
  if (out.empty())
    mismatch(key, "\"\"", "a string that is not empty");
}

void config_section::read(std::string_view key, std::string& out, file_name_t) {
  read(key, out, not_empty);
  if (out.find('/') != out.npos || out == "." || out == "..")
    mismatch(key, shown(repeatable(out)),
             "the name of a file without its folder, which is " + path_ + "path");
}

void config_section::read(std::string_view key, double& out, int min, int max) {
  take(key, "a number from " + std::to_string(min) + " to " + std::to_string(max),
       [&](const boost::json::value& x) {
         boost::json::error_code code;
         const auto value = x.to_number<double>(code);
         if (code || value < min || value > max)
           return false;
         out = value;
         return true;
       });
}

void config_section::read(std::string_view key, log_level& out) {
  take(key, "DEBUG, INFO, WARNING, ERROR, CRITICAL or OFF", [&](const boost::json::value& x) {
    const auto* text = x.if_string();
    const auto name = text ? to_upper(*text) : std::string{};
    for (auto& [known, level] : log_levels)
      if (name == known) {
        out = level;
        return true;
      }
    return false;
  });
}

void config_section::read(std::string_view key, overflow_policy& out) {
  using enum overflow_policy;
  take_named(key, "reject, drop_oldest, drop_newest, block or latest_per_key", out,
             {reject, drop_oldest, drop_newest, block, latest_per_key});
}

void config_section::read(std::string_view key, amqp::auth_mechanism& out) {
  using enum amqp::auth_mechanism;
  take_named(key, "plain or external", out, {plain, external});
}

void config_section::read(std::string_view key, amqp::exchange_type& out) {
  using enum amqp::exchange_type;
  take_named(key, "topic, fanout, direct or headers", out, {topic, fanout, direct, headers});
}

const boost::json::array* config_section::array_at(std::string_view key,
                                                   std::string_view expected) {
  const auto* value = find(key);
  if (!value)
    return nullptr;
  const auto* values = value->if_array();
  if (!values)
    mismatch(key, kind_of(*value), expected);
  return values;
}

void config_section::read(std::string_view key, std::vector<amqp::exchange>& out) {
  const auto* values = array_at(key, "an array of names and objects");
  if (!values)
    return;
  out.clear();
  for (auto& value : *values)
    out.push_back(exchange_at(place_in(key, out.size()), value));
}

amqp::exchange config_section::exchange_at(const std::string& place,
                                           const boost::json::value& spec) {
  std::string name;
  if (auto text = spec.if_string()) {
    name = *text;
    return exchange_named(std::move(name));
  }
  if (!spec.is_object()) {
    mismatch(place, kind_of(spec), "a name, or an object with a name");
    return {};
  }
  config_section own{spec.get_object(), path_ + place + '.', problem_};
  own.read("name", name, not_empty);
  auto result = exchange_named(std::move(name));
  own.read("type", result.type);
  own.read("durable", result.durable);
  own.refuse_unknown_keys();
  return result;
}

void config_section::read_secret(std::string_view key, std::string& out) {
  auto x = find(key);
  if (!x)
    return;
  if (auto value = x->if_string())
    out = *value;
  else
    mismatch(key, kind_of(*x), "a string");
}

void config_section::read_secrets(std::string_view key, std::vector<std::string>& out) {
  const auto* values = array_at(key, "an array of strings");
  if (!values)
    return;
  out.clear();
  for (auto& value : *values) {
    if (!value.is_string())
      return mismatch(place_in(key, out.size()), kind_of(value), "a string");
    out.emplace_back(value.get_string());
  }
}

void config_section::read_secret_from_environment(std::string_view key, std::string& out) {
  std::string name;
  read_secret(key, name);
  if (name.empty())
    return;
  auto value = std::getenv(name.c_str());
  if (!value)
    return refuse(key, "the environment has no variable of this name");
  accept_secret(key, value, out);
}

void config_section::read_secret_from_file(std::string_view key, std::string& out) {
  std::string path;
  read_secret(key, path);
  if (path.empty())
    return;
  errno = 0;
  std::ifstream in{path, std::ios::binary};
  std::string text(max_secret_size + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (!in.is_open() || (text.empty() && errno != 0))
    return refuse(key, std::string{"the file cannot be read: "} + std::strerror(errno));
  if (text.size() > max_secret_size)
    return refuse(key, "the file is larger than 64 KiB");
  for (auto end : {'\n', '\r'})
    if (text.ends_with(end))
      text.pop_back();
  accept_secret(key, std::move(text), out);
}

// SASL PLAIN separates its parts by NUL.
void config_section::accept_secret(std::string_view key, std::string text, std::string& out) {
  if (text.empty())
    return refuse(key, "there is nothing in it");
  if (text.find('\0') != std::string::npos)
    return refuse(key, "there is a NUL byte in it");
  out = std::move(text);
}

void config_section::refuse(std::string_view key, std::string_view why) {
  if (problem_.empty())
    problem_.append(path_).append(repeatable(key)).append(": ").append(why);
}

const boost::json::value* config_section::find(std::string_view key) {
  known_.emplace_back(key);
  auto x = in_.if_contains(key);
  return x && !x->is_null() ? x : nullptr;
}

std::int64_t config_section::integer(std::string_view key, std::int64_t fallback, std::int64_t min,
                                     std::int64_t max) {
  auto given = find(key);
  if (!given)
    return fallback;
  auto value = to_integer(*given);
  if (value && *value >= min && *value <= max)
    return *value;
  mismatch(key, text_or_kind(*given),
           "an integer from " + std::to_string(min) + " to " + std::to_string(max));
  return fallback;
}

void config_section::mismatch(std::string_view key, const std::string& found,
                              std::string_view allowed) {
  refuse(key, "found " + found + ", allowed is " + std::string{allowed});
}

} // namespace actors
