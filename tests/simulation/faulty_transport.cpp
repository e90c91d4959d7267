#include "simulation/faulty_transport.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace actors::simulation {

namespace {

constexpr std::array<std::pair<const char*, defect>, 16> names{{
    {"lost_publication", defect::lost_publication},
    {"acknowledged_failure", defect::acknowledged_failure},
    {"reordered_publications", defect::reordered_publications},
    {"stale_settlement", defect::stale_settlement},
    {"forgotten_binding", defect::forgotten_binding},
    {"swallowed_confirmation", defect::swallowed_confirmation},
    {"unnumbered_deliveries", defect::unnumbered_deliveries},
    {"lost_copy", defect::lost_copy},
    {"hidden_wedge", defect::hidden_wedge},
    {"swallowed_return", defect::swallowed_return},
    {"confused_return", defect::confused_return},
    {"false_return", defect::false_return},
    {"unbounded_window", defect::unbounded_window},
    {"impatient_outbox", defect::impatient_outbox},
    {"lost_file", defect::lost_file},
    {"resent_file", defect::resent_file},
}};

/// Every so many chances, the defect shows.
constexpr int rarity = 10;

class listening_listener : public amqp::link_listener {
public:
  listening_listener(std::shared_ptr<amqp::link_listener> inner, defect what,
                     complaint on_complaint, std::shared_ptr<wire_books> books)
      : inner_(std::move(inner)),
        what_(what),
        complain_(std::move(on_complaint)),
        books_(std::move(books)) {
    // nop
  }

  void up(std::string broker) override {
    inner_->up(std::move(broker));
  }

  void replied(amqp::reply x) override {
    if (what_ == defect::hidden_wedge)
      x.consumers = 1;
    inner_->replied(std::move(x));
  }

  void delivered(std::uint32_t generation, std::vector<amqp::delivery> xs) override {
    generation_ = generation;
    if (what_ == defect::unnumbered_deliveries)
      for (auto& x : xs)
        x.properties.position.reset();
    inner_->delivered(generation, std::move(xs));
  }

  void confirmed(std::vector<amqp::confirmation> xs) override {
    if (books_)
      for (auto& x : xs)
        books_->confirmed(x);
    if (what_ == defect::swallowed_confirmation && ++chances_ % rarity == 0)
      return;
    inner_->confirmed(std::move(xs));
  }

  void returned(amqp::returned_message x) override {
    if (books_)
      books_->returned(x);
    if (what_ == defect::swallowed_return)
      return;
    if (what_ == defect::confused_return && other_.id != 0) {
      x.exchange = other_.exchange;
      x.routing_key = other_.routing_key;
      x.properties = other_.properties;
    }
    inner_->returned(std::move(x));
  }

  void blocked(std::string reason) override {
    inner_->blocked(std::move(reason));
  }

  void unblocked() override {
    inner_->unblocked();
  }

  void cancelled(amqp::consumer_id x) override {
    inner_->cancelled(x);
  }

  void refused(std::uint64_t id, failure reason) override {
    inner_->refused(id, std::move(reason));
  }

  void channel_closed(amqp::closed_channel x) override {
    if (x.which == amqp::channel::deliveries && x.reason.code == ec::precondition_failed)
      complain_("an acknowledgement on the wrong channel: " + x.reason.text);
    inner_->channel_closed(std::move(x));
  }

  void suspected(std::vector<amqp::request_id> xs) override {
    inner_->suspected(std::move(xs));
  }

  void learned(amqp::broker_limits x) override {
    inner_->learned(x);
  }

  void down(failure reason) override {
    if (books_)
      books_->link_ended();
    inner_->down(std::move(reason));
  }

  void confirm(std::uint64_t id) {
    inner_->confirmed({{id, true}});
  }

  void return_falsely(const amqp::publication& x) {
    inner_->returned(
        {{ec::no_route, "no queue took the message"}, x.exchange, x.routing_key, x.properties});
  }

  /// What comes back is told to be this one.
  void confuse_with(const amqp::publication& x) {
    other_ = x;
  }

  std::uint32_t generation() const noexcept {
    return generation_;
  }

private:
  std::shared_ptr<amqp::link_listener> inner_;
  defect what_;
  complaint complain_;
  std::shared_ptr<wire_books> books_;
  amqp::publication other_;
  std::uint32_t generation_ = 0;
  int chances_ = 0;
};

class faulty_sender : public amqp::link_sender {
public:
  faulty_sender(amqp::link_sender_ptr inner, defect what, std::shared_ptr<wire_books> books)
      : inner_(std::move(inner)), what_(what), books_(std::move(books)) {
    // nop
  }

  void listen(const std::shared_ptr<listening_listener>& events) {
    events_ = events;
  }

  void publish(std::uint32_t generation, std::vector<amqp::publication> xs) override {
    if (what_ == defect::reordered_publications && xs.size() > 1) {
      std::swap(xs.front(), xs.back());
    } else if (what_ == defect::lost_publication && ++chances_ % rarity == 0) {
      confirm(xs.front().id);
      xs.erase(xs.begin());
    } else if (what_ == defect::lost_copy) {
      std::erase_if(xs, [this](const amqp::publication& x) {
        if (x.exchange.empty())
          confirm(x.id);
        return x.exchange.empty();
      });
    }
    if (auto events = events_.lock(); events && what_ == defect::confused_return)
      for (auto& x : xs)
        if (x.exchange == "Trade")
          events->confuse_with(x);
    if (auto events = events_.lock(); events && what_ == defect::false_return)
      for (auto& x : xs)
        if (x.exchange == "Kline" && ++chances_ % rarity == 0)
          events->return_falsely(x);
    if (books_)
      for (auto& x : xs)
        books_->published(x);
    if (!xs.empty())
      inner_->publish(generation, std::move(xs));
  }

  void settle(std::uint32_t generation, std::vector<amqp::settlement> xs) override {
    using verdict = amqp::settlement::verdict;
    if (what_ == defect::acknowledged_failure)
      for (auto& x : xs)
        x.outcome = verdict::ack;
    // Twice: its tags are settled by then.
    if (auto events = events_.lock();
        events && what_ == defect::stale_settlement && ++chances_ % rarity == 0)
      inner_->settle(events->generation(), xs);
    inner_->settle(generation, std::move(xs));
  }

private:
  void confirm(std::uint64_t id) {
    if (auto events = events_.lock())
      events->confirm(id);
  }

  amqp::link_sender_ptr inner_;
  defect what_;
  std::shared_ptr<wire_books> books_;
  /// The link's, which holds on to us.
  std::weak_ptr<listening_listener> events_;
  int chances_ = 0;
};

class faulty_transport : public amqp::transport {
public:
  faulty_transport(amqp::transport_ptr inner, defect what, complaint on_complaint,
                   std::shared_ptr<wire_books> books)
      : inner_(std::move(inner)),
        what_(what),
        complain_(std::move(on_complaint)),
        books_(std::move(books)),
        outlet_(std::make_shared<faulty_sender>(inner_->out(), what, books_)) {
    // nop
  }

  ~faulty_transport() override {
    if (books_)
      books_->link_ended();
  }

  faulty_transport(const faulty_transport&) = delete;
  faulty_transport& operator=(const faulty_transport&) = delete;

  void connect(const amqp::endpoint& where, std::shared_ptr<amqp::link_listener> events) override {
    sink_ = std::make_shared<listening_listener>(std::move(events), what_, complain_, books_);
    outlet_->listen(sink_);
    inner_->connect(where, sink_);
  }

  void request(amqp::request_id id, amqp::operation what) override {
    if (what_ == defect::forgotten_binding && std::holds_alternative<amqp::bind_queue>(what)
        && ++chances_ % 3 == 0)
      sink_->replied(amqp::reply{.id = id});
    else
      inner_->request(id, std::move(what));
  }

  amqp::link_sender_ptr out() override {
    return outlet_;
  }

  bool has_thread() const noexcept override {
    return inner_->has_thread();
  }

  void close() override {
    inner_->close();
  }

private:
  amqp::transport_ptr inner_;
  defect what_;
  complaint complain_;
  std::shared_ptr<wire_books> books_;
  std::shared_ptr<faulty_sender> outlet_;
  std::shared_ptr<listening_listener> sink_;
  int chances_ = 0;
};

} // namespace

defect to_defect(const std::string& name) {
  auto i = std::find_if(names.begin(), names.end(), [&](auto& x) { return x.first == name; });
  return i == names.end() ? defect::none : i->second;
}

amqp::transport_ptr make_faulty_transport(amqp::transport_ptr inner, defect what,
                                          complaint on_complaint,
                                          std::shared_ptr<wire_books> books) {
  return std::make_unique<faulty_transport>(std::move(inner), what, std::move(on_complaint),
                                            std::move(books));
}

} // namespace actors::simulation
