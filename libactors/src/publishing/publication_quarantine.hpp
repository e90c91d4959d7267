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

/// RabbitMQ's words when it closes a channel or connection because of a publication. Publications
/// are pipelined, and RabbitMQ does not name the message; but its words narrow the search.
namespace actors {

/// Whether the broker's words fit a message's exchange, routing key and size.
bool speaks_of(const failure& words, const amqp::publication& x);

/// Whether the broker's words deny all publications to the message's exchange.
bool deny_exchange(const failure& words, const amqp::publication& x);

/// Whether the code is one with which the broker closes a connection because of its content.
bool closes_connection(ec code) noexcept;

/// Whether a single error with this code convicts a message that was alone in flight. Other codes
/// need two errors: an exchange may come back, and a broker may have had a temporary fault.
bool is_certain(ec code) noexcept;

/// Returns the largest body that the broker takes, if its words give one.
std::optional<std::uint64_t> size_limit_in(const failure& words);

/// The kinds of publications that the broker refuses, each for a time. A kind is all messages to
/// an exchange, or those to an exchange with one routing key. Messages of a refused kind are not
/// sent, because they would close the channel again. After the time one message is sent alone as
/// a *trial*.
///
/// If the broker's words do not name a kind, e.g. when it closes the connection for a fault of a
/// queue, the kind is only *suspected*. It counts as refused when several of its messages in a
/// row were refused and none was taken.
class publication_quarantine {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// The number of kinds that are remembered.
  static constexpr std::size_t max_kinds = 1'000;
  /// How long a kind without publications is remembered beyond its time.
  static constexpr std::chrono::minutes idle_limit{10};

  explicit publication_quarantine(std::chrono::milliseconds duration) : duration_(duration) {
    // nop
  }

  /// Adds the kind of a message that the broker certainly refused with these words, unless the
  /// words say nothing about other messages.
  void add(const amqp::publication& culprit, const failure& words, time_point now);

  /// Adds the kind that the broker's words name, for a refused message that is unknown.
  void add(const failure& words, time_point now);

  struct verdict {
    /// Set if the message must not be sent.
    failure refused;
    /// Whether the message is the trial of its kind, to be sent alone.
    bool alone = false;
    /// Whether the trial must go by the link apart: it may cost the connection, or everything to
    /// its exchange is refused.
    bool apart = false;
  };

  /// Decides about a new message. Forgets idle kinds.
  verdict judge(const amqp::publication& x, time_point now);

  /// Returns an error if the message is of a refused kind and not the trial. The kind may have
  /// been refused since the message was judged.
  failure refusal(const amqp::publication& x) const;

  /// Notes that the broker has taken a message: if it was the trial, or if its kind was only
  /// suspected, the kind is forgotten.
  void lift(const amqp::publication& x);

  /// Whether messages to an exchange, or to any exchange, may cost a connection.
  bool keeps_apart(const std::string& exchange) const;
  bool keeps_any_apart() const;

  /// Forgets everything, for another broker or after a restart of the broker.
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
    /// How many messages were refused in a row. A kind with fewer than `needed` is only
    /// suspected.
    std::uint32_t times = 0;
    std::uint32_t needed = 1;
    time_point until;
    /// The id of the trial, 0 for none.
    std::uint64_t trial = 0;

    bool is_refused() const noexcept {
      return times >= needed;
    }

    /// Whether its messages cost the connection.
    bool is_harmful() const noexcept {
      return needed > 1 && is_refused();
    }
  };

  /// The refused kinds of one exchange.
  struct refused_kinds {
    std::optional<kind> all;
    std::unordered_map<std::string, kind> by_routing_key;
    /// Whether any of the kinds is harmful.
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
  /// The ids of all trials.
  std::unordered_set<std::uint64_t> trials_;
  time_point next_look_;
};

} // namespace actors
