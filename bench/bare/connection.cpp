#include "bare/connection.hpp"

#include <array>
#include <cerrno>

#include <poll.h>
#include <sys/socket.h>

#include "bodies.hpp"

namespace bare {

namespace {

constexpr amqp_channel_t channel = 1;
constexpr std::size_t frame_max = 131'072;

template <class Unsigned>
void append_number(std::string& out, Unsigned x) {
  for (auto i = sizeof(Unsigned); i-- > 0;)
    out += static_cast<char>(x >> (8 * i));
}

} // namespace

amqp_bytes_t bytes_of(std::string_view x) {
  return {x.size(), const_cast<char*>(x.data())};
}

std::string_view view(amqp_bytes_t x) {
  return {static_cast<const char*>(x.bytes), x.len};
}

// -- connection ---------------------------------------------------------------------

connection::connection(const std::string& url) : state_(amqp_new_connection()) {
  auto text = url;
  amqp_connection_info where{};
  if (amqp_parse_url(text.data(), &where) != AMQP_STATUS_OK)
    bench::fail("no URL of a broker: " + url);
  auto socket = amqp_tcp_socket_new(state_);
  if (amqp_socket_open(socket, where.host, where.port) != AMQP_STATUS_OK)
    bench::fail("no broker at " + std::string{where.host} + ':' + std::to_string(where.port));
  fd_ = amqp_get_sockfd(state_);
  auto reply = amqp_login(state_, where.vhost, 0, frame_max, 0, AMQP_SASL_METHOD_PLAIN, where.user,
                          where.password);
  if (reply.reply_type != AMQP_RESPONSE_NORMAL)
    bench::fail("the login was refused");
  amqp_channel_open(state_, channel);
  check("channel.open");
}

connection::~connection() {
  amqp_destroy_connection(state_);
}

void connection::check(const char* what) const {
  if (amqp_get_rpc_reply(state_).reply_type != AMQP_RESPONSE_NORMAL)
    bench::fail(std::string{what} + " was refused");
}

void connection::send(std::string_view bytes) const {
  while (!bytes.empty()) {
    auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN || errno == EINTR) {
      pollfd room{fd_, POLLOUT, 0};
      ::poll(&room, 1, -1);
    } else {
      bench::fail("the connection was lost");
    }
  }
}

void connection::declare_exchange(const std::string& name) const {
  amqp_exchange_declare(state_, channel, bytes_of(name), bytes_of("topic"), 0, 0, 0, 0,
                        amqp_empty_table);
  check("exchange.declare");
}

void connection::declare_queue(const std::string& name) const {
  amqp_queue_declare(state_, channel, bytes_of(name), 0, 0, 0, 1, amqp_empty_table);
  check("queue.declare");
}

void connection::bind(const std::string& queue, const std::string& exchange,
                      const std::string& key) const {
  amqp_queue_bind(state_, channel, bytes_of(queue), bytes_of(exchange), bytes_of(key),
                  amqp_empty_table);
  check("queue.bind");
}

void connection::consume(const std::string& queue, std::uint16_t prefetch, bool no_ack) const {
  amqp_basic_qos(state_, channel, 0, prefetch, 0);
  check("basic.qos");
  amqp_basic_consume(state_, channel, bytes_of(queue), amqp_empty_bytes, 0, no_ack, 0,
                     amqp_empty_table);
  check("basic.consume");
}

void connection::select_confirms() const {
  amqp_confirm_select(state_, channel);
  check("confirm.select");
}

// -- delivery_reader ----------------------------------------------------------------

amqp_frame_t delivery_reader::frame() const {
  amqp_frame_t result;
  if (amqp_simple_wait_frame(from_.get(), &result) != AMQP_STATUS_OK)
    bench::fail("the connection was lost");
  return result;
}

delivery delivery_reader::next() {
  amqp_maybe_release_buffers_on_channel(from_.get(), channel);
  amqp_frame_t x = frame();
  while (x.frame_type != AMQP_FRAME_METHOD || x.payload.method.id != AMQP_BASIC_DELIVER_METHOD)
    x = frame();
  delivery result;
  result.tag = static_cast<amqp_basic_deliver_t*>(x.payload.method.decoded)->delivery_tag;
  auto missing = frame().payload.properties.body_size;
  auto first = view(frame().payload.body_fragment);
  if (first.size() == missing) {
    result.body = first;
    return result;
  }
  whole_ = first;
  while (whole_.size() < missing)
    whole_ += view(frame().payload.body_fragment);
  result.body = whole_;
  return result;
}

bool delivery_reader::drained() const {
  return !amqp_frames_enqueued(from_.get()) && !amqp_data_in_buffer(from_.get());
}

// -- publish_batch ------------------------------------------------------------------

publish_batch::publish_batch(const connection& to, std::string exchange, std::string routing_key,
                             bool numbered)
    : to_(to),
      exchange_(std::move(exchange)),
      routing_key_(std::move(routing_key)),
      numbered_(numbered) {
  amqp_basic_publish_t method{};
  method.exchange = bytes_of(exchange_);
  method.routing_key = bytes_of(routing_key_);
  std::array<char, 1024> buffer;
  amqp_bytes_t room{buffer.size(), buffer.data()};
  auto size = amqp_encode_method(AMQP_BASIC_PUBLISH_METHOD, &method, room);
  append_number(method_, std::uint32_t{AMQP_BASIC_PUBLISH_METHOD});
  method_.append(buffer.data(), static_cast<std::size_t>(size));
}

void publish_batch::add_frame(std::uint8_t type, std::string_view payload) {
  append_number(bytes_, type);
  append_number(bytes_, std::uint16_t{channel});
  append_number(bytes_, static_cast<std::uint32_t>(payload.size()));
  bytes_ += payload;
  bytes_ += static_cast<char>(AMQP_FRAME_END);
}

void publish_batch::append_properties(std::string& to) {
  if (!numbered_) {
    append_number(to, std::uint16_t{0});
    return;
  }
  ++number_;
  amqp_basic_properties_t x{};
  auto id = "bench-61e8a5b3c1f00-" + std::to_string(number_);
  auto position = "1723075200000000:" + std::to_string(number_);
  amqp_table_entry_t entry{};
  entry.key = bytes_of("x-la");
  entry.value.kind = AMQP_FIELD_KIND_UTF8;
  entry.value.value.bytes = bytes_of(position);
  x.headers = {1, &entry};
  x.delivery_mode = AMQP_DELIVERY_NONPERSISTENT;
  x.message_id = bytes_of(id);
  x.timestamp = 1'723'075'200;
  x._flags = AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG
             | AMQP_BASIC_TIMESTAMP_FLAG;
  std::array<char, 1024> buffer;
  amqp_bytes_t room{buffer.size(), buffer.data()};
  auto size = amqp_encode_properties(AMQP_BASIC_CLASS, &x, room);
  to.append(buffer.data(), static_cast<std::size_t>(size));
}

void publish_batch::add(std::string_view body) {
  add_frame(AMQP_FRAME_METHOD, method_);
  std::string header;
  append_number(header, std::uint16_t{AMQP_BASIC_CLASS});
  append_number(header, std::uint16_t{0});
  append_number(header, static_cast<std::uint64_t>(body.size()));
  append_properties(header);
  add_frame(AMQP_FRAME_HEADER, header);
  for (auto rest = body; !rest.empty();) {
    auto part = rest.substr(0, frame_max - 8);
    add_frame(AMQP_FRAME_BODY, part);
    rest.remove_prefix(part.size());
  }
}

void publish_batch::flush() {
  to_.send(bytes_);
  bytes_.clear();
}

// -- confirm_reader -----------------------------------------------------------------

void confirm_reader::wait() {
  amqp_frame_t x;
  do {
    if (amqp_simple_wait_frame(from_.get(), &x) != AMQP_STATUS_OK)
      bench::fail("the connection was lost");
    take(x);
    amqp_maybe_release_buffers_on_channel(from_.get(), channel);
  } while (amqp_frames_enqueued(from_.get()) || amqp_data_in_buffer(from_.get()));
}

// A broker confirms one by one, in any order, or all up to a tag.
void confirm_reader::take(const amqp_frame_t& x) {
  if (x.frame_type != AMQP_FRAME_METHOD || x.payload.method.id != AMQP_BASIC_ACK_METHOD)
    return;
  auto ack = static_cast<amqp_basic_ack_t*>(x.payload.method.decoded);
  auto last = static_cast<std::size_t>(ack->delivery_tag - first_tag_);
  if (settled_.size() <= last)
    settled_.resize(last + 1);
  for (auto i = ack->multiple ? 0 : last; i <= last; ++i) {
    confirmed_ += settled_[i] ? 0 : 1;
    settled_[i] = true;
  }
  while (!settled_.empty() && settled_.front()) {
    settled_.pop_front();
    ++first_tag_;
  }
}

} // namespace bare
