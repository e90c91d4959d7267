#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// As much of AMQP 0-9-1 as the stub broker speaks.
namespace stub {

enum frame_type : std::uint8_t { method_frame = 1, header_frame = 2, body_frame = 3 };

/// Class and method of a method frame as one number.
constexpr std::uint32_t id_of(std::uint16_t class_id, std::uint16_t method_id) {
  return std::uint32_t{class_id} << 16 | method_id;
}

/// Writes the fields of a method, a header or a frame.
class writer {
public:
  template <class Unsigned>
  writer& number(Unsigned x) {
    for (auto i = sizeof(Unsigned); i-- > 0;)
      out_ += static_cast<char>(x >> (8 * i));
    return *this;
  }

  writer& short_string(std::string_view x) {
    number(static_cast<std::uint8_t>(x.size()));
    out_ += x;
    return *this;
  }

  writer& long_string(std::string_view x) {
    number(static_cast<std::uint32_t>(x.size()));
    out_ += x;
    return *this;
  }

  writer& frame(frame_type type, std::uint16_t channel, std::string_view payload) {
    number(static_cast<std::uint8_t>(type)).number(channel).long_string(payload);
    return number(std::uint8_t{0xCE});
  }

  const std::string& text() const noexcept {
    return out_;
  }

private:
  std::string out_;
};

/// A frame within what was received.
struct frame {
  std::uint8_t type = 0;
  std::uint16_t channel = 0;
  std::string_view payload;
};

/// Reads fields; what is not there reads as 0 or empty.
class reader {
public:
  explicit reader(std::string_view in) : in_(in) {
    // nop
  }

  template <class Unsigned>
  Unsigned number() {
    if (in_.size() < sizeof(Unsigned)) {
      in_ = {};
      return 0;
    }
    Unsigned result = 0;
    for (std::size_t i = 0; i < sizeof(Unsigned); ++i)
      result =
          static_cast<Unsigned>(std::uint64_t{result} << 8 | static_cast<std::uint8_t>(in_[i]));
    in_.remove_prefix(sizeof(Unsigned));
    return result;
  }

  std::string_view short_string() {
    return take(number<std::uint8_t>());
  }

private:
  std::string_view take(std::size_t size) {
    auto result = in_.substr(0, size);
    in_.remove_prefix(result.size());
    return result;
  }

  std::string_view in_;
};

/// Takes the first whole frame off `in`; false if there is none yet.
inline bool take_frame(std::string_view& in, frame& out) {
  constexpr std::size_t around = 8;
  if (in.size() < around)
    return false;
  reader head{in};
  out.type = head.number<std::uint8_t>();
  out.channel = head.number<std::uint16_t>();
  std::size_t size = head.number<std::uint32_t>();
  if (in.size() < size + around)
    return false;
  out.payload = in.substr(7, size);
  in.remove_prefix(size + around);
  return true;
}

} // namespace stub
