#include "amqp/link/link.hpp"

#include <algorithm>
#include <array>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <poll.h>
#include <pthread.h>

#include "amqp/link/password_file.hpp"
#include "amqp/link/socket.hpp"
#include "amqp/link/tls.hpp"
#include "runtime/leader_follower.hpp"

namespace actors::amqp {

namespace {

using clock = std::chrono::steady_clock;

/// The kernel rarely holds more bytes ready than this.
constexpr std::size_t read_size = 64 * 1024;

/// After a write, publications are batched for this time: a system call costs more than the
/// bytes. Publications that come after a pause do not wait.
constexpr timespec publishing_pause{0, 100'000};

constexpr timespec no_time{};

/// The time that slow actors may keep a link, or up to twice as long, before the other thread
/// takes over.
constexpr std::chrono::milliseconds patience{1};

/// Carries commands to the link's thread.
class command_queue : public link_sender {
public:
  void publish(std::uint32_t generation, std::vector<publication> publications) override {
    post(publish_command{generation, std::move(publications)});
  }

  void settle(std::uint32_t generation, std::vector<settlement> settlements) override {
    post(settle_command{generation, std::move(settlements)});
  }

  void post(command added) {
    auto closes = std::holds_alternative<close_command>(added);
    auto first = false;
    {
      std::lock_guard guard{mutex_};
      first = commands_.empty() && waiting_;
      closing_ = closing_ || closes;
      commands_.push_back(std::move(added));
    }
    // A thread that does not wait fetches commands by itself, but one that is still connecting
    // notices only a close.
    if (first || closes)
      wake.signal();
  }

  void stop() {
    {
      std::lock_guard guard{mutex_};
      stopped_ = true;
    }
    wake.signal();
  }

  /// Returns the queued commands. The next command wakes the thread, unless there are
  /// publications among these: more may come, and the thread fetches them after a pause.
  std::vector<command> take() {
    std::lock_guard guard{mutex_};
    waiting_ = std::none_of(commands_.begin(), commands_.end(), [](const command& x) {
      return std::holds_alternative<publish_command>(x);
    });
    return std::exchange(commands_, {});
  }

  /// Whether the next command wakes the thread.
  bool waiting() const {
    std::lock_guard guard{mutex_};
    return waiting_;
  }

  /// Notes that the thread is about to call `take`.
  void awake() {
    std::lock_guard guard{mutex_};
    waiting_ = false;
  }

  bool stopped() const {
    std::lock_guard guard{mutex_};
    return stopped_;
  }

  /// Whether a new connection would be of no use any more.
  bool ending() const {
    std::lock_guard guard{mutex_};
    return stopped_ || closing_;
  }

  wake_up wake;

private:
  mutable std::mutex mutex_;
  std::vector<command> commands_;
  bool waiting_ = true;
  bool closing_ = false;
  bool stopped_ = false;
};

/// Turns the text of an error, which speaks of a broker, into one about a relay where the peer
/// is one.
failure about_peer(failure why, scheme peer) {
  constexpr std::string_view broker = "the broker";
  auto& text = why.text;
  if (is_relay(peer))
    for (auto i = text.find(broker); i != text.npos; i = text.find(broker, i))
      text.replace(i, broker.size(), "the relay");
  return why;
}

/// Moves bytes between a protocol and its socket.
class pump {
public:
  pump(command_queue& commands, scheme peer, std::unique_ptr<byte_stream> stream,
       std::unique_ptr<link_protocol> protocol, const run_queue* runnable)
      : commands_(commands),
        peer_(peer),
        stream_(std::move(stream)),
        protocol_(std::move(protocol)),
        run_queue_(runnable),
        buffer_(read_size) {
    // nop
  }

  /// Returns true when actors wait to be run, and false when the link is down or was told to
  /// stop.
  bool run() {
    while (!commands_.stopped()) {
      for (auto& next : commands_.take())
        protocol_->execute(std::move(next), clock::now());
      if (!write_blocked_)
        write();
      if (protocol_->is_down())
        return false;
      wait(limit());
      if (receivers_wait())
        return true;
    }
    // No listener is left, but a proper close spares the broker's log a lost client.
    protocol_->execute(close_command{}, clock::now());
    write();
    return false;
  }

private:
  bool receivers_wait() const {
    return run_queue_ != nullptr && run_queue_->waiting();
  }

  /// Returns the longest time to wait; null for a wait until the next event or deadline.
  const timespec* limit() const {
    if (receivers_wait()) // the last commands may have woken them
      return &no_time;
    return commands_.waiting() ? nullptr : &publishing_pause;
  }

  /// Waits until there is something to do, or for `limit` if there is one.
  void wait(const timespec* limit) {
    auto wanted = static_cast<short>(read_wants_ | (write_blocked_ ? write_wants_ : 0));
    std::array<pollfd, 2> fds{{{stream_->fd(), wanted, 0}, {commands_.wake.fd(), POLLIN, 0}}};
    auto ready = limit ? ::ppoll(fds.data(), fds.size(), limit, nullptr)
                       : ::poll(fds.data(), fds.size(), poll_timeout(protocol_->deadline()));
    commands_.awake();
    if (ready > 0 && fds[1].revents != 0)
      commands_.wake.drain();
    if (ready > 0 && (fds[0].revents & write_wants_) != 0)
      write_blocked_ = false;
    if (ready > 0 && (fds[0].revents & (read_wants_ | POLLERR | POLLHUP)) != 0)
      read();
    // The tick comes after the read: bytes that arrived in time count even if this thread was
    // late.
    protocol_->tick(clock::now());
  }

  void read() {
    auto result = stream_->read(buffer_.data(), buffer_.size());
    read_wants_ = result.wants;
    if (result.size > 0)
      protocol_->feed({buffer_.data(), result.size}, clock::now());
    if (result.outcome == io_result::status::ended)
      protocol_->lost(about_peer(std::move(result.why), peer_));
    else if (result.outcome == io_result::status::would_block && write_error_)
      protocol_->lost(about_peer(write_error_, peer_));
  }

  /// Passes everything to the kernel in one call, as far as there is room.
  void write() {
    auto bytes = protocol_->output();
    if (bytes.empty() || write_error_)
      return;
    auto result = stream_->write(bytes);
    if (result.outcome == io_result::status::ended) {
      // The broker may have said why before it closed, so the rest of its bytes is read.
      write_error_ = std::move(result.why);
      return read();
    }
    write_blocked_ = result.size < bytes.size();
    write_wants_ = result.wants;
    if (result.size > 0)
      protocol_->consume(result.size, clock::now());
  }

  command_queue& commands_;
  scheme peer_;
  std::unique_ptr<byte_stream> stream_;
  std::unique_ptr<link_protocol> protocol_;
  const run_queue* run_queue_;
  std::vector<char> buffer_;
  short read_wants_ = POLLIN;
  short write_wants_ = POLLOUT;
  bool write_blocked_ = false;
  failure write_error_;
};

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
    if (!commands_->wake.ok())
      return events->down({ec::connect_failed, "no file descriptor is left for a link"});
    worker_ = std::make_shared<link_worker>(commands_, where, events);
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
