#include "stub/client.hpp"

#include <array>
#include <cerrno>

#include <sys/socket.h>
#include <unistd.h>

namespace stub {

namespace {

constexpr std::size_t enough_output = 64 * 1024;

std::string empty_table() {
  return writer{}.long_string("").text();
}

/// Flags and values of a message's properties.
std::string properties_of(const flood& what, std::uint64_t number) {
  constexpr std::uint16_t headers = 0x2000;
  constexpr std::uint16_t message_id = 0x0080;
  if (!what.numbered)
    return writer{}.number(std::uint16_t{0}).text();
  auto position = "1723075200000000:" + std::to_string(number);
  auto table = writer{}.short_string("x-la").number(std::uint8_t{'S'}).long_string(position).text();
  return writer{}
      .number(static_cast<std::uint16_t>(headers | message_id))
      .long_string(table)
      .short_string("61e8a5b3c1f00-" + std::to_string(number))
      .text();
}

} // namespace

client::client(int fd, const flood& what) : fd_(fd), what_(what) {
  // nop
}

client::~client() {
  ::close(fd_);
}

bool client::has_output() {
  deliver();
  return written_ < output_.size();
}

bool client::read() {
  std::array<char, 256 * 1024> buffer;
  auto size = ::recv(fd_, buffer.data(), buffer.size(), 0);
  if (size <= 0)
    return size < 0 && (errno == EAGAIN || errno == EINTR);
  input_.append(buffer.data(), static_cast<std::size_t>(size));
  std::string_view rest = input_;
  if (!greeted_ && rest.size() >= 8) {
    rest.remove_prefix(8); // "AMQP" and a version
    greeted_ = true;
    answer(0, id_of(10, 10),
           writer{}.number(std::uint16_t{9}).text() + empty_table()
               + writer{}.long_string("PLAIN").long_string("en_US").text());
  }
  frame next;
  while (greeted_ && take_frame(rest, next))
    on_frame(next);
  input_.erase(0, input_.size() - rest.size());
  confirm();
  return true;
}

bool client::write() {
  deliver();
  auto size = ::send(fd_, output_.data() + written_, output_.size() - written_, MSG_NOSIGNAL);
  if (size < 0)
    return errno == EAGAIN || errno == EINTR;
  written_ += static_cast<std::size_t>(size);
  if (written_ == output_.size()) {
    output_.clear();
    written_ = 0;
  }
  return true;
}

void client::answer(std::uint16_t channel, std::uint32_t id, std::string_view arguments) {
  auto payload = writer{}.number(id).text();
  payload += arguments;
  output_ += writer{}.frame(method_frame, channel, payload).text();
}

// -- what the client asks for -----------------------------------------------------------

void client::on_frame(const frame& x) {
  if (x.type != method_frame)
    return;
  reader in{x.payload};
  auto id = in.number<std::uint32_t>();
  on_method(x, id, in);
}

void client::on_method(const frame& x, std::uint32_t id, reader in) {
  auto number = x.channel;
  switch (id) {
  case id_of(10, 11): // start-ok, tune: channels, frame size, no heartbeat
    return answer(0, id_of(10, 30),
                  writer{}
                      .number(std::uint16_t{2047})
                      .number(std::uint32_t{131'072})
                      .number(std::uint16_t{0})
                      .text());
  case id_of(10, 40): // connection.open
    return answer(0, id_of(10, 41), writer{}.short_string("").text());
  case id_of(10, 50): // connection.close
    return answer(0, id_of(10, 51));
  case id_of(20, 10): // channel.open
    channels_[number] = {};
    return answer(number, id_of(20, 11), writer{}.long_string("").text());
  case id_of(20, 40): // channel.close
    return answer(number, id_of(20, 41));
  case id_of(40, 10): // exchange.declare
    return answer(number, id_of(40, 11));
  case id_of(50, 10): { // queue.declare
    in.number<std::uint16_t>();
    auto queue = in.short_string();
    return answer(
        number, id_of(50, 11),
        writer{}.short_string(queue).number(std::uint32_t{0}).number(std::uint32_t{0}).text());
  }
  case id_of(50, 20): // queue.bind
    return answer(number, id_of(50, 21));
  case id_of(50, 40): // queue.delete
    return answer(number, id_of(50, 41), writer{}.number(std::uint32_t{0}).text());
  case id_of(60, 10): // basic.qos
    in.number<std::uint32_t>();
    channels_[number].prefetch = in.number<std::uint16_t>();
    return answer(number, id_of(60, 11));
  case id_of(60, 20): // basic.consume
    return start_consumer(number, in);
  case id_of(60, 80): { // basic.ack
    auto tag = in.number<std::uint64_t>();
    auto multiple = in.number<std::uint8_t>() != 0;
    auto& acked = channels_[number].acked;
    acked = multiple ? tag : acked + 1;
    return;
  }
  case id_of(60, 40): // basic.publish
    ++channels_[number].published;
    return;
  case id_of(85, 10): // confirm.select
    channels_[number].confirms = true;
    return answer(number, id_of(85, 11));
  default:
    return;
  }
}

void client::start_consumer(std::uint16_t number, reader in) {
  in.number<std::uint16_t>();
  in.short_string(); // the queue
  std::string tag{in.short_string()};
  if (tag.empty())
    tag = "stub-" + std::to_string(consumers_.size());
  consumer x;
  x.channel = number;
  x.no_ack = (in.number<std::uint8_t>() & 2) != 0;
  x.prefetch = channels_[number].prefetch;
  x.head = writer{}.number(id_of(60, 60)).short_string(tag).text();
  x.tail = writer{}
               .number(std::uint8_t{0})
               .short_string(what_.exchange)
               .short_string(what_.routing_key)
               .text();
  consumers_.push_back(std::move(x));
  answer(number, id_of(60, 21), writer{}.short_string(tag).text());
}

// -- what it gets ---------------------------------------------------------------------

// All that came by one read is confirmed together, as RabbitMQ does when busy.
void client::confirm() {
  for (auto& [number, x] : channels_) {
    if (!x.confirms || x.confirmed == x.published)
      continue;
    x.confirmed = x.published;
    answer(number, id_of(60, 80), writer{}.number(x.confirmed).number(std::uint8_t{1}).text());
  }
}

void client::deliver() {
  for (auto more = true; more && output_.size() < enough_output;) {
    more = false;
    for (auto& x : consumers_) {
      if (!may_deliver(x))
        continue;
      deliver(x, x.sent % what_.bodies.size());
      more = true;
    }
  }
}

bool client::may_deliver(const consumer& x) {
  if (x.sent >= what_.count)
    return false;
  auto& channel = channels_[x.channel];
  return x.no_ack || x.prefetch == 0 || channel.last_tag - channel.acked < x.prefetch;
}

void client::deliver(consumer& to, std::size_t index) {
  ++to.sent;
  auto& body = what_.bodies[index];
  auto tag = writer{}.number(++channels_[to.channel].last_tag).text();
  auto header = writer{}
                    .number(std::uint16_t{60})
                    .number(std::uint16_t{0})
                    .number(static_cast<std::uint64_t>(body.size()))
                    .text()
                + properties_of(what_, to.sent);
  output_ += writer{}
                 .frame(method_frame, to.channel, to.head + tag + to.tail)
                 .frame(header_frame, to.channel, header)
                 .frame(body_frame, to.channel, body)
                 .text();
}

} // namespace stub
