#pragma once

#include <memory>
#include <vector>

#include <poll.h>

#include "actors/amqp/endpoint.hpp"
#include "amqp/link/command_queue.hpp"
#include "amqp/link/link.hpp"
#include "amqp/link/socket.hpp"
#include "runtime/run_queue.hpp"

namespace actors::amqp {

/// Returns the error as one about a relay, where the peer is one and the text speaks of a broker.
failure about_peer(failure why, scheme peer);

/// Moves bytes between a protocol and its socket. One thread at a time runs it; while that thread
/// waits, another one may have a command carried out.
class pump : private idle_link {
public:
  pump(command_queue& commands, scheme peer, std::unique_ptr<byte_stream> stream,
       std::unique_ptr<link_protocol> protocol, const run_queue* runnable);

  /// Returns true when actors wait to be run, and false when the link is down or was told to stop.
  bool run();

private:
  void carry_out(command x) override;
  bool receivers_wait() const;
  const timespec* limit() const;
  void wait(const timespec* limit);
  void read();
  void write();

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

} // namespace actors::amqp
