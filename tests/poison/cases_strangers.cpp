#include "poison/cases.hpp"

#include <chrono>

#include <sys/socket.h>

// Whoever reaches the port of a relay.

namespace actors::poison {

namespace {

/// A frame of the relay's wire: its size, its type and its fields.
std::string frame(char type, const std::string& fields) {
  const auto size = static_cast<std::uint32_t>(fields.size() + 1);
  std::string result;
  for (auto shift : {24, 16, 8, 0})
    result += static_cast<char>(size >> shift);
  return result + type + fields;
}

std::string text(const std::string& x) {
  const auto size = static_cast<std::uint32_t>(x.size());
  std::string result;
  for (auto shift : {24, 16, 8, 0})
    result += static_cast<char>(size >> shift);
  return result + x;
}

/// What a host says before what it takes.
std::string only_hello(const std::string& name, const std::string& magic = "libactors") {
  return frame('\x00', text(magic) + std::string{"\x00\x02", 2} + text("0.0") + text(name)
                           + std::string(4, '\0'));
}

/// As a host says it that belongs here.
std::string hello(const std::string& name) {
  return only_hello(name)
         + frame('\x07', std::string{"\x02\x00\x00\x00", 4} + std::string(15, '\0'));
}

bad_case saying(const std::string& what, const std::string& bytes, int times = 1) {
  return {"a stranger that says " + what,
          [=](attempt& x) {
            for (auto i = 0; i < times; ++i)
              x.connect_and_say(bytes);
          },
          answer::any, need::relay};
}

bad_case saying_nothing(int times) {
  return {std::to_string(times) + " strangers that say nothing",
          [=](attempt& x) {
            for (auto i = 0; i < times; ++i)
              x.connect();
          },
          answer::any, need::relay};
}

} // namespace

std::vector<bad_case> strangers() {
  const std::string noise(100'000, '\xa5');
  std::vector<bad_case> result{
      saying_nothing(20),
      saying_nothing(128),
      saying_nothing(300),
      saying("GET / HTTP/1.1", "GET / HTTP/1.1\r\nHost: relay\r\n\r\n", 20),
      saying("AMQP", std::string{"AMQP\x00\x00\x09\x01", 8}, 20),
      saying("the beginning of TLS", std::string{"\x16\x03\x01\x02\x00\x01\x00", 7}, 20),
      saying("noise", noise, 20),
      saying("the size of a frame of 4 GB", "\xff\xff\xff\xff", 20),
      saying("half a hello", hello("half").substr(0, 20), 130),
      saying("hello in another language", only_hello("other", "somebody else"), 20),
      saying("hello and not what it takes", only_hello("no tune"), 130),
      saying("hello twice", hello("twice") + hello("twice"), 5),
      saying("hello and noise", hello("noise") + noise, 5),
      saying("hello and a frame of no type", hello("none") + frame('\x7f', "x"), 5),
      saying("hello and half a frame of 15 MB",
             hello("half") + std::string{"\x00\xe4\xe1\xc0\x03", 5} + std::string(100'000, 'x'),
             20),
      saying("hello and nothing more", hello("idle"), 5),
  };
  result.push_back({"1,000 strangers that come and go",
                    [](attempt& x) {
                      for (auto i = 0; i < 1'000; ++i)
                        ::shutdown(x.connect(), SHUT_RDWR);
                    },
                    answer::any, need::relay});
  result.push_back({"50 hosts that come and go",
                    [](attempt& x) {
                      for (auto i = 0; i < 50; ++i) {
                        const auto fd = x.connect();
                        const auto bytes = hello("short");
                        static_cast<void>(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL));
                        ::shutdown(fd, SHUT_RDWR);
                      }
                    },
                    answer::any, need::relay});
  return result;
}

} // namespace actors::poison
