#include "amqp/link/link.hpp"

#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <pthread.h>

#include "amqp/link/command_queue.hpp"
#include "amqp/link/password_file.hpp"
#include "amqp/link/pump.hpp"
#include "amqp/link/socket.hpp"
#include "amqp/link/tls.hpp"
#include "runtime/leader_follower.hpp"

namespace actors::amqp {

namespace {

using clock = std::chrono::steady_clock;

/// The time that slow actors may keep a link before the other thread takes over.
constexpr std::chrono::milliseconds patience{1};

/// Opens a connection on which the protocol can begin.
outcome<std::unique_ptr<byte_stream>> open_stream(const endpoint& where, const interruption& stop) {
  if (where.scheme == scheme::memory)
    return {{}, {ec::invalid_endpoint, "an in-process broker is not reached over TCP"}};
  if (auto problem = check(where))
    return {{}, std::move(problem)};
  auto dialed = dial(where, stop);
  if (!dialed.result)
    return {{}, std::move(dialed.error)};
  if (over_tls(where.scheme))
    return start_tls(std::move(dialed.result), where, stop);
  return {std::make_unique<tcp_stream>(std::move(dialed.result)), {}};
}

/// The life of a link, on its threads.
class link_worker {
public:
  link_worker(std::shared_ptr<command_queue> commands, endpoint where,
              std::shared_ptr<link_listener> events)
      : commands_(std::move(commands)),
        where_(std::move(where)),
        events_(std::move(events)),
        run_queue_(events_->runnable_actors()) {
    // nop
  }

  /// Whether there was a file descriptor for it.
  bool ok() const noexcept {
    return leadership_.ok();
  }

  /// Whether the link needs a second thread.
  bool runs_receivers() const noexcept {
    return run_queue_ != nullptr;
  }

  /// The body of the first thread, which connects and leads.
  void run(const protocol_starter& start) {
    auto why = open(start);
    if (pump_)
      return lead();
    tell_down(std::move(why));
    leadership_.end();
  }

  /// The body of the second thread, which follows.
  void stand_by() {
    if (take_over())
      lead();
  }

  /// Waits until no event can come any more. Returns the id of a thread that still runs actors,
  /// if any; it raises no event.
  std::thread::id await_end() {
    return leadership_.await_end();
  }

private:
  failure open(const protocol_starter& start) {
    auto opened = open_stream(where_, {commands_->wake, [this] { return commands_->ending(); }});
    if (!opened.result)
      return std::move(opened.error);
    // The file is read at each login, so that a new password needs no restart.
    auto login = where_;
    if (auto problem = read_password(login))
      return problem;
    pump_.emplace(*commands_, where_.scheme, std::move(opened.result),
                  start(login, events_, clock::now()), run_queue_);
    return {};
  }

  void tell_down(failure why) {
    why = about_peer(std::move(why), where_.scheme);
    if (why)
      why.text = to_string(where_) + ": " + why.text;
    if (!commands_->stopped())
      events_->down(std::move(why));
  }

  void lead() {
    while (pump_->run())
      if (!run_receivers() && !take_over())
        return;
    // The broker must not wait for a thread that runs actors.
    pump_.reset();
    leadership_.end();
    if (run_queue_ != nullptr)
      run_queue_->pass_on();
  }

  /// Returns false if the caller does not lead any more.
  bool run_receivers() {
    if (!leadership_.followed()) {
      run_queue_->pass_on();
      return true;
    }
    run_queue_->begin();
    leadership_.leave();
    run_queue_->run();
    return leadership_.come_back();
  }

  bool take_over() {
    if (!leadership_.follow())
      return false;
    run_queue_->pass_on(); // the other thread has not run these
    return true;
  }

  std::shared_ptr<command_queue> commands_;
  endpoint where_;
  std::shared_ptr<link_listener> events_;
  run_queue* run_queue_;
  leader_follower leadership_{patience};
  /// Only the leader uses the pump.
  std::optional<pump> pump_;
};

class link : public transport {
public:
  explicit link(protocol_starter start) : start_(std::move(start)) {
    // nop
  }

  ~link() override {
    commands_->stop();
    if (threads_.empty())
      return;
    const auto away = worker_->await_end();
    for (auto& thread : threads_)
      if (thread.get_id() == away)
        thread.detach(); // this may be the calling thread
      else
        thread.join();
  }

  void connect(const endpoint& where, std::shared_ptr<link_listener> events) override {
    worker_ = std::make_shared<link_worker>(commands_, where, events);
    if (!commands_->wake.ok() || !worker_->ok())
      return events->down({ec::connect_failed, "no file descriptor is left for a link"});
    try {
      start_thread([about = worker_, start = start_] { about->run(start); });
      if (worker_->runs_receivers())
        start_thread([about = worker_] { about->stand_by(); });
    } catch (const std::system_error&) {
      if (threads_.empty())
        events->down({ec::connect_failed, "no thread can be started for a link"});
    }
  }

  void request(request_id id, operation wanted) override {
    commands_->post(request_command{id, std::move(wanted)});
  }

  link_sender_ptr out() override {
    return commands_;
  }

  bool has_thread() const noexcept override {
    return true;
  }

  void close() override {
    commands_->post(close_command{});
  }

private:
  /// The thread runs strategies and so takes the signals that the scheduler's workers take:
  /// threads that a strategy starts from it inherit them.
  template <class Function>
  void start_thread(Function f) {
    auto& thread = threads_.emplace_back(std::thread{std::move(f)});
    ::pthread_setname_np(thread.native_handle(), "amqp-link");
  }

  protocol_starter start_;
  std::shared_ptr<command_queue> commands_ = std::make_shared<command_queue>();
  std::shared_ptr<link_worker> worker_;
  std::vector<std::thread> threads_;
};

} // namespace

transport_ptr make_link(protocol_starter start) {
  return std::make_unique<link>(std::move(start));
}

} // namespace actors::amqp
