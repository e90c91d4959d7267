#include "actors/amqp/memory_broker.hpp"

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <utility>

#include "amqp/memory/state.hpp"
#include "amqp/memory/timekeeper.hpp"
#include "amqp/memory/transport.hpp"

namespace actors::amqp {

/// The state with its lock, its clock, and the calls that wait while the broker stalls.
struct memory_broker::impl {
  using call = std::function<void()>;

  impl(time_source time, memory_semantics semantics)
      : real(time == time_source::system), state(std::move(semantics)) {
    // nop
  }

  /// The scope of a call: it holds the lock, and first brings the state to the present time.
  class visit {
  public:
    explicit visit(impl& x) : guard_(x.mutex), broker_(x) {
      broker_.tick();
    }

    ~visit() {
      if (broker_.real && !broker_.stalled)
        broker_.timekeeper.wake_at(broker_.state.deadline());
    }

    visit(const visit&) = delete;
    visit& operator=(const visit&) = delete;

  private:
    std::lock_guard<std::mutex> guard_;
    impl& broker_;
  };

  void tick() {
    if (!stalled)
      state.tick(real ? std::chrono::steady_clock::now() : manual_time);
  }

  /// Carries out a call of a link that still exists, now or at the next `resume`.
  void accept(memory::link& from, call f) {
    visit now{*this};
    if (!is_there(from))
      return;
    if (stalled)
      waiting.emplace_back(&from, std::move(f));
    else
      f();
  }

  static bool is_there(const memory::link& x) noexcept {
    using phase = memory::link::phase;
    return x.now == phase::connecting || x.now == phase::up;
  }

  static void run(const memory::link& from, const call& f) {
    if (is_there(from))
      f();
  }

  /// Advances the manual time; each event on the way happens in order and at its time.
  void advance(std::chrono::milliseconds by) {
    auto target = manual_time + by;
    while (!stalled && state.deadline() <= target) {
      manual_time = std::max(manual_time, state.deadline());
      tick();
    }
    manual_time = target;
    tick();
  }

  memory::time_point wake() {
    tick();
    return stalled ? memory::never : state.deadline();
  }

  const bool real;
  mutable std::mutex mutex;
  memory::state state;
  memory::time_point manual_time{};
  bool stalled = false;
  std::deque<std::pair<memory::link*, call>> waiting;
  /// The last member, so that its thread ends before the other members.
  memory::timekeeper timekeeper{mutex, [this] { return wake(); }};
};

/// The shared part of a link. Everything happens under the broker's lock, in the caller's
/// thread.
class memory_link final : public link_sender {
  using visit = memory_broker::impl::visit;

public:
  explicit memory_link(std::shared_ptr<memory_broker> broker)
      : holder_(std::move(broker)), broker_(holder_->impl_.get()) {
    // nop
  }

  void connect(const endpoint& where, std::shared_ptr<link_listener> events) {
    {
      visit now{*broker_};
      broker_->state.attach(link_, where, std::move(events));
    }
    broker_->accept(link_, [this] { broker_->state.open(link_); });
  }

  void request(request_id id, operation wanted) {
    broker_->accept(link_, [this, id, wanted = std::move(wanted)] {
      broker_->state.request(link_, id, wanted);
    });
  }

  void publish(std::uint32_t generation, std::vector<publication> publications) override {
    broker_->accept(link_, [this, generation, publications = std::move(publications)]() mutable {
      broker_->state.publish(link_, generation, std::move(publications));
    });
  }

  void settle(std::uint32_t generation, std::vector<settlement> settlements) override {
    broker_->accept(link_, [this, generation, settlements = std::move(settlements)] {
      broker_->state.settle(link_, generation, settlements);
    });
  }

  // The close does not wait for a broker that stalls, because a link over TCP gives up in the
  // end as well.
  void close() {
    visit now{*broker_};
    memory_broker::impl::run(link_, [this] { broker_->state.close(link_); });
  }

  void abandon() {
    visit now{*broker_};
    std::erase_if(broker_->waiting, [this](auto& x) { return x.first == &link_; });
    broker_->state.abandon(link_);
  }

private:
  /// A named broker lives as long as its links, which hold it.
  std::shared_ptr<memory_broker> holder_;
  memory_broker::impl* broker_;
  memory::link link_;
};

class memory_transport final : public transport {
public:
  explicit memory_transport(std::shared_ptr<memory_broker> broker)
      : link_(std::make_shared<memory_link>(std::move(broker))) {
    // nop
  }

  ~memory_transport() override {
    link_->abandon();
  }

  void connect(const endpoint& where, std::shared_ptr<link_listener> events) override {
    link_->connect(where, std::move(events));
  }

  void request(request_id id, operation wanted) override {
    link_->request(id, std::move(wanted));
  }

  link_sender_ptr out() override {
    return link_;
  }

  bool has_thread() const noexcept override {
    return false; // each caller of the broker raises the events of all links
  }

  void close() override {
    link_->close();
  }

private:
  std::shared_ptr<memory_link> link_;
};

memory_semantics memory_semantics::rabbitmq_4_3() {
  memory_semantics result;
  result.version = "4.3";
  result.delivery_limit = 20;
  result.counts_releases = false;
  result.streams_take_acks_only = false;
  result.max_message_size = 16'777'216;
  return result;
}

memory_broker::memory_broker(time_source time, memory_semantics semantics)
    : impl_(std::make_unique<impl>(time, std::move(semantics))) {
  // nop
}

memory_broker::memory_broker(memory_semantics semantics)
    : memory_broker(time_source::manual, std::move(semantics)) {
  // nop
}

memory_broker::~memory_broker() = default;

std::shared_ptr<memory_broker> memory_broker::named(const std::string& name) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<memory_broker>> brokers;
  std::lock_guard guard{mutex};
  std::erase_if(brokers, [](auto& x) { return x.second.expired(); });
  auto& known = brokers[name];
  auto result = known.lock();
  if (!result) {
    result = std::make_shared<memory_broker>(time_source::system);
    known = result;
  }
  return result;
}

void memory_broker::advance(std::chrono::milliseconds by) {
  impl::visit now{*impl_};
  if (!impl_->real)
    impl_->advance(by);
}

// -- faults -----------------------------------------------------------------------

void memory_broker::drop_links(ec reason) {
  impl::visit now{*impl_};
  impl_->state.drop_links(reason);
}

void memory_broker::restart() {
  impl::visit now{*impl_};
  impl_->state.restart();
}

void memory_broker::refuse_links(ec reason) {
  impl::visit now{*impl_};
  impl_->state.refuse_links(reason);
}

void memory_broker::accept_links() {
  impl::visit now{*impl_};
  impl_->state.refuse_links(ec::none);
}

void memory_broker::stall() {
  impl::visit now{*impl_};
  impl_->stalled = true;
}

void memory_broker::resume() {
  impl::visit now{*impl_};
  impl_->stalled = false;
  impl_->tick();
  for (auto& [from, f] : std::exchange(impl_->waiting, {}))
    impl::run(*from, f);
}

void memory_broker::block(std::string reason) {
  impl::visit now{*impl_};
  impl_->state.block(std::move(reason));
}

void memory_broker::unblock() {
  impl::visit now{*impl_};
  impl_->state.unblock();
}

void memory_broker::refuse_next(std::string entity, ec reason) {
  impl::visit now{*impl_};
  impl_->state.refuse_next(std::move(entity), reason);
}

void memory_broker::duplicate_next(std::string queue) {
  impl::visit now{*impl_};
  impl_->state.duplicate_next(std::move(queue));
}

void memory_broker::lose_next(std::size_t messages) {
  impl::visit now{*impl_};
  impl_->state.lose_next(messages);
}

void memory_broker::delay_deliveries(bool on) {
  impl::visit now{*impl_};
  impl_->state.delay_deliveries(on);
}

std::size_t memory_broker::forget_consumers(const std::string& queue) {
  impl::visit now{*impl_};
  return impl_->state.forget_consumers(queue);
}

bool memory_broker::delete_queue(const std::string& name) {
  impl::visit now{*impl_};
  return impl_->state.delete_queue(name);
}

bool memory_broker::delete_exchange(const std::string& name) {
  impl::visit now{*impl_};
  return impl_->state.delete_exchange(name);
}

// -- inspection -------------------------------------------------------------------

std::vector<memory_broker::queue_info> memory_broker::queues() const {
  impl::visit now{*impl_};
  return impl_->state.queues();
}

std::vector<binding> memory_broker::bindings() const {
  impl::visit now{*impl_};
  return impl_->state.bindings();
}

std::size_t memory_broker::links() const {
  impl::visit now{*impl_};
  return impl_->state.links();
}

transport_ptr make_memory_transport(std::shared_ptr<memory_broker> broker) {
  return std::make_unique<memory_transport>(std::move(broker));
}

} // namespace actors::amqp
