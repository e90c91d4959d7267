#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "actors/amqp/topology.hpp"

namespace actors::amqp {

/// Appends AMQP's primitive types to a string. rabbitmq-c cannot write an opaque value
/// unchanged.
class field_writer {
public:
  explicit field_writer(std::string& out) : out_(out) {
    // nop
  }

  template <class Unsigned>
  void number(Unsigned x) {
    for (std::size_t i = sizeof(Unsigned); i-- > 0;)
      out_ += static_cast<char>(x >> (8 * i));
  }

  void bytes(std::string_view x) {
    out_ += x;
  }

  /// `x` must be at most 255 bytes long.
  void short_string(std::string_view x) {
    number(static_cast<std::uint8_t>(x.size()));
    out_ += x;
  }

  void long_string(std::string_view x) {
    number(static_cast<std::uint32_t>(x.size()));
    out_ += x;
  }

  void text_field(std::string_view key, std::string_view text) {
    short_string(key);
    out_ += 'S';
    long_string(text);
  }

  void field(std::string_view key, const field_value& x);

  /// Appends a table, its leading size included.
  void table(const field_table& fields) {
    sized([&] {
      for (auto& [key, value] : fields)
        field(key, value);
    });
  }

  /// Appends the output of `write`, preceded by its size in four bytes.
  template <class F>
  void sized(F write) {
    const auto at = out_.size();
    number(std::uint32_t{0});
    write();
    const auto size = static_cast<std::uint32_t>(out_.size() - at - sizeof(std::uint32_t));
    for (std::size_t i = 0; i < sizeof(size); ++i)
      out_[at + i] = static_cast<char>(size >> (8 * (sizeof(size) - 1 - i)));
  }

private:
  std::string& out_;
};

/// Returns the table as the value of a field.
opaque_value as_opaque(const field_table& fields);

} // namespace actors::amqp
