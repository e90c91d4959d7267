// Whatever links ask of the in-process broker, and whatever befalls it: each
// request and publication is answered once, no event comes after the last one,
// prefetch is kept, tags ascend, what was acknowledged never comes again, and
// the broker's counts agree with what the links hold.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "actors/amqp/memory_broker.hpp"
#include "broker_door.hpp"

using namespace actors;
using namespace actors::amqp;

namespace {

void require(bool condition) {
  if (!condition)
    std::abort();
}

/// Reads decisions from the fuzzer's bytes; zeros once they have ended.
class decisions {
public:
  decisions(const std::uint8_t* bytes, std::size_t size) : bytes_(bytes), size_(size) {
    // nop
  }

  bool done() const noexcept {
    return at_ >= size_;
  }

  std::uint8_t below(std::uint8_t limit) noexcept {
    return done() ? std::uint8_t{0} : static_cast<std::uint8_t>(bytes_[at_++] % limit);
  }

  bool coin() noexcept {
    return below(2) == 1;
  }

private:
  const std::uint8_t* bytes_;
  std::size_t size_;
  std::size_t at_ = 0;
};

// -- what a link sees -----------------------------------------------------------------

/// A delivery in the hands of the link.
struct held {
  consumer_id consumer = 0;
  std::string queue;
  std::string body;
};

/// What was settled for good, of any link, as queue and body.
using finished = std::set<std::pair<std::string, std::string>>;

/// Takes the events of a link and checks each against what was asked.
class witness : public link_listener {
public:
  explicit witness(finished& gone) : gone_(gone) {
    // nop
  }

  void up(std::string) override {
    require(!is_up && !is_down);
    is_up = true;
  }

  void replied(reply x) override {
    running();
    require(requested.erase(x.id) == 1);
    if (auto i = starts.find(x.id); i != starts.end() && !x.error)
      consumers.emplace(i->second.id, i->second);
    if (auto i = cancels.find(x.id); i != cancels.end())
      consumers.erase(i->second);
  }

  void delivered(std::uint32_t life, std::vector<delivery> xs) override {
    running();
    require(life == generation && !xs.empty());
    for (auto& x : xs)
      take(x);
  }

  void confirmed(std::vector<confirmation> xs) override {
    running();
    require(!xs.empty());
    for (auto& x : xs)
      require(x.accepted && published.erase(x.id) + swept_away.erase(x.id) == 1);
  }

  void returned(returned_message x) override {
    running();
    auto id = std::stoull(x.properties.message_id);
    require(x.reason && published.count(id) + swept_away.count(id) == 1);
  }

  void blocked(std::string) override {
    running();
  }

  void unblocked() override {
    running();
  }

  void cancelled(consumer_id x) override {
    running();
    require(consumers.erase(x) == 1);
  }

  void refused(std::uint64_t id, failure reason) override {
    running();
    require(reason && published.erase(id) + swept_away.erase(id) == 1);
  }

  void suspected(std::vector<request_id>) override {
  }

  void learned(broker_limits) override {
  }

  void channel_closed(closed_channel x) override {
    running();
    require(x.which != channel::topology && x.reason);
    if (x.which == channel::publishing) {
      ++publishing_generation;
      return swept_away.merge(published);
    }
    // Whoever was being started there is not answered any more.
    for (auto& [id, what] : starts)
      if (std::count(x.consumers.begin(), x.consumers.end(), what.id) > 0)
        requested.erase(id);
    ++generation;
    last_tag = 0;
    in_hand.clear();
    consumers.clear();
  }

  void down(failure) override {
    require(!is_down);
    is_down = true;
    in_hand.clear();
  }

  bool is_up = false;
  bool is_down = false;
  std::uint32_t generation = 1;
  std::uint32_t publishing_generation = 1;
  std::uint64_t last_tag = 0;
  /// What was asked for, unanswered.
  std::set<request_id> requested;
  std::map<request_id, consumer> starts;
  std::map<request_id, consumer_id> cancels;
  std::set<std::uint64_t> published;
  /// Published before the channel was closed: gone, unless they waited.
  std::set<std::uint64_t> swept_away;
  std::map<consumer_id, consumer> consumers;
  std::map<std::uint64_t, held> in_hand;

private:
  void running() const {
    require(is_up && !is_down);
  }

  void take(const delivery& x) {
    require(x.tag == last_tag + 1);
    last_tag = x.tag;
    auto i = consumers.find(x.consumer);
    require(i != consumers.end());
    auto& to = i->second;
    require(gone_.count({to.queue, x.body}) == 0);
    if (to.no_ack) {
      gone_.insert({to.queue, x.body});
      return;
    }
    in_hand.emplace(x.tag, held{x.consumer, to.queue, x.body});
    std::size_t open = 0;
    for (auto& [tag, y] : in_hand)
      open += y.consumer == x.consumer ? 1 : 0;
    require(to.prefetch_count == 0 || open <= to.prefetch_count);
  }

  finished& gone_;
};

/// A link and its witness; a new link takes the place of one that ended.
struct party {
  std::shared_ptr<witness> events;
  std::unique_ptr<door> link;
};

// -- the play -------------------------------------------------------------------------

class play {
public:
  explicit play(decisions script) : script_(script) {
    for (auto& x : parties_)
      arrive(x);
  }

  void run() {
    for (auto steps = 0; steps < 400 && !script_.done(); ++steps) {
      step(parties_[script_.below(3)]);
      if (!stalled_)
        check_counts();
    }
    end();
  }

private:
  void arrive(party& x) {
    x.link.reset();
    x.events = std::make_shared<witness>(gone_);
    x.link = std::make_unique<door>(broker_, x.events);
  }

  void step(party& x) {
    switch (script_.below(16)) {
    case 0:
      return ask(x, declare_exchange{{exchange(), exchange_type{script_.below(3)}, script_.coin()},
                                     script_.coin()});
    case 1:
      return declare(x);
    case 2:
      return ask(x, bind_queue{{exchange(), queue(), key()}});
    case 3:
      return ask(x, unbind_queue{{exchange(), queue(), key()}});
    case 4:
      return consume(x);
    case 5:
      return cancel(x);
    case 6:
      return ask(x, delete_queue{queue()});
    case 7:
    case 8:
    case 9:
      return publish(x);
    case 10:
    case 11:
    case 12:
      return settle(x);
    case 13:
      return leave(x);
    default:
      return fault();
    }
  }

  // -- calls of a link ------------------------------------------------------------------

  void ask(party& x, operation what) {
    auto id = ++last_id_;
    if (!x.events->is_down)
      x.events->requested.insert(id);
    x.link->request(id, std::move(what));
  }

  void declare(party& x) {
    amqp::queue what{queue()};
    what.durable = script_.coin();
    what.exclusive = script_.below(4) == 3;
    what.auto_delete = script_.coin();
    ask(x, declare_queue{std::move(what), script_.below(4) == 3});
  }

  void consume(party& x) {
    consumer what{static_cast<consumer_id>(last_id_ + 1), queue()};
    what.prefetch_count = script_.below(4);
    what.no_ack = script_.below(4) == 3;
    what.exclusive = script_.below(8) == 7;
    x.events->starts.emplace(last_id_ + 1, what);
    ask(x, start_consumer{std::move(what)});
  }

  // Sometimes of an id that never was.
  void cancel(party& x) {
    consumer_id id = script_.below(8);
    auto& known = x.events->consumers;
    if (!known.empty() && id != 7)
      id = std::next(known.begin(), static_cast<std::ptrdiff_t>(id % known.size()))->first;
    x.events->cancels.emplace(last_id_ + 1, id);
    ask(x, cancel_consumer{id});
  }

  void publish(party& x) {
    auto id = ++last_id_;
    if (!x.events->is_down)
      x.events->published.insert(id);
    auto direct = script_.coin();
    x.link->publish(x.events->publishing_generation, id, direct ? std::string{} : exchange(),
                    direct ? queue() : key(), std::to_string(id), script_.coin());
  }

  void settle(party& x) {
    auto& open = x.events->in_hand;
    auto which = script_.below(16);
    auto multiple = script_.coin();
    settlement what{which, settlement::verdict{script_.below(3)}, multiple};
    auto generation = x.events->generation;
    if (which < 14 && !open.empty())
      what.tag = std::next(open.begin(), static_cast<std::ptrdiff_t>(which % open.size()))->first;
    if (which == 15)
      generation -= 1; // as from before the channel was closed
    // One that waits is carried out or lost later: the witness cannot know.
    if (stalled_)
      return;
    let_go(*x.events, what, generation);
    x.link->settle(generation, what);
  }

  // What will have been settled, if the tag is known.
  void let_go(witness& x, const settlement& what, std::uint32_t generation) {
    auto& open = x.in_hand;
    auto all = what.multiple && what.tag == 0;
    if (x.is_down || generation != x.generation || (open.count(what.tag) == 0 && !all))
      return;
    for (auto i = open.begin(); i != open.end();) {
      auto hit = i->first == what.tag || all || (what.multiple && i->first < what.tag);
      if (hit && what.outcome != settlement::verdict::requeue)
        gone_.insert({i->second.queue, i->second.body});
      i = hit ? open.erase(i) : std::next(i);
    }
  }

  void leave(party& x) {
    if (script_.coin())
      x.link->close();
    if (x.events->is_down || script_.below(8) == 7)
      arrive(x);
  }

  // -- what befalls the broker ----------------------------------------------------------

  void fault() {
    switch (script_.below(12)) {
    case 0:
      return broker_->drop_links();
    case 1:
      return broker_->restart();
    case 2:
      return broker_->refuse_links();
    case 3:
      return broker_->accept_links();
    case 4:
      stalled_ = true;
      return broker_->stall();
    case 5:
    case 6:
      stalled_ = false;
      return broker_->resume();
    case 7:
      return broker_->block("low on memory");
    case 8:
      return broker_->unblock();
    case 9:
      return broker_->refuse_next(script_.coin() ? queue() : exchange(), ec::access_refused);
    case 10:
      broker_->delete_queue(queue());
      return;
    default:
      broker_->delete_exchange(exchange());
      return;
    }
  }

  // -- names: few, so that they meet ------------------------------------------------------

  std::string queue() {
    return std::string{"q"} + static_cast<char>('0' + script_.below(3));
  }

  std::string exchange() {
    return std::string{"x"} + static_cast<char>('0' + script_.below(3));
  }

  std::string key() {
    constexpr std::string_view keys[] = {"a", "a.b", "a.*", "#", "*.b", "a.#", ""};
    return std::string{keys[script_.below(7)]};
  }

  // -- what must hold -------------------------------------------------------------------

  void check_counts() const {
    std::size_t links = 0;
    std::size_t in_hand = 0;
    std::size_t consumers = 0;
    for (auto& x : parties_) {
      links += x.events->is_up && !x.events->is_down ? 1 : 0;
      in_hand += x.events->in_hand.size();
      consumers += x.events->is_down ? 0 : x.events->consumers.size();
    }
    require(broker_->links() == links);
    std::size_t unacked = 0;
    std::size_t consuming = 0;
    for (auto& x : broker_->queues()) {
      unacked += x.unacked;
      consuming += x.consumers;
    }
    // Less where a queue is gone whose messages are still in somebody's hands.
    require(unacked <= in_hand);
    require(consuming == consumers);
  }

  // Without faults everything is answered, and an end leaves nothing behind.
  void end() {
    stalled_ = false;
    broker_->resume();
    broker_->unblock();
    for (auto& x : parties_)
      if (!x.events->is_down)
        require(x.events->requested.empty() && x.events->published.empty());
    for (auto& x : parties_)
      x.link.reset();
    require(broker_->links() == 0);
    for (auto& x : broker_->queues())
      require(x.unacked == 0 && x.consumers == 0);
  }

  decisions script_;
  std::shared_ptr<memory_broker> broker_ = std::make_shared<memory_broker>();
  finished gone_;
  party parties_[3];
  std::uint64_t last_id_ = 0;
  bool stalled_ = false;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  play{decisions{bytes, size}}.run();
  return 0;
}
