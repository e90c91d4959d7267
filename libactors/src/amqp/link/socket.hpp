#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "actors/amqp/endpoint.hpp"
#include "actors/ec.hpp"

/// The operating system's calls for a link. No call blocks without limit.
namespace actors::amqp {

/// Owns a file descriptor.
class file_descriptor {
public:
  file_descriptor() noexcept = default;

  explicit file_descriptor(int fd) noexcept : fd_(fd) {
    // nop
  }

  file_descriptor(file_descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {
    // nop
  }

  file_descriptor& operator=(file_descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }

  ~file_descriptor();

  int get() const noexcept {
    return fd_;
  }

  explicit operator bool() const noexcept {
    return fd_ >= 0;
  }

private:
  int fd_ = -1;
};

/// Ends another thread's `poll`.
class wake_up {
public:
  wake_up();

  bool ok() const noexcept {
    return static_cast<bool>(fd_);
  }

  int fd() const noexcept {
    return fd_.get();
  }

  /// Safe from any thread.
  void signal() noexcept;

  void drain() noexcept;

private:
  file_descriptor fd_;
};

/// Returns the milliseconds until `limit` as `poll` takes them, rounded up so that `poll` never
/// wakes too early.
int poll_timeout(std::chrono::steady_clock::time_point limit);

/// A way to end a wait early: `requested` is asked each time `wake` is signalled.
struct interruption {
  wake_up& wake;
  std::function<bool()> requested;
};

/// Waits for `events` on a file descriptor. Returns 0, an errno, ETIMEDOUT at `limit`, or
/// ECANCELED after an interruption.
int await(int fd, short events, std::chrono::steady_clock::time_point limit,
          const interruption& stop);

/// Returns the system's text for an errno.
std::string error_text(int code);

/// The outcome of one call that does not block.
struct io_result {
  enum class status : std::uint8_t { done, would_block, ended };

  status outcome = status::done;
  /// The number of bytes moved, also if the stream ended after them.
  std::size_t size = 0;
  /// Why the stream ended.
  failure why = {};
  /// The events to poll for before the next call.
  short wants = 0;
};

/// A connection that never blocks.
class byte_stream {
public:
  virtual ~byte_stream() = default;

  virtual int fd() const noexcept = 0;

  /// Reads up to `size` bytes; `poll` reports any that are left.
  virtual io_result read(char* to, std::size_t size) = 0;

  /// Writes as many bytes as there is room for.
  virtual io_result write(std::string_view bytes) = 0;
};

class tcp_stream : public byte_stream {
public:
  explicit tcp_stream(file_descriptor fd) noexcept : fd_(std::move(fd)) {
    // nop
  }

  int fd() const noexcept override {
    return fd_.get();
  }

  io_result read(char* to, std::size_t size) override;

  io_result write(std::string_view bytes) override;

private:
  file_descriptor fd_;
};

/// Either a result or an error; neither of them after an interruption.
template <class T>
struct outcome {
  T result = {};
  failure error = {};
};

/// Resolves the host and tries its addresses one after the other, within the endpoint's
/// connection time-out.
outcome<file_descriptor> dial(const endpoint& where, const interruption& stop);

} // namespace actors::amqp
