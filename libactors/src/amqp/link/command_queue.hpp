#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <vector>

#include "amqp/link/link.hpp"
#include "amqp/link/socket.hpp"
#include "amqp/transport.hpp"

namespace actors::amqp {

/// A link whose thread waits for bytes, so that another thread may use the link meanwhile.
class idle_link {
public:
  virtual ~idle_link() = default;

  /// Carries out a command, and writes what it makes.
  virtual void carry_out(command x) = 0;
};

/// Carries commands to a link. A publication or settlement that comes alone is carried out by the
/// thread that sends it, while the link's thread waits: to wake that thread costs more. Commands
/// that come soon after another wait in the queue, and are written together.
class command_queue : public link_sender {
public:
  void publish(std::uint32_t generation, std::vector<publication> publications) override;
  void settle(std::uint32_t generation, std::vector<settlement> settlements) override;

  /// Queues a command, and wakes the link's thread if it waits.
  void post(command added);

  /// Ends the link's thread.
  void stop();

  // -- for the link's thread ---------------------------------------------------------------

  /// Returns the queued commands. The next command wakes the thread, unless there are publications
  /// among these: more may come, and the thread fetches them after `pause`.
  std::vector<command> take();

  /// Whether the next command wakes the thread.
  bool waiting() const;

  /// Lets other threads use the link, until `reclaim`.
  void lend(idle_link& mine);

  /// Notes that the thread is awake and about to call `take`. Returns when no other thread uses the
  /// link.
  void reclaim();

  bool stopped() const;

  /// Whether a new connection would be of no use any more.
  bool ending() const;

  wake_up wake;

  /// After a write, commands are batched for this time: a system call costs more than the bytes.
  static constexpr std::chrono::microseconds pause{100};

private:
  using clock = std::chrono::steady_clock;

  void send(command x);
  idle_link* borrow();
  void give_back();

  mutable std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<command> commands_;
  idle_link* lent_ = nullptr;
  bool borrowed_ = false;
  /// When a command was last carried out by the thread that sent it.
  clock::time_point used_;
  bool waiting_ = true;
  bool closing_ = false;
  bool stopped_ = false;
};

} // namespace actors::amqp
