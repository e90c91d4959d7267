#include "actors/amqp/memory_broker.hpp"

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <utility>

#include "amqp/memory_state.hpp"

namespace actors::amqp {

/// The state behind its lock, and the calls that wait while it stalls.
struct memory_broker::impl {
  using call = std::function<void()>;

  /// Carries out a call of a link that is still there, now or on `resume`.
  void accept(memory::link& from, call f) {
    std::lock_guard guard{mutex};
    if (stalled)
      waiting.emplace_back(&from, std::move(f));
    else
      run(from, f);
  }

  static void run(const memory::link& from, const call& f) {
    using phase = memory::link::phase;
    if (from.now == phase::connecting || from.now == phase::up)
      f();
  }

  mutable std::mutex mutex;
  memory::state state;
  bool stalled = false;
  std::deque<std::pair<memory::link*, call>> waiting;
};

/// Everything is done under the broker's lock, in the caller's thread.
class memory_transport final : public transport {
public:
  explicit memory_transport(std::shared_ptr<memory_broker> broker)
      : holder_(std::move(broker)), broker_(holder_->impl_.get()) {
    // nop
  }

  ~memory_transport() override {
    std::lock_guard guard{broker_->mutex};
    std::erase_if(broker_->waiting, [this](auto& x) { return x.first == &link_; });
    broker_->state.abandon(link_);
  }

  void connect(const endpoint& where, std::shared_ptr<sink> events) override {
    {
      std::lock_guard guard{broker_->mutex};
      broker_->state.attach(link_, to_string(where), std::move(events));
    }
    broker_->accept(link_, [this] { broker_->state.open(link_); });
  }

  void request(request_id id, operation what) override {
    broker_->accept(
        link_, [this, id, what = std::move(what)] { broker_->state.request(link_, id, what); });
  }

  void publish(std::uint32_t incarnation, std::vector<publication> xs) override {
    broker_->accept(link_, [this, incarnation, xs = std::move(xs)]() mutable {
      broker_->state.publish(link_, incarnation, std::move(xs));
    });
  }

  void settle(std::uint32_t incarnation, std::vector<settlement> xs) override {
    broker_->accept(link_, [this, incarnation, xs = std::move(xs)] {
      broker_->state.settle(link_, incarnation, xs);
    });
  }

  // Does not wait for a broker that stalls, as a link over TCP gives up in the
  // end as well.
  void close() override {
    std::lock_guard guard{broker_->mutex};
    memory_broker::impl::run(link_, [this] { broker_->state.close(link_); });
  }

private:
  /// A named broker lives as long as its links.
  std::shared_ptr<memory_broker> holder_;
  memory_broker::impl* broker_;
  memory::link link_;
};

memory_broker::memory_broker() : impl_(std::make_unique<impl>()) {
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
    result = std::make_shared<memory_broker>();
    known = result;
  }
  return result;
}

// -- faults -----------------------------------------------------------------------

void memory_broker::drop_links(ec reason) {
  std::lock_guard guard{impl_->mutex};
  impl_->state.drop_links(reason);
}

void memory_broker::restart() {
  std::lock_guard guard{impl_->mutex};
  impl_->state.restart();
}

void memory_broker::refuse_links(ec reason) {
  std::lock_guard guard{impl_->mutex};
  impl_->state.refuse_links(reason);
}

void memory_broker::accept_links() {
  std::lock_guard guard{impl_->mutex};
  impl_->state.refuse_links(ec::none);
}

void memory_broker::stall() {
  std::lock_guard guard{impl_->mutex};
  impl_->stalled = true;
}

void memory_broker::resume() {
  std::lock_guard guard{impl_->mutex};
  impl_->stalled = false;
  for (auto& [from, f] : std::exchange(impl_->waiting, {}))
    impl::run(*from, f);
}

void memory_broker::block(std::string reason) {
  std::lock_guard guard{impl_->mutex};
  impl_->state.block(std::move(reason));
}

void memory_broker::unblock() {
  std::lock_guard guard{impl_->mutex};
  impl_->state.unblock();
}

void memory_broker::refuse_next(std::string entity, ec reason) {
  std::lock_guard guard{impl_->mutex};
  impl_->state.refuse_next(std::move(entity), reason);
}

bool memory_broker::delete_queue(const std::string& name) {
  std::lock_guard guard{impl_->mutex};
  return impl_->state.delete_queue(name);
}

bool memory_broker::delete_exchange(const std::string& name) {
  std::lock_guard guard{impl_->mutex};
  return impl_->state.delete_exchange(name);
}

// -- inspection -------------------------------------------------------------------

std::vector<memory_broker::queue_info> memory_broker::queues() const {
  std::lock_guard guard{impl_->mutex};
  return impl_->state.queues();
}

std::vector<binding> memory_broker::bindings() const {
  std::lock_guard guard{impl_->mutex};
  return impl_->state.bindings();
}

std::size_t memory_broker::links() const {
  std::lock_guard guard{impl_->mutex};
  return impl_->state.links();
}

transport_ptr make_memory_transport(std::shared_ptr<memory_broker> broker) {
  return std::make_unique<memory_transport>(std::move(broker));
}

} // namespace actors::amqp
