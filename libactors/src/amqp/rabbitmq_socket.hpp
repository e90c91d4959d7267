#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "actors/amqp/endpoint.hpp"
#include "actors/ec.hpp"

/// What a link asks of the operating system. Nothing here blocks without limit.
namespace actors::amqp {

/// Owns a file descriptor.
class file_descriptor {
public:
  explicit file_descriptor(int fd = -1) noexcept : fd_(fd) {
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
  int fd_;
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

/// Milliseconds until `limit` as `poll` takes them, rounded up so that it never
/// wakes too early.
int poll_timeout(std::chrono::steady_clock::time_point limit);

/// What came of one call that does not block.
struct io_result {
  enum class status : std::uint8_t { done, would_block, ended };

  status what = status::done;
  std::size_t size = 0;
  /// Why the stream ended.
  std::string why;
};

/// A TCP connection that never blocks. TLS will be another such stream.
class tcp_stream {
public:
  explicit tcp_stream(file_descriptor fd) noexcept : fd_(std::move(fd)) {
    // nop
  }

  int fd() const noexcept {
    return fd_.get();
  }

  io_result read(char* to, std::size_t size);

  io_result write(std::string_view bytes);

private:
  file_descriptor fd_;
};

/// Either a stream, or why there is none; neither if it was interrupted.
struct dialed {
  std::optional<tcp_stream> stream;
  failure error;
};

/// Resolves the host and tries its addresses one after the other, all of them
/// within the endpoint's connection time-out. Ends early when `interrupted`
/// says so, which is asked each time `wake` is signalled.
dialed dial(const endpoint& where, wake_up& wake, const std::function<bool()>& interrupted);

} // namespace actors::amqp
