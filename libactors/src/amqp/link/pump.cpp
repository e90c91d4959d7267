#include "amqp/link/pump.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <string_view>
#include <utility>

namespace actors::amqp {

namespace {

using clock = std::chrono::steady_clock;

/// The kernel rarely holds more bytes ready than this.
constexpr std::size_t read_size = 64 * 1024;

constexpr timespec publishing_pause{0, std::chrono::nanoseconds{command_queue::pause}.count()};

constexpr timespec no_time{};

} // namespace

failure about_peer(failure why, scheme peer) {
  constexpr std::string_view broker = "the broker";
  auto& text = why.text;
  if (is_relay(peer))
    for (auto i = text.find(broker); i != text.npos; i = text.find(broker, i))
      text.replace(i, broker.size(), "the relay");
  return why;
}

pump::pump(command_queue& commands, scheme peer, std::unique_ptr<byte_stream> stream,
           std::unique_ptr<link_protocol> protocol, const run_queue* runnable)
    : commands_(commands),
      peer_(peer),
      stream_(std::move(stream)),
      protocol_(std::move(protocol)),
      run_queue_(runnable),
      buffer_(read_size) {
  // nop
}

bool pump::run() {
  while (!commands_.stopped()) {
    for (auto& next : commands_.take())
      protocol_->execute(std::move(next), clock::now());
    if (!write_blocked_)
      write();
    if (write_error_) // the broker may have said why before it closed
      read();
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

// The thread that waits must look again if it would wait for too long, or for the wrong thing.
void pump::carry_out(command x) {
  const auto known = protocol_->deadline();
  protocol_->execute(std::move(x), clock::now());
  write();
  if (write_blocked_ || write_error_ || protocol_->is_down() || receivers_wait()
      || protocol_->deadline() < known)
    commands_.wake.signal();
}

bool pump::receivers_wait() const {
  return run_queue_ != nullptr && run_queue_->waiting();
}

// Returns the longest time to wait; null for a wait until the next event or deadline.
const timespec* pump::limit() const {
  if (receivers_wait()) // the last commands may have woken them
    return &no_time;
  return commands_.waiting() ? nullptr : &publishing_pause;
}

// Waits until there is something to do, or for `limit` if there is one. All that the wait needs is
// known before the link is lent.
void pump::wait(const timespec* limit) {
  auto wanted = static_cast<short>(read_wants_ | (write_blocked_ ? write_wants_ : 0));
  std::array<pollfd, 2> fds{{{stream_->fd(), wanted, 0}, {commands_.wake.fd(), POLLIN, 0}}};
  const auto timeout = poll_timeout(protocol_->deadline());
  if (!write_blocked_)
    commands_.lend(*this);
  auto ready = limit ? ::ppoll(fds.data(), fds.size(), limit, nullptr)
                     : ::poll(fds.data(), fds.size(), timeout);
  commands_.reclaim();
  if (ready > 0 && fds[1].revents != 0)
    commands_.wake.drain();
  if (ready > 0 && (fds[0].revents & write_wants_) != 0)
    write_blocked_ = false;
  if (ready > 0 && (fds[0].revents & (read_wants_ | POLLERR | POLLHUP)) != 0)
    read();
  // The tick comes after the read: bytes that arrived in time count even if this thread was late.
  protocol_->tick(clock::now());
}

void pump::read() {
  auto result = stream_->read(buffer_.data(), buffer_.size());
  read_wants_ = result.wants;
  if (result.size > 0)
    protocol_->feed({buffer_.data(), result.size}, clock::now());
  if (result.outcome == io_result::status::ended)
    protocol_->lost(about_peer(std::move(result.why), peer_));
  else if (result.outcome == io_result::status::would_block && write_error_)
    protocol_->lost(about_peer(write_error_, peer_));
}

// Passes everything to the kernel in one call, as far as there is room.
void pump::write() {
  auto bytes = protocol_->output();
  if (bytes.empty() || write_error_)
    return;
  auto result = stream_->write(bytes);
  if (result.outcome == io_result::status::ended) {
    write_error_ = std::move(result.why);
    return;
  }
  write_blocked_ = result.size < bytes.size();
  write_wants_ = result.wants;
  if (result.size > 0)
    protocol_->consume(result.size, clock::now());
}

} // namespace actors::amqp
