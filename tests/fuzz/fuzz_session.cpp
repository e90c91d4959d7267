// No bytes of a broker may crash the conversation, make it answer a request
// twice, or keep it from ending.

#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>

#include "unit/amqp/rabbitmq/session_fixture.hpp"

using namespace actors;
using namespace actors::amqp;

namespace {

using broker = broker_script;

void require(bool condition) {
  if (!condition)
    std::abort();
}

/// What a link promises about its events.
class promises : public link_listener {
public:
  void up(std::string) override {
    require(!up_ && !down_);
    up_ = true;
  }

  void replied(reply x) override {
    running();
    require(x.id >= 1 && x.id <= 3 && answered_.insert(x.id).second);
  }

  void delivered(std::uint32_t generation, std::vector<delivery> xs) override {
    running();
    require(generation >= generation_ && !xs.empty());
    generation_ = generation;
  }

  void confirmed(std::vector<confirmation> xs) override {
    running();
    require(!xs.empty());
    for (auto& x : xs)
      require(x.id >= 1 && x.id <= 2 && confirmed_.insert(x.id).second);
  }

  void returned(returned_message x) override {
    running();
    require(static_cast<bool>(x.reason));
  }

  void blocked(std::string) override {
    running();
  }

  void unblocked() override {
    running();
  }

  void cancelled(consumer_id) override {
    running();
  }

  void refused(std::uint64_t, failure) override {
  }

  void suspected(std::vector<request_id>) override {
  }

  void learned(broker_limits) override {
  }

  void channel_closed(closed_channel x) override {
    running();
    require(x.which != channel::topology && x.reason);
  }

  void down(failure reason) override {
    require(!down_ && reason);
    down_ = true;
  }

private:
  void running() const {
    require(up_ && !down_);
  }

  bool up_ = false;
  bool down_ = false;
  std::uint32_t generation_ = 1;
  std::set<request_id> answered_;
  std::set<std::uint64_t> confirmed_;
};

/// The input as frames in good order: noise in them reaches deeper than noise
/// around them. Of each frame: type, channel, size, payload.
std::string as_frames(std::string_view input) {
  std::string result;
  while (input.size() >= 3) {
    auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(input[i]); };
    auto type = at(0), channel = at(1), size = at(2);
    input.remove_prefix(3);
    auto payload = input.substr(0, size);
    input.remove_prefix(payload.size());
    result += broker::frame(type, channel, payload);
  }
  return result;
}

void converse(std::string_view bytes, bool confirms, std::size_t piece) {
  session::time_point now{std::chrono::hours{1}};
  auto events = std::make_shared<promises>();
  session talk{session_fixture::where(), confirms, events, now};
  talk.execute(request_command{1, declare_exchange{{"Trade"}}}, now);
  talk.execute(request_command{2, declare_queue{{"q"}}}, now);
  talk.execute(request_command{3, start_consumer{{7, "q"}}}, now);
  for (std::uint64_t id : {1, 2}) {
    publication x;
    x.id = id;
    x.exchange = "Trade";
    x.body = std::make_shared<const std::string>("{}");
    talk.execute(publish_command{1, {std::move(x)}}, now);
  }
  while (!bytes.empty() && !talk.is_down()) {
    talk.feed(bytes.substr(0, piece), now);
    bytes.remove_prefix(std::min(piece, bytes.size()));
    talk.consume(talk.output().size(), now);
  }
  talk.tick(now + std::chrono::seconds{200'000}); // beyond the longest heartbeat
  require(talk.is_down());
}

} // namespace

// The first byte says how the rest is read: in which pieces, after a handshake
// or from the start, as it is or as frames, with publisher confirms or without.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0)
    return 0;
  auto mode = bytes[0];
  std::string_view input{reinterpret_cast<const char*>(bytes) + 1, size - 1};
  auto text = (mode & 1) != 0 ? as_frames(input) : std::string{input};
  if ((mode & 2) != 0)
    text = broker::handshake() + text;
  auto piece = (mode & 8) != 0 ? std::size_t{1} + (mode >> 4) : text.size() + 1;
  converse(text, (mode & 4) != 0, piece);
  return 0;
}
