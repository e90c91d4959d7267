#define CAF_SUITE amqp.link

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <future>
#include <mutex>
#include <optional>
#include <thread>

#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "amqp/link/link.hpp"
#include "amqp/rabbitmq/transport.hpp"
#include "amqp/relay/transport.hpp"
#include "unit/amqp/rabbitmq/broker_script.hpp"
#include "unit/amqp/rabbitmq/recorded_events.hpp"

#include "caf/test/dsl.hpp"

using namespace actors;
using namespace actors::amqp;
using namespace std::chrono_literals;

namespace {

using clock = std::chrono::steady_clock;

/// A name server that answers for "slow" when the test lets it.
struct {
  std::mutex mutex;
  std::condition_variable changed;
  bool silent = false;
  int asked = 0;

  void wait() {
    std::unique_lock guard{mutex};
    ++asked;
    changed.notify_all();
    changed.wait(guard, [this] { return !silent; });
  }

  void be_silent(bool x) {
    std::lock_guard guard{mutex};
    silent = x;
    changed.notify_all();
  }

  bool await_question() {
    std::unique_lock guard{mutex};
    return changed.wait_for(guard, 20s, [this] { return asked > 0; });
  }
} name_server;

/// A listening socket on a free port of the loopback, and the peer it accepts.
class listener {
public:
  explicit listener(int backlog = 4) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(fd_, generic, size) != 0 || ::listen(fd_, backlog) != 0
        || ::getsockname(fd_, generic, &size) != 0)
      CAF_FAIL("no listening socket");
    port_ = ntohs(address.sin_port);
  }

  ~listener() {
    hang_up();
    ::close(fd_);
  }

  endpoint where() const {
    endpoint result;
    result.host = "127.0.0.1";
    result.port = port_;
    return result;
  }

  void accept() {
    pollfd ready{fd_, POLLIN, 0};
    CAF_REQUIRE_EQUAL(::poll(&ready, 1, 20'000), 1);
    peer_ = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
    CAF_REQUIRE(peer_ >= 0);
  }

  bool nobody_came() const {
    pollfd ready{fd_, POLLIN, 0};
    return ::poll(&ready, 1, 0) == 0;
  }

  /// All that came.
  const std::string& input() const noexcept {
    return input_;
  }

  void send(std::string_view bytes) const {
    CAF_REQUIRE_EQUAL(::send(peer_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
                      static_cast<ssize_t>(bytes.size()));
  }

  /// Reads until the frame with this name has arrived.
  bool await_frame(const std::string& name) {
    for (;;) {
      for (auto& x : frames_of(input_))
        if (x == name)
          return true;
      pollfd ready{peer_, POLLIN, 0};
      char bytes[4096];
      if (::poll(&ready, 1, 20'000) != 1)
        return false;
      auto count = ::recv(peer_, bytes, sizeof(bytes), 0);
      if (count <= 0)
        return false;
      input_.append(bytes, static_cast<std::size_t>(count));
    }
  }

  /// Whether the link hangs up.
  bool await_end() const {
    auto more = receive();
    while (more > 0)
      more = receive();
    return more == 0;
  }

  /// Ends the connection in good order, whatever has not been read.
  void say_no_more() const {
    CAF_REQUIRE_EQUAL(::shutdown(peer_, SHUT_WR), 0);
  }

  void hang_up() {
    if (peer_ >= 0)
      ::close(peer_);
    peer_ = -1;
  }

private:
  /// As many as there are, 0 at the end, less if none come in time.
  ssize_t receive() const {
    pollfd ready{peer_, POLLIN, 0};
    char bytes[65'536];
    return ::poll(&ready, 1, 20'000) == 1 ? ::recv(peer_, bytes, sizeof(bytes), 0) : -1;
  }

  int fd_;
  int peer_ = -1;
  std::uint16_t port_ = 0;
  std::string input_;
};

struct link_fixture {
  void connect(const endpoint& where) {
    link->connect(where, events);
  }

  void log_in(listener& broker) {
    connect(broker.where());
    broker.accept();
    broker.send(broker_script::handshake());
    CAF_REQUIRE(broker.await_frame("0:10.40"));
  }

  ec outcome() {
    CAF_REQUIRE(events->await_down());
    return events->down_code;
  }

  /// How long the destructor takes.
  clock::duration destroy() {
    auto before = clock::now();
    link.reset();
    return clock::now() - before;
  }

  std::shared_ptr<recorded_events> events = std::make_shared<recorded_events>();
  transport_ptr link = make_rabbitmq_transport();
};

/// Events that wake somebody who needs long: until the test lets go.
class slow_events : public recorded_events, public run_queue {
public:
  run_queue* runnable_actors() noexcept override {
    return this;
  }

  void blocked(std::string reason) override {
    waiting_ = true;
    recorded_events::blocked(std::move(reason));
  }

  bool waiting() const override {
    return waiting_;
  }

  void begin() override {
    // nop
  }

  void run() override {
    waiting_ = false;
    note(running_);
    let_go_.get_future().wait();
  }

  void pass_on() override {
    if (waiting_.exchange(false))
      note(passed_on_);
  }

  void let_go() {
    let_go_.set_value();
  }

  /// Waits until somebody woken runs or was passed on: whether the former.
  bool await_running() {
    std::unique_lock guard{mutex_};
    CAF_REQUIRE(changed_.wait_for(guard, 20s, [this] { return running_ || passed_on_; }));
    passed_on_ = false;
    return running_;
  }

  bool await_passed_on() {
    std::unique_lock guard{mutex_};
    return changed_.wait_for(guard, 20s, [this] { return passed_on_; });
  }

private:
  void note(bool& what) {
    std::lock_guard guard{mutex_};
    what = true;
    changed_.notify_all();
  }

  std::atomic<bool> waiting_{false};
  std::promise<void> let_go_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool running_ = false;
  bool passed_on_ = false;
};

/// Events that wake somebody with each confirmation.
class waking_events : public recorded_events, public run_queue {
public:
  run_queue* runnable_actors() noexcept override {
    return this;
  }

  void confirmed(std::vector<confirmation> xs) override {
    recorded_events::confirmed(std::move(xs));
    waiting_ = true;
  }

  bool waiting() const override {
    return waiting_;
  }

  void begin() override {
    // nop
  }

  void run() override {
    if (waiting_.exchange(false))
      ran.set_value();
  }

  void pass_on() override {
    run();
  }

  std::promise<void> ran;

private:
  std::atomic<bool> waiting_{false};
};

/// Says back what it hears, and raises an event when it has been said. It never needs
/// to be called again.
class echo : public link_protocol {
public:
  explicit echo(std::shared_ptr<link_listener> events) : events_(std::move(events)) {
    // nop
  }

  void execute(command x, time_point) override {
    down_ = down_ || std::holds_alternative<close_command>(x);
  }

  void feed(std::string_view bytes, time_point) override {
    output_ += bytes;
  }

  void tick(time_point) override {
    // nop
  }

  time_point deadline() const override {
    return clock::now() + 1h;
  }

  std::string_view output() const noexcept override {
    return output_;
  }

  void consume(std::size_t size, time_point) override {
    output_.erase(0, size);
    events_->confirmed({confirmation{1}});
  }

  void lost(failure) override {
    down_ = true;
  }

  bool is_down() const noexcept override {
    return down_;
  }

private:
  std::shared_ptr<link_listener> events_;
  std::string output_;
  bool down_ = false;
};

struct slow_fixture : link_fixture {
  slow_fixture() : slow(std::make_shared<slow_events>()) {
    events = slow;
    log_in(broker);
    do // its second thread may not have started yet
      broker.send(broker_script::blocked("memory"));
    while (!slow->await_running());
  }

  listener broker;
  std::shared_ptr<slow_events> slow;
};

/// Loopback addresses whose queue of connections is full never answer.
struct full_listener {
  full_listener() : broker(0) {
    for (auto& fd : fillers) {
      fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      address.sin_port = htons(broker.where().port);
      static_cast<void>(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)));
    }
  }

  ~full_listener() {
    for (auto fd : fillers)
      ::close(fd);
  }

  listener broker;
  int fillers[8] = {};
};

} // namespace

// In place of the system's.
extern "C" int getaddrinfo(const char* host, const char* port, const addrinfo* hints,
                           addrinfo** result) {
  if (host && std::string_view{host} == "slow" && !(hints->ai_flags & AI_NUMERICHOST))
    name_server.wait();
  if (host && std::string_view{host} == "nowhere")
    return EAI_NONAME;
  static const auto real =
      reinterpret_cast<decltype(&::getaddrinfo)>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  return real(host, port, hints, result);
}

CAF_TEST_FIXTURE_SCOPE(link_tests, link_fixture)

CAF_TEST(a link that is never connected) {
  CAF_CHECK(destroy() < 1s);
}

CAF_TEST(nobody listens) {
  endpoint where;
  {
    listener gone;
    where = gone.where();
  }
  connect(where);
  CAF_CHECK(outcome() == ec::connect_failed);
  CAF_CHECK(events->take().front().find("127.0.0.1: Connection refused") != std::string::npos);
}

CAF_TEST(a host that does not exist) {
  endpoint where;
  where.host = "nowhere";
  connect(where);
  CAF_CHECK(outcome() == ec::resolve_failed);
  CAF_CHECK(events->take().front().find("host 'nowhere' does not resolve: ") != std::string::npos);
}

CAF_TEST(a name server that does not answer costs no more than a silent host) {
  endpoint where;
  where.host = "slow";
  where.connection_timeout = 50ms;
  name_server.be_silent(true);
  connect(where);
  CAF_CHECK(outcome() == ec::resolve_failed);
  CAF_CHECK(events->take().front().find("within 50 ms") != std::string::npos);
  name_server.be_silent(false);
}

CAF_TEST(giving up while a name is looked up) {
  endpoint where;
  where.host = "slow";
  name_server.be_silent(true);
  connect(where);
  CAF_CHECK(name_server.await_question());
  CAF_CHECK(destroy() < 2s);
  name_server.be_silent(false);
}

CAF_TEST(settings that do not go together) {
  endpoint where;
  where.tls.cacertfile = "/ca.pem";
  connect(where);
  CAF_CHECK(outcome() == ec::invalid_endpoint);
}

CAF_TEST(a certificate that cannot be read is named) {
  listener broker;
  auto where = broker.where();
  where.scheme = scheme::amqps;
  where.tls.cacertfile = "/nowhere/ca.pem";
  connect(where);
  CAF_CHECK(outcome() == ec::tls_failed);
  CAF_CHECK(events->take().front().find("cacertfile '/nowhere/ca.pem' cannot be read: No such file")
            != std::string::npos);
}

CAF_TEST(a broker that answers TLS with AMQP) {
  listener broker;
  auto where = broker.where();
  where.scheme = scheme::amqps;
  connect(where);
  broker.accept();
  broker.send({"AMQP\x00\x00\x09\x01", 8});
  CAF_CHECK(outcome() == ec::tls_failed);
  CAF_CHECK(events->take().front().find("does not speak TLS on this port") != std::string::npos);
}

CAF_TEST(a broker that hangs up on TLS) {
  listener broker;
  auto where = broker.where();
  where.scheme = scheme::amqps;
  connect(where);
  broker.accept();
  broker.hang_up();
  CAF_CHECK(outcome() == ec::connection_lost);
}

CAF_TEST(a broker that is silent on TLS) {
  listener broker;
  auto where = broker.where();
  where.scheme = scheme::amqps;
  where.handshake_timeout = 50ms;
  connect(where);
  CAF_CHECK(outcome() == ec::handshake_timeout);
}

CAF_TEST(giving up in a TLS handshake that hangs) {
  listener broker;
  auto where = broker.where();
  where.scheme = scheme::amqps;
  connect(where);
  broker.accept();
  CAF_CHECK(destroy() < 2s);
}

CAF_TEST(a host that does not answer) {
  full_listener hole;
  auto where = hole.broker.where();
  where.connection_timeout = 50ms;
  connect(where);
  CAF_CHECK(outcome() == ec::connect_timeout);
}

CAF_TEST(giving up while connecting) {
  full_listener hole;
  connect(hole.broker.where());
  CAF_CHECK(destroy() < 2s);
}

CAF_TEST(closing while connecting) {
  full_listener hole;
  connect(hole.broker.where());
  link->out()->publish(1, {publication{}});
  link->close();
  CAF_CHECK(outcome() == ec::none);
}

CAF_TEST(a broker that accepts and says nothing) {
  listener broker;
  auto where = broker.where();
  where.handshake_timeout = 50ms;
  connect(where);
  broker.accept();
  CAF_CHECK(outcome() == ec::handshake_timeout);
}

// A file that was changed is read anew.
CAF_TEST(each login has the password that its file has then) {
  char path[] = "/tmp/password-XXXXXX";
  const auto fd = ::mkstemp(path);
  CAF_REQUIRE(fd >= 0);
  for (std::string password : {"first", "second"}) {
    CAF_REQUIRE_EQUAL(::pwrite(fd, (password + "\n").data(), password.size() + 1, 0),
                      static_cast<ssize_t>(password.size() + 1));
    listener broker;
    auto where = broker.where();
    where.password_file = path;
    link = make_rabbitmq_transport();
    connect(where);
    broker.accept();
    broker.send(broker_script::start());
    CAF_REQUIRE(broker.await_frame("0:10.11"));
    CAF_CHECK(broker.input().find(std::string{"\0guest\0", 7} + password) != std::string::npos);
    CAF_CHECK(broker.input().find(password + "\n") == std::string::npos);
    destroy();
  }
  ::close(fd);
  ::unlink(path);
}

CAF_TEST(a password that cannot be read is no reason to use another) {
  listener broker;
  auto where = broker.where();
  where.password_file = "/nowhere/password";
  connect(where);
  CAF_CHECK(outcome() == ec::login_refused);
  CAF_CHECK(events->take().front().find("password_file '/nowhere/password' cannot be read: No such")
            != std::string::npos);
}

CAF_TEST(a password is not sent where TLS was meant) {
  listener broker;
  auto where = broker.where();
  where.tls.certfile = "/host.pem";
  connect(where);
  CAF_CHECK(outcome() == ec::invalid_endpoint);
  CAF_CHECK(broker.nobody_came());
}

CAF_TEST(giving up in a handshake that hangs) {
  listener broker;
  connect(broker.where());
  broker.accept();
  broker.send(broker_script::start());
  CAF_REQUIRE(broker.await_frame("0:10.11"));
  CAF_CHECK(destroy() < 2s);
}

CAF_TEST(giving up when logged in says goodbye) {
  listener broker;
  log_in(broker);
  CAF_CHECK(destroy() < 2s);
  CAF_CHECK(broker.await_frame("0:10.50"));
}

CAF_TEST(a broker that hangs up in the middle of a frame) {
  listener broker;
  log_in(broker);
  broker.send(broker_script::deliver("la-7", 1).substr(0, 10));
  broker.hang_up();
  CAF_CHECK(outcome() == ec::connection_lost);
}

CAF_TEST(a relay that hangs up is called one) {
  link = make_relay_transport();
  listener relay;
  auto where = relay.where();
  where.scheme = scheme::relay;
  connect(where);
  relay.accept();
  relay.say_no_more();
  CAF_CHECK(outcome() == ec::connection_lost);
  CAF_CHECK(events->take().front().find("the relay closed the TCP connection")
            != std::string::npos);
}

// The reason for the end may arrive together with the end itself.
CAF_TEST(a broker that says why and hangs up) {
  listener broker;
  log_in(broker);
  broker.send(broker_script::close_connection(320, "CONNECTION_FORCED - shutdown"));
  broker.hang_up();
  CAF_CHECK(outcome() == ec::connection_forced);
}

CAF_TEST(closing in good order) {
  listener broker;
  log_in(broker);
  link->request(1, declare_exchange{{"Trade"}});
  link->close();
  CAF_CHECK(broker.await_frame("0:10.50"));
  CAF_CHECK(broker.await_frame("1:40.10"));
  broker.send(
      broker_script::exchange_declared()
      + broker_script::method(0, AMQP_CONNECTION_CLOSE_OK_METHOD, amqp_connection_close_ok_t{}));
  CAF_CHECK(outcome() == ec::none);
  CAF_CHECK(events->take()
            == std::vector<std::string>({"up RabbitMQ 3.10.8", "replied 1", "down none"}));
}

// More than the kernel holds: the rest waits for room, without spinning.
CAF_TEST(a broker that reads slowly gets everything) {
  listener broker;
  log_in(broker);
  auto body = std::make_shared<const std::string>(16 * 1024 * 1024, 'x');
  publication x;
  x.id = 1;
  x.body = body;
  link->out()->publish(1, {x});
  link->close();
  CAF_CHECK(broker.await_frame("3:header"));
  CAF_CHECK(broker.await_frame("0:10.50"));
}

CAF_TEST(a broker that stops reading) {
  listener broker;
  auto where = broker.where();
  where.send_timeout = 100ms;
  connect(where);
  broker.accept();
  broker.send(broker_script::handshake());
  publication x;
  x.id = 1;
  x.body = std::make_shared<const std::string>(64 * 1024 * 1024, 'x');
  link->out()->publish(1, {x});
  CAF_CHECK(outcome() == ec::send_timeout);
}

CAF_TEST(commands of many threads) {
  listener broker;
  log_in(broker);
  std::vector<std::thread> threads;
  for (auto i = 0; i < 4; ++i)
    threads.emplace_back([this] {
      for (auto j = 0; j < 500; ++j) {
        link->out()->settle(1, {{1, settlement::verdict::ack, false}});
        link->out()->publish(1, {publication{}});
      }
    });
  for (auto& thread : threads)
    thread.join();
  link->close();
  CAF_CHECK(broker.await_frame("0:10.50"));
}

CAF_TEST(who is woken by what was sent is run before the next wait) {
  auto waking = std::make_shared<waking_events>();
  events = waking;
  link =
      make_link([](const endpoint&, std::shared_ptr<link_listener> about,
                   link_protocol::time_point) { return std::make_unique<echo>(std::move(about)); });
  listener peer;
  connect(peer.where());
  peer.accept();
  peer.send("x");
  CAF_CHECK(waking->ran.get_future().wait_for(20s) == std::future_status::ready);
}

CAF_TEST_FIXTURE_SCOPE_END()

CAF_TEST_FIXTURE_SCOPE(slow_receiver_tests, slow_fixture)

CAF_TEST(a link goes on while a receiver is slow) {
  link->request(1, declare_exchange{{"Trade"}});
  CAF_CHECK(broker.await_frame("1:40.10"));
  broker.send(broker_script::close_connection(320, "CONNECTION_FORCED - shutdown"));
  CAF_CHECK(outcome() == ec::connection_forced);
  slow->let_go();
}

CAF_TEST(who is woken while a receiver is slow runs elsewhere) {
  broker.send(broker_script::blocked("disk"));
  CAF_CHECK(slow->await_passed_on());
  slow->let_go();
}

CAF_TEST(a link ends while a receiver is slow) {
  CAF_CHECK(destroy() < 2s);
  CAF_CHECK(broker.await_frame("0:10.50"));
  CAF_CHECK(broker.await_end());
  slow->let_go();
}

CAF_TEST(a link goes on when a slow receiver is done) {
  slow->let_go();
  link->request(1, declare_exchange{{"Trade"}});
  CAF_CHECK(broker.await_frame("1:40.10"));
}

CAF_TEST_FIXTURE_SCOPE_END()
