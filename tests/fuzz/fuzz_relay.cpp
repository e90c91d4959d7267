// No bytes of a host may crash its relay, no bytes of a relay its host; and what makes
// sense is written as it was read.

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "amqp/relay/client.hpp"
#include "amqp/relay/frames.hpp"
#include "relay/session.hpp"
#include "support/scripted_transport.hpp"
#include "support/silent_listener.hpp"

using namespace actors;
using namespace actors::amqp;
using namespace actors::testing;

namespace {

const std::chrono::steady_clock::time_point now{std::chrono::hours{1}};

void require(bool condition) {
  if (!condition)
    std::abort();
}

/// Reading what was written gives the same bytes again.
template <class Frame>
void write_again(const std::optional<Frame>& x) {
  if (!x)
    return;
  std::string once;
  append(once, *x);
  frame_reader in{once.size()};
  in.add(once);
  const auto frame = in.next();
  require(frame.has_value());
  std::string twice;
  if constexpr (std::is_same_v<Frame, host_frame>)
    append(twice, *decode_host_frame(*frame));
  else
    append(twice, *decode_relay_frame(*frame));
  require(once == twice);
}

void feed_session(std::string_view bytes, bool greeted) {
  auto link = std::make_shared<scripted_link>();
  session_limits limits;
  limits.max_frame = 65'536;
  limits.max_unconfirmed = 4'096;
  relay_session talk{limits,
                     [&](const relay_hello&, const relay_tune&) {
                       return outcome<transport_ptr>{std::make_unique<scripted_transport>(link)};
                     },
                     now};
  if (greeted) {
    std::string hello;
    append(hello, host_frame{relay_hello{}});
    append(hello, host_frame{relay_tune{}});
    talk.feed(hello, now);
    talk.raise(relay_welcome{"broker"}, now);
    talk.raise(relay_deliveries{1, {delivery{}}}, now);
  }
  for (auto rest = bytes; !rest.empty() && !talk.is_down();) {
    const auto piece = rest.substr(0, 1 + static_cast<unsigned char>(rest[0]) % 64);
    talk.feed(piece, now);
    rest.remove_prefix(piece.size());
  }
  if (!talk.is_down())
    return;
  // What it refused it has said; nothing follows.
  talk.take_output();
  talk.feed(bytes, now);
  talk.tick(now + std::chrono::hours{1});
  require(talk.take_output().empty());
}

void feed_client(std::string_view bytes, bool greeted) {
  relay_client talk{*parse_endpoint("relay://x"), std::make_shared<silent_listener>(), now};
  if (greeted) {
    std::string welcome;
    append(welcome, relay_frame{relay_welcome{"broker"}});
    talk.feed(welcome, now);
  }
  talk.feed(bytes, now);
  talk.tick(now);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  const std::string_view bytes{reinterpret_cast<const char*>(data) + 1, size - 1};
  switch (data[0] % 6) {
  case 0:
    write_again(decode_host_frame(bytes));
    break;
  case 1:
    write_again(decode_relay_frame(bytes));
    break;
  case 2:
  case 3:
    feed_session(bytes, data[0] % 2 == 1);
    break;
  default:
    feed_client(bytes, data[0] % 2 == 1);
  }
  return 0;
}
