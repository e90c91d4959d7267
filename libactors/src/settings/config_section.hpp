#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json/object.hpp>

#include "actors/config.hpp"

namespace actors {

/// A tag for strings that may not be empty.
struct not_empty_t {};
inline constexpr not_empty_t not_empty{};

/// A tag for strings that must be the name of a file, without a folder.
struct file_name_t {};
inline constexpr file_name_t file_name{};

/// Returns a key or a value in a form that errors may show: a text that looks like a URL with a
/// user, or like a piece of one, is cut to "amqp://...", because it may hold a password.
std::string repeatable(std::string_view text);

/// Reads the keys of one section of a config into variables, which keep their value if a key is
/// missing or null. A section notes the first problem with the full name of its key. It remembers
/// the keys that were asked for; all others are unknown keys.
class config_section {
public:
  /// `problem` is shared by all sections of a config.
  config_section(const boost::json::object& in, std::string path, std::string& problem);

  /// Whether there is a key with a value.
  bool has(std::string_view key);

  /// Returns the names of all keys with a value, and marks all of them as known.
  std::vector<std::string> keys();

  /// Returns the unknown keys, each with the known key that was probably meant, if there is one.
  std::vector<std::pair<std::string_view, std::string_view>> unknown_keys() const;

  /// Refuses an unknown key, and suggests a known one. To be called after all keys have been
  /// read.
  void refuse_unknown_keys();

  /// Accepts a key that has no effect.
  void ignore(std::string_view key);

  /// The section under a key; an empty one if there is none.
  config_section inner(std::string_view key);

  void read(std::string_view key, bool& out);
  void read(std::string_view key, std::string& out);
  void read(std::string_view key, std::string& out, not_empty_t);
  void read(std::string_view key, std::string& out, file_name_t);
  void read(std::string_view key, double& out, int min, int max);
  void read(std::string_view key, log_level& out);
  void read(std::string_view key, overflow_policy& out);
  void read(std::string_view key, amqp::auth_mechanism& out);
  void read(std::string_view key, amqp::exchange_type& out);

  /// Reads a list of exchanges, each a name or an object with a name and settings.
  void read(std::string_view key, std::vector<amqp::exchange>& out);

  /// Reads an integer, which may stand in quotes, as in some AIOQuant configs.
  template <std::unsigned_integral T>
  requires(!std::same_as<T, bool>) void read(std::string_view key, T& out, std::int64_t min,
                                             std::int64_t max) {
    out = static_cast<T>(integer(key, static_cast<std::int64_t>(out), min, max));
  }

  /// Reads a duration as a count of its own unit.
  template <class Rep, class Period>
  void read(std::string_view key, std::chrono::duration<Rep, Period>& out,
            std::chrono::duration<Rep, Period> min, std::chrono::duration<Rep, Period> max) {
    using unit = std::chrono::duration<Rep, Period>;
    out = unit{static_cast<Rep>(integer(key, out.count(), min.count(), max.count()))};
  }

  /// Reads a string that errors may not show.
  void read_secret(std::string_view key, std::string& out);
  void read_secrets(std::string_view key, std::vector<std::string>& out);

  /// Reads a secret from the environment variable, or the file, that a key names. The file may
  /// have 64 KiB; its last line break is ignored. Errors do not show the name, because some users
  /// put the secret itself there.
  void read_secret_from_environment(std::string_view key, std::string& out);
  void read_secret_from_file(std::string_view key, std::string& out);

  /// Notes a problem with a key, if there is no earlier problem.
  void refuse(std::string_view key, std::string_view why);

private:
  void accept_secret(std::string_view key, std::string text, std::string& out);
  amqp::exchange exchange_at(const std::string& place, const boost::json::value& x);
  const boost::json::array* array_at(std::string_view key, std::string_view expected);
  /// Returns the value of a key, or null, and marks the key as known.
  const boost::json::value* find(std::string_view key);

  /// Reads the value of a key, if there is one. `read_from` returns false if the value is not
  /// what `expected` describes.
  template <class F>
  void take(std::string_view key, std::string_view expected, F read_from);

  template <class T>
  void take_named(std::string_view key, std::string_view expected, T& out,
                  std::initializer_list<T> values);
  std::int64_t integer(std::string_view key, std::int64_t fallback, std::int64_t min,
                       std::int64_t max);
  void mismatch(std::string_view key, const std::string& found, std::string_view allowed);

  const boost::json::object& in_;
  std::string path_;
  std::string& problem_;
  std::vector<std::string> known_;
};

} // namespace actors
