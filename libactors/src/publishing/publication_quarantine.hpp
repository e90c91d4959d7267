#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "actors/ec.hpp"
#include "amqp/transport.hpp"

/// What RabbitMQ says when it closes a channel because of a publication. Publications are
/// pipelined, so that it does not say which one it means; its words narrow that down.
namespace actors {

/// Whether the broker's words speak of what this message has: its exchange, its routing key,
/// its size.
bool speaks_of(const failure& words, const amqp::publication& x);

/// Whether they deny all that is published to its exchange.
bool deny_exchange(const failure& words, const amqp::publication& x);

/// Whether the broker closes a connection like this because of what was said on it.
bool closes_connection(ec code) noexcept;

/// Whether a message that was alone in flight is to blame for words like these. If not, it
/// has to happen to it twice: an exchange may come back, a broker may have had a fault.
bool is_certain(ec code) noexcept;

/// The largest body that the broker says it takes, if it says so.
std::optional<std::uint64_t> size_limit_in(const failure& words);

/// The kinds of publications that the broker refuses, each for a time: those to an exchange,
/// or those to an exchange with one routing key. What is of such a kind need not be sent, as
/// it would close the channel again. After the time one is sent alone to see.
///
/// Where the broker's words do not say that they are about a kind, as when it closes the
/// connection for a fault of a queue, it is one when several messages were refused and none
/// taken between them.
class publication_quarantine {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// How many kinds are remembered.
  static constexpr std::size_t max_kinds = 1'000;
  /// One that nobody has published to for so long, beyond its time, is forgotten.
  static constexpr std::chrono::minutes idle_limit{10};

  explicit publication_quarantine(std::chrono::milliseconds duration) : duration_(duration) {
    // nop
  }

  /// The broker refused this message with these words, beyond doubt. They may say nothing
  /// about others.
  void add(const amqp::publication& culprit, const failure& words, time_point now);

  /// The broker refused a message that nobody remembers: what its words name is all there is.
  void add(const failure& words, time_point now);

  struct verdict {
    /// Set, if the message is not to be sent.
    failure refused;
    /// It is the one that is to be sent alone, to see.
    bool alone = false;
    /// Nobody else is to be there: all that goes to its exchange is refused, or the broker
    /// closes the connection.
    bool apart = false;
  };

  /// What is to be done with a message that is new. Forgets those that are idle.
  verdict judge(const amqp::publication& x, time_point now);

  /// Whether the message is of a refused kind and not the one that is tried. A message that
  /// was judged before may be so by now.
  failure refusal(const amqp::publication& x) const;

  /// The broker has taken this message: its kind is refused no more, if it is the one that was
  /// tried; nor is it suspected.
  void lift(const amqp::publication& x);

  /// Whether messages to an exchange, or any, may cost a connection.
  bool keeps_apart(const std::string& exchange) const;
  bool keeps_any_apart() const;

  /// Another broker, or the same one after a restart: all may be different.
  void clear() noexcept {
    exchanges_.clear();
    trials_.clear();
    size_ = 0;
  }

  bool empty() const noexcept {
    return size_ == 0;
  }

  std::size_t size() const noexcept {
    return size_;
  }

private:
  struct kind {
    failure words;
    /// How many were refused in a row. With fewer than `needed` it is only suspected.
    std::uint32_t times = 0;
    std::uint32_t needed = 1;
    time_point until;
    /// The message that is tried, 0 for none.
    std::uint64_t trial = 0;

    bool is_refused() const noexcept {
      return times >= needed;
    }

    /// Whether it costs the connection.
    bool is_harmful() const noexcept {
      return needed > 1 && is_refused();
    }
  };

  /// What is refused of an exchange.
  struct refused_kinds {
    std::optional<kind> all;
    std::unordered_map<std::string, kind> by_routing_key;
    /// Whether any of them costs the connection.
    bool harmful = false;
  };

  kind* find(const amqp::publication& x);
  const kind* find(const amqp::publication& x) const;
  template <class Which>
  void erase_if(Which which);
  void erase_oldest();
  void forget_idle(time_point now);

  std::chrono::milliseconds duration_;
  std::unordered_map<std::string, refused_kinds> exchanges_;
  std::size_t size_ = 0;
  /// The messages that are tried.
  std::unordered_set<std::uint64_t> trials_;
  time_point next_look_;
};

} // namespace actors
