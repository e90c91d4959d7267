#pragma once

#include <chrono>
#include <compare>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "support/numbered.hpp"

namespace actors::testing {

/// What a strategy is promised beyond that nothing is handled twice in one life.
struct promise {
  /// The newest event of each publisher and routing key; else every one.
  bool newest_only = false;
  /// Else what has failed may come behind later ones,
  bool in_order_over_failures = true;
  /// and what is handled while the broker may take a dead link to be alive (`excuse_order`).
  bool in_order_over_links = true;
};

/// The books on numbered events: what was published, confirmed and handled, by whom.
/// Publishers and strategies write, tests wait and judge; from any thread.
class audit {
public:
  /// A strategy is to handle the confirmed events that this binding key matches.
  void wants(const std::string& strategy, const std::string& binding_key, promise promised = {});

  // -- what happens ---------------------------------------------------------------

  /// The next event of a publisher with this key; it is on its way from now on.
  numbered next(const std::string& publisher, const std::string& key);

  void confirmed(const numbered& x);

  /// It was answered by an error: nothing is promised about it.
  void refused(const numbered& x, const std::string& why = "");

  /// A strategy begins a life.
  void started(const std::string& strategy);

  void handled(const std::string& strategy, const numbered& x);

  /// The handler of a strategy failed.
  void failed(const std::string& strategy, const numbered& x);

  /// From now on the broker may take dead links to be alive, or not any more.
  void excuse_order(bool on);

  // -- to wait for ----------------------------------------------------------------

  /// Whether every strategy handles, within the limit, at least one event from each of
  /// its publishers that is published after this call.
  bool all_handle_fresh_events(std::chrono::milliseconds limit);

  /// Whether so many more events are confirmed within the limit.
  bool more_confirmed(std::uint64_t count, std::chrono::milliseconds limit);

  /// Whether a strategy fails so many more times within the limit.
  bool fails_more(const std::string& strategy, std::uint64_t count,
                  std::chrono::milliseconds limit);

  /// Whether a strategy has, within the limit, handled every event that is confirmed.
  bool catches_up(const std::string& strategy, std::chrono::milliseconds limit);

  /// Whether, within the limit, each event is answered and each confirmed one handled by
  /// all who are to. Publishers must have stopped.
  bool settles(std::chrono::milliseconds limit);

  /// How many events of this publisher have no answer yet.
  std::uint64_t open(const std::string& publisher);

  // -- the judgement --------------------------------------------------------------

  struct verdict {
    std::uint64_t confirmed = 0;
    std::uint64_t refused = 0;
    /// The last answer of these.
    std::string refusal;
    /// By all strategies together.
    std::uint64_t handled = 0;
    /// Confirmed, and never handled by a strategy that was to.
    std::uint64_t lost = 0;
    /// Handled again by a strategy within one life.
    std::uint64_t twice = 0;
    /// Handled for the first time after one with a higher number.
    std::uint64_t reordered = 0;
    /// The same, where no order is promised.
    std::uint64_t excused = 0;
    /// The first of them in words.
    std::vector<std::string> examples;
  };

  verdict judge();

  /// The same for the strategies whose names begin so, and what they are to handle.
  verdict judge(const std::string& prefix);

  /// The verdict in one line, with the examples behind it if there are any.
  static std::string text_of(const verdict& x);

private:
  /// One publisher's events with one routing key.
  struct stream {
    std::string publisher;
    std::string key;

    auto operator<=>(const stream&) const = default;
  };

  /// Numbers are dense from 1, so that a bit for each will do.
  using numbers = std::vector<bool>;

  struct sent {
    std::uint64_t last = 0;
    std::uint64_t answered = 0;
    numbers confirmed;
  };

  struct received {
    std::uint64_t highest = 0;
    std::uint64_t highest_in_this_life = 0;
    numbers ever;
    numbers in_this_life;
    numbers failed;
  };

  struct strategy {
    std::string binding_key;
    promise promised;
    std::map<stream, received> streams;
    std::uint64_t failures = 0;
    verdict counted;
  };

  static bool contains(const numbers& xs, std::uint64_t number);
  /// Whether it was not in there before.
  static bool insert(numbers& xs, std::uint64_t number);

  /// Calls `f(stream, sent, received)` for each stream that a strategy is to handle.
  template <class F>
  void for_each_stream_of(strategy& x, F f);
  void answered(const numbered& x);
  bool is_excused(const strategy& x, const received& from, std::uint64_t number) const;
  void blame(std::uint64_t& counter, const std::string& what, const std::string& strategy,
             const stream& where, std::uint64_t number);
  /// Adds what is held against this strategy.
  void add(verdict& to, const std::string& name);
  /// The confirmed events that this strategy is to handle and has not, each blamed if asked.
  std::uint64_t count_missing(const std::string& strategy, bool blamed);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<stream, sent> sent_;
  std::map<std::string, strategy> strategies_;
  bool excuses_order_ = false;
  verdict verdict_;
};

} // namespace actors::testing
